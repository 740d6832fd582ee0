"""Every error of DESIGN section 5: its status, its code, a detail that names the fix, nothing internal."""

import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.pictures import damaged_file, picture_file


def problem(response: httpx.Response, status: int, code: str) -> str:
    """Check the problem document; its detail."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert list(body) == ["type", "title", "status", "detail", "code", "id"]
    assert (body["status"], body["code"]) == (status, code)
    assert body["id"] == response.headers["x-request-id"]
    for leak in ("Traceback", "/app/", "site-packages", "0x", "PIL."):
        assert leak not in response.text
    detail: str = body["detail"]
    return detail


@pytest.mark.parametrize("address", ["/predict", "/explain"])
class TestOfBothAddresses:
    def test_damaged_picture(self, client: httpx.Client, address: str) -> None:
        problem(client.post(address, content=damaged_file()), 422, "unreadable_image")

    def test_no_picture_at_all(self, client: httpx.Client, address: str) -> None:
        problem(client.post(address, content=b"hello, this is no picture"), 422, "unreadable_image")

    def test_kind_that_is_not_accepted(self, client: httpx.Client, address: str) -> None:
        detail = problem(client.post(address, content=picture_file(0, "GIF")), 415, "unsupported_image")
        assert "GIF" in detail
        assert "JPEG" in detail

    def test_too_many_pixels(self, client: httpx.Client, address: str) -> None:
        data = picture_file(0, "PNG", width=1200, height=1000)
        problem(client.post(address, content=data), 413, "image_too_large")

    def test_too_many_bytes_declared(self, client: httpx.Client, address: str) -> None:
        detail = problem(client.post(address, content=bytes(2**20 + 1)), 413, "body_too_large")
        assert "1 MiB" in detail

    def test_too_many_bytes_while_reading(self, client: httpx.Client, address: str) -> None:
        chunks = (bytes(2**16) for _ in range(17))  # chunked: no Content-Length tells
        problem(client.post(address, content=chunks), 413, "body_too_large")

    def test_empty_body(self, client: httpx.Client, address: str) -> None:
        assert "file" in problem(client.post(address), 422, "invalid_request")

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("top_k=0", "top_k"),
            ("top_k=many", "top_k"),
            ("topk=5", "topk"),
            ("version=0", "version"),
            ("deadline_ms=0", "deadline_ms"),
            ("deadline_ms=60001", "deadline_ms"),
        ],
    )
    def test_parameter_out_of_range_or_unknown(
        self, client: httpx.Client, address: str, query: str, named: str
    ) -> None:
        response = client.post(f"{address}?{query}", content=picture_file(0))
        assert named in problem(response, 422, "invalid_request")

    def test_unknown_model_and_version(self, client: httpx.Client, address: str) -> None:
        response = client.post(f"{address}?model=pig-sex", content=picture_file(0))
        assert "there are line" in problem(response, 404, "unknown_model")
        response = client.post(f"{address}?model=line&version=7", content=picture_file(0))
        assert "it has 1" in problem(response, 404, "unknown_model")

    def test_deadline_that_cannot_be_met(self, client: httpx.Client, address: str) -> None:
        data = picture_file(0, "PNG", width=990, height=990)
        response = client.post(f"{address}?deadline_ms=1", content=data)
        assert response.status_code in {503, 504}
        assert response.json()["code"] in {"deadline_exceeded", "queue_full"}

    @pytest.mark.parametrize(
        ("parts", "named"),
        [
            ({"image": b"x"}, "'image'"),
            ({"file": b""}, "`file` is empty"),
        ],
    )
    def test_wrong_part(
        self, client: httpx.Client, address: str, parts: dict[str, bytes], named: str
    ) -> None:
        assert named in problem(client.post(address, files=parts), 422, "invalid_request")

    def test_two_files(self, client: httpx.Client, address: str) -> None:
        two = [("file", picture_file(0)), ("file", picture_file(1))]
        assert "two parts" in problem(client.post(address, files=two), 422, "invalid_request")

    @pytest.mark.parametrize(
        "body",
        [
            b"not multipart",
            b"--b\r\nContent-Disposition: form-data; name=file\r\n\r\ncut off",
            b"--b\r\n" + b"X" * 9000 + b": y\r\n\r\n--b--\r\n",
        ],
    )
    def test_broken_multipart(self, client: httpx.Client, address: str, body: bytes) -> None:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        problem(client.post(address, content=body, headers=headers), 422, "invalid_request")

    def test_multipart_without_boundary(self, client: httpx.Client, address: str) -> None:
        response = client.post(address, content=b"x", headers={"Content-Type": "multipart/form-data"})
        assert "boundary" in problem(response, 422, "invalid_request")

    @pytest.mark.parametrize("called", ["image/jpeg", "multipart/mixed; boundary=b"])
    def test_form_that_is_not_called_so(self, client: httpx.Client, address: str, called: str) -> None:
        """As clients send it that write the header by hand."""
        form = (
            b"--b\r\nContent-Disposition: form-data; name=file\r\n\r\n" + picture_file(0) + b"\r\n--b--\r\n"
        )
        response = client.post(address, content=form, headers={"Content-Type": called})
        assert "boundary" in problem(response, 422, "invalid_request")

    def test_wrong_method(self, client: httpx.Client, address: str) -> None:
        problem(client.get(address), 405, "method_not_allowed")


def test_unknown_address(client: httpx.Client) -> None:
    problem(client.get("/predictions"), 404, "not_found")


def test_accept_that_cannot_be_given_lists_what_can(client: httpx.Client) -> None:
    response = client.post("/explain", content=picture_file(0), headers={"Accept": "image/gif"})
    assert "image/webp" in problem(response, 422, "invalid_request")


@pytest.mark.parametrize("query", ["method=scorecam", "format=gif", "colormap=rainbow", "opacity=2"])
def test_explain_option_that_does_not_exist_names_those_that_do(client: httpx.Client, query: str) -> None:
    response = client.post(f"/explain?{query}", content=picture_file(0))
    detail = problem(response, 422, "invalid_request")
    assert query.split("=", maxsplit=1)[0] in detail


def test_body_that_never_comes_ends_at_the_deadline(server: str) -> None:
    """A client that stalls in the middle of its upload is told, and holds nothing."""
    address = urlsplit(server)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=30) as connection:
        connection.sendall(
            b"POST /predict?deadline_ms=200 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"
        )
        answer = connection.recv(65536)

    assert answer.startswith(b"HTTP/1.1 504")
    assert b"deadline_exceeded" in answer
