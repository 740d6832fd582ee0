"""Everything that can go wrong, as nouns of the domain.

LinesideError
├── RequestError            the sender could have avoided it
│   ├── UnreadableImage     truncated, corrupt, not an image
│   ├── UnsupportedImage    an image of a kind that is not accepted
│   ├── ImageTooLarge       more pixels than allowed
│   ├── BodyTooLarge        more bytes than allowed
│   ├── InvalidRequest      a parameter out of range, a missing part
│   ├── UnknownModel        no such model or version
│   └── UnknownClass        no such class in this model
├── Unavailable             try again later, elsewhere
│   ├── QueueFull
│   ├── NotReady
│   └── ShuttingDown
├── DeadlineExceeded        the answer could not be had in time
├── InferenceFailed         ours: the engine raised
├── DeviceLost              a device answers no more; never leaves the batcher
├── BundleRefused           a bundle on disk may not serve
│   ├── ManifestInvalid     the manifest or the folder is wrong
│   ├── WeightsRefused      the weight file is unreadable or does not fit the architecture
│   ├── ExportFailed        the network has no form that runs on this machine's engine
│   └── SelfTestFailed      loaded, but does not answer as it should
├── TrainingRefused         the folder, the configuration or the disk keeps a network from being trained
├── TrainingStopped         ended on request, with everything kept that is needed to go on
└── SettingsInvalid         a knob is unknown or out of range

Status codes live in one table in app/api. Messages name the fix and are shown to the sender, so
they hold no path of this machine; the cause is chained for the log.
"""

from typing import ClassVar


class LinesideError(Exception):
    """Base of all errors that are expected; any other exception is a bug of ours.

    `code` is stable and part of the HTTP contract.
    """

    code: ClassVar[str] = "internal"

    @property
    def message(self) -> str:
        """What happened and how to mend it, fit for the sender."""
        return str(self.args[0]) if self.args else self.code


class RequestError(LinesideError):
    """The sender could have avoided it."""

    code = "invalid_request"


class UnreadableImage(RequestError):
    """Truncated, corrupt, or not an image at all."""

    code = "unreadable_image"


class UnsupportedImage(RequestError):
    """An image, but of a kind that is not accepted."""

    code = "unsupported_image"


class ImageTooLarge(RequestError):
    """More pixels than allowed, told from the header before decoding."""

    code = "image_too_large"


class BodyTooLarge(RequestError):
    """More bytes than allowed, refused while reading."""

    code = "body_too_large"


class InvalidRequest(RequestError):
    """A parameter out of range or a missing part; the message names it."""

    code = "invalid_request"


class UnknownModel(RequestError):
    """No such model or version; the message lists those that exist."""

    code = "unknown_model"


class UnknownClass(RequestError):
    """No such class in this model; the message lists those that exist."""

    code = "unknown_class"


class Unavailable(LinesideError):
    """Nothing wrong with the request; try again after `retry_after_s`."""

    code = "not_ready"

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class QueueFull(Unavailable):
    """The queue is full, or so long that the deadline cannot be met."""

    code = "queue_full"


class NotReady(Unavailable):
    """The model is still loading or was refused."""

    code = "not_ready"


class ShuttingDown(Unavailable):
    """The server drains and takes nothing new."""

    code = "shutting_down"


class DeadlineExceeded(LinesideError):
    """The answer could not be had in time; the work was dropped, not finished for nobody."""

    code = "deadline_exceeded"


class InferenceFailed(LinesideError):
    """The engine raised on this entry; the log has the cause."""

    code = "internal"


class DeviceLost(LinesideError):
    """A device answers no more; its worker is taken out of service and its entries are tried elsewhere."""

    code = "internal"


class BundleRefused(LinesideError):
    """A bundle on disk may not serve; the message is its reason in /models."""

    code = "not_ready"


class ManifestInvalid(BundleRefused):
    """The manifest or its folder is wrong."""


class WeightsRefused(BundleRefused):
    """The weight file is unreadable, unsafe, or does not fit the architecture."""


class ExportFailed(BundleRefused):
    """The network could not be converted for an engine, or its converted form is missing or stale."""


class SelfTestFailed(BundleRefused):
    """It loaded, but the sum rule or the golden images do not hold on this machine."""


class TrainingRefused(LinesideError):
    """The folder, the configuration, the starting weights or the disk are not fit for training."""


class TrainingStopped(LinesideError):
    """Ended on request before its last epoch; the message says how to go on."""


class SettingsInvalid(LinesideError):
    """A knob is unknown or out of range; the message names the nearest known one."""
