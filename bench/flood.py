"""An open loop: requests leave on time, whatever became of those before.

Plain sockets and one epoll: the client lives on the server's cores, and what it takes is missing there.

    python bench/flood.py PORT PICTURES RATE SECONDS

posts the files of a folder to /predict of a server on this machine, each with a connection of its own; says when it
begins, and at the end how many were refused.
"""

import re
import select
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PATIENCE_S: Final = 60.0
_LENGTH: Final = re.compile(rb"\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Ended:
    """One request of a flood."""

    status: int
    """0: the connection broke, or nothing came in time."""
    milliseconds: float
    has_retry_after: bool
    at_s: float
    """When the answer came, since the flood began."""


class _Connection:
    """One request at a time.

    Args:
        address: of the server.
        longest: bytes of a message; so many can be sent at once.
        is_kept: an answer is over when all of it is there; else when the server closes the connection.
    """

    def __init__(self, address: tuple[str, int], *, longest: int, is_kept: bool) -> None:
        self.socket = socket.socket()
        self.number = self.socket.fileno()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, longest)
        self.socket.connect_ex(address)
        self.is_kept = is_kept

    def begin(self, message: bytes) -> None:
        self.started = time.perf_counter()
        self.left = memoryview(message)
        self.answer = b""

    def go_on(self) -> bool:
        """Send and receive what can be, without waiting; whether the request is over."""
        try:
            while self.left:
                self.left = self.left[self.socket.send(self.left) :]
        except BlockingIOError:
            pass
        except OSError:
            self.left = self.left[:0]  # refused and closed before all of it was sent: the answer may be there
            self.is_kept = False
        try:
            while chunk := self.socket.recv(1 << 16):
                self.answer += chunk
        except BlockingIOError:
            return self.is_kept and not self.left and self._is_answer_whole()
        except OSError:
            pass
        self.is_kept = False
        return True

    def _is_answer_whole(self) -> bool:
        end = self.answer.find(b"\r\n\r\n")
        length = _LENGTH.search(self.answer, 0, end + 1) if end >= 0 else None
        return length is not None and len(self.answer) >= end + 4 + int(length[1])

    def ended(self, began: float) -> Ended:
        """What came of the request."""
        now = time.perf_counter()
        words = self.answer.split(None, 2)
        status = int(words[1]) if len(words) > 1 else 0
        has_retry_after = b"\nretry-after:" in self.answer.lower()
        return Ended(status, (now - self.started) * 1000, has_retry_after, now - began)


def flood(
    host: str, port: int, messages: list[bytes], *, rate: float, seconds: float, keeps: bool
) -> list[Ended]:
    """All requests that left, in the order in which they ended.

    Args:
        host: of the server.
        port: of the server.
        messages: posted in turn.
        rate: requests a second.
        seconds: for which they leave; those under way at the end are waited for.
        keeps: an idle connection takes the next request, as HTTP libraries have it; else each has one of its own, and
            the messages say `Connection: close`.
    """
    ended: list[Ended] = []
    busy: dict[int, _Connection] = {}
    idle: list[_Connection] = []
    longest = max(map(len, messages))
    began, count, total = time.perf_counter(), 0, int(rate * seconds)
    with select.epoll() as poll:

        def go_on(connection: _Connection) -> None:
            if not connection.go_on():
                return
            ended.append(busy.pop(connection.number).ended(began))
            if connection.is_kept:
                idle.append(connection)
            else:
                poll.unregister(connection.number)
                connection.socket.close()

        while (count < total or busy) and time.perf_counter() - began < seconds + PATIENCE_S:
            due = began + count / rate - time.perf_counter() if count < total else 1.0
            for number, _ in poll.poll(max(0.0, due)):
                if number in busy:  # else the server has closed an idle one, which the next request finds out
                    go_on(busy[number])
            while count < total and began + count / rate <= time.perf_counter():
                if idle:
                    connection, is_new = idle.pop(), False
                else:
                    connection, is_new = _Connection((host, port), longest=longest, is_kept=keeps), True
                    poll.register(connection.number, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
                connection.begin(messages[count % len(messages)])
                busy[connection.number] = connection
                count += 1
                if not is_new:  # a new one tells when it is there
                    go_on(connection)
    for connection in idle:
        connection.socket.close()
    for connection in busy.values():
        connection.socket.close()
    return ended + [connection.ended(began) for connection in busy.values()]


def main() -> None:
    """See the module's docstring."""
    port, folder, rate, seconds = int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    head = "POST /predict HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: %d\r\nContent-Type: image/jpeg\r\nConnection: close\r\n\r\n"
    pictures = [file.read_bytes() for file in sorted(folder.iterdir())]
    messages = [(head % (port, len(picture))).encode() + picture for picture in pictures]
    print("begins", flush=True)
    ended = flood("127.0.0.1", port, messages, rate=rate, seconds=seconds, keeps=False)
    refused = sum(one.status == 503 for one in ended)
    print(f"{refused} of {len(ended)} were refused, {rate:.0f} a second")


if __name__ == "__main__":
    main()
