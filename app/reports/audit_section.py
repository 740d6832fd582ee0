"""The shortcut audit as a part of a page.

Audits (of one folder, one for each model that was asked) -> elements
"""

from collections.abc import Mapping, Sequence
from typing import Final

from app.evaluation.audit import Audit
from app.evaluation.shortcuts import Association
from app.explain.rounding import figure
from app.explain.sentence import Language
from app.reports.audit_words import FACT_WORDS, WHAT_WORDS, findings
from app.reports.evaluation_charts import interval_bar, shade
from app.reports.evaluation_words import Words, words_of
from app.reports.html import Child, element, isolated, table
from app.reports.numbers import percent, share
from app.reports.provenance import left_out

MAX_GROUPS: Final = 12
"""Columns of a table on paper."""
MAX_GROUP_ROWS: Final = 48
"""Of the accuracies by group, the lowest."""


def audit_section(
    audits: Sequence[Audit],
    language: Language,
    labels: Mapping[str, str],
    *,
    numbers_file: str,
    has_title: bool = True,
) -> list[Child]:
    """Findings in words, then the tables that they stand on.

    Args:
        audits: at least one; what they say of the folder is the same.
        language: of the words.
        labels: class -> what people read.
        numbers_file: that holds what is too much for a page.
        has_title: whether a heading stands above.
    """
    words = words_of(language)
    parts: list[Child] = [element("h2", words.audit) if has_title else None, element("p", words.audit_note)]
    parts += _findings(audits, language, labels)
    for each in audits[0].associations:
        if len(each.table.columns) > 1:
            parts += _association(each, words, labels, numbers_file)
    for audit in audits:
        if audit.asked is not None:
            parts += _of_model(audit, words, labels, numbers_file, is_named=len(audits) > 1)
    return parts


def warnings(audits: Sequence[Audit], language: Language, labels: Mapping[str, str]) -> list[str]:
    """What must stand at the top of a report, each once."""
    return [text for text, severity in _said(audits, language, labels).items() if severity == "warning"]


def _said(audits: Sequence[Audit], language: Language, labels: Mapping[str, str]) -> dict[str, str]:
    """Every sentence once, with its severity; of several models, what is one's own begins with its name."""
    said: dict[str, str] = {}
    for audit in audits:
        for finding in findings(audit, language, labels):
            is_named = len(audits) > 1 and finding.is_of_model
            text = f"{audit.asked}: {finding.text}" if is_named else finding.text
            said.setdefault(text, finding.severity)
    return said


def _findings(audits: Sequence[Audit], language: Language, labels: Mapping[str, str]) -> list[Child]:
    said = _said(audits, language, labels)
    worrying = [text for text, severity in said.items() if severity == "warning"]
    notes = [text for text, severity in said.items() if severity != "warning"]
    parts: list[Child] = [element("div", text, class_="warning") for text in worrying]
    if not worrying:
        parts.append(element("p", words_of(language).nothing_found))
    if notes:
        parts.append(element("ul", *(element("li", text) for text in notes)))
    return parts


def _association(
    each: Association, words: Words, labels: Mapping[str, str], numbers_file: str
) -> list[Child]:
    fact = FACT_WORDS[words.language][each.fact]
    shown = sorted(range(len(each.table.columns)), key=lambda at: -int(each.table.counts[:, at].sum()))
    shown = sorted(shown[:MAX_GROUPS])
    most = max(int(each.table.counts.max()), 1)
    rows = [
        element(
            "tr",
            element("th", labels.get(name, name), scope="row"),
            *(
                element("td", str(count), style=shade(count / most, is_right=True) if count else None)
                for count in each.table.counts[row][shown].tolist()
            ),
        )
        for row, name in enumerate(each.table.rows)
    ]
    head = [each.table.columns[at] for at in shown]
    return [
        element(
            "h3",
            words.together.format(fact=fact, v=f"{each.cramers_v:.2f}")
            + f", {words.chance}: {percent(each.chance, words.language)}",
        ),
        element(
            "table",
            element(
                "thead", element("tr", element("th"), *(element("th", name, scope="col") for name in head))
            ),
            element("tbody", *rows),
            class_="confusion",
        ),
        left_out(len(each.table.columns) - len(shown), words, numbers_file=numbers_file),
    ]


def _of_model(
    audit: Audit, words: Words, labels: Mapping[str, str], numbers_file: str, *, is_named: bool
) -> list[Child]:
    language = words.language
    parts: list[Child] = [element("h2", audit.asked) if is_named else None]
    parts += _evidence(audit, words, labels)
    if any(each.count for each in audit.painted):
        parts += [
            element("h3", words.painted),
            element("p", words.painted_note, class_="small"),
            table(
                [
                    "",
                    words.looked_at,
                    words.area,
                    words.changed,
                    words.control_changed,
                    words.shift,
                    words.control_shift,
                ],
                [
                    [
                        WHAT_WORDS[words.language][each.what],
                        f"{each.count} / {each.looked_at}",
                        percent(each.area, language),
                        f"{each.changed} ({percent(each.changed / each.count, language)})",
                        f"{each.control_changed} ({percent(each.control_changed / each.count, language)})",
                        figure(each.shift),
                        figure(each.control_shift),
                    ]
                    for each in audit.painted
                    if each.count
                ],
            ),
        ]
    if audit.group_scores:
        parts += [element("h3", words.by_group), *_by_group(audit, words, numbers_file)]
    return parts


def _evidence(audit: Audit, words: Words, labels: Mapping[str, str]) -> list[Child]:
    if audit.places is None:
        return []
    if audit.region is None:
        return [element("h3", words.evidence), element("p", words.no_region, class_="small")]
    region = audit.region
    rows = [
        [
            labels.get(name, name),
            str(place.count),
            "-" if place.share_inside is None else share(place.share_inside, words.language),
            str(place.mostly_outside),
        ]
        for name, place in audit.places.items()
    ]
    note = words.evidence_note.format(x0=region.x0, y0=region.y0, x1=region.x1, y1=region.y1)
    return [
        element("h3", words.evidence),
        element("p", note, class_="small"),
        table([words.class_, words.pictures, words.evidence_inside, words.mostly_outside], rows),
    ]


def _by_group(audit: Audit, words: Words, numbers_file: str) -> list[Child]:
    """The weakest first: it is for them that one looks here."""
    scores = sorted(audit.group_scores, key=lambda each: (each.hits / each.count, -each.count))
    language = words.language
    rows: list[list[Child]] = []
    for each in scores[:MAX_GROUP_ROWS]:
        low, high = each.interval
        rows.append(
            [
                element("span", f"{FACT_WORDS[language][each.fact]}: ", isolated(each.group)),
                str(each.count),
                str(each.hits),
                percent(each.hits / each.count, language),
                interval_bar(low, each.hits / each.count, high, language),
            ]
        )
    return [
        table([words.group, words.pictures, words.right, words.accuracy, "0 - 1"], rows),
        left_out(len(scores) - len(rows), words, numbers_file=numbers_file),
    ]
