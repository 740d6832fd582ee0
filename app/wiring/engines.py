"""Which engine runs a bundle here, and building it.

bundle + machine -> candidates, the fastest first -> [built, judged by golden images] -> the first that holds

A CUDA device means torch, in bfloat16 where it holds; LINESIDE_ENGINE=torch means torch in float32; else OpenVINO, in int8 where the bundle was quantised, in bfloat16
where the CPU has it, in float32 otherwise. A network that OpenVINO cannot express is served by torch, and says so.
Imports torch only where it runs.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from app.bundles.exported import EXPORTED_FOLDER, Exported, network_key
from app.bundles.repository import Bundle
from app.engines.base import Engine, ProbingEngine
from app.engines.beside import EngineWithProber
from app.engines.openvino_engine import OpenVinoEngine
from app.errors import ExportFailed, ManifestInvalid, NotReady, SelfTestFailed
from app.wiring.forms import float32_form, own_form, torch_is_installed
from app.wiring.machine import Machine

log = logging.getLogger(__name__)

SUM_RULE_TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2, "int8": 1e-3}
"""Relative to the largest logit. The averaging itself is float32 in every precision, in int8 the last layer too."""

TORCH_DESCRIPTORS = 16
"""Its import and the weights have a few files open at a time."""


@dataclass(frozen=True, slots=True)
class Built:
    """An engine, not yet warm, and what was noticed while it was built."""

    engine: Engine
    sum_rule_error: float
    notes: tuple[str, ...] = ()


Build = Callable[[], Built]


def candidates(bundle: Bundle, machine: Machine, batch_sizes: Sequence[int]) -> Iterator[tuple[str, Build]]:
    """(precision, a function that builds the engine for these sizes), the one to be preferred first.

    Raises:
        BundleRefused: nothing here can run the bundle.
    """
    if machine.device != "cpu":
        yield from _on_cuda(bundle, machine, batch_sizes)
        return
    if machine.runtime == "torch":
        yield "float32", lambda: _torch(bundle, machine)
        return
    is_quantised = bundle.manifest.quantization is not None
    if machine.precision == "int8" and not is_quantised:
        raise ExportFailed(
            f"{bundle.name}/{bundle.version} has no int8 form: run `lineside quantize {bundle.name} --images FOLDER`, or set "
            "LINESIDE_PRECISION=auto"
        )
    if is_quantised and machine.precision in {"auto", "int8"}:
        form = _int8_form(bundle, machine)
        yield "int8", lambda: _openvino(bundle, machine, form, "int8")
        return
    try:
        form = float32_form(bundle, machine.cache, machine.stopping)
    except ExportFailed as error:
        if machine.runtime == "openvino" or not torch_is_installed():
            raise
        note = error.message
        yield "float32", lambda: _torch(bundle, machine, notes=(f"it runs on torch: {note}",))
        return
    for precision in machine.precisions if bundle.golden is not None else _unproven(machine):
        yield precision, _building(bundle, machine, form, precision)


def _building(bundle: Bundle, machine: Machine, form: Exported, precision: str) -> Build:
    return lambda: _openvino(bundle, machine, form, precision)


def _on_cuda(bundle: Bundle, machine: Machine, batch_sizes: Sequence[int]) -> Iterator[tuple[str, Build]]:
    from app.engines.cuda_engine import CudaEngine, cuda_precisions  # noqa: PLC0415 - torch only where it runs
    from app.wiring.networks import load_network  # noqa: PLC0415

    def built(precision: str) -> Built:
        servable, sum_rule = load_network(bundle)
        engine = CudaEngine(
            servable, machine.device, lock=machine.turns, precision=precision, batch_sizes=batch_sizes
        )
        return Built(engine, sum_rule.max_relative_error)

    wanted = "float32" if bundle.golden is None and machine.precision == "auto" else machine.precision
    for precision in cuda_precisions(wanted, machine.device):
        yield precision, partial(built, precision)


def _unproven(machine: Machine) -> Sequence[str]:
    """Without golden images nothing shows what a lower precision changes, so it must be asked for by name."""
    return ("float32",) if machine.precision == "auto" else machine.precisions


def _int8_form(bundle: Bundle, machine: Machine) -> Exported:
    form = own_form(bundle, "int8", machine.cache)
    declared = bundle.manifest.quantization
    if form is None or declared is None:
        raise ExportFailed(
            f"the manifest declares a quantisation, and `{EXPORTED_FOLDER}/int8.json` is missing: copy the whole bundle, or "
            f"run `lineside quantize {bundle.name}` again"
        )
    if form.sha256 != declared.sha256:
        raise ExportFailed(
            f"`{EXPORTED_FOLDER}/int8` is not the network that [quantization] names: its SHA-256 differs; make it again"
        )
    return form


def _torch(bundle: Bundle, machine: Machine, notes: tuple[str, ...] = ()) -> Built:
    """On the CPU."""
    from app.engines.torch_engine import TorchEngine, use_threads  # noqa: PLC0415 - torch is imported only where it runs
    from app.wiring.networks import load_network  # noqa: PLC0415

    servable, sum_rule = load_network(bundle)
    use_threads(machine.thread_count)
    return Built(
        TorchEngine(servable, machine.device, lock=machine.turns), sum_rule.max_relative_error, notes
    )


def built_on_openvino(form: Exported, machine: Machine, precision: str) -> Built:
    """The engine of a form, whatever bundle it lies in; without torch beside it.

    Raises:
        ExportFailed: OpenVINO cannot run it.
        SelfTestFailed: its evidence would not explain its predictions.
    """
    engine = OpenVinoEngine(
        form.graph, form.facts, precision=precision, threads=machine.thread_count, turns=machine.turns
    )
    try:
        error = _sum_rule_error(engine, form)
    except BaseException:
        engine.close()
        raise
    return Built(engine, error)


def _openvino(bundle: Bundle, machine: Machine, form: Exported, precision: str) -> Built:
    built = built_on_openvino(form, machine, precision)
    if machine.layer_maps == "off" or not torch_is_installed():
        return built
    key = network_key(bundle)

    def prober() -> ProbingEngine:
        _refuse_without_descriptors()
        # Minutes or days later: of other weights, maps would explain a prediction that is not theirs.
        if _key_now(bundle) != key:
            raise NotReady(
                f"the weights of {bundle.name} version {bundle.version} were changed on the disk since the server loaded them, or are "
                "gone, so nothing can be said of layers, gradients or the whole picture: restart the server, or put the old ones back",
                retry_after_s=30.0,
            )
        log.info("loading torch for the layers of %s version %d", bundle.name, bundle.version)
        built = _torch(bundle, machine).engine
        assert isinstance(built, ProbingEngine)  # noqa: S101 - torch's is one
        return built

    beside = EngineWithProber(built.engine, form.facts, prober)
    if machine.layer_maps == "at_start":
        beside.prepare()
    return replace(built, engine=beside)


def _key_now(bundle: Bundle) -> str | None:
    """None where its weights cannot be read any more."""
    try:
        return network_key(bundle)
    except ManifestInvalid:
        return None


def _refuse_without_descriptors() -> None:
    """Before torch is imported: one that broke off amid it cannot be begun again in the same process.

    Raises:
        NotReady: connections and files have taken nearly all that this process may have.
    """
    held: list[int] = []
    try:
        while len(held) < TORCH_DESCRIPTORS:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        raise NotReady(
            "too many connections are open for torch to be loaded, which answers of layers, gradients and the whole picture: "
            "try again with fewer, raise the server's limit of open files (`ulimit -n`), or set LINESIDE_LAYER_MAPS=at_start",
            retry_after_s=30.0,
        ) from error
    finally:
        for descriptor in held:
            os.close(descriptor)


def _sum_rule_error(engine: OpenVinoEngine, form: Exported) -> float:
    """|logit - (bias + mean evidence)| of noise on this engine, as a share of the largest |logit|.

    Where the bias is each picture's own, what torch measured when the form was made.

    Raises:
        SelfTestFailed: the evidence would not explain the prediction.
    """
    if form.facts.bias is None:
        return form.sum_rule_error
    size = form.facts.input_size
    noise = np.random.default_rng(0).integers(0, 256, (2, size.height, size.width, 3), dtype=np.uint8)
    output = engine.run(noise)
    explained = np.asarray(form.facts.bias, np.float32) + output.evidence.mean(axis=(2, 3))
    largest = max(float(np.abs(output.logits).max()), float(np.finfo(np.float32).tiny))
    error = float(np.abs(output.logits - explained).max()) / largest
    allowed = SUM_RULE_TOLERANCE[engine.precision]
    if not error <= allowed:
        raise SelfTestFailed(
            f"bias + mean(evidence) misses the logits by {error:.2g} of the largest on OpenVINO in {engine.precision} "
            f"(allowed: {allowed:.0e}); the evidence would not explain the prediction"
        )
    return error
