"""A form of a bundle's network for OpenVINO, proved, and only then put in its place.

bundle -> float32 form -> golden images -> openvino/ in the bundle
bundle + prepared pictures -> int8 form -> compared with float32 -> the next version -> golden images -> its place
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.bundles.exported import EXPORTED_FOLDER, Exported, Form, read_exported
from app.bundles.files import read_inside
from app.bundles.golden import GoldenPicture
from app.bundles.manifest import MANIFEST_FILE, MAX_MANIFEST_BYTES, QuantizationTable
from app.bundles.manifest_edit import with_quantization
from app.bundles.placing import put_in_place, workshop
from app.bundles.repository import Bundle, open_bundle
from app.bundles.writer import write_bundle
from app.engines.base import Engine
from app.errors import ExportFailed, SelfTestFailed
from app.explain.maps import softmax
from app.serving.deployment import Proof
from app.wiring.engines import built_on_openvino
from app.wiring.forms import float32_form, torch_is_installed
from app.wiring.machine import Machine
from app.wiring.proof import NO_GOLDEN_IMAGES, Proved, golden_report, prove, unproved

BATCH: Final = 8
Pixels = NDArray[np.uint8]
"""(h, w, 3), what the network takes."""


@dataclass(frozen=True, slots=True)
class ExportedBundle:
    """A bundle that has its float32 form in it, proved."""

    bundle: Bundle
    form: Exported
    proof: Proof
    is_new: bool
    """Whether it was made just now."""
    replaced: str | None
    """What was wrong with the one that it stands for; None where there was none."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far int8 may be from float32."""

    least_agreement: float
    """Share of the pictures that must get the same class."""
    largest_drift: float
    """Of any probability of any picture, the golden images too."""


@dataclass(frozen=True, slots=True)
class Compared:
    """int8 beside float32 on the same pictures."""

    pictures: int
    agreement: float
    """Share of them with the same class on top."""
    drift: float
    """Largest difference of any probability, as they are served."""
    classes: frozenset[int]
    """What float32 calls them."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """The new version, proved; its engine is closed."""

    proved: Proved
    form: Exported
    float32_bytes: int
    compared: Compared


def export_into(folder: Path, *, machine: Machine, max_pixels: int) -> ExportedBundle:
    """Puts the float32 form into the bundle in this folder; one that is whole and its own is kept, and proved as well.

    Raises:
        BundleRefused: it cannot be made, does not hold, or cannot be written; the bundle is then as it was.
    """
    bundle = open_bundle(folder)
    place = folder / EXPORTED_FOLDER
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise ExportFailed(f"`{EXPORTED_FOLDER}` in the bundle is no folder of its own: take it away")
    found, replaced = None, None
    try:
        found = read_exported(place, bundle, "float32")
    except ExportFailed as error:
        replaced = error.message
    if found is not None:
        return ExportedBundle(bundle, found, _proof(bundle, found, machine, max_pixels), False, None)
    if not torch_is_installed():
        raise ExportFailed(
            "torch, which makes the form, is not installed here: run the command on a machine that has it (pip install "
            "lineside[torch]) and copy the bundle back"
        )
    from app.exporting.export import export_bundle  # noqa: PLC0415 - torch, and only where a form is made

    with workshop(place) as made:
        made.mkdir()
        export_bundle(bundle, made)
        proof = _proof(bundle, _form_in(made, bundle, "float32"), machine, max_pixels)
        put_in_place(made, place, seal="float32.json")
    return ExportedBundle(bundle, _form_in(place, bundle, "float32"), proof, True, replaced)


def quantise_into(
    place: Path,
    bundle: Bundle,
    *,
    calibration: Sequence[Pixels],
    comparison: Sequence[Pixels],
    pictures: int,
    bounds: Bounds,
    machine: Machine,
    max_pixels: int,
) -> Quantised:
    """Makes the version `place`: the bundle with its network in int8, where that answers as float32 does.

    Args:
        place: <name>/<version>/, not there yet.
        bundle: what is quantised; stays as it is.
        calibration: what the ranges of numbers are measured on.
        comparison: what int8 is compared with float32 on.
        pictures: how many these are together.
        bounds: beyond them the version is not made.
        machine: a CPU.
        max_pixels: of a golden image.

    Raises:
        BundleRefused: the bundle does not hold as it is, int8 drifts too far, or nothing can be written. Nothing remains.
    """
    float32 = float32_form(bundle, machine.cache, machine.stopping)
    # A bundle that was changed since its golden images were recorded would get new ones that call it right.
    _proof(bundle, float32, machine, max_pixels)
    from app.exporting.quantize import quantise  # noqa: PLC0415 - seconds, and torch where that is installed

    with workshop(place) as made:
        forms = made.with_name("forms")
        forms.mkdir()
        quantise(float32, bundle, forms, calibration)
        form = _form_in(forms, bundle, "int8")
        compared = _compared(bundle, float32, form, comparison, machine)
        _refuse_beyond(bounds, compared)
        table = QuantizationTable(
            kind="int8",
            sha256=form.sha256,
            images=pictures,
            agreement=round(compared.agreement, 6),
            drift=round(compared.drift, 6),
        )
        _write_version(made, bundle, table, bounds)
        forms.rename(made / EXPORTED_FOLDER)
        proved = prove(made, machine=_only(machine, "int8"), batch_sizes=(1,), max_pixels=max_pixels)
        proved.engine.close()
        put_in_place(made, place)
    opened = open_bundle(place)
    return Quantised(
        Proved(opened, proved.engine, proved.proof),
        _form_in(place / EXPORTED_FOLDER, opened, "int8"),
        size_bytes(float32),
        compared,
    )


def size_bytes(form: Exported) -> int:
    """Graph and numbers."""
    return sum(path.stat().st_size for path in (form.graph, form.graph.with_suffix(".bin")))


def _form_in(folder: Path, bundle: Bundle, form: Form) -> Exported:
    found = read_exported(folder, bundle, form)
    if found is None:
        raise ExportFailed(f"`{EXPORTED_FOLDER}/{form}.json` vanished while it was made")
    return found


def _only(machine: Machine, precision: Literal["float32", "int8"]) -> Machine:
    return Machine(
        "cpu", "openvino", precision, machine.threads, machine.cache, "off", machine.turns, machine.stopping
    )


def _proof(bundle: Bundle, form: Exported, machine: Machine, max_pixels: int) -> Proof:
    """Of one form, wherever it lies; raises SelfTestFailed."""
    built = built_on_openvino(form, machine, "float32")
    try:
        golden = golden_report(bundle, built.engine, max_pixels=max_pixels)
        warnings = () if golden is not None else (NO_GOLDEN_IMAGES,)
        proof = Proof(built.sum_rule_error, golden, {}, warnings)
        if reason := unproved(Proved(bundle, built.engine, proof)):
            raise SelfTestFailed(reason)
    finally:
        built.engine.close()
    return proof


def _compared(
    bundle: Bundle, float32: Exported, int8: Exported, pictures: Sequence[Pixels], machine: Machine
) -> Compared:
    expected, measured = (_probabilities(bundle, form, pictures, machine) for form in (float32, int8))
    return Compared(
        len(pictures),
        agreement=float((expected.argmax(axis=1) == measured.argmax(axis=1)).mean()),
        drift=float(np.abs(expected - measured).max()),
        classes=frozenset(expected.argmax(axis=1).tolist()),
    )


def _probabilities(
    bundle: Bundle, form: Exported, pictures: Sequence[Pixels], machine: Machine
) -> NDArray[np.float64]:
    """(N, K), as they are served."""
    engine: Engine = built_on_openvino(form, machine, form.form).engine
    try:
        logits = [
            engine.run(np.stack(pictures[start : start + BATCH])).logits
            for start in range(0, len(pictures), BATCH)
        ]
    finally:
        engine.close()
    return softmax(np.concatenate(logits) / bundle.manifest.calibration.temperature)


def _refuse_beyond(bounds: Bounds, compared: Compared) -> None:
    agrees = compared.agreement >= bounds.least_agreement
    # Not a number is beyond every bound.
    if agrees and compared.drift <= bounds.largest_drift:
        return
    raise SelfTestFailed(
        f"in int8 the model answers otherwise: {compared.agreement:.2%} of {compared.pictures} pictures get the class that "
        f"float32 gives (at least {bounds.least_agreement:.2%} must), and a probability differs by up to "
        f"{compared.drift:.3g} (at most {bounds.largest_drift:g} may). Give more pictures of every class, as the line's camera "
        "takes them, and raise --calibration-images. Another --least-agreement or --largest-drift is a decision about what "
        "the gate may see, not a repair; and float32 serves as before"
    )


def _write_version(made: Path, bundle: Bundle, table: QuantizationTable, bounds: Bounds) -> None:
    golden = bundle.golden
    tolerance = max(bundle.manifest.golden.tolerance, bounds.largest_drift)
    text = read_inside(bundle.folder, MANIFEST_FILE, max_bytes=MAX_MANIFEST_BYTES).decode("utf-8-sig")
    write_bundle(
        made,
        manifest=with_quantization(text, table, tolerance, None if golden is None else len(golden.images)),
        write_weights=lambda path: shutil.copyfile(bundle.weights_path, path),
        pictures=[
            GoldenPicture(image.file, golden.read(image), image.logits, image.class_name)
            for image in golden.images
        ]
        if golden is not None
        else (),
        made_with=golden.made_with if golden is not None else None,
    )
