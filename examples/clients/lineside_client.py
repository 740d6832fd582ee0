"""Asks Lineside about one picture after another, over one connection; what has no answer in time is decided by hand.

    python3 lineside_client.py http://127.0.0.1:8000 2.6 photo-1.jpg photo-2.jpg

2.6 is the pitch: seconds from carcass to carcass, at 1,400 an hour. Where several models are served, the address names
one: http://127.0.0.1:8000?model=pig-sex. Needs nothing but Python 3.9.
"""

import http.client
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

SLACK_S = 0.3  # for the network: the server's deadline ends so much before ours
LEAST_S = 0.2  # with less than this left, asking once more is in vain


def ask(
    connection: http.client.HTTPConnection, picture: bytes, pitch_s: float, path: str = "/predict?"
) -> dict:
    """The prediction; raises TimeoutError with the reason where there is none, within the pitch.

    `path` is what stands before deadline_ms: also a proxy's path, and a model.
    """
    ends = time.monotonic() + pitch_s
    problem, wait_s = "no time", 0.0
    for _attempt in range(2):
        left_s = ends - time.monotonic() - SLACK_S - wait_s
        if left_s < LEAST_S:
            break
        time.sleep(wait_s)
        connection.timeout = left_s + SLACK_S
        try:
            with hung_up(connection, ends):
                connection.request("POST", f"{path}deadline_ms={left_s * 1000:.0f}", picture)
                reply = connection.getresponse()
                body = told(reply.read())
            if time.monotonic() >= ends:
                raise TimeoutError
        except (http.client.HTTPException, OSError) as error:
            connection.close()  # a late answer must not become that of the next picture
            if time.monotonic() >= ends:
                problem = "no answer"
                break
            problem, wait_s = repr(error), 0.0
            continue  # at once: perhaps a kept one that was closed meanwhile
        if reply.status == 200 and "class" in body:
            return body
        problem = f"{body.get('code', reply.status)}: {body.get('detail', 'not an answer of Lineside')}"
        if reply.status != 503:  # only want of room passes by itself
            break
        retry_after = reply.headers.get("Retry-After", "")
        wait_s = float(retry_after) if retry_after.isdecimal() else 1.0
    raise TimeoutError(problem)


@contextmanager
def hung_up(connection: http.client.HTTPConnection, ends: float) -> Iterator[None]:
    """Open, but no longer than that: a socket's timeout is for each piece that comes, and a bad network brings many."""
    if connection.sock is None:
        connection.connect()
    sock = connection.sock
    sock.settimeout(connection.timeout)  # a kept one has that of the picture before

    def hang_up() -> None:
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    alarm = threading.Timer(ends - time.monotonic(), hang_up)
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()


def told(data: bytes) -> dict:
    """What Lineside said; nothing where it was not Lineside, but a gateway before it with words of its own."""
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def main(address: str, pitch_s: str, *photographs: str) -> None:
    """A line for each."""
    server = urlsplit(address)
    kind = http.client.HTTPSConnection if server.scheme == "https" else http.client.HTTPConnection
    connection = kind(server.netloc)
    path = f"{server.path.rstrip('/')}/predict?{server.query}{'&' if server.query else ''}"
    for photograph in photographs:
        try:
            answer = ask(connection, Path(photograph).read_bytes(), float(pitch_s), path)
        except TimeoutError as reason:
            print(f"{photograph}: decide by hand ({reason})")
        else:
            print(f"{photograph}: {answer['class']} {answer['probability']:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
