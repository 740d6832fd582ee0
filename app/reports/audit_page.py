"""The page of `lineside audit --out`.

Audit + what it is of -> audit_page -> bytes
"""

from collections.abc import Mapping, Sequence

from app.evaluation.audit import Audit
from app.evaluation.evaluated import ModelFacts
from app.evaluation.predictions import Failure
from app.explain.sentence import Language
from app.reports.audit_section import audit_section
from app.reports.evaluation_words import words_of
from app.reports.html import element, page
from app.reports.numbers import pictures
from app.reports.provenance import lead, model_line, notices, unread

NUMBERS_FILE = "audit.json"


def audit_page(
    audit: Audit,
    folder: str,
    language: Language,
    labels: Mapping[str, str],
    *,
    model: ModelFacts | None,
    failures: Sequence[Failure],
    created: str,
) -> bytes:
    """The whole file.

    Args:
        audit: of the folder, and of the model where one was asked.
        folder: its name.
        language: of the words.
        labels: class -> what people read.
        model: that was asked.
        failures: pictures that could not be read.
        created: a day, such as 2026-01-31.
    """
    words = words_of(language)
    title = words.audit_title.format(folder)
    # The others were only looked at as files: no model decoded them.
    about = words.audit_lead if model is None else words.lead
    return page(
        element(
            "main",
            element("h1", title),
            lead(about.format(pictures=pictures(sum(audit.counts), language), folder=folder), created),
            model_line(model, is_named=True),
            *notices([("" if model is None else model.name, model)], language),
            *audit_section([audit], language, labels, numbers_file=NUMBERS_FILE, has_title=False),
            *unread(failures, words, numbers_file=NUMBERS_FILE),
            element("footer", element("p", words.audit_footer, class_="small")),
        ),
        title=title,
        language=language,
        style="evaluation.css",
    )
