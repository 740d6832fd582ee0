"""A bundle's network -> a graph that OpenVINO runs without torch.

bundle -> servable (torch) -> torch.export -> OpenVINO graph -> compared with torch on noise -> float32.xml, .bin, .json

The graph is the servable's whole forward pass, normalisation and head included, so it takes 8-bit pixels and gives logits
and evidence; its batch dimension is free.
"""

import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import torch
from torch.export import Dim

from app import __version__
from app.bundles.exported import write_exported
from app.bundles.repository import Bundle
from app.checkpoints.weights import read_weights
from app.domain import NetworkFacts
from app.engines.openvino_engine import OpenVinoEngine, openvino
from app.engines.turns import Turns
from app.errors import ExportFailed
from app.exporting.graphs import save_graph
from app.nets.servable import Servable, check_sum_rule, load_servable, noise_images

TOLERANCE: Final = 1e-3
"""Largest difference on noise, relative to the largest number; float32 orders of addition are below 1e-5."""

ONE_AT_A_TIME: Final = Lock()
"""torch.export switches oneDNN off for the whole process, then puts back what it found: of two at once, in a server that
loads several models beside torch, the later leaves it off for good, or one traces the other's network."""


def export_bundle(bundle: Bundle, folder: Path) -> None:
    """Writes the float32 form of the bundle's network into the folder, which exists.

    Raises:
        BundleRefused: weights and manifest do not go together.
        ExportFailed: OpenVINO cannot express the network, or answers otherwise than torch.
    """
    servable = load_servable(bundle.network_spec, read_weights(bundle.weights_path))
    sum_rule = check_sum_rule(servable)
    facts = servable.facts()

    def write_graph(path: Path) -> None:
        save_graph(converted(servable), path)
        check_same_answers(servable, path, facts)

    write_exported(
        folder,
        "float32",
        bundle,
        write_graph=write_graph,
        facts=facts,
        sum_rule_error=sum_rule.max_relative_error,
        made_with=versions(),
    )


def versions() -> Mapping[str, str]:
    """Of what makes a graph."""
    return {"lineside": __version__, "torch": torch.__version__, "openvino": version("openvino")}


def converted(servable: Servable) -> Any:
    """An openvino.Model: images (?, h, w, 3) uint8 -> logits (?, K), evidence (?, K, h', w').

    Raises:
        ExportFailed: an operation that OpenVINO has not.
    """
    height, width = servable.spec.input_size.height, servable.spec.input_size.width
    example = (noise_images(servable.spec.input_size),)
    try:
        with ONE_AT_A_TIME, warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # both libraries warn of their own insides
            program = torch.export.export(servable, example, dynamic_shapes={"images": {0: Dim.DYNAMIC}})
            model = openvino().convert_model(program)
    except Exception as error:
        # torch.export and the converter raise what they please; whatever it is, the network has no such form.
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ExportFailed(
            f"{servable.spec.architecture} cannot be converted for OpenVINO: {reason[:200]}; serve it with "
            "LINESIDE_ENGINE=torch"
        ) from error
    model.reshape({0: [-1, height, width, 3]})
    model.inputs[0].get_tensor().set_names({"images"})
    for output, name in zip(model.outputs, ("logits", "evidence"), strict=True):
        output.get_tensor().set_names({name})
    return model


def check_same_answers(servable: Servable, graph: Path, facts: NetworkFacts) -> None:
    """Whether the graph answers noise as torch does, alone and in a batch.

    Raises:
        ExportFailed: it does not.
    """
    engine = OpenVinoEngine(graph, facts, precision="float32", threads=1, turns=Turns())
    for count in (1, 3):
        images = noise_images(facts.input_size, count, seed=count)
        with torch.inference_mode():
            expected = [tensor.numpy() for tensor in servable(images)]
        output = engine.run(images.numpy())
        for name, ours, theirs in zip(
            ("logits", "evidence"), (output.logits, output.evidence), expected, strict=True
        ):
            largest = max(float(np.abs(theirs).max(initial=0.0)), float(np.finfo(np.float32).tiny))
            error = float(np.abs(ours - theirs).max(initial=0.0)) / largest
            if not error <= TOLERANCE:
                raise ExportFailed(
                    f"the converted {servable.spec.architecture} answers otherwise: its {name} are off by {error:.2g} of the "
                    f"largest, allowed are {TOLERANCE:.0e}; serve it with LINESIDE_ENGINE=torch"
                )
