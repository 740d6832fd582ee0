"""An answer is written without the class that describes it: the two say the same."""

import httpx
import pytest
from support.pictures import picture_file

from app.api.schemas import PredictionReply


@pytest.mark.parametrize("query", ["", "?cam=true", "?top_k=1"])
def test_answer_is_what_its_class_would_write(client: httpx.Client, query: str) -> None:
    """To the byte: names, order, nothing more and nothing less."""
    answer = client.post(f"/predict{query}", content=picture_file(1))

    assert answer.status_code == 200
    assert PredictionReply.model_validate_json(answer.content, strict=True).model_dump_json() == answer.text


def test_answer_has_every_field_of_its_class(client: httpx.Client) -> None:
    """Those that have a default would be filled in above."""
    answer = client.post("/predict?cam=true", content=picture_file(1)).json()
    described = PredictionReply.model_json_schema(by_alias=True)
    parts = described["$defs"]

    assert set(answer) == set(described["properties"])
    assert set(answer["cam"]) == set(parts["PictureReply"]["properties"])
    assert set(answer["timings_ms"]) == set(parts["TimingsReply"]["properties"])
    assert set(answer["top_k"][0]) == set(parts["ClassScoreReply"]["properties"])


def test_names_are_written_as_they_are(client: httpx.Client) -> None:
    """Korean is no escape, and the id is the client's own."""
    answer = client.post("/predict", content=picture_file(1), headers={"X-Request-Id": "a-1"})

    assert answer.json()["id"] == "a-1"
    assert b"\\u" not in answer.content
