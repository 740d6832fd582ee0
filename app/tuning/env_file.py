"""The chosen settings as a file of environment variables, with what was measured beside each.

Recommendation + Measured -> settings -> text

Read alike by `env_file` of docker compose, `docker run --env-file` and a shell (`set -a; . ./lineside.env`): comments have
lines of their own, and values need no quotes, since each of these readers treats quotes in another way. Pure.
"""

from collections.abc import Iterator

from app.settings import PREFIX
from app.tuning.choosing import LEAST_GAIN, Limits, Recommendation
from app.tuning.doubts import doubts
from app.tuning.measured import Measured, Row
from app.tuning.words import counted

_LEAST_GAIN = f"{100 * (LEAST_GAIN - 1):.0f} %"


def settings_of(chosen: Recommendation, measured: Measured) -> dict[str, str]:
    """Names of `app.settings.Settings` -> values as the environment writes them."""
    return {name: value for name, value, _ in _lines(chosen, measured)}


def env_text(chosen: Recommendation, measured: Measured, limits: Limits) -> str:
    """The file."""
    here = measured.here
    versions = ", ".join(f"{name} {version}" for name, version in here.made_with.items())
    head = [
        f"# Made by `lineside tune {measured.name}` on {here.date}; measure again on another machine or for another model.",
        f"# Model:    {measured.name} version {measured.version}",
        f"# Machine:  {here.title}",
        f"# Versions: {versions}",
        f"# Measured: in {measured.seconds:.0f} s, each figure the median of at least {counted(measured.fewest_passes, 'pass', 'passes')}; "
        f"{counted(measured.pictures.pictures, 'picture')}",
        f"# Expected: {chosen.server_per_s:.1f} images/s of the whole server in batches of {chosen.batch_size}, "
        f"a lone forward pass {chosen.lone_s * 1000:.1f} ms",
        f"# The queue is for the default deadline of {limits.deadline_s:g} s.",
        *(f"# Caution:  {doubt}" for doubt in doubts(measured)),
    ]
    body = [
        f"\n# {comment}\n{PREFIX}{name.upper()}={value}" for name, value, comment in _lines(chosen, measured)
    ]
    return "\n".join([*head, *body]) + "\n"


def _lines(chosen: Recommendation, measured: Measured) -> Iterator[tuple[str, str, str]]:
    """(name, value, comment), each without line breaks."""
    configuration, pictures = chosen.configuration, measured.pictures
    row = next(row for row in measured.rows if row.configuration == configuration)
    model = f"{measured.name} version {measured.version}"
    yield "device", measured.here.device, f"What was measured: {measured.here.device_name}."
    yield (
        "engine",
        chosen.engine_setting,
        f"{_which(chosen.engine_setting, configuration.runtime)}: {chosen.engine_per_s:.1f} images/s by itself in batches of "
        f"{chosen.batch_size}.",
    )
    yield (
        "precision",
        chosen.precision_setting,
        f"{_which(chosen.precision_setting, configuration.precision)} for {model}; {_golden(row)}.",
    )
    if configuration.threads is not None:
        yield (
            "inference_threads",
            str(configuration.threads),
            f"Of {counted(measured.here.cores, 'core')}, which decoding and the event loop need too.",
        )
    yield (
        "image_threads",
        str(chosen.image_threads),
        f"Decoding takes {pictures.decode.median_s * 1000:.1f} ms and geometry {pictures.geometry.median_s * 1000:.1f} ms of a "
        "thread for each picture.",
    )
    yield (
        "batch_sizes",
        f"[{','.join(map(str, chosen.batch_sizes))}]",
        f"Of {', '.join(map(str, row.timings))}: "
        + (
            f"each raises images/s by at least {_LEAST_GAIN} over the one before, and is answered in time."
            if len(chosen.batch_sizes) > 1
            else f"no larger one raises images/s by {_LEAST_GAIN} and is answered in time."
        ),
    )
    yield (
        "max_queue_entries",
        str(chosen.max_queue_entries),
        "So many can be answered within the default deadline; a later one is refused at once."
        if not chosen.queue_is_capped
        else "As many as LINESIDE_MAX_REQUESTS and LINESIDE_MAX_QUEUE_MIB let in; more could be answered in time.",
    )


def _which(setting: str, taken: str) -> str:
    return f"auto takes {taken}" if setting == "auto" else f"{taken}, which auto would not take"


def _golden(row: Row) -> str:
    if row.golden_difference is None:
        return "it has no golden images, so no lower precision may be taken"
    return f"the golden images hold, the largest difference of a probability is {row.golden_difference:.1e}"
