"""The form in which a network is served: 8-bit pictures in, logits and their evidence out.

images (B, h, w, 3) uint8 RGB -> channel order, scale, mean, std -> trunk -> head
    -> logits (B, K) float32, evidence (B, K, h', w') float32, in logit units

One forward pass, no hooks, no backward pass, no state between calls: several threads may run it, and it
can be exported whole. It is a plain module as well, so training runs what will be served. Knows nothing
of files, devices or queues.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from app.domain import (
    Cells,
    ConvCamHead,
    EvidenceKind,
    FlattenHead,
    NetworkFacts,
    NetworkSpec,
    Normalisation,
    OwnHead,
    Size,
)
from app.errors import ManifestInvalid, SelfTestFailed
from app.nets.architectures import get_architecture
from app.nets.fitting import fitted
from app.nets.head_kinds import head_of
from app.nets.heads import Head
from app.nets.naming import head_names, script_name

log = logging.getLogger(__name__)

SUM_RULE_TOLERANCE = 1e-4
"""Relative to the largest logit. Measured in float32: below 1e-6; a wrong head is off by whole logits."""


class Servable(nn.Module):
    """A trunk and a head behind the normalisation that the training used."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        spec: NetworkSpec,
        trunk: nn.Module,
        head: Head,
        *,
        target_layer: str,
        script_names: dict[str, str],
    ) -> None:
        super().__init__()
        self.spec = spec
        self.trunk = trunk
        self.head = head
        self.target_layer = target_layer
        """Whose cells the evidence's cells are, in the script's names."""
        self.script_names = script_names
        """The head's layers -> their names in the training script's model."""
        self.dropped: tuple[str, ...] = ()
        """Tensors of the file that only training had a use for, such as an auxiliary classifier's."""
        self.divisor = _divisor(spec.normalisation)
        # Not persistent: they belong to the manifest, not to the weights.
        self.register_buffer("mean", _per_channel(spec.normalisation.mean), persistent=False)
        self.register_buffer("std", _per_channel(spec.normalisation.std), persistent=False)

    @property
    def trunk_layers(self) -> tuple[str, ...]:
        """Layers of the trunk that can be looked at, from the picture on; the last is its end."""
        return get_architecture(self.spec.architecture).layers

    @property
    def layers(self) -> tuple[str, ...]:
        """Those, and the head's own where the evidence lies on cells of its own."""
        trunk = self.trunk_layers
        return trunk if self.target_layer in trunk else (*trunk, self.target_layer)

    @property
    def least_size(self) -> Size:
        """The smallest input that leaves a cell of evidence."""
        architecture = get_architecture(self.spec.architecture)
        cells = 1 + round(2 * self.margin_cells)
        side = next(
            s for s in range(architecture.least_side, 4096) if architecture.grid(Size(s, s)).height >= cells
        )
        return Size(side, side)

    @property
    def evidence_kind(self) -> EvidenceKind:
        """Whether evidence and a constant bias add up to the logits, or a gradient stands in."""
        return self.head.evidence_kind

    @property
    def margin_cells(self) -> float:
        """Cells of the trunk's grid by which the evidence grid lies inside it, on each side."""
        return self.head.margin_cells

    @property
    def cells(self) -> Cells | None:
        """Where the trunk's cells look; None where the head resamples its grid."""
        architecture = get_architecture(self.spec.architecture)
        if not self.head.keeps_grid(architecture.grid(self.spec.input_size)):
            return None
        return Cells(architecture.stride, architecture.first_centre)

    @torch.inference_mode()
    def facts(self) -> NetworkFacts:
        """What a server must know of it; runs it once, on noise."""
        features = self.trunk(self.normalised(noise_images(self.spec.input_size, 1).to(self.mean.device)))
        bias = self.head.bias_of(features) if self.evidence_kind == "exact" else None
        return NetworkFacts(
            input_size=self.spec.input_size,
            class_count=self.spec.class_count,
            evidence_kind=self.evidence_kind,
            evidence_methods=self.head.evidence_methods,
            margin_cells=self.margin_cells,
            target_layer=self.target_layer,
            layers=self.layers,
            cells=self.cells,
            bias=None if bias is None else tuple(bias.reshape(-1).tolist()),
        )

    def normalised(self, images: Tensor) -> Tensor:
        """(B, h, w, 3) uint8 RGB -> (B, 3, h, w) float32, channels last in memory, ready for the trunk."""
        pixels = images.permute(0, 3, 1, 2).to(torch.float32)
        if self.spec.normalisation.channels == "BGR":
            pixels = pixels.flip(1)
        # Operation by operation what ToTensor and Normalize do (v2.ToDtype multiplies: a last bit apart).
        # Folded into one gain and one offset, logits moved by up to 1e-5 of the largest.
        scaled = pixels * self.spec.normalisation.scale if self.divisor is None else pixels / self.divisor
        return (scaled - self.mean) / self.std

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, h, w, 3) uint8 RGB -> logits (B, K), evidence (B, K, h', w'), both float32."""
        logits, evidence = self.head(self.trunk(self.normalised(images)))
        return logits, evidence


@dataclass(frozen=True, slots=True)
class SumRule:
    """How well bias and evidence add up to the logits."""

    kind: EvidenceKind
    max_relative_error: float
    """|logit - (bias + mean evidence)|, the largest, as a share of the largest |logit|."""


def build_servable(spec: NetworkSpec) -> Servable:
    """A servable with fresh weights, in training mode.

    Raises:
        ManifestInvalid: an unknown architecture, or sizes that do not go together.
    """
    architecture = get_architecture(spec.architecture)
    size, least = spec.input_size, architecture.least_side
    if min(size.height, size.width) < least:
        raise ManifestInvalid(
            f"the input size {size.height} x {size.width} is too small for {architecture.name}: "
            f"it must be at least {least} x {least}"
        )
    target_layer = architecture.target_layer
    if isinstance(spec.head, OwnHead) and architecture.own_head is not None:
        target_layer = architecture.own_head.target_layer
    if isinstance(spec.head, FlattenHead):
        target_layer = "avgpool"
    if isinstance(spec.head, ConvCamHead):
        grid = architecture.grid(spec.input_size)
        if min(grid.height, grid.width) < spec.head.kernel_size:
            raise ManifestInvalid(
                f"kernel_size = {spec.head.kernel_size} does not fit into the {grid.height} x {grid.width} cells "
                f"that {architecture.name} makes of {spec.input_size.height} x {spec.input_size.width} pixels"
            )
        target_layer = f"{architecture.place.root}.conv"
    return Servable(
        spec,
        architecture.build_trunk(),
        head_of(architecture, spec.head, spec.class_count),
        target_layer=target_layer,
        script_names=head_names(spec.head, place=architecture.place),
    )


def load_servable(spec: NetworkSpec, state: Mapping[str, Tensor]) -> Servable:
    """A servable with these weights, in eval mode on the CPU, its weights frozen.

    Args:
        spec: what the manifest declares.
        state: tensors under the names of the training script's model; copied, not kept.

    Raises:
        ManifestInvalid: as `build_servable`.
        WeightsRefused: the tensors do not fit exactly, or are no finite numbers.
    """
    # Fresh weights would be thrown away; on the meta device they cost neither memory nor time.
    with torch.device("meta"):
        servable = build_servable(spec)
    architecture = get_architecture(spec.architecture)
    servable.dropped = tuple(sorted(name for name in state if name.startswith(architecture.training_only)))
    if servable.dropped:
        state = {name: tensor for name, tensor in state.items() if name not in servable.dropped}
        log.info(
            "%s: %d tensors of its auxiliary classifiers were left out; they only help training (%s...)",
            architecture.name,
            len(servable.dropped),
            servable.dropped[0].partition(".")[0],
        )
    servable.script_names = head_names(spec.head, state, architecture.place)
    names = {name: script_name(name, servable.script_names) for name in servable.state_dict()}
    shapes = {names[name]: tuple(tensor.shape) for name, tensor in servable.state_dict().items()}
    tensors = fitted(shapes, state, spec)
    servable.load_state_dict({own: tensors[name] for own, name in names.items()}, strict=True, assign=True)
    return servable.eval().requires_grad_(requires_grad=False)


def behind(servable: Servable, normalisation: Normalisation, input_size: Size) -> Servable:
    """The same network, its weights shared, behind another normalisation or for pictures of another size.

    Args:
        servable: in eval mode.
        normalisation: taken instead of its own.
        input_size: taken instead of its own; every trunk pools at its end, so any size that it can take will do.
    """
    other = Servable(
        replace(servable.spec, normalisation=normalisation, input_size=input_size),
        servable.trunk,
        servable.head,
        target_layer=servable.target_layer,
        script_names=servable.script_names,
    )
    return other.eval()


def servable_state(servable: Servable) -> dict[str, Tensor]:
    """Its weights under the training script's names, ready for safetensors or `load_servable`."""
    return {
        script_name(name, servable.script_names): tensor.detach().contiguous()
        for name, tensor in servable.state_dict().items()
    }


def noise_images(size: Size, count: int = 2, *, seed: int = 0) -> Tensor:
    """Random pictures for self-tests, (count, h, w, 3) uint8."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, size.height, size.width, 3), dtype=torch.uint8, generator=generator)


@torch.inference_mode()
def check_sum_rule(servable: Servable, images: Tensor | None = None) -> SumRule:
    """Whether the served logits, and the logits that pooling first would give, are bias + mean(evidence).

    For a gradient head the bias is each image's own, carried through the ReLUs that are open for it.

    Args:
        servable: in eval mode.
        images: (B, h, w, 3) uint8; noise when not given.

    Raises:
        SelfTestFailed: off by more than `SUM_RULE_TOLERANCE`, or not a number.
    """
    if servable.training:
        raise ValueError("check_sum_rule needs eval mode: training changes batch statistics")
    if images is None:
        images = noise_images(servable.spec.input_size)
    features = servable.trunk(servable.normalised(images.to(servable.mean.device)))
    logits, evidence = servable.head(features)
    explained = servable.head.bias_of(features) + evidence.mean(dim=(2, 3))
    pooled = servable.head.pooled_logits(servable.head.activations(features))
    largest = torch.maximum(logits.abs().max(), pooled.abs().max())
    worst = torch.maximum((logits - explained).abs().max(), (pooled - explained).abs().max())
    error = float(worst / largest.clamp_min(torch.finfo(torch.float32).tiny))
    if math.isnan(error) or error > SUM_RULE_TOLERANCE:
        raise SelfTestFailed(
            f"bias + mean(evidence) misses the logits by {error:.2g} of the largest "
            f"(allowed: {SUM_RULE_TOLERANCE:.0e}); the evidence would not explain the prediction"
        )
    return SumRule(kind=servable.evidence_kind, max_relative_error=error)


def _divisor(normalisation: Normalisation) -> float | None:
    """255.0 for a scale of 1/255: dividing is what training did; None where the scale is no such fraction."""
    numbers = (normalisation.scale, *normalisation.mean, *normalisation.std)
    if not all(math.isfinite(number) for number in numbers) or 0.0 in normalisation.std:
        raise ManifestInvalid("scale, mean and std must be finite, and std not zero")
    if normalisation.scale == 0.0:
        raise ManifestInvalid("a scale of zero leaves nothing to see")
    whole = float(round(1.0 / normalisation.scale))
    return whole if whole and math.isclose(1.0 / whole, normalisation.scale, rel_tol=1e-6) else None


def _per_channel(values: tuple[float, float, float]) -> Tensor:
    """(1, 3, 1, 1), on the CPU even while the weights are built on the meta device."""
    return torch.tensor(values, dtype=torch.float32, device="cpu").reshape(1, 3, 1, 1)
