"""One proved bundle on labelled pictures: its answers, its worst mistakes, and what the audit asks of it.

proved bundle + labelled items + the folder's audit -> evaluate -> Evaluated, Audit

Through the server's own decoding, engine, precision and batch sizes. Draws no page and writes no file.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.bundles.problems import listed
from app.bundles.repository import Bundle
from app.domain import Target
from app.engines.base import Engine
from app.errors import InvalidRequest
from app.evaluation.audit import Audit, group_scores
from app.evaluation.evaluated import Evaluated, ModelFacts
from app.evaluation.facts import PictureFacts
from app.evaluation.gallery import gallery
from app.evaluation.groups import GroupOf
from app.evaluation.labelled import LabelledItem, spread
from app.evaluation.metrics import Floats
from app.evaluation.origins import met_before, sides_of
from app.evaluation.predictions import Failure, Limits, Prepared, evidence_place, predict_items
from app.evaluation.prevalence import read_shares
from app.evaluation.robustness import PaintedOver, paint_over
from app.explain.maps import evidence_map, field_of_view
from app.explain.summary import Summary

Tell = Callable[[str, int, int], None]
"""What is being done, how many more of it are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Options:
    """How pictures are asked."""

    limits: Limits
    batch_sizes: tuple[int, ...]
    threads: int | None = None
    max_damaged: float = 0.05
    mistakes: int = 12
    group_of: GroupOf | None = None
    """Pictures that are right or wrong together, such as the views of one animal; None: each by itself."""
    painted: int = 100
    """Pictures that are painted over for the audit; 0: none."""
    prevalence: tuple[str, ...] = ()
    """CLASS=SHARE: how often each class comes on the line; nothing: not said."""


def check_damage(failures: Sequence[Failure], count: int, max_damaged: float) -> None:
    """Raises InvalidRequest where more than this share of `count` pictures cannot be read, or all of them."""
    if failures and (len(failures) > max_damaged * count or len(failures) == count):
        first = failures[0]
        raise InvalidRequest(
            f"{len(failures)} of {count} pictures ({len(failures) / count:.1%}) cannot be read, the first "
            f"{first.item.path.parent.name}/{first.item.path.name}: {first.error.message}; more than "
            f"--max-damaged {max_damaged:g} allows"
        )


def check_groups(group_of: GroupOf | None, facts: Sequence[PictureFacts]) -> None:
    """Raises InvalidRequest where groups were asked for and no picture says one."""
    if group_of is not None and not any(each.group for each in facts):
        raise InvalidRequest(
            "--group-by: no picture of the folder says a group; try it on a name below the folder"
        )


def shares_of(bundle: Bundle, prevalence: Sequence[str], items: Sequence[LabelledItem]) -> Floats | None:
    """(K,): how often each class comes; raises InvalidRequest where the folder does not show one that does."""
    shares = read_shares(prevalence, bundle.classes, bundle.manifest.display)
    if shares is not None:
        shown = np.bincount([item.class_index for item in items], minlength=len(shares)) > 0
        if unseen := [
            name
            for name, share, is_shown in zip(bundle.classes, shares, shown, strict=True)
            if share and not is_shown
        ]:
            raise InvalidRequest(
                f"--prevalence: {listed(unseen)} comes on the line, and no picture of the folder shows what the model calls it"
            )
    return shares


def evaluate(
    bundle: Bundle,
    engine: Engine,
    items: Sequence[LabelledItem],
    facts: Sequence[PictureFacts],
    audit: Audit,
    options: Options,
    tell: Tell,
    *,
    warnings: Sequence[str] = (),
) -> tuple[Evaluated, Audit]:
    """One bundle on labelled pictures, and what the audit can say of it.

    Args:
        bundle: proved on the engine.
        engine: warmed for the batch sizes of the options.
        items: at least one.
        facts: of these items.
        audit: of their folder.
        options: how they are asked.
        tell: told what is being done.
        warnings: of the proof.

    Raises:
        InvalidRequest: more pictures than allowed cannot be read, or `prevalence` is not theirs.
    """
    shares = shares_of(bundle, options.prevalence, items)
    threads = options.threads or os.cpu_count() or 1
    manifest, geometry = bundle.manifest, bundle.geometry
    name = f"{bundle.name}/{bundle.version}"
    summary = Summary(manifest.region_of_interest())

    def where(seen: Prepared, logits: NDArray[np.float32], evidence: NDArray[np.float32]) -> None:
        index = int(logits.argmax())
        found = evidence_map(evidence, logits, Target(class_index=index))
        cells = evidence_place(engine, seen.to_picture).of(found.values, engine.target_layer)
        in_view = field_of_view(engine.input_size, seen.to_picture)
        summary.add(bundle.classes[index], found, cells, seen.picture, field_of_view=in_view)

    def ignored(_seen: Prepared, _logits: NDArray[np.float32], _evidence: NDArray[np.float32]) -> None:
        """The head gives no evidence."""

    predictions = predict_items(
        engine,
        geometry,
        items,
        bundle.classes,
        batch_sizes=options.batch_sizes,
        threads=threads,
        limits=options.limits,
        on_answer=ignored if engine.evidence_kind == "none" else where,
        on_done=lambda done: tell(f"{name}: predicting", done, len(items)),
    )
    check_damage(predictions.failures, len(items), options.max_damaged)
    temperature = manifest.calibration.temperature
    painted: tuple[PaintedOver, ...] = ()
    if sample := spread(predictions.items, options.painted):
        painted = paint_over(
            engine,
            geometry,
            sample,
            temperature=temperature,
            batch_sizes=options.batch_sizes,
            threads=threads,
            limits=options.limits,
            on_done=lambda done: tell(f"{name}: painting over", done, 2 * len(sample)),
        )
    evaluated = Evaluated(
        name=name,
        model=ModelFacts(
            bundle.identity,
            manifest.architecture,
            engine.device,
            engine.precision,
            manifest.title,
            manifest.notice,
            tuple(warnings),
        ),
        predictions=predictions,
        temperature=temperature,
        labels={language: bundle.labels(language) for language in ("en", *manifest.display)},
        mistakes=gallery(
            engine,
            geometry,
            predictions,
            temperature=temperature,
            count=options.mistakes,
            limits=options.limits,
        ),
        met=met_before(sides_of(bundle.folder), (each.digest for each in facts)),
        groups=None if options.group_of is None else _groups(predictions.items, facts),
        shares=shares,
    )
    return evaluated, replace(
        audit,
        asked=name,
        group_scores=group_scores(facts, predictions),
        region=manifest.region_of_interest(),
        places=None if engine.evidence_kind == "none" else summary.classes(),
        painted=painted,
    )


def _groups(items: Sequence[LabelledItem], facts: Sequence[PictureFacts]) -> tuple[str, ...]:
    """(N,)."""
    named = {each.item.path: each.counts_with for each in facts}
    return tuple(named.get(item.path, f"picture {item.path}") for item in items)


def history_path(bundle_folder: Path) -> Path:
    """Where `lineside finetune` writes the curves."""
    return bundle_folder / "training" / "history.csv"
