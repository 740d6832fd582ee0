"""How each server wants a picture, and how it says what it saw."""

import json
import struct
from collections.abc import Callable

import httpx
import numpy as np

from bench.peer_servers.network import CLASSES

BOUNDARY = "lineside-bench"
FORM = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
Answer = dict[str, float]
"""Class -> probability."""


def multipart(name: str) -> Callable[[bytes], bytes]:
    """A form with one file part."""

    def body(picture: bytes) -> bytes:
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="picture.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        )
        return head.encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()

    return body


def msgpack_image(picture: bytes) -> bytes:
    """{"image": picture} in MessagePack: a map of one, a short string, a binary of 32-bit length."""
    return b"\x81\xa5image\xc6" + struct.pack(">I", len(picture)) + picture


TRITON_HEAD_BYTES = 256


def triton_binary(picture: bytes) -> bytes:
    """Open Inference Protocol with the binary tensor extension: JSON, then the length-prefixed bytes.

    The JSON is padded so that its length is the same for every picture.
    """
    head = {
        "inputs": [
            {
                "name": "image",
                "shape": [1, 1],
                "datatype": "BYTES",
                "parameters": {"binary_data_size": len(picture) + 4},
            }
        ],
        "parameters": {"binary_data_output": True},
    }
    return json.dumps(head).encode().ljust(TRITON_HEAD_BYTES) + struct.pack("<I", len(picture)) + picture


def of_json(response: httpx.Response) -> Answer:
    """{class: probability}, or a list with that alone."""
    answer = response.json()
    return dict(answer[0] if isinstance(answer, list) else answer)


def of_triton(response: httpx.Response) -> Answer:
    """JSON, then float32."""
    head = int(response.headers["inference-header-content-length"])
    return dict(zip(CLASSES, np.frombuffer(response.content[head:], np.float32).tolist(), strict=True))


def of_lineside(response: httpx.Response) -> Answer:
    """`top_k` names every class where there are three."""
    return {entry["class"]: entry["probability"] for entry in response.json()["top_k"]}
