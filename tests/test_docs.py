"""Documents say what the code does."""

import json
import re
from pathlib import Path

from app.api.explain_query import ExplainQuery
from app.api.problems import STATUS_BY_CODE, TITLES
from app.api.schemas import PredictionReply, PredictQuery

ROOT = Path(__file__).parents[1]


def test_http_page_lists_every_code_with_its_status() -> None:
    """docs/http.md is what integrators program against."""
    page = (ROOT / "docs" / "http.md").read_text("utf-8")
    listed = {
        code: int(status) for code, status in re.findall(r"^\| `(\w+)` \| (\d{3}) \|", page, re.MULTILINE)
    }

    assert listed == STATUS_BY_CODE
    assert set(TITLES) == set(STATUS_BY_CODE)


def test_http_page_lists_every_parameter() -> None:
    """None is secret."""
    page = (ROOT / "docs" / "http.md").read_text("utf-8")

    for name in {*PredictQuery.model_fields, *ExplainQuery.model_fields}:
        assert f"`{name}`" in page


def test_http_page_shows_an_answer_and_says_what_each_field_means() -> None:
    """An integrator has this page before there is a server."""
    page = (ROOT / "docs" / "http.md").read_text("utf-8")
    (shown,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)

    PredictionReply.model_validate_json(shown)
    for name in json.loads(shown):
        assert f"`{name}`" in page


def test_links_between_documents_lead_somewhere() -> None:
    """Relative links in every Markdown file."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"
