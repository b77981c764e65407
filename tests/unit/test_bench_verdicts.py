"""What the benchmark computes: saturation, calibration, verdicts, the document. Nothing is timed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bench import document, records
from bench.calibration import slowness, yardsticks
from bench.charts import charts
from bench.measure import Cost, Reading, Times
from bench.records import Record, load, record, save
from bench.saturation import DISTURBED, KEPT_UP, NeverSaturatedError, find_saturation, first_guess
from bench.scale import FULL, QUICK
from bench.sections.common import Peak
from bench.sections.floor import Floor
from bench.sections.growth import Growth
from bench.sections.latency import SHARES, Curve, Latency, Step
from bench.sections.overload import FACTORS, Load, Overload
from bench.sections.peers import OURS, PEER, Peers
from bench.sections.sellout import QTY, SEATS, Event, SellOut
from bench.sections.soak import Slice, Soak
from bench.sections.telemetry import Pairs, Telemetry
from bench.sections.workers import ONE, TWO, Workers
from bench.verdicts import Verdict, cores, verdicts

TIMES = Times(p50=10.0, p95=20.0, p99=30.0, p999=40.0, max=50.0)


def reading(name: str = "sale", microseconds: float = 900.0, p95: float = 20.0, **other: Any) -> Reading:
    times = msgspec.structs.replace(TIMES, p95=p95)
    made = Reading(
        name=name,
        rate=100.0,
        planned=1000,
        answered=1000,
        good=1000,
        expected=1000,
        is_valid=True,
        statuses={"200": 1000},
        seconds=10.0,
        user=microseconds * 0.75,
        system=microseconds * 0.25,
        latency=times,
        accepted=times,
        lag_p99=0.5,
        others=0.01,
        stolen=0.0,
        generator=0.4,
    )
    return msgspec.structs.replace(made, **other)


def costs(**medians: float) -> dict[str, Cost]:
    return {name: Cost(median, median - 5, median + 5) for name, median in medians.items()}


FLOOR = Floor(granian=Peak(5000.0, 63.0, 0.15), nginx=Peak(9000.0, 34.0, 0.15))
PEERS = Peers(
    costs={
        OURS: costs(hold=580.0, get=290.0, confirm=1200.0, cancel=900.0, sale=500.0),
        PEER: costs(hold=5700.0, get=2000.0, confirm=9000.0, cancel=8000.0, sale=3000.0),
    },
    rounds={OURS: [reading()], PEER: [reading()]},
    peaks={OURS: Peak(900.0, 500.0, 0.5), PEER: Peak(150.0, 3000.0, 0.5)},
)
WORKERS = Workers(
    costs={ONE: costs(hold=600.0, sale=500.0), TWO: costs(hold=630.0, sale=520.0)},
    rounds={},
    single_peaks={
        name: Peak(1.0, price, 0.4)
        for name, price in {"hold": 600.0, "get": 300.0, "confirm": 1200.0, "cancel": 800.0}.items()
    },
    peak=Peak(1800.0, 430.0, 0.8),
    ready_seconds={"AWS": [0.7, 0.9, 0.8], "embedded": [1.2, 1.3, 1.1]},
    resident=[70.0, 71.0],
    proportional=[50.0, 51.0],
)
STEPS = [Step(share, reading(p95=100 * share)) for share in SHARES]
LATENCY = Latency(
    {
        "sale": Curve("AWS", Peak(900.0, 500.0, 0.5), STEPS),
        "replay": Curve("embedded", Peak(700.0, 600.0, 0.5), STEPS, answered_differently=0),
    }
)
OVERLOAD = Overload(Peak(900.0, 500.0, 0.5), [Load(factor, reading(p95=90.0), 1000) for factor in FACTORS])
SELLOUT = SellOut(100, 50_000, 50_000, 0, refusals=5000, false_refusals=50, busy=0, seconds=50.0)
GROWTH = Growth(
    10_000_000, 5_000_000_000, 100.0, {"empty": costs(hold=600.0), "full": costs(hold=700.0)}, rounds={}
)
SOAK = Soak(10.0, {"AWS": [Slice(reading(), 70.0) for _ in range(10)]})
TELEMETRY = Telemetry(
    {
        "a look": Pairs(told=[90.0, 70.0, 64.0], untold=[60.0, 56.0, 50.0]),
        "a hold": Pairs(told=[120.0, 99.0, 110.0], untold=[60.0, 66.0, 70.0]),
    }
)
FOUND: dict[str, Any] = {
    "floor": FLOOR,
    "peers": PEERS,
    "telemetry": TELEMETRY,
    "latency": LATENCY,
    "overload": OVERLOAD,
    "sellout": SELLOUT,
    "growth": GROWTH,
    "workers": WORKERS,
    "soak": SOAK,
}


def verdict(found: dict[str, Any], words: str) -> Verdict:
    """Return the one verdict whose aim has these words."""
    (one,) = [one for one in verdicts(found) if words in one.aim]
    return one


class Capacity:
    """A server that does so much and no more; `lost` is what it loses for each request beyond."""

    def __init__(self, most: float, lost: float = 0.0) -> None:
        self.most, self.lost, self.offers = most, lost, list[float]()

    async def __call__(self, rate: float) -> float:
        self.offers.append(rate)
        return rate if rate <= self.most else self.most - self.lost * (rate - self.most)


@pytest.mark.parametrize("guess", [100.0, 400.0, 900.0])
async def test_saturation_is_found_from_a_guess_far_below_and_near(guess: float) -> None:
    assert await find_saturation(Capacity(1000.0), guess) == pytest.approx(1000.0, rel=1 - KEPT_UP)


async def test_a_server_that_loses_by_overload_is_judged_by_its_best() -> None:
    capacity = Capacity(1000.0, lost=0.5)
    assert await find_saturation(capacity, 740.0) == capacity.offers[0] == pytest.approx(962.0)
    assert len(capacity.offers) == 2


async def test_an_offer_that_was_disturbed_is_made_again() -> None:
    answers = iter([DISTURBED * 130 - 1, 125.0, 140.0])

    async def offer(_: float) -> float:
        return next(answers)

    assert await find_saturation(offer, 100.0) == 140.0


async def test_a_server_that_always_keeps_up_has_no_saturation() -> None:
    with pytest.raises(NeverSaturatedError):
        await find_saturation(Capacity(1e12), 1.0)


def test_a_guess_is_the_share_of_a_core_over_the_price() -> None:
    assert first_guess(0.5, 1000.0) == 500.0


def test_the_median_of_rounds_is_their_cost() -> None:
    assert Cost.of([reading(microseconds=figure) for figure in (300, 100, 200)]) == Cost(200, 100, 300)


def test_the_yardstick_that_flatters_least_says_how_slow_the_machine_is() -> None:
    found = yardsticks(FLOOR, PEERS)
    assert [round(one.factor, 1) for one in found] == [5.0, 3.0, 6.0]
    assert slowness(found) == 3.0
    assert slowness(yardsticks(Floor(FLOOR.granian, None), None)) == 3.0
    assert slowness([]) is None


@pytest.mark.parametrize(
    ("words", "measured", "is_met"),
    [
        ("a hold on AWS", "580 us", False),
        ("a get on AWS", "290 us", False),
        ("a fleet", "25.0 vCPU", False),
        ("a core: at least", "6.0 times", True),
        ("unsampled request, a look", "14.0 us", True),
        ("unsampled request, a hold", "40.0 us", False),
        ("port, hold", "+5.0%", True),
        ("the model", "1826/s predicted, 1800/s measured: +1.5%", True),
        ("ready in less than 1 s, AWS", "0.80 s", True),
        ("ready in less than 1 s, embedded", "1.20 s", False),
        ("sale: P95", "80.0 ms", True),
        ("replay: every", "0 answered differently", True),
        ("10,000,000 reservations", "1.17 times", True),
        ("CPU a request at most 1.25", "1.00 times", True),
        ("memory flat", "1.000 times", True),
        ("sold out", "50,000 of 50,000 sold, 0 twice", True),
        ("false refusals", "1.00% of 5,000", True),
        ("goodput, orders a second, at least", "100%", True),
        ("P95 of accepted", "90 ms", True),
    ],
)
def test_each_aim_is_judged_by_its_figure(words: str, measured: str, is_met: bool) -> None:  # noqa: FBT001
    one = verdict(FOUND, words)
    assert (one.measured, one.is_met) == (measured, is_met)


def test_absolute_aims_are_normalised_beside_the_raw_verdict() -> None:
    hold, get = verdict(FOUND, "a hold on AWS"), verdict(FOUND, "a get on AWS")
    assert (hold.word, hold.normalised_word) == ("**missed**", "193.3 us: met")
    assert get.normalised_word == "96.7 us: met"
    assert verdict(FOUND, "unsampled request, a hold").normalised_word == "13.3 us: met"
    assert verdict(FOUND, "a core: at least").normalised_word == ""


def test_what_telemetry_costs_is_the_median_of_pairs_and_shown_with_its_spread() -> None:
    text = document.render({"telemetry": kept("telemetry")}, [])
    row = next(line for line in text.splitlines() if line.startswith("| a hold"))
    assert [cell.strip() for cell in row.split("|")[2:-1]] == ["110.0", "66.0", "40.0", "33.0 to 60.0", "3"]


def changed(section: str, **fields: Any) -> dict[str, Any]:
    return {**FOUND, section: msgspec.structs.replace(FOUND[section], **fields)}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (changed("sellout", sold=49_999), "sold out"),
        (changed("sellout", sold_twice=1), "sold out"),
        (changed("sellout", false_refusals=51), "false refusals"),
        (changed("growth", costs={"empty": costs(hold=500.0), "full": costs(hold=630.0)}), "10,000,000"),
        (changed("workers", costs={ONE: costs(hold=600.0), TWO: costs(hold=500.0)}), "port, hold"),
        (changed("workers", peak=Peak(1500.0, 430.0, 0.8)), "the model"),
        (changed("overload", loads=[Load(1.0, reading(), 1000), Load(2.0, reading(), 899)]), "goodput"),
        (changed("overload", loads=[Load(2.0, reading(p95=120.0), 1000)]), "P95 of accepted"),
        (changed("soak", slices={"AWS": [Slice(reading(), 70.0 + 2 * n) for n in range(10)]}), "memory flat"),
        (
            changed(
                "soak", slices={"AWS": [Slice(reading(microseconds=900 + 40 * n), 70) for n in range(10)]}
            ),
            "CPU a request at most 1.25",
        ),
        (
            changed("latency", curves={"get": Curve("AWS", FLOOR.granian, [Step(0.8, reading(p95=120))])}),
            "get: P95",
        ),
        (
            changed(
                "latency",
                curves={"replay": msgspec.structs.replace(LATENCY.curves["replay"], answered_differently=1)},
            ),
            "replay: every",
        ),
    ],
)
def test_an_aim_that_is_missed_is_called_missed(found: dict[str, Any], words: str) -> None:
    assert verdict(found, words).word == "**missed**"


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert {one.word for one in verdicts({})} == {"not measured"}


def test_a_fleet_is_the_rate_times_the_price_over_the_utilisation() -> None:
    assert cores(240.0, rate=30_000, utilisation=0.6) == pytest.approx(12.0)


def test_the_scale_model_adds_the_mix_up_from_its_parts() -> None:
    assert WORKERS.predicted == pytest.approx(
        0.8 * 1_000_000 / (0.7 * 300 + 0.2 * 600 + 0.07 * 1200 + 0.03 * 800)
    )


def test_a_refusal_is_false_only_if_enough_seats_were_free_until_its_answer() -> None:
    holds = SEATS // QTY
    one_left = Event("e", held_at=[float(n) for n in range(holds - 1)] + [500.0], refused_at=[400.0])
    assert one_left.false_refusals == 1
    assert replace(one_left, refused_at=[500.0]).false_refusals == 0


def kept(name: str, error: str | None = None) -> Record:
    return record(name, FULL, 12.0, FOUND[name] if error is None else error)


def test_records_are_read_as_they_were_kept(tmp_path: Path) -> None:
    for name in FOUND:
        save(kept(name), tmp_path)
    assert {name: one.found for name, one in load(tmp_path).items()} == FOUND


def test_a_failure_is_shown_and_an_earlier_result_outlasts_it(tmp_path: Path) -> None:
    save(kept("floor"), tmp_path)
    save(kept("floor", "it hung"), tmp_path)
    assert load(tmp_path)["floor"].error == "it hung"
    assert "**Failed: floor.**\n\n```\nit hung\n```" in document.render(load(tmp_path), [])
    (tmp_path / "floor.failed.json").unlink()
    assert load(tmp_path)["floor"].found == FLOOR


def test_the_document_has_a_chapter_a_table_and_pictures_for_each_section(tmp_path: Path) -> None:
    document.write({name: kept(name) for name in FOUND}, tmp_path / "p.md", tmp_path / "pictures")
    text = (tmp_path / "p.md").read_text()
    assert text.count("\n## ") == len(records.SECTIONS) + 3
    assert "| a hold on AWS, telemetry on: at most 200 us CPU" in text
    assert "smoke run" not in text
    assert {picture.name for picture in (tmp_path / "pictures").iterdir()} == set(charts(FOUND))
    assert all(f"(performance/{name})" in text for name in charts(FOUND))


def test_what_is_missing_or_too_short_is_said_at_the_top() -> None:
    text = document.render({"floor": msgspec.structs.replace(kept("floor"), scale=QUICK)}, [])
    assert "smoke run" in text
    assert "**Not run: soak.**" in text


def test_answers_that_a_workload_is_not_about_are_said_at_the_top() -> None:
    bad = reading("get", is_valid=False, statuses={"503": 1000})
    peers = msgspec.structs.replace(PEERS, rounds={OURS: [bad, reading()]})
    text = document.render({"peers": record("peers", FULL, 1.0, peers)}, [])
    assert (
        "**In peers, 1 readings have other answers than they are about: get at 100/s: {'503': 1000}.**"
        in text
    )
