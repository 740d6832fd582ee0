"""POST /predict and POST /explain: query and body in, one answer out.

Order matters: the query is checked, the model found and room taken before a byte of the body is read.
"""

import asyncio
import time
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request
from pydantic_core import to_json
from starlette.responses import Response

from app.api import wire
from app.api.context import RequestContext, context_of
from app.api.exchange import EXCHANGE, Exchange
from app.api.explain_query import ExplainQuery
from app.api.explain_schemas import ExplainReply
from app.api.explaining import asked, check_one_array, check_picture, drawn, explanation_reply, npy
from app.api.front import Endpoint
from app.api.leaving import unless_left
from app.api.negotiation import preferred
from app.api.openapi import header, problems
from app.api.schemas import (
    PictureQuery,
    PredictionReply,
    PredictQuery,
)
from app.api.upload import picture_at_hand, read_picture
from app.errors import DeadlineExceeded, InvalidRequest, Unavailable
from app.images.encode import MediaType
from app.serving.drawing import DrawingStyle
from app.serving.request import Ticket
from app.serving.service import Service
from app.settings import Settings

router = APIRouter(tags=["inference"])

JSON = "application/json"
NPY = "application/x-npy"
PICTURES = ("image/jpeg", "image/png", "image/webp")
UPLOADS = ("image/jpeg", "image/png", "image/tiff", "image/bmp", "image/webp", "application/octet-stream")

BINARY = {"schema": {"type": "string", "format": "binary"}}
REQUEST: dict[str, Any] = {
    "parameters": [
        {
            "name": "X-Request-Id",
            "in": "header",
            "description": "Comes back as the reply's `id`, and stands in the server's log.",
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
        }
    ],
    "requestBody": {
        "required": True,
        "description": "The picture: its bytes as the body, or multipart/form-data with one part `file`. "
        "The bytes are sniffed; the declared type is not trusted.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            **dict.fromkeys(UPLOADS, BINARY),
        },
    },
}
PROBLEMS = problems(
    "malformed_request",
    "unknown_model",
    "body_too_large",
    "image_too_large",
    "unsupported_image",
    "invalid_request",
    "unreadable_image",
    "internal",
    "queue_full",
    "not_ready",
    "shutting_down",
    "deadline_exceeded",
)
HEADERS = {
    "Server-Timing": header("The timings in milliseconds, as browsers show them."),
    "Lineside-Class": header("Percent-encoded."),
    "Lineside-Probability": header("Six digits."),
    "Lineside-Model": header("Name and version, with a slash between."),
    "Lineside-Digest": header("SHA-256 over manifest and weights."),
}


@router.post(
    "/predict",
    response_model=PredictionReply,
    responses={200: {"headers": HEADERS}, **PROBLEMS},
    openapi_extra=REQUEST,
    summary="Classify one picture",
)
async def predict(request: Request, query: Annotated[PredictQuery, Query()]) -> Response:
    """The class, its probability and the next best ones; with `cam=true` also the overlay that shows why."""
    settings: Settings = request.app.state.settings
    service: Service = request.app.state.service
    context = context_of(request)
    with _admit(service, settings, context, query) as ticket:
        body = await _read(request, ticket, settings)
        style = DrawingStyle(max_side_px=settings.max_overlay_side_px) if query.cam else None
        prediction = await unless_left(request, service.predict(ticket, body, top_k=query.top_k, style=style))
    context.prediction = prediction
    return wire.answer(to_json(wire.document(prediction)), JSON, prediction)


@router.post(
    "/explain",
    response_model=ExplainReply,
    responses={
        200: {
            "description": "By `Accept`: JSON (default), the overlay's bytes, or the map as a NumPy file.",
            "content": {**dict.fromkeys(PICTURES, BINARY), NPY: BINARY},
            "headers": HEADERS,
        },
        **PROBLEMS,
        **problems("invalid_request", "unreadable_image", "unknown_class"),
    },
    openapi_extra=REQUEST,
    summary="Classify one picture and show the evidence",
)
async def explain(request: Request, query: Annotated[ExplainQuery, Query()]) -> Response:
    """The prediction, a map of the evidence for one class, and its overlay on the original picture.

    The default map, contrasts (`against`), probabilities and all classes cost what `/predict` costs: the map is what
    the logits are averaged from. Other methods take a gradient through the head alone; `layers` and `feature_maps`
    one backward pass. `application/x-npy` is float32, (rows, columns); (classes, rows, columns) with `classes`,
    (k, rows, columns) with `feature_maps`, the layer's own map with one of `layers`.
    """
    settings: Settings = request.app.state.settings
    service: Service = request.app.state.service
    context = context_of(request)
    kind = preferred(",".join(request.headers.getlist("accept")), (JSON, *PICTURES, NPY))
    picture_kind = kind if kind in PICTURES else f"image/{query.format}"
    style = drawn(query, cast("MediaType", picture_kind), max_side_px=settings.max_overlay_side_px)
    with _admit(service, settings, context, query) as ticket:
        plan = ticket.deployment.plan(asked(query))
        if kind == NPY:
            check_one_array(plan)
        else:
            check_picture(style, plan)
        body = await _read(request, ticket, settings)
        explained = await unless_left(
            request,
            service.explain(
                ticket,
                body,
                top_k=query.top_k,
                plan=plan,
                style=None if kind == NPY else style,
                tells=kind == JSON,
            ),
        )
    prediction = explained.prediction
    context.prediction = prediction
    if kind == NPY:
        return wire.answer(npy(explained.explanation), NPY, prediction)
    if kind != JSON:
        assert prediction.cam is not None  # noqa: S101 - an overlay was asked for
        return wire.answer(prediction.cam.data, kind, prediction)
    reply = ExplainReply(**wire.document(prediction), explanation=explanation_reply(explained))
    return wire.answer(reply.model_dump_json(by_alias=True).encode(), JSON, prediction)


ENDPOINTS = {"/predict": Endpoint(PredictQuery, predict), "/explain": Endpoint(ExplainQuery, explain)}
"""By path: the front's."""


def _admit(service: Service, settings: Settings, context: RequestContext, query: PictureQuery) -> Ticket:
    deadline_ms = query.deadline_ms or settings.default_deadline_ms
    if deadline_ms > settings.max_deadline_ms:
        raise InvalidRequest(
            f"deadline_ms: {deadline_ms} is above the {settings.max_deadline_ms} that are allowed"
        )
    try:
        ticket = service.admission.admit(
            context.id,
            model=query.model,
            version=query.version,
            started=context.started,
            deadline=context.started + deadline_ms / 1000,
            expected_by=context.expected_by,
        )
    except Unavailable:
        context.model = service.admission.name_of(query.model)
        raise
    context.model = ticket.deployment.identity.name
    return ticket


async def _read(request: Request, ticket: Ticket, settings: Settings) -> bytes:
    max_bytes, hold = settings.max_body_bytes, ticket.hold.grow
    exchange: Exchange | None = request.scope["state"].get(EXCHANGE)
    if exchange is not None and (body := exchange.body_at_hand()) is not None:
        return picture_at_hand(request, body, max_bytes=max_bytes, hold=hold)
    try:
        async with asyncio.timeout(max(0.0, ticket.deadline - time.monotonic())):
            return await read_picture(request, max_bytes=max_bytes, hold=hold)
    except TimeoutError:
        raise DeadlineExceeded("the deadline passed before the whole body was received") from None
