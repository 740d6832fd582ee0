"""The worst mistakes of an evaluation, drawn: the picture, why it was called so, and what spoke for the truth.

Evaluated, each with its gallery -> elements
"""

from collections.abc import Sequence

from app.evaluation.evaluated import Evaluated
from app.evaluation.gallery import Mistake
from app.reports.charts import colour_scale
from app.reports.evaluation_words import Words
from app.reports.html import Child, element, embedded, isolated
from app.reports.numbers import pictures, probability


def mistakes_section(subjects: Sequence[Evaluated], words: Words) -> list[Child]:
    """Heading, how to read the maps, and each model's surest mistakes."""
    parts: list[Child] = [element("h2", words.mistakes)]
    if any(each.mistakes for each in subjects):
        parts.append(element("p", words.mistakes_note, class_="small"))
    if any(mistake.for_predicted is not None for each in subjects for mistake in each.mistakes):
        parts += [
            element("p", words.colours_note, class_="small"),
            colour_scale(words.no_evidence, words.strongest),
        ]
    for each in subjects:
        if len(subjects) > 1:
            parts.append(element("h3", each.name))
        if each.figures.hits == each.figures.count:
            parts.append(element("p", words.no_mistake.format(pictures(each.figures.count, words.language))))
        parts += [_mistake(mistake, each.labels_in(words.language), words) for mistake in each.mistakes]
    return parts


def _mistake(mistake: Mistake, labels: Sequence[str], words: Words) -> Child:
    true, said = labels[mistake.item.class_index], labels[mistake.predicted_index]
    path = mistake.item.path
    drawn = [
        (mistake.picture, words.picture.format(true)),
        (
            mistake.for_predicted,
            words.why.format(name=said, probability=probability(mistake.probability, words.language)),
        ),
        (
            mistake.for_true,
            words.against.format(
                name=true, probability=probability(mistake.true_probability, words.language)
            ),
        ),
    ]
    return element(
        "section",
        element(
            "header",
            element("b", isolated(f"{path.parent.name}/{path.name}", class_="file")),
            "  ",
            isolated(true),
            " → ",
            isolated(said),
        ),
        *(
            element("figure", embedded(picture, description=caption), element("figcaption", caption))
            for picture, caption in drawn
            if picture is not None
        ),
        class_="mistake",
    )
