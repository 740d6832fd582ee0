"""GET /livez, /readyz and /metrics: asked by machines every few seconds."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from app.api.schemas import LivenessReply, ReadinessReply
from app.metrics import Metrics
from app.serving.service import Service

router = APIRouter(tags=["operation"])


@router.get("/livez", summary="Does the process run?")
async def livez() -> LivenessReply:
    """200 as long as the process answers; restart it when this fails."""
    return LivenessReply()


@router.get(
    "/readyz",
    summary="May it drive the gate?",
    response_model=ReadinessReply,
    responses={503: {"model": ReadinessReply, "description": "Not ready, with every reason."}},
)
async def readyz(request: Request) -> Response:
    """200 when the models proved themselves and have a worker that lives; load does not change it.

    `reasons` also names what is out of service while it is ready, such as one of two devices.
    """
    service: Service = request.app.state.service
    readiness = service.catalogue.readiness()
    reply = ReadinessReply(ready=readiness.is_ready, reasons=list(readiness.reasons))
    return JSONResponse(reply.model_dump(), status_code=200 if readiness.is_ready else 503)


@router.get("/metrics", summary="Prometheus metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """The text exposition format."""
    held: Metrics = request.app.state.metrics
    return Response(held.render(), media_type=held.media_type)
