"""Every knob: unit in the name, a default, a reason under it. Environment prefix LINESIDE_.

Read at the edges (cli, api, wiring); below them plain values are passed.
"""

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from app.errors import SettingsInvalid

PREFIX = "LINESIDE_"
MEBIBYTE = 1024 * 1024

Mebibytes = Annotated[PositiveInt, Field(le=1024 * 1024)]
"""Up to a tebibyte; more is bytes, written by mistake."""
Seconds = Annotated[PositiveFloat, Field(le=3600)]
"""More is milliseconds."""


class Settings(BaseSettings):
    """The server's configuration."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        # Compose's ${X:-} sets a variable to nothing. Taken for a value, it was the folder `.` or the model ``.
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    model_repository: Path = Path("models")
    """Folder of bundles, `<name>/<version>/`; read at start-up, never written."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address to listen on. Only this machine by default; the container sets 0.0.0.0."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """TCP port; 0 takes any free one."""

    device: str = "auto"
    """auto (CUDA where there is one, else the CPU), cpu, cuda, cuda:N, or several as cuda:0,cuda:1: each model then runs
    on all of them behind one queue."""

    cpu_fallback: bool = True
    """Keep every model on the CPU as well while it runs on CUDA, for when all its devices are lost. Takes its weights'
    memory, and start-up its self-test."""

    engine: Literal["auto", "torch", "openvino"] = "auto"
    """What computes on the CPU. auto: OpenVINO, or torch for a network that OpenVINO cannot express; a CUDA device
    always runs torch. OpenVINO is faster, and the server then needs no torch for predictions."""

    precision: Literal["auto", "float32", "bfloat16", "float16", "int8"] = "auto"
    """What networks compute in. auto: on the CPU int8 for a version made by `lineside quantize`, else bfloat16 where the
    device has it (float16 on CUDA devices before Ampere) and the golden images hold, else float32. float16 is for CUDA,
    int8 for the CPU."""

    layer_maps: Literal["on_demand", "at_start", "off"] = "on_demand"
    """Maps of layers and gradients need torch beside OpenVINO: loaded when first asked for (seconds, 500 MB), at the start,
    or never."""

    cache_folder: Path | None = None
    """Where networks that were converted for OpenVINO are kept, and copies of those that bundles bring (94 MB each for a
    ResNet-50); unset: the user's cache folder, else the temporary one."""

    cache_unused_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    """When a server has loaded its models it deletes from that folder what none has loaded now, and none used for so many
    days. What is wanted again is converted again, which takes some seconds and 1.1 GiB for a ResNet-50."""

    default_model: str | None = None
    """The model that answers when a request names none; unset: the only one there is."""

    default_versions: dict[str, PositiveInt] = {}
    """Version to serve per model when a request names none, as JSON: {"pig-sex": 1}; unset: the highest."""

    require_models: Literal["all", "any"] = "all"
    """Ready when every bundle proved itself (all), or when at least one did (any)."""

    load_threads: PositiveInt = 4
    """Bundles loaded at the same time at start-up; loading is mostly reading and copying."""

    inference_threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Threads of one forward pass on the CPU; unset: one per core that the server may use. In int8 and bfloat16 an even
    number lets two batches at once take half of them each: about an eighth more pictures a second under load, for 80 MB
    more of a ResNet-50 ([adr/0010](adr/0010-two-halves-of-the-cores.md))."""

    image_threads: PositiveInt | None = None
    """Threads that decode, resize and draw, at most; unset: one per core that the server may use. While the engines have
    enough to do, one of them decodes ([adr/0011](adr/0011-one-thread-decodes-ahead.md))."""

    batch_sizes: Annotated[tuple[Annotated[PositiveInt, Field(le=1024)], ...], Field(min_length=1)] = (
        1,
        2,
        4,
        8,
    )
    """The only batch sizes that run; each is warmed before the model is ready, so none stalls later. Larger ones seldom pay
    on a CPU, and 16 holds 65 MB more of a ResNet-50; `lineside tune` finds what pays, such as 32 on a GPU. In int8 and
    bfloat16 on the CPU those above 4 run as 4 ([adr/0014](adr/0014-a-batch-is-ready-behind-two-halves.md))."""

    max_queue_entries: PositiveInt = 128
    """Images per model that may wait or run; above this, requests are refused before their body is read.
    Waiting longer than the line's pitch helps nobody."""

    max_queue_mib: Mebibytes = 256
    """Memory of such images; 128 of 224 x 224 are 18 MiB."""

    max_requests: PositiveInt = 256
    """Requests inside the server, over all models: uploading, decoding, waiting, drawing. More are refused."""

    max_request_mib: Mebibytes = 1024
    """Memory of their bodies and of pictures kept for drawing; a request that needs more is refused."""

    max_body_mib: PositiveFloat = 32.0
    """Largest upload; a 10-megapixel TIFF without compression fits. Larger ones are refused while they are read."""

    max_image_megapixels: Annotated[float, Field(gt=0, le=89)] = 50.0
    """Largest picture, told from its header. Pillow itself stops at 89 megapixels."""

    max_view_megapixels: Annotated[float, Field(gt=0, le=16)] = 1.0
    """Largest whole picture for `view=full`, after the manifest's resizing; twenty times 224 x 224, and as long."""

    max_overlay_side_px: PositiveInt = 1600
    """Overlays of larger pictures are drawn this large; nobody looks at a 50-megapixel heat map."""

    default_deadline_ms: Annotated[int, Field(ge=10)] = 2000
    """From a request's headers to its reply, when it names none; 10 at least. The fastest lines (1,400 an hour) leave 2.6 s."""

    max_deadline_ms: PositiveInt = 60_000
    """The most a request may ask for; a longer wait is a batch job."""

    shutdown_grace_s: Annotated[NonNegativeFloat, Field(le=600)] = 2.0
    """After SIGTERM: not ready at once, but still answering this long, so that a balancer can look away."""

    drain_timeout_s: Seconds = 20.0
    """After the grace: the longest wait for accepted requests before the process ends, rounded up to whole seconds."""

    worker_stall_s: Seconds = 30.0
    """A batch that runs longer than this makes the model not ready: the device hangs."""

    log_format: Literal["json", "text"] = "json"
    """json: one object a line, for machines, times in UTC; text: for a person at a terminal."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe line that is written."""

    @property
    def max_body_bytes(self) -> int:
        """Upload limit in bytes."""
        return int(self.max_body_mib * MEBIBYTE)

    @property
    def max_queue_bytes(self) -> int:
        """Memory bound of a queue in bytes."""
        return self.max_queue_mib * MEBIBYTE

    @property
    def max_request_bytes(self) -> int:
        """Memory bound of requests in bytes."""
        return self.max_request_mib * MEBIBYTE

    @property
    def max_image_pixels(self) -> int:
        """Picture limit in pixels."""
        return int(self.max_image_megapixels * 1_000_000)

    @property
    def max_view_pixels(self) -> int:
        """Limit of a whole picture in pixels."""
        return int(self.max_view_megapixels * 1_000_000)

    @field_validator(
        "engine", "precision", "layer_maps", "require_models", "log_format", "log_level", mode="before"
    )
    @classmethod
    def _in_any_case(cls, value: Any) -> Any:
        """Elsewhere it is INFO and OpenVINO."""
        return value.strip().lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.default_deadline_ms > self.max_deadline_ms:
            raise ValueError(
                "LINESIDE_DEFAULT_DEADLINE_MS is above LINESIDE_MAX_DEADLINE_MS: lower the one or raise the other"
            )
        if self.max_body_mib > self.max_request_mib:
            raise ValueError(
                "LINESIDE_MAX_BODY_MIB is above LINESIDE_MAX_REQUEST_MIB: no such body could ever be read"
            )
        if 1 not in self.batch_sizes:
            raise ValueError("LINESIDE_BATCH_SIZES must hold 1: a lone request runs alone, nothing is padded")
        return self


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment, with keyword overrides on top (None means: not given).

    Raises:
        SettingsInvalid: an unknown LINESIDE_ variable (with the nearest known ones) or a bad value.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for variable in sorted(os.environ):
        name = variable.upper()  # pydantic reads them in any case
        if name.startswith(PREFIX) and name not in known:
            # Without the prefix, which would make any two of them alike.
            names = [other.removeprefix(PREFIX) for other in known]
            near = difflib.get_close_matches(name.removeprefix(PREFIX), names, cutoff=0.5)
            hint = (
                f"; did you mean {' or '.join(PREFIX + other for other in near)}?"
                if near
                else f"; known: {', '.join(sorted(known))}"
            )
            raise SettingsInvalid(f"unknown setting {variable}{hint}")
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        lines = [_wrong(e["loc"], e["msg"].removeprefix("Value error, "), e["input"]) for e in error.errors()]
        raise SettingsInvalid("; ".join(lines)) from error
    except SettingsError as error:
        # Its message names the field; lists and tables are written as JSON.
        name = str(error).partition('"')[2].partition('"')[0]
        raise SettingsInvalid(
            f'{_place(name)}not valid JSON; a list is written as [1, 2, 4], a table as {{"pig-sex": 1}}'
        ) from error


def _wrong(place: tuple[str | int, ...], message: str, given: object) -> str:
    """What was given shows blanks, quotes and the end of a Windows line, which are else looked for in vain."""
    return f"{_place(*place)}{message} (it is {_shown(given)})" if place else message


def _shown(given: object) -> str:
    """As it was written, if it is short."""
    text = repr(given)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _place(name: str | int = "", *inside: str | int) -> str:
    """Before what is wrong: the variable, then what stands in it as it is written."""
    return f"{'.'.join([PREFIX + str(name).upper(), *map(str, inside)])}: " if name else ""
