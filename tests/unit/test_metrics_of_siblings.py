"""Several processes on one port: what any of them answers is of all, and no counter ever falls."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from reservation_api.telemetry import names
from reservation_api.telemetry.metrics import Metrics, Reading
from reservation_api.telemetry.names import Kind
from reservation_api.telemetry.readings import FamilyReading, merge, what_lasts
from reservation_api.telemetry.siblings import (
    REMEMBERED_NAMES,
    SILENT_SECONDS,
    FolderOfSiblings,
    _Snapshot,
    keep_what_ended,
    shared_folder,
)

Children = Callable[[int], Metrics]


class NamedSiblings(FolderOfSiblings):
    """A child that has its number for a process id, since all children here are one process."""

    def __init__(self, folder: Path, number: int, pid: int) -> None:
        super().__init__(folder, number)
        self._name = f"{number}-{pid}"


def child(folder: Path, number: int, pid: int = 1) -> Metrics:
    metrics = Metrics()
    metrics.join(NamedSiblings(folder, number, pid))
    return metrics


def value(metrics: Metrics, name: str) -> float:
    reading = metrics.reading(name)
    return 0.0 if reading is None else reading.measurements[0].value


def family(kind: Kind, *series: tuple[tuple[str, ...], list[float]]) -> FamilyReading:
    return FamilyReading("m", kind, "what it is", ("a",), list(series))


@pytest.mark.parametrize(
    ("kind", "together"),
    [(Kind.COUNTER, [5.0]), (Kind.GAUGE, [5.0]), (Kind.PEAK, [3.0])],
)
def test_numbers_of_one_series_add_up_but_for_peaks(kind: Kind, together: list[float]) -> None:
    one, other = family(kind, (("x",), [2.0]), (("y",), [7.0])), family(kind, (("x",), [3.0]))
    (merged,) = merge([[one], [other]])
    assert dict(merged.series) == {("x",): together, ("y",): [7.0]}


def test_histograms_add_up_bucket_by_bucket() -> None:
    one, other = Metrics(), Metrics()
    for metrics, milliseconds in ((one, 3.0), (one, 150.0), (other, 3.0), (other, 99_999.0)):
        metrics.latency_of("GET /x").observe(milliseconds)
    (latency,) = [one for one in merge([one.read(), other.read()]) if one.name == "APILatency"]
    ((labels, (count, total, *buckets)),) = latency.series
    assert (labels, count, total) == (("GET /x",), 4, 100_155.0)
    assert [(at, n) for at, n in enumerate(buckets) if n] == [(2, 2), (10, 1), (16, 1)]


def test_merging_changes_nothing_that_was_merged() -> None:
    one, other = family(Kind.COUNTER, (("x",), [2.0])), family(Kind.COUNTER, (("x",), [3.0]))
    before = msgspec.json.encode([one, other])
    merge([[one], [other]])
    assert msgspec.json.encode([one, other]) == before


def test_of_those_that_are_gone_only_counts_last() -> None:
    assert [one.kind for one in what_lasts([family(kind) for kind in Kind])] == [Kind.COUNTER, Kind.HISTOGRAM]


def test_whoever_is_asked_answers_for_all(tmp_path: Path) -> None:
    first, second = child(tmp_path, 1), child(tmp_path, 2)
    first.requests.inc(3)
    second.requests.inc(4)
    second.share()
    assert value(first, "HTTPRequests") == 7
    assert value(second, "HTTPRequests") == 7
    assert b"http_requests_total 7.0" in first.exposition()
    assert "HTTPRequests" in first.names()


def test_a_counter_never_falls_whichever_process_is_asked(tmp_path: Path) -> None:
    """A child that was killed had last shared when it was asked last."""
    processes = [child(tmp_path, 1), child(tmp_path, 2)]
    shown = 0.0
    for step in range(60):
        processes[step % 2].requests.inc()
        if step % 7 == 3:  # killed, and replaced by one that starts from nothing
            keep_what_ended(tmp_path, 1)
            processes[0] = child(tmp_path, 1, pid=step + 2)
        now = value(processes[(step // 3) % 2], "HTTPRequests")
        assert now >= shown
        shown = now
    assert shown > 40


def test_what_a_dead_child_counted_stays_and_its_gauges_go(tmp_path: Path) -> None:
    dead, alive = child(tmp_path, 1), child(tmp_path, 2)
    dead.requests.inc(3)
    dead.latency_of("GET /x").observe(1.0)
    dead.gauge(names.REQUESTS_IN_FLIGHT).set(5)
    dead.share()
    alive.gauge(names.REQUESTS_IN_FLIGHT).set(2)
    assert value(alive, "RequestsInFlight") == 7

    keep_what_ended(tmp_path, 1)

    assert value(alive, "RequestsInFlight") == 2
    assert (value(alive, "HTTPRequests"), value(alive, "APILatency")) == (3, 1)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != ".") == ["2-1.live", "ended"]


def test_a_child_that_is_read_beside_its_own_end_counts_once(tmp_path: Path) -> None:
    """The parent names it in `ended` before it deletes what the child wrote: both are there for a moment."""
    dead, alive = child(tmp_path, 1), child(tmp_path, 2)
    dead.requests.inc(3)
    dead.share()
    written = (tmp_path / "1-1.live").read_bytes()
    keep_what_ended(tmp_path, 1)
    (tmp_path / "1-1.live").write_bytes(written)
    assert value(alive, "HTTPRequests") == 3


def test_gauges_of_a_child_that_says_nothing_any_more_are_not_shown(tmp_path: Path) -> None:
    hangs, alive = child(tmp_path, 1), child(tmp_path, 2)
    hangs.requests.inc()
    hangs.gauge(names.REQUESTS_IN_FLIGHT).set(5)
    hangs.share()
    alive.gauge(names.REQUESTS_IN_FLIGHT).set(1)
    file = tmp_path / "1-1.live"
    snapshot = msgspec.msgpack.decode(file.read_bytes(), type=_Snapshot)
    aged = msgspec.structs.replace(snapshot, at_seconds=snapshot.at_seconds - SILENT_SECONDS - 1)
    file.write_bytes(msgspec.msgpack.encode(aged))
    assert (value(alive, "RequestsInFlight"), value(alive, "HTTPRequests")) == (1, 1)


def test_children_that_die_again_and_again_leave_one_file(tmp_path: Path) -> None:
    for pid in range(REMEMBERED_NAMES + 20):
        dead = child(tmp_path, 1, pid)
        dead.requests.inc()
        dead.share()
        keep_what_ended(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["ended"]
    ended = msgspec.msgpack.decode((tmp_path / "ended").read_bytes(), type=_Snapshot)
    assert len(ended.names) == REMEMBERED_NAMES
    assert value(child(tmp_path, 2), "HTTPRequests") == REMEMBERED_NAMES + 20


def test_a_folder_that_is_gone_keeps_nobody_from_answering(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = child(tmp_path / "nowhere", 1)
    metrics.requests.inc()
    for _ in range(3):
        assert value(metrics, "HTTPRequests") == 1
    assert len(caplog.records) == 1


def test_the_parents_folder_is_its_own_and_goes_with_it() -> None:
    with shared_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.stat().st_uid == os.getuid()
    assert not folder.exists()


def test_what_processes_have_in_common_does_not_add_up(tmp_path: Path) -> None:
    one = Metrics()
    alone = {name: reading_of(one, name) for name in ("process_start_time_seconds", "process_max_fds")}
    first, second = child(tmp_path, 1), child(tmp_path, 2)
    second.share()
    assert {name: reading_of(first, name) for name in alone} == alone
    memory = reading_of(first, "process_resident_memory_bytes").measurements[0].value
    assert memory > 1.5 * reading_of(one, "process_resident_memory_bytes").measurements[0].value


def reading_of(metrics: Metrics, name: str) -> Reading:
    reading = metrics.reading(name)
    assert reading is not None
    return reading


def test_every_metric_has_a_kind_that_adds_up(tmp_path: Path) -> None:
    metrics: Sequence[FamilyReading] = child(tmp_path, 1).read()
    assert {one.name for one in metrics} >= {metric.name for metric in names.METRICS}
