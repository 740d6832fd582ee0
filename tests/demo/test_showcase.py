"""The docs' pictures are those that the command draws: of paintings, and small."""

from pathlib import Path

from PIL import Image

from app.demo import showcase

DOCS = Path(__file__).resolve().parents[2] / "docs"
MAX_BYTES = 60_000


def test_the_docs_show_what_the_command_draws(tmp_path: Path) -> None:
    """The same files, of the same sizes; their pixels may differ with the libraries' versions."""
    bundle = DOCS.parent / "models" / "carcass-demo" / "1"

    assert showcase.main(["--bundle", str(bundle), "--to", str(tmp_path)]) == 0

    # Those of the reports are pages as a browser shows them: app/demo/report_picture.py, evaluation_picture.py.
    pages = {"report.webp", "evaluation.webp"}
    committed = {path.name: path for path in (DOCS / "img").glob("*.webp") if path.name not in pages}
    drawn = {path.name: path for path in tmp_path.iterdir()}
    assert drawn.keys() == committed.keys()
    page = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("explanations*.md"))
    for name, path in committed.items():
        assert path.stat().st_size < MAX_BYTES
        assert f"(img/{name})" in page
        with Image.open(path) as shown, Image.open(drawn[name]) as now:
            assert shown.size == now.size
