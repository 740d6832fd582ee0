"""`lineside import`: a checkpoint becomes a bundle that has proved itself, or a refusal, or a question.

path -> read as data -> settle -> golden logits -> bundle, whole or not at all -> the server's own proof

What the file does not say and no option answers is a question; nothing is guessed.
"""

import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.torch import save

from app.bundles.files import write_atomically
from app.bundles.golden import GoldenPicture
from app.bundles.manifest import Manifest
from app.bundles.manifest_text import describe
from app.bundles.writer import write_bundle
from app.checkpoints.found import Found, Note, Preprocessing, Question
from app.checkpoints.normalising import same_arithmetic
from app.checkpoints.readers import read_checkpoint
from app.cli.ending import SYSTEMS_NO, systems_words
from app.cli.import_options import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Options,
    PictureFile,
    golden_files,
    painted_files,
)
from app.cli.import_report import Report, normalisation_words, print_report
from app.domain import Normalisation, Size
from app.engines.torch_engine import TorchEngine
from app.errors import InvalidRequest, LinesideError, RequestError
from app.images.decode import decode
from app.images.preprocess import preprocess
from app.nets.servable import Servable, load_servable, servable_state
from app.settings import Settings
from app.wiring import Machine, Proved, environment, prove

IMPORTED, REFUSED, QUESTION = 0, 1, 2


def run_import(options: Options, *, as_json: bool) -> int:
    """Report and exit code."""
    report = imported(options)
    print_report(report, as_json=as_json)
    return {"imported": IMPORTED, "importable": IMPORTED, "refused": REFUSED, "question": QUESTION}[
        report.status
    ]


def imported(options: Options) -> Report:
    """Import, or look only; every expected error becomes the report's reason."""
    file = options.checkpoint.name
    found: Found | None = None
    try:
        place = None if options.is_dry_run else options.place()
        found = read_checkpoint(options.checkpoint, options.answers())
        settled = _settle(found, options)
        if settled.questions or settled.manifest is None:
            return Report(
                file,
                "question",
                found,
                settled.preprocessing,
                settled.classes,
                settled.questions,
                settled.notes,
            )
        servable = load_servable(settled.manifest.network_spec(), found.tensors)
        pictures, notes = _golden(servable, settled.manifest, options)
        notes = (*settled.notes, *notes)
        if place is None:
            return Report(file, "importable", found, settled.preprocessing, settled.classes, notes=notes)
        proved = written(place, settled.manifest, servable, pictures)
    except LinesideError as error:
        return Report(file, "refused", found, reason=error.message)
    except OSError as error:
        if error.errno not in SYSTEMS_NO:
            raise
        return Report(file, "refused", found, reason=systems_words(error))
    return Report(file, "imported", found, settled.preprocessing, settled.classes, (), notes, proved=proved)


@dataclass(frozen=True, slots=True)
class _Settled:
    manifest: Manifest | None
    preprocessing: Preprocessing | None
    classes: tuple[str, ...] | None
    questions: tuple[Question, ...]
    notes: tuple[Note, ...]


def _settle(found: Found, options: Options) -> _Settled:
    """File and options together; raises InvalidRequest where they contradict each other."""
    questions, notes = list(found.questions), list[Note]()
    classes = _classes(found, options, notes)
    if classes is None:
        count = found.class_count or "all"
        about = f"the names of its {count} classes, in the order of the outputs"
        questions.append(
            Question(
                about,
                "--classes a,b,c or --classes-from TRAINING_FOLDER (or a file: class_to_idx.json, classes.txt)",
            )
        )
    preprocessing = options.preprocessing(found.choices) or found.preprocessing
    own_normalisation = found.normalisation
    if (
        preprocessing is not None
        and own_normalisation is not None
        and not same_arithmetic(own_normalisation, preprocessing.normalisation)
    ):
        raise InvalidRequest(
            f"{preprocessing.source} says {normalisation_words(preprocessing.normalisation)}; the network itself does "
            f"{normalisation_words(own_normalisation)}: write the latter into the file that --preprocess names"
        )
    if preprocessing is None:
        questions.append(_preprocess_question(found))
    elif found.preprocessing is not None and preprocessing is not found.preprocessing:
        notes.append(Note("settled", f"{preprocessing.source} stands in for {found.preprocessing.source}"))
    if preprocessing is not None and found.is_grey:
        _check_grey(preprocessing)
    if preprocessing is not None and found.transforms_input:
        preprocessing = replace(preprocessing, normalisation=_transformed(preprocessing.normalisation))
        notes.append(
            Note(
                "folded",
                f"transform_input into mean and std: {preprocessing.normalisation.mean}, {preprocessing.normalisation.std}",
            )
        )
    if questions or classes is None or preprocessing is None or found.head is None:
        return _Settled(None, preprocessing, classes, tuple(questions), tuple(notes))
    manifest = describe(
        architecture=found.architectures[0],
        classes=classes,
        geometry=preprocessing.geometry,
        normalisation=preprocessing.normalisation,
        head=found.head,
        description=f"Imported from {_printable(options.checkpoint.name)} ({found.origin}, {found.format}).",
    )
    size = manifest.network_spec().input_size
    own = found.input_size
    if own is not None and own != size:
        notes.append(
            Note(
                "warning",
                f"{preprocessing.source} ends in {_shown(size)}, the file's own graph takes {_shown(own)}",
            )
        )
    return _Settled(manifest, preprocessing, classes, (), tuple(notes))


def _check_grey(preprocessing: Preprocessing) -> None:
    """Raises InvalidRequest where the three channels would not be the one that the network took."""
    normalisation = preprocessing.normalisation
    is_one = len(set(normalisation.mean)) == 1 and len(set(normalisation.std)) == 1
    if not is_one or normalisation.channels != "RGB":
        raise InvalidRequest(
            f"the network takes one grey channel; {preprocessing.source} says {normalisation_words(normalisation)}: write the "
            "channel's own mean and std three times each, in a file that --preprocess names"
        )


def _shown(size: Size) -> str:
    return f"{size.height} x {size.width} pixels"


def _transformed(normalisation: Normalisation) -> Normalisation:
    """What torchvision's `transform_input` behind it makes of it: x * (std of ImageNet / 0.5) + (mean - 0.5) / 0.5."""
    mean, std = [], []
    for own_mean, own_std, their_mean, their_std in zip(
        normalisation.mean, normalisation.std, IMAGENET_MEAN, IMAGENET_STD, strict=True
    ):
        gain, offset = their_std / 0.5, (their_mean - 0.5) / 0.5
        # Rounded, so that ImageNet's own numbers give 0.5 and not 0.49999999999999994.
        mean.append(round(own_mean - offset * own_std / gain, 12))
        std.append(round(own_std / gain, 12))
    return replace(normalisation, mean=(mean[0], mean[1], mean[2]), std=(std[0], std[1], std[2]))


def _preprocess_question(found: Found) -> Question:
    if found.choices:
        about = "which of its own evaluations: " + "; ".join(
            f"{name}: {steps.source}" for name, steps in found.choices.items()
        )
        return Question(about, " or ".join(f"--preprocess {name}" for name in found.choices))
    return Question(
        "what a picture goes through before the network: the validation transform of the training script",
        "--preprocess imagenet (Resize 256, CenterCrop 224, ImageNet mean and std), or a TOML file",
    )


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _classes(found: Found, options: Options, notes: list[Note]) -> tuple[str, ...] | None:
    own, given = found.classes, options.class_names()
    if own is not None and found.class_count is not None and len(own) != found.class_count:
        notes.append(
            Note("warning", f"the file names {len(own)} classes for {found.class_count} outputs; not used")
        )
        own = None
    if given is None:
        if own is not None:
            _check_names(own, "the file's own class names; give others with --classes")
        return own
    _check_names(given, "--classes" if options.classes is not None else "--classes-from")
    if found.class_count is not None and len(given) != found.class_count:
        raise InvalidRequest(f"the head has {found.class_count} outputs, {len(given)} classes were named")
    if own is not None and set(own) == set(given) and own != given:
        raise InvalidRequest(
            f"the file itself orders its classes {', '.join(own[:20])}; leave out the option, or make the orders agree"
        )
    if own is not None and own != given:
        pairs = ", ".join(f"{before} -> {after}" for before, after in list(zip(own, given, strict=True))[:8])
        notes.append(Note("settled", f"classes renamed: {pairs}"))
    return given


def _check_names(classes: tuple[str, ...], source: str) -> None:
    """Raises InvalidRequest, before a manifest that nobody has seen complains."""
    twice = sorted({name for name in classes if classes.count(name) > 1 and name})
    if twice or "" in classes:
        fault = f"{', '.join(twice[:5])} repeated" if twice else "one is empty"
        raise InvalidRequest(f"{source}: {fault}; every output has a name of its own")


def _golden(
    servable: Servable, manifest: Manifest, options: Options
) -> tuple[list[GoldenPicture], tuple[Note, ...]]:
    """Pictures and their float32 logits, on the CPU, which every machine has."""
    files: Sequence[PictureFile]
    if options.images is None:
        files = painted_files()
        note = Note(
            "settled", f"{len(files)} painted golden images; --images FOLDER takes pictures of your own"
        )
    else:
        files = golden_files(options.images, manifest.classes)
        note = Note("took", f"{len(files)} golden images from --images")
    engine = TorchEngine(servable, "cpu", lock=threading.Lock())
    geometry = replace(
        manifest.geometry(), decode="exact"
    )  # as training read them; the proof tells what scaling costs
    pictures, notes = list[GoldenPicture](), [note]
    for file in files:
        try:
            picture = decode(file.data, geometry=geometry, max_pixels=Settings().max_image_pixels)
            pixels = preprocess(picture, geometry.steps).pixels
        except RequestError as error:
            notes.append(Note("ignored", f"golden image {file.name}: {error.message}"))
            continue
        logits = engine.run(pixels[np.newaxis]).logits[0]
        pictures.append(GoldenPicture(file.name, file.data, logits, file.class_name))
    if not pictures:
        raise InvalidRequest("--images: none of the pictures can be read")
    return pictures, tuple(notes)


def written(place: Path, manifest: Manifest, servable: Servable, pictures: Sequence[GoldenPicture]) -> Proved:
    """The bundle on disk, loaded again and proved; nothing of it remains where the proof fails."""
    write_bundle(
        place,
        manifest=manifest,
        # Not save_file: its error on a full disk is no OSError.
        write_weights=lambda path: write_atomically(path, save(servable_state(servable))),
        pictures=pictures,
        made_with=environment("cpu", TorchEngine.precision),
    )
    try:
        proved = prove(
            place,
            machine=Machine.reference(),
            batch_sizes=(1,),
            max_pixels=Settings().max_image_pixels,
        )
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):  # other versions may lie beside it
            place.parent.rmdir()
        raise
    proved.engine.close()
    return proved
