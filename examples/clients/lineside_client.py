"""Asks Lineside about one picture after another, over one connection; what has no answer in time is decided by hand.

    python3 lineside_client.py http://127.0.0.1:8000 2.6 photo-1.jpg photo-2.jpg

2.6 is the pitch: seconds from carcass to carcass, at 1,400 an hour. Needs nothing but Python 3.9.
"""

import http.client
import json
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

SLACK_S = 0.3  # for the network: the server's deadline ends so much before ours
LEAST_S = 0.2  # with less than this left, asking once more is in vain


def ask(connection: http.client.HTTPConnection, picture: bytes, pitch_s: float, path: str = "") -> dict:
    """The prediction; raises TimeoutError with the reason where there is none, within the pitch.

    `path` stands before /predict, where a proxy has put Lineside under one.
    """
    ends = time.monotonic() + pitch_s
    problem, wait_s = "no time", 0.0
    for _attempt in range(2):
        left_s = ends - time.monotonic() - SLACK_S - wait_s
        if left_s < LEAST_S:
            break
        time.sleep(wait_s)
        connection.timeout = left_s + SLACK_S
        if connection.sock is not None:  # kept from the picture before
            connection.sock.settimeout(connection.timeout)
        try:
            connection.request("POST", f"{path}/predict?deadline_ms={left_s * 1000:.0f}", picture)
            reply = connection.getresponse()
            body = told(reply.read())
        except TimeoutError:
            connection.close()  # the late answer must not become that of the next picture
            problem = "no answer"
            break
        except (http.client.HTTPException, OSError) as error:
            connection.close()  # a kept one that was closed meanwhile, perhaps: a new one, at once
            problem, wait_s = repr(error), 0.0
            continue
        if reply.status == 200 and "class" in body:
            return body
        problem = f"{body.get('code', reply.status)}: {body.get('detail', 'not an answer of Lineside')}"
        if reply.status != 503:  # only want of room passes by itself
            break
        retry_after = reply.headers.get("Retry-After", "")
        wait_s = float(retry_after) if retry_after.isdecimal() else 1.0
    raise TimeoutError(problem)


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
    for photograph in photographs:
        try:
            answer = ask(connection, Path(photograph).read_bytes(), float(pitch_s), server.path.rstrip("/"))
        except TimeoutError as reason:
            print(f"{photograph}: decide by hand ({reason})")
        else:
            print(f"{photograph}: {answer['class']} {answer['probability']:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
