"""What a servable network says of its pictures beyond logits and evidence: maps of any layer, its channels.

images (B, h, w, 3) uint8, one probe each -> logits, evidence, and what every probe asked for

One forward pass, and one backward pass for the whole batch down to the earliest layer that is wanted: in eval
mode images do not touch each other, so the gradient of the sum of their targets is each one's own. The trunk
runs in pieces, so there are no hooks; gradients are taken of activations alone, so nothing is left on the
model, and frozen weights stay frozen. Knows no devices, no queues, no class names.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from app.domain import Channels, Probe, Probed, Target
from app.nets.layers import run_chain, segments
from app.nets.maps import FORMULAS, contributions
from app.nets.servable import Servable


def probed(
    servable: Servable, images: Tensor, probes: Sequence[Probe]
) -> tuple[Tensor, Tensor, list[Probed]]:
    """Logits (B, K), evidence (B, K, h', w'), and an answer to every image's own probe.

    Args:
        servable: in eval mode.
        images: (B, h, w, 3) uint8, on the servable's device.
        probes: B of them; their layers are `servable.layers`.
    """
    wanted = {layer for probe in probes for layer in _layers(probe)}
    with torch.enable_grad():
        features, activations = _through_trunk(servable, images, wanted)
        with torch.no_grad():
            logits, evidence = servable.head(features)
        gradients: dict[str, Tensor] = {}
        if wanted:
            at_head = servable.head.activations(features)
            if servable.target_layer in wanted and servable.target_layer not in activations:
                at_head = _leaf_or_node(at_head)
                activations[servable.target_layer] = at_head
            weights = torch.stack(
                [target_weights(row, p.target) for row, p in zip(logits, probes, strict=True)]
            )
            explained = (weights * servable.head.pooled_logits(at_head)).sum()
            names = list(activations)
            gradients = dict(
                zip(names, torch.autograd.grad(explained, [activations[name] for name in names]), strict=True)
            )
    with torch.no_grad():
        held = {name: tensor.detach() for name, tensor in activations.items()}
        return logits, evidence, [_answer(i, probe, held, gradients) for i, probe in enumerate(probes)]


def target_weights(logits: Tensor, target: Target) -> Tensor:
    """What each logit weighs in the target's gradient, (K,) -> (K,).

    One for a logit; one and minus one for a margin; `p_c (e_c - p) / temperature` for a probability.
    """
    index = int(logits.argmax()) if target.class_index is None else target.class_index
    weights = torch.zeros_like(logits)
    weights[index] = 1.0
    if target.score == "probability":
        probabilities = torch.softmax(logits.double() / target.temperature, dim=0).to(logits.dtype)
        weights = probabilities[index] * (weights - probabilities) / target.temperature
    if target.against is not None:
        weights[target.against] -= 1.0
    return weights


def _layers(probe: Probe) -> tuple[str, ...]:
    return probe.layers if probe.channels_of is None else (*probe.layers, probe.channels_of)


def _through_trunk(servable: Servable, images: Tensor, wanted: set[str]) -> tuple[Tensor, dict[str, Tensor]]:
    """The features, and the activations of those wanted layers that are the trunk's own."""
    *inner, end = servable.trunk_layers
    cuts = [layer for layer in inner if layer in wanted]
    activations: dict[str, Tensor] = {}
    with torch.no_grad():
        values = servable.normalised(images)
    # Uncut, a trunk runs as it is: not every one is a chain.
    pieces = segments(servable.trunk, cuts) if cuts else [(None, [servable.trunk])]
    for name, modules in pieces:
        # Before the earliest layer that is wanted nothing needs a graph.
        with torch.set_grad_enabled(bool(activations)):
            values = run_chain(modules, values)
        layer = end if name is None else name
        if layer in wanted:
            values = _leaf_or_node(values)
            activations[layer] = values
    return values, activations


def _leaf_or_node(values: Tensor) -> Tensor:
    """Itself where it hangs on an earlier wanted layer; else the place where the graph begins."""
    return values if values.requires_grad else values.detach().requires_grad_()


def _answer(index: int, probe: Probe, activations: dict[str, Tensor], gradients: dict[str, Tensor]) -> Probed:
    def of(layer: str) -> tuple[Tensor, Tensor]:
        # float32 and contiguous sums whatever the precision and the memory format of the network.
        return activations[layer][index : index + 1].float(), gradients[layer][index : index + 1].float()

    maps = tuple(FORMULAS[probe.method](*of(layer))[0].cpu().numpy() for layer in probe.layers)
    if probe.channels_of is None:
        return Probed(maps)
    held, gradient = of(probe.channels_of)
    added = contributions(held, gradient)[0]
    strongest = torch.sort(added, descending=True, stable=True).indices[: probe.channel_count]
    return Probed(
        maps,
        Channels(
            layer=probe.channels_of,
            indices=strongest.cpu().numpy(),
            contributions=added[strongest].cpu().numpy(),
            values=held[0, strongest].cpu().contiguous().numpy(),
            total=float(added.double().sum()),
            count=int(added.shape[0]),
        ),
    )
