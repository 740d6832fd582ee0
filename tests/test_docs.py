"""Documents say what the code does."""

import re
from pathlib import Path

from app.api.explain_query import ExplainQuery
from app.api.problems import STATUS_BY_CODE, TITLES
from app.api.schemas import PredictQuery

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


def test_links_between_documents_lead_somewhere() -> None:
    """Relative links in every Markdown file."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} -> {target}"
