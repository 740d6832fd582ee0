"""Lineside and its peers, interleaved in one run: the same weights, pictures, client and machine.

    make bench-peers            # or: python bench/peers.py --rounds 3 --seconds 6 --only 'lineside torch' LitServe

Every server runs in an environment of its own under .bench/ (made on the first run), is written as its own
documentation shows (bench/peers/), with dynamic batching on, and answers the class probabilities of one
768 x 574 JPEG. The client is a separate process. Each round starts every server once, in turn; the tables show
the medians over the rounds. Lineside runs as `lineside serve` does, one process.

Not yet run as a whole: FastAPI, BentoML and Triton (through PyTriton, on an early Python 3.11) answered when tried
alone, the others have not been seen to.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import torch
from support.bundles import CLASSES
from torchvision import models

from app.bundles.manifest_text import describe
from app.bundles.writer import write_bundle
from app.demo.painter import paint
from app.domain import Crop, Geometry, Normalisation, ResizeShorter, Size

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE.parent / ".bench"
PATIENCE_S = 180.0
BOUNDARY = "lineside-bench"


def multipart(name: str) -> Callable[[bytes], bytes]:
    """A form with one file part."""

    def body(picture: bytes) -> bytes:
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="picture.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        )
        return head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()

    return body


def msgpack_image(picture: bytes) -> bytes:
    """{"image": picture} in MessagePack: a map of one, a short string, a binary of 32-bit length."""
    return b"\x81\xa5image\xc6" + struct.pack(">I", len(picture)) + picture


def triton_binary(picture: bytes) -> bytes:
    """Open Inference Protocol with the binary tensor extension: JSON, then the length-prefixed bytes."""
    return triton_head(picture) + struct.pack("<I", len(picture)) + picture


def triton_head(picture: bytes) -> bytes:
    """The JSON part, padded so that its length is the same for every picture."""
    head = {
        "inputs": [
            {
                "name": "image",
                "shape": [1, 1],
                "datatype": "BYTES",
                "parameters": {"binary_data_size": len(picture) + 4},
            }
        ],
        "parameters": {"binary_data_output": True},
    }
    return json.dumps(head).encode().ljust(256)


FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"


@dataclass(frozen=True)
class Peer:
    """One server: how it is started and asked."""

    name: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    """With {port} and {work}, the server's own scratch folder."""
    body: Callable[[bytes], bytes]
    headers: tuple[str, ...]
    path: str = "/predict"
    prepare: Callable[[Path, Path], None] | None = None
    """Given the environment and the scratch folder."""
    environment: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable
    """The interpreter of its environment."""


def archive(environment: Path, work: Path) -> None:
    """TorchServe's model archive and its settings, batching on."""
    store = work / "store"
    store.mkdir()
    (work / "index_to_name.json").write_text(json.dumps({str(i): name for i, name in enumerate(CLASSES)}))
    subprocess.run(
        [
            environment / "bin/torch-model-archiver",
            *("--model-name", "classifier", "--version", "1.0", "--handler", "image_classifier"),
            *(
                "--model-file",
                HERE / "peers/torchserve_model.py",
                "--serialized-file",
                os.environ["PEER_WEIGHTS"],
            ),
            *("--extra-files", work / "index_to_name.json", "--export-path", store),
        ],
        check=True,
        capture_output=True,
    )
    batching = {
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": 16,
        "maxBatchDelay": 10,
        "responseTimeout": 120,
    }
    model = {"classifier": {"1.0": {"defaultVersion": True, "marName": "classifier.mar", **batching}}}
    port = work.name.rpartition("-")[2]
    (work / "config.properties").write_text(
        f"inference_address=http://127.0.0.1:{port}\n"
        f"management_address=http://127.0.0.1:{free_port()}\nmetrics_address=http://127.0.0.1:{free_port()}\n"
        f"disable_token_authorization=true\njob_queue_size=1000\nload_models=classifier.mar\nmodels={json.dumps(model)}\n"
    )


PEERS = (
    Peer(
        "FastAPI",
        ("fastapi", "uvicorn[standard]", "python-multipart"),
        ("python", "peers/plain_fastapi.py"),
        multipart("file"),
        (FORM,),
    ),
    Peer("LitServe", ("litserve",), ("python", "peers/litserve_server.py"), multipart("file"), (FORM,)),
    Peer(
        "BentoML",
        ("bentoml",),
        (
            "bentoml",
            "serve",
            "bentoml_server:Classifier",
            "--working-dir",
            "peers",
            "--host",
            "127.0.0.1",
            "--port",
            "{port}",
        ),
        multipart("images"),
        (FORM,),
    ),
    Peer(
        "Ray Serve",
        ("ray[serve]",),
        ("python", "peers/ray_server.py"),
        bytes,
        ("Content-Type: image/jpeg",),
        environment={"RAY_USAGE_STATS_ENABLED": "0"},
    ),
    Peer(
        "mosec",
        ("mosec", "msgpack"),
        (
            "python",
            "peers/mosec_server.py",
            "--address",
            "127.0.0.1",
            "--port",
            "{port}",
            "--timeout",
            "60000",
        ),
        msgpack_image,
        ("Content-Type: application/msgpack",),
        "/inference",
    ),
    Peer(
        "Triton",
        ("nvidia-pytriton",),
        ("python", "peers/pytriton_server.py"),
        triton_binary,
        ("Content-Type: application/octet-stream", "Inference-Header-Content-Length: 256"),
        "/v2/models/classifier/infer",
        # Triton's own embedded interpreter is an early 3.11, which the library of 3.11.7 does not run on.
        python="/usr/bin/python3" if Path("/usr/bin/python3.11").exists() else sys.executable,
    ),
    Peer(
        "TorchServe",
        ("torchserve", "torch-model-archiver", "torch-workflow-archiver", "pyyaml"),
        (
            *("torchserve", "--foreground", "--ncs", "--model-store", "{work}/store"),
            *("--ts-config", "{work}/config.properties"),
        ),
        bytes,
        ("Content-Type: image/jpeg",),
        "/predictions/classifier",
        archive,
    ),
)


def lineside(name: str, **environment: str) -> Peer:
    """This project, one process, as `lineside serve` runs it."""
    return Peer(
        name,
        (),
        ("lineside", "serve", "--host", "127.0.0.1", "--port", "{port}"),
        bytes,
        ("Content-Type: image/jpeg",),
        "/predict?deadline_ms=60000",
        environment={"LINESIDE_LOG_LEVEL": "warning", "LINESIDE_MAX_DEADLINE_MS": "60000", **environment},
    )


OURS = (lineside("lineside torch", LINESIDE_DEVICE="cpu"),)


def environment_of(peer: Peer) -> Path:
    """The peer's own virtual environment, made when it is not there."""
    if not peer.packages:
        return Path(sys.prefix)
    folder = ENVIRONMENTS / peer.name.replace(" ", "-").lower()
    if not (folder / "ready").exists():
        print(f"installing {peer.name} into {folder.relative_to(HERE.parent)}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        uv = [sys.executable, "-m", "uv"]
        path = {**os.environ, "PYTHONPATH": str(HERE.parent / ".uv")}
        subprocess.run([*uv, "venv", "-q", "--python", peer.python, folder], check=True, env=path)
        wanted = [f"torch=={torch.__version__.partition('+')[0]}", "torchvision", "pillow", *peer.packages]
        subprocess.run(
            [*uv, "pip", "install", "-q", "--python", folder / "bin/python", *wanted], check=True, env=path
        )
        (folder / "ready").touch()
    return folder


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(peer: Peer, weights: Path, repository: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The server, answering; its address and process. Its whole process tree is ended afterwards."""
    port = free_port()
    environment = environment_of(peer)
    with tempfile.TemporaryDirectory(
        prefix="lineside-peer-", suffix=f"-{port}", ignore_cleanup_errors=True
    ) as scratch:
        work = Path(scratch)
        if peer.prepare:
            peer.prepare(environment, work)
        command = [part.format(port=port, work=work) for part in peer.command]
        command[0] = str(environment / "bin" / command[0])
        variables = {
            **{
                name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}
            },
            "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
            "PEER_WEIGHTS": str(weights),
            "LINESIDE_MODEL_REPOSITORY": str(repository),
            "PORT": str(port),
            "PYTHONPATH": str(HERE / "peers") if peer.packages else "",
            "TMPDIR": str(work),
            **dict.fromkeys(("LOG_LOCATION", "METRICS_LOCATION"), str(work)),  # TorchServe's; else bench/logs
            **peer.environment,
        }
        log = work / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=HERE,
                env=variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        tree = psutil.Process(process.pid)
        try:
            yield f"http://127.0.0.1:{port}{peer.path}", tree
        except (RuntimeError, subprocess.CalledProcessError):
            print(log.read_text(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            stop(tree)


def stop(tree: psutil.Process) -> None:
    """SIGTERM to the server, then SIGKILL to whatever of its tree is left."""
    family = [tree, *tree.children(recursive=True)]
    tree.send_signal(signal.SIGTERM)
    psutil.wait_procs([tree], timeout=20)
    for member in family:
        if member.is_running():
            member.kill()
    psutil.wait_procs(family, timeout=20)


def wait_until_answering(url: str, message: bytes, headers: dict[str, str], tree: psutil.Process) -> None:
    """Until a picture is answered with 200."""
    end = time.monotonic() + PATIENCE_S
    last = ""
    while time.monotonic() < end:
        if not tree.is_running() or tree.status() == psutil.STATUS_ZOMBIE:
            raise RuntimeError("the server ended while starting")
        try:
            answer = httpx.post(url, content=message, headers=headers, timeout=60)
        except httpx.TransportError as error:
            last = str(error)
        else:
            if answer.status_code == 200:
                return
            last = f"{answer.status_code} {answer.text[:200]}"
        time.sleep(0.5)
    raise RuntimeError(f"no answer in {PATIENCE_S:.0f} s: {last}")


def measure(
    peer: Peer, pictures: list[bytes], options: argparse.Namespace, weights: Path, repository: Path
) -> dict[str, float]:
    """One round of one server."""
    headers = dict(line.split(": ", 1) for line in peer.headers)
    with running(peer, weights, repository) as (url, tree), tempfile.TemporaryDirectory() as folder:
        for number, picture in enumerate(pictures):
            (Path(folder) / f"{number:03}").write_bytes(peer.body(picture))
        wait_until_answering(url, peer.body(pictures[0]), headers, tree)
        head = [part for line in peer.headers for part in ("--header", line)]
        client = subprocess.run(
            [
                *(sys.executable, HERE / "client.py", url, folder, *head, "--seconds", str(options.seconds)),
                *("--concurrency", *map(str, options.concurrency)),
            ],
            check=True,
            stdout=subprocess.PIPE,
        )
        rows = {int(concurrency): row for concurrency, row in json.loads(client.stdout).items()}
        family = [tree, *tree.children(recursive=True)]
        memory = sum(member.memory_full_info().uss for member in family) / 2**20
        before = sum(cpu_s(member) for member in family)
        time.sleep(3)
        idle = (sum(cpu_s(member) for member in family) - before) / 3
    best = max(row["per_s"] for row in rows.values())
    return {
        "best": best,
        **{f"at {concurrency}": row["per_s"] for concurrency, row in rows.items()},
        "lone p50": rows[min(rows)]["p50_ms"],
        "failed": sum(row["failed"] for row in rows.values()),
        "memory": memory,
        "idle": idle * 100,
    }


def cpu_s(process: psutil.Process) -> float:
    """CPU seconds that it has used; 0 when it has gone."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def write_models(folder: Path) -> tuple[Path, Path]:
    """The same ResNet-50 as a state dict for the peers and as a bundle for Lineside, its batch norm calibrated."""
    torch.manual_seed(7)
    model = models.resnet50(num_classes=len(CLASSES))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        model.train()(torch.randn(8, 3, 224, 224))
    weights = folder / "weights.pth"
    torch.save(model.eval().state_dict(), weights)
    from safetensors.torch import save_file  # noqa: PLC0415

    manifest = describe(
        architecture="resnet50",
        classes=CLASSES,
        geometry=Geometry(steps=(ResizeShorter(256, "bilinear"), Crop(Size(224, 224), "center"))),
        normalisation=Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    )
    write_bundle(
        folder / "models" / "classifier" / "1",
        manifest=manifest,
        write_weights=lambda path: save_file(model.state_dict(), path),
        pictures=[],
        made_with={"torch": torch.__version__},
    )
    return weights, folder / "models"


def pictures_of_a_line(count: int) -> list[bytes]:
    """Painted carcasses as 768 x 574 JPEG files."""
    from io import BytesIO  # noqa: PLC0415

    from PIL import Image  # noqa: PLC0415

    files = []
    for seed in range(count):
        file = BytesIO()
        Image.fromarray(paint("boar", 9_000_000 + seed).image).resize((768, 574)).save(
            file, "JPEG", quality=85
        )
        files.append(file.getvalue())
    return files


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seconds", type=float, default=6.0)
    arguments.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 64])
    arguments.add_argument("--only", nargs="+", metavar="NAME", help="some of them, by name")
    arguments.add_argument("--json", type=Path, help="also write every round's figures here")
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that the server under test is ended too
    chosen = [peer for peer in (*OURS, *PEERS) if not options.only or peer.name in options.only]
    pictures = pictures_of_a_line(16)
    rounds: dict[str, list[dict[str, float]]] = {peer.name: [] for peer in chosen}
    with tempfile.TemporaryDirectory() as folder:
        weights, repository = write_models(Path(folder))
        os.environ["PEER_WEIGHTS"] = str(weights)
        for number in range(options.rounds):
            for peer in chosen:
                try:
                    row = measure(peer, pictures, options, weights, repository)
                except (RuntimeError, subprocess.CalledProcessError) as error:
                    print(f"{peer.name}: {error}", file=sys.stderr)
                    continue
                rounds[peer.name].append(row)
                print(
                    f"round {number + 1} {peer.name}: {row['best']:.1f}/s, lone {row['lone p50']:.1f} ms",
                    file=sys.stderr,
                )
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, "
        f"Python {sys.version.split()[0]}, {time.strftime('%Y-%m-%d')}; medians of {options.rounds} rounds of "
        f"{options.seconds:.0f} s\n"
    )
    columns = [
        "best",
        *(f"at {concurrency}" for concurrency in options.concurrency),
        "lone p50",
        "memory",
        "idle",
        "failed",
    ]
    print(f"| server | {' | '.join(columns)} |\n|{' --- |' * (len(columns) + 1)}")
    for name, rows in rounds.items():
        if rows:
            cells = [f"{statistics.median(row[column] for row in rows):.1f}" for column in columns]
            print(f"| {name} | {' | '.join(cells)} |")
    print(
        "\nimages/s over HTTP (the best concurrency, then each); ms; MiB of the server's processes (USS); % of a core"
    )
    if options.json:
        options.json.write_text(json.dumps(rounds, indent=1))


if __name__ == "__main__":
    main()
