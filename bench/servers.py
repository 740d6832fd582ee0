"""What a server under test is, and which there are: seven peers and Lineside by engine and precision.

Every peer is written as its own documentation shows (bench/peer_servers/), with dynamic batching on and the setting
that treats it best; `setting` says which.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench import machine
from bench.requests import (
    FORM,
    TRITON_HEAD_BYTES,
    Answer,
    msgpack_image,
    multipart,
    of_json,
    of_lineside,
    of_triton,
    triton_binary,
)
from bench.workload import Unavailable, Workload

HERE = Path(__file__).resolve().parent
PYTHON = str(Path(sys.executable).resolve())
"""The one behind this environment: a peer's environment does not depend on where this one lies."""
JPEG = "Content-Type: image/jpeg"
ON_TORCH = ("torch==2.15.0", "torchvision==0.29.2", "pillow==13.0.0")
"""As in requirements.lock: a peer is not to lose by an older torch."""


@dataclass(frozen=True)
class Start:
    """What is known when a server is about to be started."""

    environment: Path
    """Of Python: bin/ is in it."""
    work: Path
    """A scratch folder of its own."""
    port: int
    spare_ports: tuple[int, int]
    workload: Workload


@dataclass(frozen=True)
class Server:
    """One server: how it is started, asked and understood."""

    name: str
    command: tuple[str, ...]
    """With {port} and {work}; the first word is looked for in the environment."""
    body: Callable[[bytes], bytes]
    headers: tuple[str, ...]
    read: Callable[[httpx.Response], Answer]
    setting: str
    """What was set, in words, for the reader."""
    packages: tuple[str, ...] = ()
    """Pinned; empty for Lineside, which runs in this environment."""
    path: str = "/predict"
    prepare: Callable[[Start], None] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    python: str = PYTHON
    """The interpreter of its environment."""
    repository: Callable[[Workload], Path] = lambda workload: workload.models
    """Lineside's; raises Unavailable."""
    needs: Callable[[], str | None] = lambda: None
    """Why it cannot run on this machine, or None."""
    tolerance: float = 1e-3
    """How far a probability may lie from torch float32 on the CPU."""

    @property
    def is_peer(self) -> bool:
        """Whether it is somebody else's."""
        return bool(self.packages)


def archive(start: Start) -> None:
    """TorchServe's model archive and its settings, batching on."""
    store = start.work / "store"
    store.mkdir()
    names = start.work / "index_to_name.json"
    names.write_text(json.dumps({str(index): name for index, name in enumerate(start.workload.classes)}))
    archiver: list[str | Path] = [
        start.environment / "bin/torch-model-archiver",
        *("--model-name", "classifier", "--version", "1.0"),
        *("--handler", HERE / "peer_servers/torchserve_handler.py"),
        *("--model-file", HERE / "peer_servers/torchserve_model.py"),
        *("--serialized-file", start.workload.weights, "--extra-files", names, "--export-path", store),
    ]
    done = subprocess.run(archiver, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise Unavailable(f"torch-model-archiver ended with {done.returncode}: {done.stderr[-300:]}")
    batching = {
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": 16,
        "maxBatchDelay": 10,
        "responseTimeout": 120,
    }
    model = {"classifier": {"1.0": {"defaultVersion": True, "marName": "classifier.mar", **batching}}}
    management, metrics = start.spare_ports
    (start.work / "config.properties").write_text(
        f"inference_address=http://127.0.0.1:{start.port}\n"
        f"management_address=http://127.0.0.1:{management}\nmetrics_address=http://127.0.0.1:{metrics}\n"
        "disable_token_authorization=true\njob_queue_size=1000\nload_models=classifier.mar\n"
        f"models={json.dumps(model)}\n"
    )


PEERS = (
    Server(
        "FastAPI",
        ("python", "peer_servers/plain_fastapi.py"),
        multipart("file"),
        (FORM,),
        of_json,
        "no batching; decoding in its thread pool, forward passes in turn on all cores",
        (*ON_TORCH, "fastapi==0.165.0", "uvicorn[standard]==0.54.0", "python-multipart"),
    ),
    Server(
        "LitServe",
        ("python", "peer_servers/litserve_server.py"),
        multipart("file"),
        (FORM,),
        of_json,
        "max_batch_size 16, batch_timeout 10 ms; one worker on all cores",
        (*ON_TORCH, "litserve==0.2.19", "python-multipart"),
    ),
    Server(
        "BentoML",
        (
            *("bentoml", "serve", "bentoml_server:Classifier", "--working-dir", "peer_servers"),
            *("--host", "127.0.0.1", "--port", "{port}"),
        ),
        multipart("images"),
        (FORM,),
        of_json,
        "adaptive batching to 16, max_latency_ms as it comes; one worker on all cores",
        (*ON_TORCH, "bentoml==1.4.40"),
        variables={"BENTOML_DO_NOT_TRACK": "True"},
    ),
    Server(
        "Ray Serve",
        ("python", "peer_servers/ray_server.py"),
        bytes,
        (JPEG,),
        of_json,
        "max_batch_size 16, batch_wait_timeout_s 0.01; one replica on all cores",
        (*ON_TORCH, "ray[serve]==2.60.0"),
        variables={"RAY_USAGE_STATS_ENABLED": "0"},
    ),
    Server(
        "mosec",
        (
            *("python", "peer_servers/mosec_server.py", "--address", "127.0.0.1", "--port", "{port}"),
            *("--timeout", "60000"),
        ),
        msgpack_image,
        ("Content-Type: application/msgpack",),
        of_json,
        "one decoding process on one thread, one of inference on all cores; max_batch_size 16, max_wait_time 10 ms",
        (*ON_TORCH, "mosec==0.9.8", "msgpack"),
        "/inference",
    ),
    Server(
        "Triton",
        ("python", "peer_servers/pytriton_server.py"),
        triton_binary,
        ("Content-Type: application/octet-stream", f"Inference-Header-Content-Length: {TRITON_HEAD_BYTES}"),
        of_triton,
        "through PyTriton; dynamic batcher to 16, no delay; one instance on all cores",
        (*ON_TORCH, "nvidia-pytriton==0.7.0"),
        "/v2/models/classifier/infer",
        # Triton's own embedded interpreter is an early 3.11, which the library of 3.11.7 does not run on.
        python="/usr/bin/python3.11" if Path("/usr/bin/python3.11").exists() else PYTHON,
    ),
    Server(
        "TorchServe",
        (
            *("torchserve", "--foreground", "--ncs", "--model-store", "{work}/store"),
            *("--ts-config", "{work}/config.properties"),
        ),
        bytes,
        (JPEG,),
        of_json,
        "batchSize 16, maxBatchDelay 10 ms; one worker on all cores",
        (*ON_TORCH, "torchserve==0.12.0", "torch-model-archiver==0.12.0", "captum", "pyyaml"),
        "/predictions/classifier",
        archive,
        # Else it writes bench/logs/.
        variables={"LOG_LOCATION": "{work}", "METRICS_LOCATION": "{work}"},
        needs=lambda: None if Path("/usr/bin/java").exists() else "no Java",
    ),
)


def _needs_bfloat16() -> str | None:
    if machine.cpu_flags() & machine.BFLOAT16_FLAGS:
        return None
    return f"this CPU has neither of {', '.join(sorted(machine.BFLOAT16_FLAGS))}"


def lineside(engine: str, precision: str, **options: object) -> Server:
    """This project, one process, as `lineside serve` runs it."""
    variables = {
        "LINESIDE_DEVICE": "cpu",
        "LINESIDE_ENGINE": engine,
        "LINESIDE_PRECISION": precision,
        "LINESIDE_LOG_LEVEL": "warning",
        "LINESIDE_MAX_DEADLINE_MS": "60000",
    }
    return Server(
        f"Lineside {engine} {precision}",
        ("lineside", "serve", "--host", "127.0.0.1", "--port", "{port}"),
        bytes,
        (JPEG,),
        of_lineside,
        "its defaults, but for a deadline of 60 s (2 s by default: 64 connections would be refused) and no log line a picture",
        path="/predict?deadline_ms=60000",
        variables=variables,
        **options,  # type: ignore[arg-type]
    )


OURS = (
    lineside("torch", "float32"),
    lineside("openvino", "float32"),
    lineside("openvino", "bfloat16", needs=_needs_bfloat16, tolerance=0.05),
    lineside("openvino", "int8", repository=lambda workload: workload.quantised_models, tolerance=0.15),
)

__all__ = ["OURS", "PEERS", "Server", "Start", "Unavailable", "lineside"]
