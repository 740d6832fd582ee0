"""GET /models: what the repository holds, what serves, what was refused and why."""

import mimetypes
import os
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from pydantic import PositiveInt
from starlette.responses import FileResponse, Response

from app.api.context import context_of
from app.api.openapi import problems
from app.api.problems import problem
from app.api.schemas import GoldenReply, ModelDescription, ModelsReply, QuantizationReply
from app.serving.catalogue import Catalogue, Model
from app.serving.service import Service
from app.settings import Settings

router = APIRouter(prefix="/models", tags=["models"])

ANY_PICTURE: dict[str, Any] = {"image/*": {"schema": {"type": "string", "format": "binary"}}}


@router.get("", summary="All models", responses=problems("internal"))
async def list_models(request: Request) -> ModelsReply:
    """Every version of every model, also those that are loading or were refused."""
    catalogue = _catalogue(request)
    settings: Settings = request.app.state.settings
    return ModelsReply(
        models=[_describe(model, catalogue) for model in catalogue.models()],
        notes=list(catalogue.notes),
        max_deadline_ms=settings.max_deadline_ms,
    )


@router.get(
    "/{name}",
    summary="One model",
    responses=problems("unknown_model", "invalid_request", "internal", "not_ready"),
)
async def get_model(
    request: Request, name: str, version: Annotated[PositiveInt | None, Query()] = None
) -> ModelDescription:
    """One version, by default the one that answers when a request names none."""
    catalogue = _catalogue(request)
    return _describe(catalogue.find(name, version), catalogue)


@router.get(
    "/{name}/{version}/golden/{file}",
    summary="A golden image",
    response_class=FileResponse,
    responses={
        200: {"content": ANY_PICTURE},
        **problems("unknown_model", "not_found", "invalid_request", "internal", "not_ready"),
    },
)
async def get_golden_image(request: Request, name: str, version: PositiveInt, file: str) -> Response:
    """One of the pictures that the model proves itself with; the page offers them as samples."""
    deployment = _catalogue(request).find_ready(name, version)
    golden = deployment.bundle.golden
    known = {image.file for image in golden.images} if golden is not None else set()
    path = deployment.bundle.folder / "golden" / file
    # It may have been taken away since the model was loaded.
    if file not in known or not os.access(path, os.R_OK):
        context = context_of(request)
        context.code = "not_found"
        return problem(context.code, "no such golden image", request_id=context.id)
    return FileResponse(path, media_type=mimetypes.guess_type(file)[0] or "application/octet-stream")


def _catalogue(request: Request) -> Catalogue:
    service: Service = request.app.state.service
    return service.catalogue


def _describe(model: Model, catalogue: Catalogue) -> ModelDescription:
    description = ModelDescription(
        name=model.name,
        version=model.version,
        is_default=catalogue.default_version(model.name) == model.version,
        state=model.state,
        reason=model.fault(),
    )
    deployment = model.deployment
    if deployment is None:
        return description
    bundle, engine, proof = deployment.bundle, deployment.engine, deployment.proof
    abilities = deployment.abilities
    golden = None
    if proof.golden is not None and bundle.golden is not None:
        golden = GoldenReply(
            images=len(bundle.golden.images),
            max_probability_difference=proof.golden.max_probability_difference,
            tolerance=bundle.manifest.golden.tolerance,
        )
    declared = bundle.manifest.quantization
    quantization = None
    if declared is not None:
        quantization = QuantizationReply(
            kind=declared.kind, images=declared.images, agreement=declared.agreement, drift=declared.drift
        )
    return description.model_copy(
        update={
            "digest": bundle.digest,
            "title": bundle.manifest.title,
            "notice": bundle.manifest.notice,
            "architecture": bundle.manifest.architecture,
            "classes": list(bundle.classes),
            "display": bundle.manifest.display,
            "input": (engine.input_size.height, engine.input_size.width),
            "evidence": engine.evidence_kind,
            "methods": list(abilities.methods),
            "layers": list(abilities.layers) if abilities.probe_methods else [],
            "can_view_full": abilities.can_view,
            "sum_rule_error": proof.sum_rule_error,
            "engine": engine.runtime,
            "device": deployment.device,
            "precision": engine.precision,
            "quantization": quantization,
            "latency_ms": {size: round(s * 1000, 2) for size, s in proof.latency_s.items()},
            "golden": golden,
            "golden_images": [
                f"/models/{quote(model.name)}/{model.version}/golden/{quote(image.file)}"
                for image in (bundle.golden.images if bundle.golden is not None else ())
            ],
            "warnings": [*proof.warnings, *deployment.outages()],
        }
    )
