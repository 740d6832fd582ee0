"""What the service holds of one request on its way: admitted, seen by the network, explained."""

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from app.domain import Affine, ClassScore, Explanation, ImageFacts, Prediction, Size, Timings
from app.explain.findings import Findings
from app.explain.sentence import Language
from app.images.decode import Picture
from app.serving.batches import Pixels
from app.serving.capacity import Hold
from app.serving.deployment import Deployment
from app.serving.inference import Inference


@dataclass(frozen=True, slots=True)
class Ticket:
    """An admitted request: its model, its clock, its share of the server's memory."""

    id: str
    deployment: Deployment
    started: float
    """time.monotonic() when its headers were in."""
    deadline: float
    """time.monotonic() after which nobody wants the answer."""
    hold: Hold
    """Its share of the server's memory."""
    place: Hold
    """Its place in the model's queue, taken before its body was read; free again once the network saw the picture."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.place.release()
        self.hold.release()


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture after the network."""

    picture: Picture | None
    """None where nobody will draw on it: it would wait in memory, twelve megapixels are 48 MB."""
    image: ImageFacts
    warnings: tuple[str, ...]
    pixels: Pixels
    """What the network took."""
    input_to_picture: Affine
    inference: Inference
    scores: tuple[ClassScore, ...]
    timings: Timings

    @property
    def size(self) -> Size:
        """Of the picture, in pixels."""
        return Size(self.image.height, self.image.width)


@dataclass(frozen=True, slots=True)
class Explained:
    """The answer to one request for an explanation."""

    prediction: Prediction
    explanation: Explanation
    findings: Findings | None
    """None where nobody asked for them."""
    sentences: dict[Language, str]
