"""A bundle's network as torch has it [torch]."""

from pathlib import Path

from app.bundles.repository import Bundle, open_bundle
from app.checkpoints.weights import read_weights
from app.nets.servable import Servable, SumRule, check_sum_rule, load_servable


def load(folder: Path) -> tuple[Bundle, Servable, SumRule]:
    """A bundle and its network, strictly loaded, in eval mode on the CPU; no picture was asked yet.

    Raises:
        BundleRefused: files, manifest and weights do not go together, or the sum rule does not hold.
    """
    bundle = open_bundle(folder)
    return bundle, *load_network(bundle)


def load_network(bundle: Bundle) -> tuple[Servable, SumRule]:
    """The network of an opened bundle; errors as `load`."""
    servable = load_servable(bundle.network_spec, read_weights(bundle.weights_path))
    return servable, check_sum_rule(servable)
