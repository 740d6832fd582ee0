"""Every knob is checked, documented, and refused when it is unknown."""

import re
from pathlib import Path

import pytest

from app.cli.configuration import configuration_page
from app.errors import SettingsInvalid
from app.settings import Settings, load_settings


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("MAX_QUEUE_ENTRYS", "did you mean LINESIDE_MAX_QUEUE_ENTRIES"),
        ("MODELS", "or LINESIDE_MODEL_REPOSITORY or"),
        ("THREADS", "or LINESIDE_INFERENCE_THREADS?"),
        ("BATCH_SIZE", "did you mean LINESIDE_BATCH_SIZES?"),
        ("XYZ", "known: LINESIDE_BATCH_SIZES, "),
        ("prot", "unknown setting lineside_prot; did you mean LINESIDE_PORT"),
    ],
)
def test_unknown_variable_is_refused_with_the_nearest_known_ones(
    unknown: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A typing error must not silently do nothing, nor a guess be answered with a name that only shares the prefix."""
    prefix = "lineside_" if unknown.islower() else "LINESIDE_"
    monkeypatch.setenv(prefix + unknown, "5")

    with pytest.raises(SettingsInvalid, match=re.escape(meant)):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("PORT", "70000", "LINESIDE_PORT"),
        ("DRAIN_TIMEOUT_S", "inf", "LINESIDE_DRAIN_TIMEOUT_S"),
        ("INFERENCE_THREADS", "99999999999", "LINESIDE_INFERENCE_THREADS"),
        ("MAX_IMAGE_MEGAPIXELS", "500", "LINESIDE_MAX_IMAGE_MEGAPIXELS"),
        ("BATCH_SIZES", "[2,4]", "must hold 1"),
        ("DEFAULT_DEADLINE_MS", "90000", "^LINESIDE_DEFAULT_DEADLINE_MS is above LINESIDE_MAX_DEADLINE_MS"),
        ("MAX_BODY_MIB", "5000", "^LINESIDE_MAX_BODY_MIB is above LINESIDE_MAX_REQUEST_MIB"),
        ("DEFAULT_VERSIONS", "{'a': 1}", "DEFAULT_VERSIONS"),
        ("DEFAULT_VERSIONS", '{"pig-sex": 0}', "^LINESIDE_DEFAULT_VERSIONS.pig-sex: "),
        ("BATCH_SIZES", "1,2,4", r"^LINESIDE_BATCH_SIZES: .* a list is written as \[1, 2, 4\]"),
        ("MAX_QUEUE_MIB", "268435456", "LINESIDE_MAX_QUEUE_MIB"),  # bytes
        ("WORKER_STALL_S", "30000", "LINESIDE_WORKER_STALL_S"),  # milliseconds
        ("SHUTDOWN_GRACE_S", "2000", "LINESIDE_SHUTDOWN_GRACE_S"),
        ("DEFAULT_DEADLINE_MS", "2", "LINESIDE_DEFAULT_DEADLINE_MS"),  # seconds
        ("BATCH_SIZES", "[1, 100000]", "LINESIDE_BATCH_SIZES.1"),
        ("CACHE_UNUSED_DAYS", "0", "LINESIDE_CACHE_UNUSED_DAYS"),
        ("LOG_LEVEL", '"info"', r"""\(it is '"info"'\)"""),  # docker's --env-file keeps quotes
    ],
)
def test_bad_value_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, named: str
) -> None:
    """With what would be right."""
    monkeypatch.setenv(f"LINESIDE_{name}", value)

    with pytest.raises(SettingsInvalid, match=named):
        load_settings()


def test_words_are_read_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere the level is INFO and the engine OpenVINO; an editor of Windows ends lines its own way."""
    monkeypatch.setenv("LINESIDE_LOG_LEVEL", "WARNING\r")
    monkeypatch.setenv("LINESIDE_ENGINE", "OpenVINO")

    assert load_settings().log_level == "warning"
    assert load_settings().engine == "openvino"


def test_environment_is_read_and_options_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """LINESIDE_X, then the command line on top; an option that was not given changes nothing."""
    monkeypatch.setenv("LINESIDE_PORT", "9001")
    monkeypatch.setenv("LINESIDE_BATCH_SIZES", "[1,3]")

    assert load_settings(port=None).port == 9001
    assert load_settings(port=9002).port == 9002
    assert load_settings().batch_sizes == (1, 3)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Compose's ${X:-} makes such. An empty folder was the working folder; an empty host is not every address."""
    monkeypatch.delenv(f"LINESIDE_{name.upper()}", raising=False)
    without = load_settings()

    monkeypatch.setenv(f"LINESIDE_{name.upper()}", "")

    assert load_settings() == without


def test_empty_host_as_an_option_is_refused() -> None:
    """An option was typed by somebody; to a socket, an empty host means every address."""
    with pytest.raises(SettingsInvalid, match="LINESIDE_HOST"):
        load_settings(host="")


def test_every_setting_says_why() -> None:
    """A unit in the name where there is one, a reason under it."""
    silent = [name for name, field in Settings.model_fields.items() if not field.description]

    assert silent == []


def test_configuration_page_is_what_settings_say() -> None:
    """`make docs` writes it anew."""
    page = Path(__file__).parents[1] / "docs" / "configuration.md"

    assert page.read_text("utf-8") == configuration_page()
