"""Dockerfile and compose files, as far as they can be tried without a Docker engine."""

import re
from pathlib import Path

import yaml

from app.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
SERVICE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]["lineside"]


def test_container_takes_settings_from_a_file_that_every_compose_reads() -> None:
    """The short form, which older ones know too, so the file must be there; it sets nothing by itself."""
    assert SERVICE["env_file"] == ["settings.env"]
    lines = (ROOT / "settings.env").read_text("utf-8").splitlines()
    assert all(not line or line.startswith("#") for line in lines)
    for name in re.findall(r"^#(\w+)=", "\n".join(lines), re.MULTILINE):
        assert name.removeprefix(PREFIX).lower() in Settings.model_fields


def test_settings_file_cannot_move_the_server_away_from_its_door() -> None:
    """LINESIDE_PORT in it left a container that was healthy and could not be reached."""
    [port], [models, _] = SERVICE["ports"], SERVICE["volumes"]

    assert port.endswith(f":{SERVICE['environment']['LINESIDE_PORT']}")
    assert models.split(":")[1] == SERVICE["environment"]["LINESIDE_MODEL_REPOSITORY"]
    assert SERVICE["environment"]["LINESIDE_HOST"] == "0.0.0.0"  # noqa: S104 - inside


def test_device_of_the_gpu_container_is_chosen_where_its_address_is() -> None:
    """It beats settings.env, so it must not be a fixed word: a second GPU would ask for another compose file."""
    text = (ROOT / "docker-compose.gpu.yml").read_text("utf-8")

    assert yaml.safe_load(text)["services"]["lineside"]["environment"]["LINESIDE_DEVICE"] == "${DEVICE:-cuda}"


def test_container_keeps_a_bounded_log() -> None:
    """The disk of a box that nobody visits."""
    assert set(SERVICE["logging"]["options"]) == {"max-size", "max-file"}
