"""A request that came whole and whose head is known: uvicorn's cycle for it, without uvicorn's parser.

The parser hands on each header and the body by calls of Python, and copies the body twice, though the gate has read the head
already. What the application is given is the same; tests/api/test_whole_requests.py holds the two together.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.api.heads import Head

LENGTH = b"content-length"


def body_of(head: Head, data: bytes, end: int) -> bytes | None:
    """The request's body; None where uvicorn has to hear it.

    Args:
        head: of the request.
        data: what has come of this request, and perhaps of others behind it.
        end: of the head in it.
    """
    is_usual = head.is_plain and not head.is_last and not head.waits
    return data[end:] if is_usual and head.body_length == len(data) - end > 0 else None


def begin(protocol: HttpToolsProtocol, head: Head, body: bytes) -> RequestResponseCycle:
    """Of a connection that owes no answer; its task is yet to be started.

    Args:
        protocol: has just begun a message.
        head: a POST's.
        body: all of it.
    """
    scope, length = protocol.scope, b"%d" % head.body_length
    protocol.headers.extend(
        [(name, length if name == LENGTH else value) for name, value in head.headers.items()]
    )
    path, raw_path = head.path, head.path.encode("ascii")
    scope["method"] = "POST"
    scope["path"] = protocol.root_path + path
    scope["raw_path"] = protocol.root_path.encode("ascii") + raw_path
    scope["query_string"] = head.query_string
    cycle = RequestResponseCycle(
        scope=scope,
        transport=protocol.transport,
        flow=protocol.flow,
        logger=protocol.logger,
        access_logger=protocol.access_logger,
        access_log=protocol.access_log,
        default_headers=protocol.server_state.default_headers,
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=True,
        on_response=protocol.on_response_complete,
    )
    cycle.body, cycle.more_body = body, False  # type: ignore[assignment]  # uvicorn only reads it from here on
    cycle.message_event.set()
    return cycle
