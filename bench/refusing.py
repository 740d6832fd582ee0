"""A server that tells everybody 503 and does nothing else: the least that a refusal costs in Python.

    python bench/refusing.py 8001

It parses nothing but the length of a body, counts nothing and writes a constant.
"""

import asyncio
import sys
from typing import cast

import uvloop

BACKLOG = 2048
DOORS = 4
"""As app/api/server.py has them."""
BODY = b'{"type":"about:blank","title":"The server is busy","status":503,"detail":"busy","code":"queue_full"}'
ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 1\r\n"
    b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(BODY)
) + BODY
LENGTH = b"Content-Length: "


class Refusing(asyncio.Protocol):
    """Answers at the first bytes, and hears the rest out: a close amid a body would cost its client the answer."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self.left = 0

    def data_received(self, data: bytes) -> None:
        if not self.left:
            head, end, _ = data.partition(b"\r\n\r\n")
            length = head[head.index(LENGTH) + len(LENGTH) :].split(b"\r", 1)[0]
            self.left = len(head) + len(end) + int(length)
            self.transport.write(ANSWER)
        self.left -= len(data)
        if not self.left:
            self.transport.close()


async def serve(port: int) -> None:
    """Until the process is ended."""
    loop = asyncio.get_running_loop()
    first = await loop.create_server(Refusing, "127.0.0.1", port, backlog=BACKLOG)
    more = [
        await loop.create_server(Refusing, sock=first.sockets[0].dup(), backlog=BACKLOG)
        for _ in range(DOORS - 1)
    ]
    await asyncio.gather(*(server.serve_forever() for server in (first, *more)))


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
