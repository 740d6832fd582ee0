"""deploy/: what goes beside a server. promtool, systemd-analyze and nginx themselves have tried these files."""

import re
import shlex
from pathlib import Path

import yaml

from app.metrics import Metrics
from app.settings import PREFIX, Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = (DEPLOY / "lineside.service").read_text("utf-8")
NGINX = (DEPLOY / "nginx.conf").read_text("utf-8")


def test_alerts_ask_for_metrics_that_there_are() -> None:
    """A rule on a metric that was renamed is quiet for ever."""
    rules = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text("utf-8"))["groups"][0]["rules"]
    asked = {
        name for rule in rules for name in re.findall(r"\b(?:lineside|process)_[a-z_]+\b", str(rule["expr"]))
    }
    metrics = Metrics()
    there = {metric.name for metric in metrics.registry.collect()}
    endings = r"_(total|bucket)$"

    assert {re.sub(endings, "", name) for name in asked} <= there
    assert "lineside_ready" in asked


def test_every_alert_is_tried_quiet_and_loud() -> None:
    """By `promtool test rules`; here only that none was forgotten."""
    rules = yaml.safe_load((DEPLOY / "prometheus-rules.yml").read_text("utf-8"))["groups"][0]["rules"]
    quiet, _, loud = yaml.safe_load((DEPLOY / "prometheus-rules-test.yml").read_text("utf-8"))["tests"]
    names = [rule["alert"] for rule in rules]

    assert [one["alertname"] for one in quiet["alert_rule_test"]] == names
    fired = loud["promql_expr_test"][0]["exp_samples"]
    assert [re.findall('"(.*)"', one["labels"])[0] for one in fired] == names


def test_unit_names_settings_that_there_are_and_waits_for_the_drain() -> None:
    """Killed before it, accepted requests would be cut off."""
    line = next(line for line in UNIT.splitlines() if line.startswith("Environment="))
    names = [pair.partition("=")[0] for pair in shlex.split(line.removeprefix("Environment="))]
    seconds = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    settings = Settings()

    assert {name.removeprefix(PREFIX).lower() for name in names} <= set(Settings.model_fields)
    assert seconds is not None
    assert int(seconds[1]) > settings.shutdown_grace_s + settings.drain_timeout_s


def test_proxy_leaves_the_limits_to_the_server() -> None:
    """Else it answers in words of its own what the server would have answered better."""
    wait = re.search(r"proxy_read_timeout (\d+)s;", NGINX)

    assert "client_max_body_size 0;" in NGINX
    assert wait is not None
    assert int(wait[1]) * 1000 > Settings().max_deadline_ms
