"""Where each model looks, class by class: the mean map over the mean picture, with its centroid.

Survey's looks -> drawings and their numbers
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image

from app.domain import Affine
from app.images.decode import Picture
from app.images.overlay import render_overlay
from app.reports.asked import Asked
from app.reports.charts import marked
from app.reports.explanations import Explanations
from app.reports.html import element, embedded
from app.reports.numbers import pictures, share
from app.reports.survey import Look
from app.reports.words import Words

MAX_LOOKS = 12
"""Answers whose place is drawn; of a thousand classes nobody looks at each."""
_LOOK_WIDTH_PX = 480


def where_section(report: Explanations, words: Words) -> Iterator[Element]:
    """Heading, mean maps, numbers; nothing where no model gives maps."""
    survey = report.survey
    frequency = {
        index: sum(look[index].summary.count for look in survey.looks if index in look)
        for index in range(len(survey.classes))
    }
    indices = sorted((index for index in frequency if frequency[index]), key=lambda index: -frequency[index])
    if not indices:
        return
    kept = sorted(indices[:MAX_LOOKS])
    labels = report.labels(words.language)
    yield element("h2", words.where)
    yield element("p", words.where_text, class_="note")
    if len(kept) < len(indices):
        yield element(
            "p",
            words.where_only.format(count=len(kept), total=len(indices), file=report.numbers_file),
            class_="note",
        )
    for model, looks in zip(report.models, survey.looks, strict=True):
        # Row under row: the eye compares one class down a column.
        yield element(
            "section",
            element("h3", model.name) if len(report.models) > 1 else None,
            element(
                "div",
                *(
                    element(
                        "div",
                        element("h4", words.says.format(label=labels[index])),
                        *_look(looks.get(index), model, labels[index], words),
                        class_="look",
                    )
                    for index in kept
                ),
                class_="looks",
            )
            if model.plan is not None
            else element("p", words.no_map, class_="note"),
            class_="looks-of",
        )


def _look(look: Look | None, model: Asked, label: str, words: Words) -> Iterator[Element]:
    if look is None:
        yield element("p", words.never, class_="small")
        return
    summary = look.summary
    expected = model.bundle.manifest.region_of_interest()
    # A strip of a picture would be lost, or fill the page; the marks are stretched alike.
    aspect = min(max(look.aspect, 0.6), 2.5)
    width, height = _LOOK_WIDTH_PX, round(_LOOK_WIDTH_PX / aspect)
    scene = Image.fromarray(np.rint(look.scene).astype(np.uint8)).convert("RGB")
    rows, columns = summary.mean_map.shape
    drawn = render_overlay(
        Picture(scene.resize((width, height), Image.Resampling.BICUBIC), "PNG"),
        summary.mean_map.astype(np.float32),
        Affine(width / columns, 0.0, height / rows, 0.0),
        (0.0, 0.0, float(width), float(height)),
        media_type="image/jpeg",
        opacity=0.75,
        max_side=max(width, height),
    )
    yield marked(
        embedded(drawn, description=words.mean_map.format(model=model.name, label=label)),
        width / height,
        centroid=summary.centroid,
        spread=summary.centroid_spread,
        expected=expected,
    )
    told = [pictures(summary.count, words.language)]
    if summary.centroid is not None:
        x, y = summary.centroid
        centre = words.where_centre.format(x=f"{x:.2f}", y=f"{y:.2f}")
        if summary.centroid_spread is not None:
            dx, dy = summary.centroid_spread
            centre += words.where_spread.format(dx=f"{dx:.2f}", dy=f"{dy:.2f}")
        told.append(centre)
    if summary.without_evidence:
        told.append(f"{words.no_evidence}: {summary.without_evidence:,}")
    if summary.share_inside is not None:
        told.append(
            words.where_inside.format(
                share=share(summary.share_inside, words.language),
                outside=summary.mostly_outside,
                count=summary.count - summary.without_evidence,
            )
        )
    yield element("p", "; ".join(told), class_="small")
