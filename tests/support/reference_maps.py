"""Raw maps of pytorch-grad-cam, torchcam and captum, and what is wrong with them.

network, (B, 3, h, w), a class for every image, a layer -> (B, rows, cols): before upsampling and normalisation

Their faults, of which our maps have none (versions 1.5.7, 0.5.0, 0.9.0):

- torchcam's GradCAMpp divides a copy (`alpha[idx][mask].div_(...)`), so its weights are never divided; it is
  no reference. pytorch-grad-cam's GradCAM++ adds 1e-6 to a denominator near 1e-7, which changes the map's shape.
- torchcam's CAM does not apply the ReLU that its docstring promises; the others do, inside.
- pytorch-grad-cam's EigenCAM centres the activations, unlike the paper, and leaves the sign to chance.
- DenseNet applies an in-place ReLU behind `features`: hooks there see a gradient with it and activations
  without. Hence `hookable`.
- All of them hook the model, so two threads get each other's maps; grad-cam also fills `.grad` of every weight.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytorch_grad_cam
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget, ClassifierOutputTarget
from torch import Tensor, nn
from torchcam import methods as torchcam_methods

GRAD_CAM: dict[str, type[BaseCAM]] = {
    "gradcam": pytorch_grad_cam.GradCAM,
    "hirescam": pytorch_grad_cam.HiResCAM,
    "layercam": pytorch_grad_cam.LayerCAM,
    "xgradcam": pytorch_grad_cam.XGradCAM,
    "gradcam++": pytorch_grad_cam.GradCAMPlusPlus,
}


def hookable(network: nn.Module) -> nn.Module:
    """The same network, DenseNet with its last ReLU as a module of its own, named `relu`."""
    if type(network).__name__ != "DenseNet":
        return network
    parts = {"features": network.features, "relu": nn.ReLU(), "avgpool": nn.AdaptiveAvgPool2d(1)}
    whole = nn.Sequential()
    for name, module in (parts | {"flatten": nn.Flatten(), "classifier": network.classifier}).items():
        whole.add_module(name, module)
    return whole.eval()


def grad_cam(
    method: str, network: nn.Module, layer: str, images: Tensor, classes: Sequence[int], *, of: str = "logit"
) -> NDArray[np.float32]:
    """pytorch-grad-cam's map before its ReLU."""
    raw: list[NDArray[np.float32]] = []
    kind = ClassifierOutputTarget if of == "logit" else ClassifierOutputSoftmaxTarget

    class Caught(GRAD_CAM[method]):  # type: ignore[misc]
        def get_cam_image(self, *arguments: object, **options: object) -> NDArray[np.float32]:
            raw.append(super().get_cam_image(*arguments, **options))
            return raw[-1]

    with trainable(network), Caught(model=network, target_layers=[network.get_submodule(layer)]) as extractor:
        extractor(input_tensor=images, targets=[kind(each) for each in classes])
    return np.asarray(raw[0])


def torch_cam(
    method: str, network: nn.Module, layer: str, images: Tensor, classes: Sequence[int], *, linear: str
) -> NDArray[np.float32]:
    """torchcam's map; of all but `cam`, what is left after its ReLU."""
    kinds = {"cam": "CAM", "layercam": "LayerCAM", "xgradcam": "XGradCAM", "gradcam": "GradCAM"}
    options = {"fc_layer": linear} if method == "cam" else {}
    with (
        quiet(),
        trainable(network),
        getattr(torchcam_methods, kinds[method])(network, target_layer=layer, **options) as extractor,
    ):
        scores = network(images)
        maps = extractor(class_idx=list(classes), scores=scores, normalized=False)
    return maps[0].detach().numpy()


def captum_grad_cam(
    network: nn.Module, layer: str, images: Tensor, classes: Sequence[int]
) -> NDArray[np.float32]:
    """captum's LayerGradCam, signed."""
    with trainable(network):
        explained = LayerGradCam(network, network.get_submodule(layer)).attribute(
            images, target=torch.tensor(list(classes))
        )
    return explained.detach().numpy()[:, 0]


@contextmanager
def trainable(network: nn.Module) -> Iterator[None]:
    """grad-cam needs weights that take gradients, and leaves gradients on them."""
    network.requires_grad_()
    try:
        yield
    finally:
        network.zero_grad(set_to_none=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Without torchcam's remarks about the layer that it was told to take."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
