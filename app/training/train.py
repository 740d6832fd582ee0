"""The training itself: read it from top to bottom.

servable + pictures + labels -> epochs of (shuffle, vary, forward, backward, step), each followed by validation
    -> the servable with the weights that are kept, in eval mode, and its history

What is random in a step (order, augmentation, dropout) is a function of seed, epoch and step alone. So the
weights, the optimiser's state and the number of the step are all that a training needs to go on, after a
kill at any moment, to the same last bit on the same machine. Knows no folders, bundles or screens.
"""

import copy
import functools
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from app.errors import TrainingRefused, TrainingStopped
from app.evaluation.metrics import figures
from app.nets.servable import Servable
from app.training.augmentation import draws_of, varied
from app.training.batches import batches_of
from app.training.configuration import Configuration, Training
from app.training.freezing import thaw
from app.training.optimisation import (
    build_optimiser,
    class_weights,
    learning_rate,
    weighted_cross_entropy,
)
from app.training.pictures import Pictures
from app.training.watch import Watcher
from app.training.work import Epoch, Standing, Work

PRECISIONS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class Material:
    """What is learnt from, and what watches."""

    pictures: Pictures
    labels: NDArray[np.int64]
    """(N,), of all pictures."""
    training: NDArray[np.int64]
    """Indices into the pictures."""
    validation: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None
    """(N,), the number of each picture's group; None: they have none."""


def train(
    servable: Servable,
    material: Material,
    configuration: Configuration,
    *,
    device: torch.device,
    work: Work,
    watcher: Watcher,
) -> list[Epoch]:
    """Train it, or go on where the work folder stands; the servable then holds the weights that are kept.

    Raises:
        TrainingStopped: the watcher wished so; everything is saved.
        TrainingRefused: the loss is no number, a picture vanished, or the disk is full.
    """
    plan, seed = configuration.training, configuration.seed
    servable.to(device).to(memory_format=torch.channels_last)
    optimiser = build_optimiser(servable, configuration.optimiser)
    scaler = torch.amp.GradScaler(device.type, enabled=plan.precision == "float16")
    standing, best = Standing(), dict[str, Tensor]()
    if (saved := work.load()) is not None:
        standing, tensors = copy.deepcopy(saved[0]), saved[1]
        _unpack(tensors, servable, optimiser)
        scaler.load_state_dict(standing.scaler)
        if standing.best_epoch is not None:
            best = work.load_best(standing.best_epoch)
        watcher.say(_going_on(standing, plan))

    def save() -> float:
        standing.scaler = scaler.state_dict()
        work.save(standing, _packed(servable, optimiser), best or None)
        return time.monotonic()

    labels = torch.from_numpy(material.labels).to(device)  # (N,)
    loss_of = _loss(material, configuration, servable.spec.class_count, device)
    saved_at = time.monotonic()
    while standing.epoch < plan.epochs and not _is_out_of_patience(standing, plan.patience_epochs):
        epoch, begun = standing.epoch, time.monotonic() - standing.seconds
        thaw(servable, plan, epoch)
        draws = draws_of(  # (N, 8)
            seed,
            epoch,
            len(material.labels),
            groups=material.groups if configuration.augmentation.per == "group" else None,
        )
        batches = batches_of(
            material.training,
            plan.batch_size,
            groups=material.groups if plan.batches == "groups" else None,
            seed=seed,
            epoch=epoch,
        )
        rate_of = functools.partial(
            learning_rate,
            configuration.optimiser.learning_rate,
            configuration.schedule,
            steps_per_epoch=len(batches),
            epochs=plan.epochs,
        )
        for indices, pixels in material.pictures.batches(batches[standing.step :]):  # (B,), (B, h, w, 3)
            torch.manual_seed(_step_seed(seed, epoch, standing.step))
            for group in optimiser.param_groups:
                group["lr"] = rate_of(epoch * len(batches) + standing.step)
            images = varied(torch.from_numpy(pixels).to(device), draws[indices], configuration.augmentation)
            logits = forward(servable, images, plan)  # (B, K)
            loss = loss_of(logits, labels[indices])
            plain = functional.cross_entropy(logits.detach(), labels[indices], reduction="sum").item()
            value = _step(loss, servable, optimiser, scaler, clip_norm=configuration.optimiser.clip_norm)

            standing.step += 1
            standing.loss_sum += plain
            standing.seconds = time.monotonic() - begun
            watcher.stepped(epoch + 1, standing.step, len(batches), value)
            _stop_if_wished(watcher, save, f"stopped in epoch {epoch + 1}, step {standing.step}")
            if time.monotonic() - saved_at >= plan.checkpoint_every_s:
                saved_at = save()

        measured = _measured(
            servable,
            material,
            standing,
            rate=rate_of((epoch + 1) * len(batches) - 1),
            batch_size=plan.batch_size,
        )
        if not standing.history or measured.merit(plan.best_by) > max(
            epoch.merit(plan.best_by) for epoch in standing.history
        ):
            standing.best_epoch, best = epoch + 1, _copied(servable)
        standing.close_epoch(measured)
        watcher.ended(measured)
        # Measuring takes its time, and no step may follow.
        _stop_if_wished(watcher, save, f"stopped after epoch {measured.number}")

    if saved is None or standing != saved[0]:
        save()
    if plan.keep == "best" and best:
        servable.load_state_dict(best)
    servable.eval().requires_grad_(requires_grad=False)
    return standing.history


def forward(servable: Servable, images: Tensor, plan: Training) -> Tensor:
    """As it is served, but for precision and dropout: (B, h, w, 3) uint8 -> logits (B, K) float32."""
    with torch.autocast(
        images.device.type, PRECISIONS.get(plan.precision), enabled=plan.precision in PRECISIONS
    ):
        features = servable.trunk(servable.normalised(images))  # (B, C, h', w')
        activations = servable.head.activations(features)  # (B, C', h'', w'')
        # One mask for all cells of a channel: the same as dropout behind the pooling.
        activations = functional.dropout2d(activations, plan.dropout)
        return servable.head.pooled_logits(activations).float()


def _loss(
    material: Material, configuration: Configuration, class_count: int, device: torch.device
) -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy with what the configuration adds: logits (B, K), targets (B,) -> ()."""
    smoothing = configuration.training.label_smoothing
    if configuration.training.class_weights == "none":
        return functools.partial(functional.cross_entropy, label_smoothing=smoothing)
    counts = np.bincount(material.labels[material.training], minlength=class_count)
    return functools.partial(
        weighted_cross_entropy, weights=class_weights(counts.tolist()).to(device), label_smoothing=smoothing
    )


def _step(
    loss: Tensor, servable: Servable, optimiser: Optimizer, scaler: torch.amp.GradScaler, *, clip_norm: float
) -> float:
    """Backward and one step; the loss as a number."""
    optimiser.zero_grad()
    scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    if clip_norm:
        scaler.unscale_(optimiser)
        torch.nn.utils.clip_grad_norm_(servable.parameters(), clip_norm)
    scaler.step(optimiser)
    scaler.update()
    _check_finite(value := loss.item(), "the loss")
    return value


def _check_finite(value: float, what: str) -> None:
    if not math.isfinite(value):
        raise TrainingRefused(
            f"{what} is {value}: training diverged. Lower optimiser.learning_rate, or set schedule.warmup_epochs, "
            "and give --restart"
        )


@torch.inference_mode()
def predict(servable: Servable, pictures: Pictures, which: NDArray[np.int64], batch_size: int) -> Tensor:
    """Logits as they would be served, float32: (V,) indices -> (V, K), on the servable's device."""
    servable.eval()
    device = servable.mean.device
    batches = np.array_split(which, -(-len(which) // batch_size))
    return torch.cat(
        [servable(torch.from_numpy(pixels).to(device))[0] for _, pixels in pictures.batches(batches)]
    )


def _step_seed(seed: int, epoch: int, step: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{epoch}/{step}".encode()).digest()[:7])


def _stop_if_wished(watcher: Watcher, save: Callable[[], float], where: str) -> None:
    if watcher.wants_to_stop():
        save()
        raise TrainingStopped(f"{where}; all of it is saved")


def _measured(
    servable: Servable, material: Material, standing: Standing, *, rate: float, batch_size: int
) -> Epoch:
    begun = time.monotonic()
    logits = predict(servable, material.pictures, material.validation, batch_size)  # (V, K)
    truth = torch.from_numpy(material.labels[material.validation]).to(logits.device)  # (V,)
    loss = functional.cross_entropy(logits, truth).item()
    predicted = logits.argmax(1)
    # The last step of all is followed by no other whose loss would tell; such weights are never saved as an epoch's.
    _check_finite(loss, "the validation loss")
    return Epoch(
        number=standing.epoch + 1,
        learning_rate=rate,
        training_loss=standing.loss_sum / len(material.training),
        validation_loss=loss,
        validation_accuracy=(predicted == truth).float().mean().item(),
        validation_macro_f1=figures(
            truth.cpu().numpy(), predicted.cpu().numpy(), [str(k) for k in range(logits.shape[1])]
        ).macro_f1,
        seconds=standing.seconds + time.monotonic() - begun,
    )


def _going_on(standing: Standing, plan: Training) -> str:
    if standing.epoch >= plan.epochs or _is_out_of_patience(standing, plan.patience_epochs):
        return "the training is done already; what is left is the bundle"
    return f"going on in epoch {standing.epoch + 1}, step {standing.step + 1}"


def _is_out_of_patience(standing: Standing, patience: int) -> bool:
    return bool(patience) and standing.epoch - (standing.best_epoch or 0) >= patience


# --- to the work folder and back ---------------------------------------------------------------


def _copied(servable: Servable) -> dict[str, Tensor]:
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in servable.state_dict().items()
    }


def _packed(servable: Servable, optimiser: Optimizer) -> dict[str, Tensor]:
    """Everything that moved so far, under plain names."""
    tensors = {f"network.{name}": tensor for name, tensor in _copied(servable).items()}
    for number, state in optimiser.state_dict()["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):  # momentum_buffer is None before its first step
                tensors[f"optimiser.{number}.{name}"] = value.detach().to("cpu", copy=True).contiguous()
    return tensors


def _unpack(tensors: Mapping[str, Tensor], servable: Servable, optimiser: Optimizer) -> None:
    network = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
    servable.load_state_dict(network)
    parameters: Sequence[Tensor] = [each for group in optimiser.param_groups for each in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, number, key = name.split(".")
            like = parameters[int(number)]
            # Laid out in memory as it was: another layout would be added in another order.
            same = torch.empty_like(like).copy_(tensor) if tensor.shape == like.shape else tensor
            state.setdefault(int(number), {})[key] = same.detach()
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
