"""Where a network begins: a file, a bundle, torchvision's pretrained weights, or nothing.

manifest's network + a word or a path -> Servable with a fresh head, and one line that says what it began from

Only the trunk is taken; the head is new, for the new classes. Files are read as data, by the importer's
readers; torchvision's are fetched through torch's own cache, checked against their hash, read as weights only.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision.models import get_model_weights

from app.bundles.manifest import MANIFEST_FILE
from app.bundles.repository import open_bundle
from app.checkpoints.found import Answers
from app.checkpoints.readers import read_checkpoint
from app.checkpoints.weights import read_weights
from app.domain import NetworkSpec
from app.errors import ManifestInvalid, TrainingRefused, WeightsRefused
from app.nets.architectures import get_architecture
from app.nets.fitting import fitted
from app.nets.recognition import fitting_architectures
from app.nets.servable import Servable, build_servable

NOTHING = "none: fresh weights. On few photographs this ends far below a pretrained network"


def begun(spec: NetworkSpec, start: str, *, seed: int) -> tuple[Servable, str]:
    """The network before its first step, on the CPU, and what it began from.

    Raises:
        ManifestInvalid: the architecture or the input size is not possible.
        TrainingRefused: there is no such start, it cannot be fetched, or it does not fit.
    """
    try:
        torch.manual_seed(seed)
        servable = build_servable(spec)
    except ManifestInvalid as error:
        raise TrainingRefused(error.message) from error
    if start == "none":
        return servable, NOTHING
    if start == "imagenet":
        tensors, origin = _pretrained(spec.architecture)
    else:
        tensors, origin = _from_path(Path(start).expanduser(), spec.architecture)
    # Batch counters are not in every file, and nothing reads them.
    servable.trunk.load_state_dict(_fitting(servable, tensors, origin), strict=True)
    return servable, origin


def _fitting(servable: Servable, state: Mapping[str, Tensor], origin: str) -> dict[str, Tensor]:
    architecture = get_architecture(servable.spec.architecture)
    names = set(servable.trunk.state_dict())
    shapes = {name: tuple(tensor.shape) for name, tensor in servable.trunk.state_dict().items()}
    state = {n: t for n, t in state.items() if not n.startswith(architecture.training_only)}
    fits = fitting_architectures(state)
    if fits and architecture.name not in fits:
        raise TrainingRefused(
            f"{origin}: its trunk is that of {' or '.join(fits)}, not of {architecture.name}; say --architecture {fits[0]}"
        )
    try:
        # Without a fit at all, the whole of the file is shown against what is needed.
        return fitted(shapes, {n: t for n, t in state.items() if n in names or not fits}, servable.spec)
    except WeightsRefused as error:
        raise TrainingRefused(f"{origin}: {error.message}") from error


def _pretrained(name: str) -> tuple[dict[str, Tensor], str]:
    try:
        weights = get_model_weights(name).DEFAULT
    except (ValueError, AttributeError) as error:
        raise TrainingRefused(
            f"torchvision has no pretrained weights for {name}; begin from a file (--start FILE) or from nothing (--start none)"
        ) from error
    try:
        tensors: dict[str, Tensor] = weights.get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except (URLError, OSError, RuntimeError) as error:
        url = weights.url
        raise TrainingRefused(
            f"torchvision's weights for {name} cannot be fetched here ({getattr(error, 'reason', error)}). Fetch {url} on another "
            "machine and give the file: --start FILE; or begin from nothing: --start none"
        ) from error
    return tensors, f"torchvision {type(weights).__name__}.{weights.name}"


def _from_path(path: Path, architecture: str) -> tuple[dict[str, Tensor], str]:
    try:
        if (path / MANIFEST_FILE).is_file():
            bundle = open_bundle(path)
            return read_weights(
                bundle.weights_path
            ), f"bundle {bundle.name}/{bundle.version} ({bundle.digest[:19]})"
        if not path.exists():
            raise TrainingRefused(
                f"--start {path}: neither imagenet or none nor a file or bundle that is there"
            )
        return _from_file(path, architecture), path.name
    except (WeightsRefused, ManifestInvalid) as error:
        raise TrainingRefused(f"--start {path.name}: {error.message}") from error


def _from_file(path: Path, architecture: str) -> dict[str, Tensor]:
    """A plain state dict as it is, with or without a head; anything else through the importer's readers."""
    try:
        tensors = read_weights(path)
    except WeightsRefused:
        tensors = {}
    if fitting_architectures(tensors):
        return tensors
    found = read_checkpoint(path, Answers(architecture=architecture))
    if found.questions:
        asked = "; ".join(f"{each.about} ({each.option})" for each in found.questions)
        raise TrainingRefused(
            f"--start {path.name} leaves open: {asked}. Import it first (lineside import), then --start models/NAME/1"
        )
    return dict(found.tensors)
