"""One picture of a report: the photograph, and beside it what each model says of it and where it looked."""

from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from app.reports.asked import Asked
from app.reports.charts import Bar, bars
from app.reports.closer import Shown, View
from app.reports.html import Child, element, embedded, table
from app.reports.numbers import probability, share, significant
from app.reports.words import Words

TOP = 3
"""Classes whose probability is drawn."""


def card(
    shown: Shown,
    models: Sequence[Asked],
    classes: Sequence[str],
    labels: Sequence[str],
    words: Words,
    *,
    layers: str | None,
) -> Element:
    """One picture; never broken over two sheets of paper.

    Args:
        shown: the picture.
        models: of the report.
        classes: of the report.
        labels: what people read for them.
        words: of the report.
        layers: what was asked for; None: no depths.
    """
    item = shown.seen.item
    by_name = dict(zip(classes, labels, strict=True))
    # One model's words stand beside its map instead of below it: the same three columns.
    pairs = list(zip(models, shown.views, strict=True))
    room = 4 if len(pairs) < 3 else 6  # so that three strips, too, fit on the sheet
    name = f"{item.path.parent.name}/{item.path.name}"
    columns = [element("div", *_photograph(shown, name, labels, words))]
    for number, (model, view) in enumerate(pairs):
        is_right = None if item.true is None else shown.seen.answers[number].predicted == item.true
        map_part, said_part = (
            _map(model, view, words, has_name=len(pairs) > 1),
            list(_said(view, is_right, by_name, words)),
        )
        columns += (
            [element("div", *map_part), element("div", *said_part)]
            if len(pairs) == 1
            else [element("div", *map_part, *said_part)]
        )
    return element(
        "article",
        element("header", element("h3", name, class_="file")),
        element("div", *columns, class_="columns", style=f"--columns: {len(columns)}"),
        element(
            "div",
            *(depths for model, view in pairs for depths in _depths(model, view, words, layers, room)),
            class_="all-depths",
        ),
        class_="card",
    )


def _photograph(shown: Shown, name: str, labels: Sequence[str], words: Words) -> Iterator[Element]:
    yield embedded(shown.picture, description=f"{words.picture}: {name}")
    yield element(
        "div",
        element("span", words.picture),
        element("span", f"{shown.size.width} x {shown.size.height}"),
        class_="under",
    )
    true = shown.seen.item.true
    if true is not None:
        yield element("div", f"{words.truth}: ", element("strong", labels[true]))


def _map(model: Asked, view: View, words: Words, *, has_name: bool) -> list[Element]:
    strongest = words.no_map
    if view.explanation is not None:
        peak = float(view.explanation.map.values.max())
        strongest = words.full_colour.format(value=significant(max(peak, 0.0)))
    if not has_name:
        under = element("div", element("span", model.name), element("span", strongest), class_="under")
    else:
        under = element("div", element("strong", model.name), element("span", strongest), class_="under")
    return [embedded(view.overlay, description=view.sentence or words.no_map), under]


def _said(view: View, is_right: bool | None, labels: dict[str, str], words: Words) -> Iterator[Element]:
    top = view.scores[0]
    mark = None
    if is_right is not None:
        mark = element(
            "span",
            f"✓ {words.right}" if is_right else f"✗ {words.wrong}",
            class_="mark right" if is_right else "mark wrong",
        )
    yield element(
        "div",
        labels[top.class_name],
        element("span", probability(top.probability, words.language), class_="probability"),
        mark,
        class_="said",
    )
    yield bars(
        [
            Bar(
                labels[score.class_name],
                score.probability,
                probability(score.probability, words.language),
                "plain" if at else "strong",
            )
            for at, score in enumerate(view.scores[:TOP])
        ]
    )
    yield element("p", view.sentence or words.no_map, class_="sentence")
    yield element("div", *_facts(view, words), class_="facts")


def _facts(view: View, words: Words) -> Iterator[Element]:
    if view.finding is None:
        return
    told, check, is_exact = view.finding.told, view.finding.cover, view.finding.is_exact
    if check is not None:
        about = words.cover_area.format(area=share(check.area_fraction, words.language))
        if is_exact:
            about += words.cover_adds.format(logit=f"{told[0].contribution:+.2f}")
        yield element("h4", words.cover, element("span", about))
        yield bars(
            [
                Bar(label, value, probability(value, words.language), tone)
                for label, value, tone in (
                    (words.whole, check.probability, "strong"),
                    (words.covered, check.without_region, "plain"),
                    (words.kept, check.only_region, "plain"),
                    (words.random, check.without_random, "plain"),
                )
            ]
        )
    if len(told) > 1 or (told and check is None):
        headers: list[Child] = [words.region, words.share, *([words.adds] if is_exact else [])]
        yield table(
            headers,
            [
                [
                    str(number),
                    share(region.share, words.language),
                    *([f"{region.contribution:+.2f}"] if is_exact else []),
                ]
                for number, region in enumerate(told, start=1)
            ],
            numbers=range(1, len(headers)),
        )


def _depths(model: Asked, view: View, words: Words, layers: str | None, least: int) -> Iterator[Element]:
    """A strip as wide as its share of a row that has room for at least so many; two short ones stand in one row."""
    if layers is None or view.explanation is None:
        return
    if not view.layers:
        yield element("p", words.no_layers.format(model=model.name), class_="note")
        return
    yield element(
        "div",
        element("h4", words.layers.format(model=model.name, method=view.explanation.layers_method)),
        element(
            "div",
            *(
                element(
                    "figure",
                    embedded(each.overlay, description=f"{model.name}: {each.layer}"),
                    element(
                        "figcaption",
                        element("span", each.layer),
                        element("span", f"{words.strongest} {significant(each.peak, 2)}"),
                    ),
                )
                for each in view.layers
            ),
            class_="strip",
        ),
        class_="depths",
        style=f"--columns: {len(view.layers)}; --share: {min(1.0, len(view.layers) / least):.4f}",
    )
