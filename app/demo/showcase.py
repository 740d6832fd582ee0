"""`python -m app.demo.showcase`: the example pictures of the docs, from paintings and the demo model alone.

docs/img/*.webp; nothing in them is a photograph
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from app.bundles.repository import open_bundle
from app.demo.evaluation import Alignment, alignments
from app.demo.painted_set import network_input
from app.demo.painter import CLASSES, HEIGHT, WIDTH, paint
from app.domain import Affine, EncodedPicture
from app.images.channels import CHANNELS, Channel, render_contact_sheet
from app.images.decode import Picture
from app.images.overlay import Legend, Region, render_overlay
from app.images.sheets import (
    PER_LAYER,
    HeatMap,
    Panel,
    Style,
    render_class_sheet,
    render_panels,
    render_strip,
)
from app.nets.cifar_resnet import CifarResNetTrunk
from app.nets.heads import AverageLinear
from app.nets.servable import Servable, load_servable

SEED = 1_000_001
"""Of a painting that the model was never trained on."""
SEEN = (0.0, 0.0, float(WIDTH), float(HEIGHT))
LABELS = ("castrate 거세", "boar 수", "female 암")
LAYERS = {"layer1": 1, "layer2": 2, "layer3": 4}
"""The network's stages, and their stride in input pixels."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One painting, and all that the network says of it."""

    picture: Picture
    to_picture: Affine
    probabilities: NDArray[np.float64]
    evidence: NDArray[np.float32]
    """(K, h', w')."""
    layer_maps: Mapping[str, NDArray[np.float32]]
    """LayerCAM of the predicted class: Jiang et al. 2021, eq. 5."""
    features: NDArray[np.float32]
    """(C, h', w') of the last layer."""
    weights: NDArray[np.float32]
    """(C,) of the predicted class."""


def look(servable: Servable, picture: Picture, pixels: NDArray[np.uint8], to_picture: Affine) -> Seen:
    """One forward pass, and one backward pass for the layers."""
    trunk, head = servable.trunk, servable.head
    if not isinstance(trunk, CifarResNetTrunk) or not isinstance(head, AverageLinear):
        raise TypeError(
            "the demo model is a small residual network with average pooling and one linear layer"
        )
    out = trunk.relu(trunk.bn1(trunk.conv1(servable.normalised(torch.from_numpy(pixels)[None]))))
    outputs: list[torch.Tensor] = []
    for name in LAYERS:
        out = getattr(trunk, name)(out if outputs else out.requires_grad_())
        outputs.append(out)
    logits, evidence = head(out)
    predicted = int(logits.argmax())
    gradients = torch.autograd.grad(logits[0, predicted], outputs)
    maps = [
        (gradient.relu() * output).sum(1)[0].detach().numpy()
        for gradient, output in zip(gradients, outputs, strict=True)
    ]
    return Seen(
        picture=picture,
        to_picture=to_picture,
        probabilities=logits[0].detach().double().softmax(0).numpy(),
        evidence=evidence[0].detach().numpy(),
        layer_maps=dict(zip(LAYERS, maps, strict=True)),
        features=out[0].detach().numpy(),
        weights=head.linear.weight[predicted].detach().numpy(),
    )


def pictures(seen: Seen, places: Mapping[Alignment, Affine]) -> dict[str, EncodedPicture]:
    """By file name."""
    cells = places["receptive_field"].then(seen.to_picture)
    best = int(seen.probabilities.argmax())
    heat = seen.evidence[best]
    title = f"{LABELS[best]}  {seen.probabilities[best]:.1%}"
    webp = Style(media_type="image/webp", panel_width=300)
    contributions = seen.weights * seen.features.mean((1, 2))
    ranked = np.argsort(-contributions)[:16]
    layers = [
        (name, HeatMap(seen.layer_maps[name], _at(stride).then(seen.to_picture), SEEN))
        for name, stride in LAYERS.items()
    ]
    return {
        "overlay.webp": render_overlay(
            seen.picture,
            heat,
            cells,
            SEEN,
            media_type="image/webp",
            contours=(0.5,),
            regions=[Region(_box_of(heat, cells), "where it looks 보는 곳")],
            legend=Legend(title),
            max_side=640,
        ),
        "classes.webp": render_class_sheet(
            seen.picture,
            [
                (label, f"{share:.1%}", HeatMap(values, cells, SEEN))
                for label, share, values in zip(LABELS, seen.probabilities, seen.evidence, strict=True)
            ],
            title="One map per class, on one scale: for (orange) and against (blue)",
            style=replace(webp, normalization="signed"),
        ),
        "layers.webp": render_strip(
            seen.picture,
            layers,
            title=f"LayerCAM of {LABELS[best]}",
            style=replace(PER_LAYER, media_type="image/webp", panel_width=300),
        ),
        "channels.webp": render_contact_sheet(
            [Channel(int(k), seen.features[k], float(contributions[k])) for k in ranked],
            aspect=WIDTH / HEIGHT,
            title=f"layer3: the 16 of {len(contributions)} channels that add most to the logit of {LABELS[best]}",
            style=replace(CHANNELS, media_type="image/webp", panel_width=112),
        ),
        "alignment.webp": render_panels(
            [
                Panel(
                    seen.picture,
                    HeatMap(heat, to.then(seen.to_picture), SEEN),
                    caption=name.replace("_", " "),
                )
                for name, to in places.items()
            ],
            columns=2,
            style=replace(webp, contours=(0.5,), panel_width=420),
        ),
    }


def _at(stride: int) -> Affine:
    """Cells of a trunk that pads evenly: the first is centred on the first pixel."""
    return Affine(stride, 0.5 - stride / 2, stride, 0.5 - stride / 2)


def _box_of(heat: NDArray[np.float32], cells: Affine) -> tuple[float, float, float, float]:
    """Around the cells above half of the peak."""
    rows, cols = np.nonzero(heat > heat.max() / 2)
    return (
        cells.scale_x * float(cols.min()) + cells.offset_x,
        cells.scale_y * float(rows.min()) + cells.offset_y,
        cells.scale_x * float(cols.max() + 1) + cells.offset_x,
        cells.scale_y * float(rows.max() + 1) + cells.offset_y,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw and write them all; the arguments are those of the command line."""
    parser = argparse.ArgumentParser(prog="python -m app.demo.showcase", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("models/carcass-demo/1"))
    parser.add_argument("--to", type=Path, default=Path("docs/img"))
    given = parser.parse_args(arguments)
    bundle = open_bundle(given.bundle)
    servable = load_servable(bundle.network_spec, load_file(bundle.weights_path))
    image = Image.fromarray(paint(CLASSES[SEED % len(CLASSES)], SEED).image)
    prepared = network_input(image, bundle.geometry)
    seen = look(servable, Picture(image, "PNG"), prepared.pixels, prepared.to_original)
    given.to.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures(seen, alignments(servable)).items():
        (given.to / name).write_bytes(picture.data)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
