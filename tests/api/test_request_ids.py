"""An id is the client's own where it is a plain word, else a ULID; many of one moment count on from the first."""

import time

import pytest
from ulid import ULID

from app.api.request_ids import Succession, id_among, new_id, request_id


@pytest.mark.parametrize("given", ["line-4", "a" * 128, "01ARZ3NDEKTSV4RRFFQ69G5FAV", "x.y:z_1"])
def test_clients_own_id_is_kept(given: str) -> None:
    assert (
        request_id(given.encode()) == id_among([(b"host", b"x"), (b"x-request-id", given.encode())]) == given
    )


@pytest.mark.parametrize("given", [b"", b"a b", b"a" * 129, b"\xff", b"a\x00", b'"'])
def test_id_that_is_no_plain_word_is_replaced(given: bytes) -> None:
    assert ULID.from_str(id_among([(b"x-request-id", given)]))
    assert ULID.from_str(id_among([]))
    assert request_id(given, lambda: "mine") == request_id(None, lambda: "mine") == "mine"


def test_ids_of_one_moment_are_ulids_that_differ_and_sort_as_they_were_made() -> None:
    before = time.time()
    successive = Succession()
    ids = [successive() for _ in range(5000)]

    assert ids == sorted(set(ids))
    assert all(before - 0.1 < ULID.from_str(one).timestamp < time.time() + 0.1 for one in (ids[0], ids[-1]))
    assert ids[0][:-4] != Succession()()[:-4]
    assert len(new_id()) == len(ids[0]) == 26
