"""What Prometheus' own tool says of our metrics, rules and example."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.prometheus import RULES, faster, find

from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.names import METRICS, Kind

FOLDER = Path(__file__).parents[2] / "deploy/prometheus"
Promtool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def promtool(capsys: pytest.CaptureFixture[str]) -> Promtool:
    program = find("promtool", capsys)

    def run(*arguments: str, text: str | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [program, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def everything() -> str:
    """Every metric there is, as `/actuator/prometheus` shows it."""
    metrics = Metrics()
    for metric in METRICS:
        labels = ["some"] * len(metric.labels)
        match metric.kind:
            case Kind.COUNTER:
                metrics.counter(metric, *labels).inc()
            case Kind.HISTOGRAM:
                metrics.histogram(metric, *labels).observe(1.5)
            case Kind.GAUGE | Kind.PEAK:
                metrics.gauge(metric, *labels).set(1)
    return metrics.exposition().decode()


def test_our_metrics_are_as_prometheus_wants_them(promtool: Promtool) -> None:
    text = everything()
    assert all(f"# HELP {metric.prometheus}" in text for metric in METRICS)
    checked = promtool("check", "metrics", text=text)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_a_name_that_it_does_not_want_is_found_out(promtool: Promtool) -> None:
    text = everything().replace("api_latency_seconds", "APILatencyMilliseconds")
    assert promtool("check", "metrics", text=text).returncode != 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "--lint-fatal", "rules.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "rules.test.yml"),
    ],
    ids=" ".join,
)
def test_rules_and_example_are_sound(promtool: Promtool, arguments: tuple[str, ...]) -> None:
    *command, file = arguments
    checked = promtool(*command, str(FOLDER / file))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_rules_at_a_higher_pace_are_rules_with_no_minute_left(promtool: Promtool, tmp_path: Path) -> None:
    text = faster(RULES.read_text())
    (tmp_path / "rules.yml").write_text(text)
    assert promtool("check", "rules", str(tmp_path / "rules.yml")).returncode == 0
    assert "m]" not in text
    assert "for: 5m" not in text
