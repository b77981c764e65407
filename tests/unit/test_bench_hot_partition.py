"""The simulation of hot partitions beside the closed forms, and beside the plan."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from bench.fleet import planned_with, predicted_requests_per_second, scale_section
from bench.hot_partition import (
    FOLDER as PLOTS,
)
from bench.hot_partition import (
    PARTITION_UNITS,
    PEAK,
    QUEUE_SECONDS,
    expected_mean_lag,
    expected_throttled_share,
    peak,
    plot_names,
    simulate,
    write,
)
from bench.svg import Axis, Curve, chart

from reservation_api.application.capacity.plan import plan
from reservation_api.application.capacity.tables import hottest, shards


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_below_the_knee_nothing_is_throttled_and_the_lag_is_the_formulas(load: float) -> None:
    outcome = simulate(load * PARTITION_UNITS, 1, 20)
    assert outcome.throttled_share < 0.001
    mean = sum(outcome.lags) / len(outcome.lags)
    assert mean == pytest.approx(expected_mean_lag(load * PARTITION_UNITS, 1), rel=0.1)


@pytest.mark.parametrize("shard_count", [1, 3])
@pytest.mark.parametrize("load", [1.5, 4])
def test_beyond_the_knee_a_shard_gives_what_a_partition_takes(shard_count: int, load: float) -> None:
    units = load * PARTITION_UNITS * shard_count
    outcome = simulate(units, shard_count, 3)
    assert outcome.accepted == pytest.approx(PARTITION_UNITS * shard_count, rel=0.05)
    assert outcome.throttled_share == pytest.approx(expected_throttled_share(units, shard_count), abs=0.02)
    assert max(outcome.lags) <= QUEUE_SECONDS + 2 / PARTITION_UNITS, "who would wait longer is throttled"


def test_the_knee_is_where_the_formula_has_it() -> None:
    assert simulate(0.95 * PARTITION_UNITS, 1, 5).throttled_share < 0.01
    assert simulate(1.3 * PARTITION_UNITS, 1, 10).throttled_share > 0.1
    assert expected_throttled_share(0.95 * PARTITION_UNITS, 1) == 0
    with pytest.raises(ValueError, match="beyond the knee"):
        expected_mean_lag(PARTITION_UNITS, 1)


@pytest.mark.parametrize("index", ["status-created-index", "status-created_at-index"])
def test_at_the_peak_one_shard_throttles_nearly_all_and_the_planned_ones_nothing(index: str) -> None:
    units, _, _ = hottest(peak(), index)
    assert simulate(units, 1, 1.2).throttled_share > 0.9
    planned = simulate(units, shards(peak(), index), 10)
    assert planned.throttled_share < 0.01
    assert planned.lag(0.99) < 0.05, "an entry is there before anybody looks for it"
    assert expected_throttled_share(units, 1) == pytest.approx(1 - PARTITION_UNITS / units)
    assert peak().requests_per_second == PEAK


def test_one_seed_gives_one_outcome() -> None:
    assert simulate(900, 1, 1).lags == simulate(900, 1, 1).lags
    assert simulate(900, 1, 1).lags != simulate(900, 1, 1, seed=1).lags


def test_the_plots_are_written_and_the_same_each_time(tmp_path: Path) -> None:
    first, again = write(tmp_path / "first", 0.05), write(tmp_path / "again", 0.05)
    assert [path.name for path in first] == [path.name for path in again]
    assert "document-schema-at-30k.svg" in {path.name for path in first}
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert ET.fromstring(one.read_text()).tag.endswith("svg")


def test_the_section_has_every_line_and_every_plot_and_takes_what_was_measured() -> None:
    section = scale_section({"hold": 200, "get": 100})
    for line in plan(planned_with({"hold": 200, "get": 100})):
        assert f"| {line.what} |" in section
        assert line.must is None or f"- {line.what}: {line.must}" in section
    assert "6,000 hold \N{MULTIPLICATION SIGN} 200" in section
    for name in plot_names():
        assert f"(performance/{name})" in section
        assert (PLOTS / name).exists(), "python -m bench.hot_partition"


def test_two_processes_are_predicted_to_take_twice_what_one_does() -> None:
    same = planned_with(dict.fromkeys(("hold", "get", "confirm", "cancel"), 100.0))
    assert predicted_requests_per_second(same, 2) == pytest.approx(2 * 10_000)
    assert planned_with() == peak()


def test_a_chart_shows_each_curve_by_name_and_place() -> None:
    curves = [Curve("a & b", [(0, 0), (10, 5)]), Curve("c", [(10, 0)], is_dashed=True)]
    drawn = ET.fromstring(chart("title", Axis("x"), Axis("y"), curves))
    lines = drawn.findall("{*}polyline")
    assert [line.get("points") for line in lines] == ["80.0,340.0 696.0,44.0", "696.0,340.0"]
    assert [line.get("stroke-dasharray") for line in lines] == [None, "6 4"]
    assert {"a & b", "c", "title", "x", "y"} <= {text.text for text in drawn.findall(".//{*}text")}
    with pytest.raises(ValueError, match="no points"):
        chart("title", Axis("x"), Axis("y"), [])
