"""A bundle's folder to a deployment: proved on every machine that is to serve it, and on the fallback, or on none."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from app.serving.deployment import Deployment, ProvedEngine
from app.settings import Settings
from app.wiring.machine import Machine
from app.wiring.proof import Proved, prove


def deploy(
    folder: Path,
    machines: Sequence[Machine],
    fallback: Machine | None,
    settings: Settings,
    *,
    on_batch: Callable[[int], None],
) -> Deployment:
    """A model that serves.

    Args:
        folder: of the bundle.
        machines: one for each device, all behind one queue.
        fallback: serves when every one of them is lost.
        settings: bounds and batch sizes.
        on_batch: told every batch's size.

    Raises:
        BundleRefused: it did not prove itself on one of them; nothing stays loaded.
    """
    with ExitStack() as loaded:

        def proved_on(machine: Machine) -> Proved:
            proved = prove(
                folder,
                machine=machine,
                batch_sizes=settings.batch_sizes,
                max_pixels=settings.max_image_pixels,
            )
            loaded.callback(proved.engine.close)
            return proved

        first, *others = [proved_on(machine) for machine in machines]
        spare = None if fallback is None else proved_on(fallback)
        told = [warning for one in (first, *others) for warning in one.proof.warnings]
        deployment = Deployment(
            first.bundle,
            first.engine,
            replace(first.proof, warnings=tuple(dict.fromkeys(told))),
            others=[ProvedEngine(one.engine, one.proof) for one in others],
            fallback=None if spare is None else ProvedEngine(spare.engine, spare.proof),
            batch_sizes=settings.batch_sizes,
            max_entries=settings.max_queue_entries,
            max_bytes=settings.max_queue_bytes,
            max_image_pixels=settings.max_image_pixels,
            max_view_pixels=settings.max_view_pixels,
            worker_stall_s=settings.worker_stall_s,
            on_batch=on_batch,
        )
        loaded.pop_all()  # the deployment's from here on
        return deployment
