"""A float32 graph -> one that computes in 8-bit integers, calibrated on prepared pictures. Needs nncf.

float32.xml + pixels (N, h, w, 3) -> NNCF post-training quantisation -> int8.xml, .bin, .json

The pixels' normalisation and the head stay float32: the evidence is then exactly what the logits are the mean of.
"""

import io
import logging
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app import __version__
from app.bundles.exported import Exported, write_exported
from app.bundles.repository import Bundle
from app.engines.openvino_engine import openvino
from app.errors import ExportFailed
from app.exporting.graphs import kept_in_float32, save_graph

NO_NNCF = "nncf, which quantises networks, is not installed: pip install 'lineside[quantize]'"


def nncf_is_installed() -> bool:
    """Told without importing it."""
    return find_spec("nncf") is not None


def quantise(float32: Exported, bundle: Bundle, folder: Path, pixels: Sequence[NDArray[np.uint8]]) -> None:
    """Writes the int8 form of the bundle's network into the folder, which exists.

    The same pictures in the same order give the same numbers, int8.bin; the names of constants in int8.xml go on counting in a
    process, so that two commands give the same bytes of both, and two calls do not.

    Args:
        float32: the form that is quantised.
        bundle: whose network it is.
        folder: where int8.xml, .bin and .json go.
        pixels: what the ranges of numbers are measured on; each (h, w, 3).

    Raises:
        ExportFailed: nncf is not installed, or cannot quantise the network.
    """
    nncf = _nncf()

    def write_graph(path: Path) -> None:
        model = openvino().Core().read_model(float32.graph)
        try:
            with redirect_stdout(io.StringIO()):  # its progress bars
                quantised = nncf.quantize(
                    model,
                    nncf.Dataset([image[np.newaxis] for image in pixels]),
                    subset_size=len(pixels),
                    # As fast as PERFORMANCE where ReLU is, and nearer where activations go below zero.
                    preset=nncf.QuantizationPreset.MIXED,
                    # Mean difference of a probability over five calibrations of the demo model: 0.0006; with the fast
                    # correction 0.0011, without any 0.0005. Depthwise layers need one (Nagel et al. 2019, section 4.2).
                    fast_bias_correction=False,
                    target_device=nncf.TargetDevice.CPU,
                    ignored_scope=nncf.IgnoredScope(names=kept_in_float32(model)),
                )
        except Exception as error:
            # Whatever NNCF raises of a network that it cannot take, the network has no such form.
            reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
            raise ExportFailed(
                f"{bundle.manifest.architecture} cannot be quantised: {reason[:200]}"
            ) from error
        save_graph(quantised, path)

    write_exported(
        folder,
        "int8",
        bundle,
        write_graph=write_graph,
        facts=float32.facts,
        sum_rule_error=float32.sum_rule_error,
        made_with={
            **float32.made_with,
            "lineside": __version__,
            "openvino": version("openvino"),
            "nncf": version("nncf"),
        },
    )


def _nncf() -> Any:
    openvino()  # first: with it nncf, too, finds nothing that could report its use
    if not nncf_is_installed():
        raise ExportFailed(NO_NNCF)
    # Imported by it, and warns of a CUDA toolkit without a GPU, which nobody here uses.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    with redirect_stdout(io.StringIO()):  # where it would log for ever
        import nncf  # noqa: PLC0415 - seven seconds, and torch where that is installed
    nncf.set_log_level(logging.ERROR)
    return nncf
