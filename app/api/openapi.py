"""What FastAPI's description of the interface leaves out: errors as they are sent, and headers.

Programs generate their clients from it: an error that it calls application/json, or a status that it does not know, is
an answer that such a client cannot read.
"""

import json
from typing import Any, Final

from fastapi import FastAPI

from app.api.problems import MEDIA_TYPE, STATUS_BY_CODE, document
from app.api.schemas import ProblemReply

_ID: Final = "01KAMZ1X7Q3C9V6J8D2R4T5W6Y"
_DETAIL: Final = "what is wrong, and how to mend it"


def header(description: str) -> dict[str, Any]:
    """One of a response."""
    return {"description": description, "schema": {"type": "string"}}


REQUEST_ID: Final = header("Yours, if you sent one of letters, digits and `._:-`, at most 128.")
RETRY_AFTER: Final = header("Whole seconds.")


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """A route's `responses`: the problem documents with these codes."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS_BY_CODE[code], []).append(code)
    return {
        status: {
            "description": ", ".join(f"`{code}`" for code in alike),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": f"#/components/schemas/{ProblemReply.__name__}"},
                    "examples": {
                        code: {"value": json.loads(document(code, _DETAIL, request_id=_ID))} for code in alike
                    },
                }
            },
            **({"headers": {"Retry-After": RETRY_AFTER}} if status == 503 else {}),
        }
        for status, alike in by_status.items()
    }


def described(app: FastAPI) -> dict[str, Any]:
    """FastAPI's own description, completed; made when somebody first asks."""
    if app.openapi_schema is None:
        described = FastAPI.openapi(app)
        described["components"]["schemas"][ProblemReply.__name__] = ProblemReply.model_json_schema()
        for methods in described["paths"].values():
            for operation in methods.values():
                for response in operation["responses"].values():
                    response.setdefault("headers", {})["X-Request-Id"] = REQUEST_ID
    return FastAPI.openapi(app)
