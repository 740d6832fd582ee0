"""Joins the steps of one admitted request: decode -> preprocess -> queue -> scores -> map -> overlay.

The only room that sees a whole request, so it alone takes the times. Knows no HTTP and builds nothing.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from app.domain import (
    EncodedPicture,
    Explanation,
    Prediction,
    Probe,
    Size,
    Timings,
)
from app.explain.cover import CoverPictures
from app.explain.explanation import Place, Said, explain
from app.explain.findings import LANGUAGES, Findings, find, in_words
from app.explain.plan import Plan, Question
from app.explain.sentence import Language
from app.serving.admission import Admission
from app.serving.batches import Pixels
from app.serving.catalogue import Catalogue
from app.serving.checking import cover_check, cover_pictures, faithfulness
from app.serving.deadlines import timed, within_deadline
from app.serving.deployment import Deployment
from app.serving.drawing import DrawingStyle, draw
from app.serving.image_threads import ImageThreads
from app.serving.inference import Inference, inference_of
from app.serving.reading import Read, read_picture
from app.serving.request import Explained, Seen, Ticket

ResultT = TypeVar("ResultT")


class Service:
    """Answers requests with the models of a catalogue.

    Args:
        catalogue: filled by wiring, before and while this runs.
        admission: lets requests in; closed with the service.
        image_threads: threads that decode, resize and draw, at most.
    """

    def __init__(self, catalogue: Catalogue, *, admission: Admission, image_threads: int) -> None:
        self.catalogue = catalogue
        self.admission = admission
        self._images = ImageThreads(image_threads)

    async def predict(
        self, ticket: Ticket, body: bytes, *, top_k: int, style: DrawingStyle | None = None
    ) -> Prediction:
        """The classes of one picture, and the top one's overlay where asked for.

        Raises:
            UnreadableImage, UnsupportedImage, ImageTooLarge: the picture.
            QueueFull, ShuttingDown, DeadlineExceeded, InferenceFailed: as Batcher.submit.
        """
        if style is None:  # what waits for its answer has the deadline of its own
            return self._prediction(ticket, await self._see(ticket, body, keeps_picture=False), top_k, None)
        plan = ticket.deployment.plan(Question())
        async with within_deadline(ticket):
            seen = await self._see(ticket, body, keeps_picture=True)
            explanation = _explanation(ticket.deployment, seen, plan)
            (cam, _), seen = await self._show(ticket, seen, explanation, style=style)
            return self._prediction(ticket, seen, top_k, cam)

    async def explain(
        self,
        ticket: Ticket,
        body: bytes,
        *,
        top_k: int,
        plan: Plan,
        style: DrawingStyle | None,
        tells: bool = False,
    ) -> Explained:
        """The same, with what the plan asks for.

        Args:
            ticket: the admitted request.
            body: the picture's file.
            top_k: how many classes to return.
            plan: made before the body was read.
            style: how it is drawn; None: not at all.
            tells: whether regions and sentences are wanted; a check asks for them too.

        Raises:
            InvalidRequest: the class to compare with is the predicted one, or the picture too small for a view.
            UnreadableImage, UnsupportedImage, ImageTooLarge: the picture.
            QueueFull, ShuttingDown, DeadlineExceeded, InferenceFailed: as Batcher.submit.
        """
        await ticket.deployment.prepare(plan, ticket.deadline)
        async with within_deadline(ticket):
            is_whole = plan.view == "full"
            seen = await self._see(
                ticket, body, keeps_picture=style is not None or is_whole, probe=plan.probe
            )
            shown = await self._see_whole(ticket, seen) if is_whole else seen
            explanation = _explanation(ticket.deployment, shown, plan)
            findings, sentences = None, dict[Language, str]()
            if plan.check != "none":
                findings, shown = await self._check(ticket, shown, explanation, plan)
            (cam, findings), shown = await self._show(
                ticket, shown, explanation, style=style, findings=findings, tells=tells
            )
            if findings is not None and tells:
                labels = {language: ticket.deployment.bundle.labels(language) for language in LANGUAGES}
                sentences = in_words(explanation, findings, seen.size, labels)
            prediction = self._prediction(ticket, replace(seen, timings=shown.timings), top_k, cam)
            return Explained(prediction, explanation, findings, sentences)

    async def close(self, *, timeout_s: float) -> bool:
        """Refuse new requests, finish accepted ones; whether all of them ended in time."""
        self.admission.close()
        ended = await asyncio.gather(
            *(deployment.close(timeout_s=timeout_s) for deployment in self.catalogue.deployments())
        )
        self._images.close()
        return all(ended)

    async def _see(
        self, ticket: Ticket, body: bytes, *, keeps_picture: bool, probe: Probe | None = None
    ) -> Seen:
        deployment = ticket.deployment
        work = timed(ticket, lambda: read_picture(deployment, body, keeps_picture=keeps_picture))
        if keeps_picture:
            read, waited_s = await self._images.run(work, consumer=deployment)
            assert read.picture is not None  # noqa: S101 - kept
            ticket.hold.grow(read.picture.nbytes)
            inference = await deployment.infer(
                read.prepared.pixels, ticket.deadline, ticket.place, probe=probe
            )
        else:
            (read, waited_s), inference = await self._read_into_queue(ticket, work, probe)
        pixels = read.prepared.pixels
        return Seen(
            read.picture,
            read.image,
            read.warnings,
            pixels,
            read.prepared.to_original,
            inference,
            deployment.scores(inference.logits),
            Timings(
                decode=read.decode_ms,
                preprocess=read.preprocess_ms,
                queue=(waited_s + inference.queue_s) * 1000,
                inference=inference.inference_s * 1000,
            ),
        )

    async def _read_into_queue(
        self, ticket: Ticket, work: Callable[[], tuple[Read, float]], probe: Probe | None
    ) -> tuple[tuple[Read, float], Inference]:
        """The image thread puts it there itself, and computes it where it is alone: the event loop hears only of its answer."""
        done: list[tuple[Read, float]] = []
        deployment = ticket.deployment

        def read_and_put() -> "Callable[[], None] | None":  # a string is not evaluated for every request
            done.append(work())
            pixels = done[0][0].prepared.pixels
            return deployment.put(waiting, pixels, probe, lends=self._images.can_lend)

        with deployment.expecting(ticket.deadline, ticket.place, probe=probe) as waiting:
            answer = await self._images.hand_on(read_and_put, waiting.future, consumer=deployment)
        return done[0], inference_of(answer)

    async def _see_whole(self, ticket: Ticket, seen: Seen) -> Seen:
        """The same picture without the manifest's crops, in the queue a second time; times are added up."""
        deployment, picture = ticket.deployment, seen.picture
        assert picture is not None  # noqa: S101 - kept for a view
        begun = time.monotonic()
        prepared, waited_s = await self._on_image_thread(ticket, lambda: deployment.preprocess_whole(picture))
        preprocess_s = time.monotonic() - begun - waited_s
        ticket.hold.grow(prepared.pixels.nbytes)
        inference = await deployment.infer_whole(prepared.pixels, ticket.deadline)
        timings = seen.timings
        return replace(
            seen,
            pixels=prepared.pixels,
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

    async def _check(
        self, ticket: Ticket, seen: Seen, explanation: Explanation, plan: Plan
    ) -> tuple[Findings, Seen]:
        """What stands out, and whether the network needs it: more images through the same queue."""
        deployment, target = ticket.deployment, explanation.target
        expected = deployment.bundle.manifest.region_of_interest()
        begun = time.monotonic()

        def prepare() -> tuple[Findings, CoverPictures | None]:
            found = find(explanation, seen.size, expected)
            return found, cover_pictures(explanation, found, seen.pixels)

        async def ask(images: Sequence[Pixels]) -> list[float]:
            tasks = [asyncio.create_task(deployment.infer(image, ticket.deadline)) for image in images]
            try:
                answers = await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
            return [deployment.probability(answer.logits, target.class_index) for answer in answers]

        ticket.hold.grow(4 * seen.pixels.nbytes)
        (findings, pictures), waited_s = await self._on_image_thread(ticket, prepare)
        findings = replace(findings, is_checked=True)
        if pictures is not None:
            findings = replace(findings, cover=await cover_check(pictures, target.probability, ask))
        if plan.check == "full":
            at_once = max(deployment.batch_sizes)
            findings = replace(
                findings, faithfulness=await faithfulness(explanation, seen.pixels, ask, at_once=at_once)
            )
        took_ms = (time.monotonic() - begun - waited_s) * 1000
        timings = replace(
            seen.timings,
            queue=seen.timings.queue + waited_s * 1000,
            inference=seen.timings.inference + took_ms,
        )
        return findings, replace(seen, timings=timings)

    async def _show(
        self,
        ticket: Ticket,
        seen: Seen,
        explanation: Explanation,
        *,
        style: DrawingStyle | None,
        findings: Findings | None = None,
        tells: bool = False,
    ) -> tuple[tuple[EncodedPicture | None, Findings | None], Seen]:
        """The picture, and what stands out where somebody wants to know."""
        bundle = ticket.deployment.bundle
        needs = findings is None and (tells or (style is not None and style.boxes))
        if style is None and not needs:
            return (None, findings), seen

        def work() -> tuple[EncodedPicture | None, Findings | None]:
            found = findings
            if needs:
                found = find(explanation, seen.size, bundle.manifest.region_of_interest())
            if style is None or seen.picture is None:
                return None, found
            return draw(seen.picture, explanation, found, style, bundle.labels(style.language)), found

        begun = time.monotonic()
        shown, waited_s = await self._on_image_thread(ticket, work)
        render_ms = (time.monotonic() - begun - waited_s) * 1000
        timings = replace(seen.timings, queue=seen.timings.queue + waited_s * 1000, render=render_ms)
        return shown, replace(seen, timings=timings)

    async def _on_image_thread(self, ticket: Ticket, work: Callable[[], ResultT]) -> tuple[ResultT, float]:
        """Run on an image thread, unless the deadline passed while waiting for one; result, seconds waited."""
        return await self._images.run(timed(ticket, work))

    def _prediction(self, ticket: Ticket, seen: Seen, top_k: int, cam: EncodedPicture | None) -> Prediction:
        return Prediction(
            id=ticket.id,
            top=seen.scores[0],
            top_k=seen.scores[:top_k],
            model=ticket.deployment.identity,
            image=seen.image,
            batch_size=seen.inference.batch_size,
            timings=seen.timings.in_all((time.monotonic() - ticket.started) * 1000),
            warnings=seen.warnings,
            cam=cam,
        )


def _explanation(deployment: Deployment, seen: Seen, plan: Plan) -> Explanation:
    engine, inference = deployment.engine, seen.inference
    return explain(
        plan,
        Said(inference.logits, inference.evidence, inference.probed, seen.scores),
        Place(
            Size(*seen.pixels.shape[:2]),
            seen.input_to_picture,
            engine.margin_cells,
            engine.target_layer,
            engine.cells,
            plan.align,
        ),
        engine.evidence_kind,
    )
