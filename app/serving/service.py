"""Joins the steps of one request: admit -> decode -> preprocess -> queue -> scores -> map -> overlay.

The only room that sees a whole request, so it alone takes the times. Knows no HTTP and builds nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Self, TypeVar

from app.domain import (
    Affine,
    ClassScore,
    EncodedPicture,
    Explanation,
    ImageFacts,
    Prediction,
    Probe,
    Size,
    Timings,
)
from app.errors import DeadlineExceeded, QueueFull, ShuttingDown
from app.explain.explanation import Place, Said, explain
from app.explain.plan import Plan, Question
from app.images.decode import Picture
from app.images.overlay import render_overlay
from app.serving.capacity import Capacity, Hold
from app.serving.catalogue import Catalogue
from app.serving.deployment import Deployment, Inference, Pixels

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class OverlayStyle:
    """How a map is drawn on the picture."""

    media_type: Literal["image/jpeg", "image/png", "image/webp"] = "image/jpeg"
    colormap: Literal["inferno", "viridis", "cividis", "jet"] = "inferno"
    normalization: Literal["max", "minmax", "signed"] = "max"
    opacity: float = 0.6
    max_side_px: int = 1600


@dataclass(frozen=True, slots=True)
class Ticket:
    """An admitted request: its model, its clock, its share of the server's memory."""

    id: str
    deployment: Deployment
    started: float
    """time.monotonic() when its first byte was in."""
    deadline: float
    """time.monotonic() after which nobody wants the answer."""
    hold: Hold
    """Its share of the server's memory."""
    place: Hold
    """Its place in the model's queue, taken before its body was read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.place.release()
        self.hold.release()


@dataclass(frozen=True, slots=True)
class _Seen:
    """One picture after the network."""

    picture: Picture
    input_size: Size
    input_to_picture: Affine
    inference: Inference
    scores: tuple[ClassScore, ...]
    timings: Timings


class Service:
    """Answers requests with the models of a catalogue.

    Args:
        catalogue: filled by wiring, before and while this runs.
        admission: bound on the requests that are inside the server at all.
        image_threads: threads that decode, resize and draw.
    """

    def __init__(self, catalogue: Catalogue, *, admission: Capacity, image_threads: int) -> None:
        self.catalogue = catalogue
        self._admission = admission
        self._pool = ThreadPoolExecutor(image_threads, thread_name_prefix="image")
        self._is_closed = False

    def admit(
        self, request_id: str, *, model: str | None, version: int | None, started: float, deadline: float
    ) -> Ticket:
        """Refuse early, before a body is read, what could not be answered; use the ticket in a `with`.

        Raises:
            InvalidRequest, UnknownModel, NotReady: as Catalogue.find_ready.
            QueueFull, ShuttingDown: no room, or no time.
        """
        if self._is_closed:
            raise ShuttingDown("the server is shutting down; try another")
        deployment = self.catalogue.find_ready(model, version)
        place = deployment.reserve(deadline)
        try:
            hold = self._admission.take()
        except QueueFull:
            place.release()
            raise
        return Ticket(request_id, deployment, started, deadline, hold, place)

    async def predict(
        self, ticket: Ticket, body: bytes, *, top_k: int, overlay: OverlayStyle | None = None
    ) -> Prediction:
        """The classes of one picture, and the top one's overlay where asked for.

        Raises:
            UnreadableImage, UnsupportedImage, ImageTooLarge: the picture.
            QueueFull, ShuttingDown, DeadlineExceeded, InferenceFailed: as Batcher.submit.
        """
        plan = None if overlay is None else ticket.deployment.plan(Question())
        async with _deadline(ticket):
            seen = await self._see(ticket, body, keeps_picture=overlay is not None)
            if overlay is None or plan is None:
                return self._prediction(ticket, seen, top_k, None)
            explanation = _explanation(ticket.deployment, seen, plan)
            cam, seen = await self._draw(ticket, seen, explanation, overlay)
            return self._prediction(ticket, seen, top_k, cam)

    async def explain(
        self, ticket: Ticket, body: bytes, *, top_k: int, plan: Plan, overlay: OverlayStyle | None
    ) -> tuple[Prediction, Explanation]:
        """The same, with what the plan asks for, drawn where `overlay` says how.

        Raises:
            InvalidRequest: the class to compare with is the predicted one, or the picture too small for a view.
            UnreadableImage, UnsupportedImage, ImageTooLarge: the picture.
            QueueFull, ShuttingDown, DeadlineExceeded, InferenceFailed: as Batcher.submit.
        """
        async with _deadline(ticket):
            is_whole = plan.view == "full"
            seen = await self._see(
                ticket, body, keeps_picture=overlay is not None or is_whole, probe=plan.probe
            )
            shown = await self._see_whole(ticket, seen) if is_whole else seen
            explanation = _explanation(ticket.deployment, shown, plan)
            cam = None
            if overlay is not None:
                cam, shown = await self._draw(ticket, shown, explanation, overlay)
            return self._prediction(ticket, replace(seen, timings=shown.timings), top_k, cam), explanation

    async def close(self, *, timeout_s: float) -> bool:
        """Refuse new requests, finish accepted ones; whether all of them ended in time."""
        self._is_closed = True
        ended = await asyncio.gather(
            *(deployment.close(timeout_s=timeout_s) for deployment in self.catalogue.deployments())
        )
        self._pool.shutdown(wait=False, cancel_futures=True)
        return all(ended)

    async def _see(
        self, ticket: Ticket, body: bytes, *, keeps_picture: bool, probe: Probe | None = None
    ) -> _Seen:
        deployment = ticket.deployment

        def read() -> tuple[Picture, Affine, Pixels, float, float]:
            begun = time.monotonic()
            picture = deployment.decode(body)
            decoded = time.monotonic()
            prepared = deployment.preprocess(picture)
            return (
                picture,
                prepared.to_original,
                prepared.pixels,
                decoded - begun,
                time.monotonic() - decoded,
            )

        (picture, to_picture, pixels, decode_s, preprocess_s), waited_s = await self._in_pool(ticket, read)
        if keeps_picture:
            ticket.hold.grow(picture.nbytes)
        inference = await deployment.infer(pixels, ticket.deadline, ticket.place, probe=probe)
        return _Seen(
            picture,
            Size(*pixels.shape[:2]),
            to_picture,
            inference,
            deployment.scores(inference.logits),
            Timings(
                decode=decode_s * 1000,
                preprocess=preprocess_s * 1000,
                queue=(waited_s + inference.queue_s) * 1000,
                inference=inference.inference_s * 1000,
            ),
        )

    async def _see_whole(self, ticket: Ticket, seen: _Seen) -> _Seen:
        """The same picture without the manifest's crops, in the queue a second time; times are added up."""
        deployment = ticket.deployment
        begun = time.monotonic()
        prepared, waited_s = await self._in_pool(ticket, lambda: deployment.preprocess_whole(seen.picture))
        preprocess_s = time.monotonic() - begun - waited_s
        ticket.hold.grow(prepared.pixels.nbytes)
        inference = await deployment.infer_whole(prepared.pixels, ticket.deadline)
        timings = seen.timings
        return replace(
            seen,
            input_size=Size(*prepared.pixels.shape[:2]),
            input_to_picture=prepared.to_original,
            inference=inference,
            scores=deployment.scores(inference.logits),
            timings=replace(
                timings,
                preprocess=timings.preprocess + preprocess_s * 1000,
                queue=timings.queue + (waited_s + inference.queue_s) * 1000,
                inference=timings.inference + inference.inference_s * 1000,
            ),
        )

    async def _draw(
        self, ticket: Ticket, seen: _Seen, explanation: Explanation, style: OverlayStyle
    ) -> tuple[EncodedPicture, _Seen]:
        def draw() -> EncodedPicture:
            return render_overlay(
                seen.picture,
                explanation.map.values,
                explanation.cell_to_picture,
                explanation.field_of_view,
                media_type=style.media_type,
                colormap=style.colormap,
                normalization=style.normalization,
                opacity=style.opacity,
                max_side=style.max_side_px,
            )

        begun = time.monotonic()
        cam, waited_s = await self._in_pool(ticket, draw)
        render_ms = (time.monotonic() - begun - waited_s) * 1000
        timings = replace(seen.timings, queue=seen.timings.queue + waited_s * 1000, render=render_ms)
        return cam, replace(seen, timings=timings)

    async def _in_pool(self, ticket: Ticket, work: Callable[[], ResultT]) -> tuple[ResultT, float]:
        """Run on an image thread, unless the deadline passed while waiting for one; result, seconds waited."""
        queued = time.monotonic()

        def run() -> tuple[ResultT, float]:
            begun = time.monotonic()
            if begun > ticket.deadline:
                raise DeadlineExceeded("the deadline passed before a thread was free for the picture")
            return work(), begun - queued

        return await asyncio.get_running_loop().run_in_executor(self._pool, run)

    def _prediction(self, ticket: Ticket, seen: _Seen, top_k: int, cam: EncodedPicture | None) -> Prediction:
        picture = seen.picture
        return Prediction(
            id=ticket.id,
            top=seen.scores[0],
            top_k=seen.scores[:top_k],
            model=ticket.deployment.identity,
            image=ImageFacts(picture.width, picture.height, picture.format),
            batch_size=seen.inference.batch_size,
            timings=replace(seen.timings, total=(time.monotonic() - ticket.started) * 1000),
            warnings=picture.warnings,
            cam=cam,
        )


@asynccontextmanager
async def _deadline(ticket: Ticket) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(max(0.0, ticket.deadline - time.monotonic())):
            yield
    except TimeoutError:
        raise DeadlineExceeded("no answer within the deadline; the work was dropped") from None


def _explanation(deployment: Deployment, seen: _Seen, plan: Plan) -> Explanation:
    engine, inference = deployment.engine, seen.inference
    return explain(
        plan,
        Said(inference.logits, inference.evidence, inference.probed, seen.scores),
        Place(seen.input_size, seen.input_to_picture, engine.margin_cells, engine.target_layer),
        engine.evidence_kind,
    )
