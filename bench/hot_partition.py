"""What one key of an index takes, simulated: `python -m bench.hot_partition` writes docs/performance/*.svg.

    command ─▶ table ─▶ queue of a shard's partition ─▶ index entry, 1,000 units a second
                 ▲                   │ full
                 └── throttled ◀─────┘

An index by status has one partition for each status, or one for each shard of it. Adaptive capacity isolates
keys and splits between them; a single key of an index it can not split. When the index does not keep up,
DynamoDB throttles the writes of its table. Writes come as a Poisson process, and a hash spreads them over the
shards: each gets a Poisson process of its own, so that a few of many are simulated and stand for all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

import click
import simpy

from bench.svg import Axis, Curve, chart
from reservation_api.application.capacity.charges import Mix
from reservation_api.application.capacity.lines import Question
from reservation_api.application.capacity.tables import INDEXES_BY_STATUS, hottest, shards
from reservation_api.application.capacity.tariff import default_tariff, measured_cpu
from reservation_api.bootstrap.rehearsal import charges_of

FOLDER: Final = Path(__file__).parents[1] / "docs" / "performance"
PEAK: Final = 30_000
SEATS: Final = 2
PARTITION_UNITS: Final = default_tariff().limits.partition_writes.amount
QUEUE_SECONDS: Final = 1.0
"""How far an index may be behind before its table is throttled. AWS does not say; it moves no knee."""
MOST_SIMULATED: Final = 3
"""Shards; the others are like them."""
SEED: Final = 20261129


@dataclass(slots=True)
class Outcome:
    """What became of the writes of some seconds, of all shards."""

    offered: float
    """Units a second."""
    accepted: float
    lags: list[float]
    """How far each entry was behind its row, in seconds, in the order of their arrival."""

    @property
    def throttled_share(self) -> float:
        """Return the share of writes that the table refused."""
        return 1 - self.accepted / self.offered

    def lag(self, share: float) -> float:
        """Return a quantile of the lags."""
        return sorted(self.lags)[min(len(self.lags) - 1, int(share * len(self.lags)))]


class _Partition:
    """One key of the index: it takes a unit at a time, and its queue is bounded."""

    def __init__(self, env: simpy.Environment, arrivals: Random, units_per_second: float) -> None:
        self._env = env
        self._arrivals = arrivals
        self._rate = units_per_second
        self._free_at = 0.0
        self.offered = 0
        self.lags: list[float] = []
        env.process(self._write())

    def _write(self) -> Any:
        while True:
            yield self._env.timeout(self._arrivals.expovariate(self._rate))
            self.offered += 1
            begins = max(self._env.now, self._free_at)
            if begins - self._env.now > QUEUE_SECONDS:
                continue  # throttled
            self._free_at = begins + 1 / PARTITION_UNITS
            self._env.process(self._keep_up(self._env.now))

    def _keep_up(self, arrived_at: float) -> Any:
        yield self._env.timeout(self._free_at - arrived_at)
        self.lags.append(self._env.now - arrived_at)


def simulate(units_per_second: float, shard_count: int, seconds: float, seed: int = SEED) -> Outcome:
    """Offer so many units a second to a status of an index in so many shards."""
    env = simpy.Environment()
    simulated = min(shard_count, MOST_SIMULATED)
    a_shard = units_per_second / shard_count
    partitions = [_Partition(env, Random(f"{seed} {number}"), a_shard) for number in range(simulated)]
    env.run(until=seconds)
    offered = sum(partition.offered for partition in partitions)
    lags = [lag for partition in partitions for lag in partition.lags]
    return Outcome(units_per_second, units_per_second * len(lags) / max(1, offered), lags)


def expected_throttled_share(units_per_second: float, shard_count: int) -> float:
    """Return what must be refused when all partitions are full: exact but for the knee itself."""
    return max(0.0, 1 - shard_count * PARTITION_UNITS / units_per_second)


def expected_mean_lag(units_per_second: float, shard_count: int) -> float:
    """Return the mean lag below the knee in seconds, by Pollaczek and Khinchine (M/D/1)."""
    load = units_per_second / shard_count / PARTITION_UNITS
    if load >= 1:
        raise ValueError("beyond the knee the queue grows until it is full")
    return (1 + load / (2 * (1 - load))) / PARTITION_UNITS


def peak() -> Question:
    """Return the sale at the document's peak."""
    return Question(PEAK, Mix(), charges_of(SEATS), measured_cpu(), default_tariff())


def throughput_chart(index: str, seconds: float) -> str:
    """Draw requests a second that get through, with one shard and with those planned for the peak."""
    question = peak()
    units, _, status = hottest(question, index)
    a_request, planned = units / PEAK, shards(question, index)
    offered = [
        PEAK * share for share in (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.5, 2)
    ]
    curves = [Curve("all of them", [(rate, rate) for rate in offered], is_dashed=True)]
    for count in (1, planned):
        got = [simulate(rate * a_request, count, seconds).accepted / a_request for rate in offered]
        name = f"N = {count}" + (
            f": knee at {PARTITION_UNITS / a_request:,.0f}" if count == 1 else ": as planned"
        )
        curves.append(Curve(name, list(zip(offered, got, strict=True))))
    return chart(
        f"{index}, {status}: what gets through ({a_request:.2f} units a request)",
        Axis("requests a second of the sale", is_logarithmic=True),
        Axis("requests a second that are not throttled", is_logarithmic=True),
        curves,
    )


def lag_chart(seconds: float) -> str:
    """Draw how far the index is behind, by how full its shards are planned."""
    loads = [0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95]
    runs = [simulate(load * PARTITION_UNITS, 1, seconds) for load in loads]
    shown = list(zip(loads, runs, strict=True))
    return chart(
        "How far an entry is behind its row, by how full a shard is",
        Axis("write units a second, as a share of what one key takes"),
        Axis("milliseconds"),
        [
            Curve("P99", [(load, run.lag(0.99) * 1000) for load, run in shown]),
            Curve("mean", [(load, sum(run.lags) / len(run.lags) * 1000) for load, run in shown]),
            Curve(
                "mean, by formula (M/D/1)",
                [(load, expected_mean_lag(load * PARTITION_UNITS, 1) * 1000) for load in loads],
                is_dashed=True,
            ),
        ],
    )


def document_chart(seconds: float) -> str:
    """Draw the first seconds of the peak on the document's own schema: one partition for each status."""
    question = peak()
    curves = []
    for index, table in INDEXES_BY_STATUS.items():
        units, _, status = hottest(question, index)
        run = simulate(units, 1, seconds)
        share = run.throttled_share
        name = f"{table}, {status}: {units:,.0f} units/s asked, {share:.0%} throttled"
        step = max(1, len(run.lags) // 60)
        at = [(number / PARTITION_UNITS, lag * 1000) for number, lag in enumerate(run.lags)]
        curves.append(Curve(name, at[::step]))
    return chart(
        "The document's schema (N = 1) as 30,000 requests a second begin",
        Axis("seconds"),
        Axis("milliseconds that the index is behind"),
        curves,
    )


def plot_names() -> Mapping[str, str]:
    """Return what each plot shows, by its file's name."""
    return {
        "document-schema-at-30k.svg": "the document's schema at 30,000 requests a second",
        "hot-partition-reservations.svg": "reservations: one shard and the planned ones",
        "hot-partition-outbox.svg": "outbox: one shard and the planned ones",
        "hot-partition-lag.svg": "how far an index is behind, by how full its shards are",
    }


def plots(seconds: float) -> Mapping[str, str]:
    """Return every plot by its file's name; the same for the same seconds."""
    drawn = (
        document_chart(seconds),
        throughput_chart("status-created-index", seconds),
        throughput_chart("status-created_at-index", seconds),
        lag_chart(10 * seconds),
    )
    return dict(zip(plot_names(), drawn, strict=True))


def write(folder: Path, seconds: float) -> Sequence[Path]:
    """Write the plots; return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, drawn in plots(seconds).items():
        (folder / name).write_text(drawn)
        written.append(folder / name)
    return written


@click.command()
@click.option("--seconds", default=2.0, show_default=True, help="Simulated for each point.")
@click.option("--folder", default=FOLDER, type=click.Path(path_type=Path), show_default=False)
def main(seconds: float, folder: Path) -> None:
    """Simulate the indexes by status, and draw what came of it."""
    for path in write(folder, seconds):
        click.echo(path)


if __name__ == "__main__":
    main()
