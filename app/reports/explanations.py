"""All that a report of explanations says, before it is a page or JSON."""

from dataclasses import dataclass
from datetime import datetime

from app.reports.asked import Asked
from app.reports.closer import Shown
from app.reports.survey import Survey


@dataclass(frozen=True, slots=True)
class Explanations:
    """All that a report says."""

    folder: str
    """Name of the folder of pictures."""
    made: datetime
    models: tuple[Asked, ...]
    survey: Survey
    shown: tuple[Shown, ...]
    """In the order of the survey's groups."""
    layers: str | None
    """What was asked for."""
    numbers_file: str
    """Name of the JSON file that holds what the page leaves out."""
    notes: tuple[str, ...] = ()

    def labels(self, language: str) -> tuple[str, ...]:
        """What people read, in the order of the report's classes; the first model's words."""
        bundle = self.models[0].bundle
        by_name = dict(zip(bundle.classes, bundle.labels(language), strict=True))
        return tuple(by_name[name] for name in self.survey.classes)
