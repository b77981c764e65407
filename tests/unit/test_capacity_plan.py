"""What a plan says, reckoned again by hand."""

import logging
from dataclasses import replace
from functools import cache
from math import ceil
from typing import Final

import pytest

from reservation_api.application.capacity.charges import Mix, mix_of
from reservation_api.application.capacity.costs import costs_of_a_million
from reservation_api.application.capacity.lines import Line, Question
from reservation_api.application.capacity.plan import plan
from reservation_api.application.capacity.processes import requests_per_second_per_core, vcpus
from reservation_api.application.capacity.tables import shards, units, warm
from reservation_api.application.capacity.tariff import default_tariff, measured_cpu
from reservation_api.application.relay import GATHER_SECONDS
from reservation_api.bootstrap.counting import MOVE, MoveLine
from reservation_api.bootstrap.rehearsal import charges_of
from reservation_api.entrypoints.workers import background
from reservation_api.telemetry.logs import JsonFormatter, StructRecord
from reservation_api.telemetry.request_line import REQUEST, RequestLine

SUBJECT: Final = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
CPU: Final = "hold=200us,get=100us,confirm=300us,cancel=150us,expire=250us"


@cache
def question(rps: float = 30_000, mix: str = "", seats: int = 2) -> Question:
    cpu = measured_cpu().overridden(CPU)
    return Question(rps, mix_of(mix) if mix else Mix(), charges_of(seats), cpu, default_tariff())


def line(what: str, asked: Question | None = None) -> Line:
    (found,) = [one for one in plan(asked or question()) if one.what == what]
    return found


def test_vcpus_are_the_cpu_of_all_requests_over_the_share_of_a_core_in_use() -> None:
    # A second has 6,000 holds, 2,100 confirms, 900 cancels and 21,000 gets; 3,000 holds expire.
    used = (6000 * 200 + 2100 * 300 + 900 * 150 + 21_000 * 100) / 1e6
    assert vcpus(question()) == (ceil(used / 0.6), ceil(3000 * 250 / 1e6 / 0.6))
    assert vcpus(replace(question(), utilisation_percent=100)) == (ceil(used), 1)
    assert requests_per_second_per_core(question()) == pytest.approx(30_000 / used)
    assert line("API: tasks").amount == ceil(ceil(used / 0.6) / 4)


def test_units_are_those_of_each_request_times_its_rate() -> None:
    writes = units(question(), "write")
    assert writes["orders"][0] == 2100 * 4
    assert writes["outbox"][0] == 3 * 6000 + 7 * 2100 + 6 * 900 + 6 * 3000
    assert writes["outbox"][1] == (
        "6,000 hold \N{MULTIPLICATION SIGN} 3 + 2,100 confirm \N{MULTIPLICATION SIGN} 7"
        " + 900 cancel \N{MULTIPLICATION SIGN} 6 + 3,000 expire \N{MULTIPLICATION SIGN} 6"
    )
    assert units(question(), "read")["reservations"][0] == 21_000 + 2100 + 900 + 3000


def test_a_refused_hold_takes_a_read_and_no_write() -> None:
    refused = question(1000, "refused_hold=100")
    assert {name: amount for name, (amount, _) in units(refused, "write").items() if amount} == {}
    assert units(refused, "read")["idempotency"][0] == 1000
    with pytest.raises(ValueError, match="without holds"):
        costs_of_a_million(refused)


def test_twice_the_rate_takes_twice_the_units() -> None:
    once, twice = units(question(15_000), "write"), units(question(30_000), "write")
    assert {name: 2 * amount for name, (amount, _) in once.items()} == {n: a for n, (a, _) in twice.items()}


def test_only_what_a_new_table_does_not_stand_is_warmed() -> None:
    assert warm(question(1000)) == {}
    assert line("none", question(1000)).section == "warm throughput"
    warmed = warm(question())
    assert warmed["reservations"] == (27_000, 28_200)
    assert warmed["orders"] == (12_000, 8400), "both numbers, the lesser as a new table has it"
    assert "event-created-index" not in warmed
    assert line("reservations, reads").amount == 27_000
    assert "28,200 writes and 27,000 reads" in str(line("reservations, writes").must)


def test_shards_keep_the_hottest_status_at_four_fifths_of_a_partition() -> None:
    assert shards(question(), "status-created_at-index") == 36_000 // 800
    assert shards(question(), "status-created-index") == ceil((6000 + 2 * 2100 + 900 + 3000) / 800)
    setting = line("APP_STATUS_SHARDS")
    assert (setting.amount, setting.must) == (45, "set APP_STATUS_SHARDS=45")
    assert line("APP_STATUS_SHARDS", question(100)).must is None
    assert "goes to 100" in str(line("APP_STATUS_SHARDS", question(100_000)).must)


def test_one_event_takes_a_thousand_orders_a_second() -> None:
    found = line("event-created-index: events that must share the orders")
    assert found.amount == 3
    assert "1,000 orders a second" in str(found.must)
    assert line(found.what, question(10_000)).must is None


def test_quotas_that_the_peak_passes_are_to_be_raised_and_others_are_not() -> None:
    assert line("write units of outbox").must == "have the quota raised: from 40,000 to 56,100 units/s"
    assert line("write units of orders").must is None
    assert line("calls of targets").must == "have the quota raised: from 1,100 to 12,000 invocations/s"
    assert line("event processors at once").amount == pytest.approx(120)
    assert line("event processors at once").must is None
    assert line("PutEvents", question(100)).must is None


def test_ten_events_share_a_call_of_a_busy_process() -> None:
    # 8 processes, 1,500 events a second each: 75 come while the relay waits, and go ten at a time.
    assert line("PutEvents").amount == 1200
    # One API process and a worker: 400 events a second, so fewer than ten within that time.
    assert line("PutEvents", question(100)).amount == pytest.approx(40 / max(1, 20 * GATHER_SECONDS))
    assert line("PutEvents", question(300)).amount == pytest.approx(120 / (60 * GATHER_SECONDS))


def test_workers_ask_as_often_as_the_tariff_says() -> None:
    polls = 1 / background.EXPIRY_PAUSE_SECONDS + 4 / background.RELAY_PAUSE_SECONDS
    polls += 2 / background.MEASURE_PAUSE_SECONDS
    assert question().tariff.assumed.polls_per_second == pytest.approx(polls)
    assert line("read units of polling").amount == pytest.approx(2 * polls * 46 / 2)


def test_a_million_reservations_cost_what_their_units_and_events_do() -> None:
    by_name = {cost.what: cost for cost in costs_of_a_million(question())}
    writes = by_name["writes of tables and indexes"]
    per_hold = sum(amount for amount, _ in units(question(), "write").values()) / 6000
    assert writes.count == pytest.approx(per_hold, rel=1e-3)
    assert writes.dollars == round(round(writes.count, 2) * writes.price.dollars, 2)
    assert by_name["events put on the bus"].count == pytest.approx(2)
    assert by_name["balancer"].count == pytest.approx(30_000 / 6000 * 2)


def test_each_request_and_each_move_has_a_line_in_the_log() -> None:
    request = RequestLine(
        "0" * 32, "POST /v1/reservations/{reservation_id}/confirm", SUBJECT, f"rsv_{'0' * 32}", 201, 12.345
    )
    move = MoveLine("0" * 32, f"rsv_{'0' * 32}", SUBJECT, "evt_2026_tour", "CONFIRMED", 2, 12345.0)
    formatter = JsonFormatter({"process": "serve", "pid": 12345, "child": 1})
    records = (
        StructRecord(("reservation_api.http", logging.INFO, REQUEST), request),
        StructRecord(("reservation_api.moves", logging.INFO, MOVE), move),
    )
    charged = [len(formatter.format_line(record)) for record in records]
    assert question().tariff.assumed.line_bytes == pytest.approx(sum(charged) / 2, rel=0.1)
    requests, moves = 5_000_000, 2_000_000
    by_name = {cost.what: cost for cost in costs_of_a_million(question())}
    gigabytes = (requests + moves) * question().tariff.assumed.line_bytes / 1_000_000_000
    assert by_name["logs: a line for each request and each move"].count == pytest.approx(gigabytes)


def test_an_hour_is_the_sum_of_its_parts_and_a_million_its_share() -> None:
    hour = [one for one in plan(question()) if one.section == "cost of an hour"]
    assert hour[-1].what == "together"
    assert hour[-1].amount == pytest.approx(sum(one.amount for one in hour[:-1]))
    assert line("with the processes").amount == pytest.approx(hour[-1].amount / 21.6)
    assert line("by use").amount < line("with the processes").amount


def test_larger_reservations_take_more() -> None:
    small, large = units(question(seats=1), "write"), units(question(seats=10), "write")
    assert large["idempotency"][0] > small["idempotency"][0]
    assert large["status-created-index"] == small["status-created-index"]


def test_every_line_has_a_formula_and_a_source() -> None:
    for one in plan(question(mix="hold=15,refused_hold=35,confirm=8,cancel=1,extend=1,get=30,list=2")):
        assert one.formula
        assert one.source
        assert one.amount >= 0, one
