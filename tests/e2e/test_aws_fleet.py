"""Two servers and two workers on one set of tables and one bus, killed in turn while people shop.

round        0      1      2      3      4      5
server 0   kill          kill          kill
server 1          kill          kill          kill
worker 0   kill   away   back
worker 1                        kill   away   back

Each server is killed in a rush and comes back at once. A worker stays away for two rounds, and the other does
alone what there is to do.
"""

import asyncio
import json
import random
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import uvloop
from bench.tally import Percentiles
from tests.support.aws_fleet import EVENT, AwsFleet, open_fleet, tokens
from tests.support.runtimes import World
from tests.support.shoppers import Kind, Plan, Sent, Shoppers, is_success, shopping

from reservation_api.domain.reservation import Status
from reservation_api.domain.values import from_iso

pytestmark = pytest.mark.e2e

HOLD_SECONDS = 4
SETTINGS = {
    "APP_HOLD_SECONDS": str(HOLD_SECONDS),
    "APP_HOLD_GRACE_SECONDS": "60",
    "APP_STATUS_SHARDS": "4",
}
"""Holds end while processes are down; but no seat comes back by the inventory's own doing."""
ROWS, SEATS_PER_ROW, WANTED_ROWS = 60, 40, 6
RATE = 60.0
ROUNDS, REQUESTS_A_ROUND = 6, 180
MIX = "hghgcghgxghacghg"
"""Of 16: 5 holds, 7 reads, 2 confirms, a cancel, a repetition."""
RUSH = "hhhhhhhhccccccccx"
"""What everybody wants from a server when it is killed."""
SUBJECTS = 20
SETTLE_SECONDS = 45.0
"""Above the 30 s after which what a killed worker had claimed is free for the other."""
LONGEST_LAG_SECONDS = 5.0
PROPER_REFUSALS = {409, 410}
ENOUGH = 10
"""A check that has seen fewer has seen nothing."""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[AwsFleet]:
    seats = f"A:{ROWS}x{SEATS_PER_ROW}:1000"
    with open_fleet(tmp_path, SETTINGS, servers=2, workers=2, seats=seats) as opened:
        yield opened


def test_whoever_of_a_fleet_is_killed_nothing_is_lost_or_done_twice_and_holds_end_in_time(
    fleet: AwsFleet,
) -> None:
    uvloop.run(shop_while_members_are_killed(fleet))


async def shop_while_members_are_killed(fleet: AwsFleet) -> None:
    ports = [server.port for server in fleet.servers]
    plan = Plan(ports, tokens(SUBJECTS), MIX, wish, twins=0.1, rivals=0.2, decided_within=HOLD_SECONDS + 1)
    async with shopping(plan, RATE) as shoppers:
        for number in range(ROUNDS):
            await shoppers.have_come((number + 1) * REQUESTS_A_ROUND)
            await shoppers.rush(RUSH, ports[number % 2])
            await asyncio.to_thread(kill_and_bring_back, fleet, number)
        await shoppers.have_come((ROUNDS + 1) * REQUESTS_A_ROUND)
    began = time.perf_counter()
    await asyncio.to_thread(fleet.wait_until_settled, SETTLE_SECONDS)
    world = await fleet.check_settled()
    settled_seconds = time.perf_counter() - began
    print(figures(shoppers, world, settled_seconds))  # noqa: T201 (pytest shows it with -s, and on failure)
    check_answers(shoppers.journal)
    check_one_reservation_for_each_key(shoppers.journal)
    check_kept(shoppers, world)
    check_lag(shoppers, world)
    check_worth(shoppers, world)
    assert [member.process.stop() for member in fleet.members] == [0, 0, 0, 0]
    logs = [line for member in fleet.members for line in member.logs()]
    assert [line for line in logs if line["level"] == "ERROR"] == []


def wish(choice: random.Random) -> dict[str, Any]:
    """Make the body of a hold: the best seats, or some that others are likely to want too."""
    qty = choice.randint(1, 3)
    if choice.random() < 0.7:
        return {"event_id": EVENT, "qty": qty}
    row, first = choice.randint(1, WANTED_ROWS), choice.randint(1, SEATS_PER_ROW - qty)
    return {"event_id": EVENT, "qty": qty, "seat_ids": [f"A-{row}-{first + n}" for n in range(qty)]}


def kill_and_bring_back(fleet: AwsFleet, number: int) -> None:
    """Do what the table above says of a round; return when who has come back is ready."""
    server, worker = fleet.servers[number % 2], fleet.workers[number // 3 % 2]
    returning = [server]
    server.kill()
    match number % 3:
        case 0:
            worker.kill()
        case 2:
            returning.append(worker)
    for member in returning:
        member.start()
    for member in returning:
        member.wait_until_ready()


def check_answers(journal: Sequence[Sent]) -> None:
    """All are answered; successes of one request are alike, byte for byte; the rest are proper refusals."""
    for sent in journal:
        assert sent.is_decided or sent.leaves, f"never answered: {sent}"
        if sent.kind is Kind.GET:
            assert {answer.status for answer in sent.answers} <= {200, 503}, sent
            continue
        first = sent.success if sent.before is None else sent.before.success
        for answer in sent.answers:
            if is_success(answer):
                assert first is not None
                assert (answer.status, answer.body) == (first.status, first.body), (
                    f"{sent} after {sent.before}"
                )
                assert sent.before is None or answer.fields[b"idempotency-replayed"] == b"true", sent
            else:
                allowed = PROPER_REFUSALS if sent.before is None else set()
                assert answer.status in {503, *allowed}, sent


def check_one_reservation_for_each_key(journal: Sequence[Sent]) -> None:
    by_key: dict[str, set[str]] = {}
    for sent in journal:
        for answer in sent.answers:
            if is_success(answer) and sent.request.path == "/v1/reservations":
                reservation_id = json.loads(answer.body)["reservation_id"]
                by_key.setdefault(sent.key, set()).add(reservation_id)
    assert [ids for ids in by_key.values() if len(ids) > 1] == []


def check_kept(shoppers: Shoppers, world: World) -> None:
    """Whatever was answered with success is in the tables, and has come to what it was said to."""
    reservations = {r.reservation_id: r for r in world.reservations}
    orders = {order.order_id: order for order in world.orders}
    for sent in succeeded(shoppers, Kind.HOLD, Kind.CANCEL):
        said = sent.said()
        assert said["reservation_id"] in reservations, f"answered and gone: {sent}"
        kept = reservations[said["reservation_id"]]
        assert (kept.user_id, list(kept.seat_ids)) == (sent.subject, said["seat_ids"])
        assert kept.total_amount.amount == said["total_amount"]["amount"]
        assert sent.kind is Kind.HOLD or kept.status is Status.CANCELLED, f"{kept} after {sent}"
    for sent in succeeded(shoppers, Kind.CONFIRM):
        said = sent.said()
        assert said["order_id"] in orders, f"answered and gone: {sent}"
        order = orders[said["order_id"]]
        assert [seat.seat_id for seat in order.seats] == said["seat_ids"]
        assert order.reservation_id == said["reservation_id"]
    sold = Counter(seat.seat_id for order in world.orders for seat in order.seats)
    assert [seat_id for seat_id, times in sold.items() if times > 1] == []


def check_lag(shoppers: Shoppers, world: World) -> None:
    """Holds that nobody tried to confirm are EXPIRED in time; a confirm fences a hold until it is decided."""
    lags = expiry_lags(shoppers.of(Kind.CONFIRM), world)
    assert len(lags) > ENOUGH
    assert max(lags) < LONGEST_LAG_SECONDS


def expiry_lags(confirms: Sequence[Sent], world: World) -> list[float]:
    fenced = {sent.reservation_id for sent in confirms}
    details = [json.loads(event.detail) for event in world.published]
    return [
        (from_iso(detail["occurred_at"]) - from_iso(detail["hold_expires_at"])).total_seconds()
        for detail in details
        if detail["status"] == "EXPIRED" and detail["reservation_id"] not in fenced
    ]


def check_worth(shoppers: Shoppers, world: World) -> None:
    """Tell whether there was something to find."""
    assert sum(len(sent.lost) for sent in shoppers.journal) > ENOUGH
    for kind in (Kind.HOLD, Kind.CONFIRM, Kind.CANCEL, Kind.AGAIN):
        assert len(succeeded(shoppers, kind)) > ENOUGH, kind
    statuses = Counter(r.status for r in world.reservations)
    assert min(statuses[s] for s in (Status.CONFIRMED, Status.CANCELLED, Status.EXPIRED)) > ENOUGH, statuses
    cut_off = [
        sent for sent in shoppers.of(Kind.HOLD, Kind.CONFIRM, Kind.CANCEL) if sent.lost and sent.answers
    ]
    assert cut_off, "nobody was killed in the middle of anything"


def succeeded(shoppers: Shoppers, *kinds: Kind) -> list[Sent]:
    return [sent for sent in shoppers.of(*kinds) if sent.success is not None]


def figures(shoppers: Shoppers, world: World, settled_seconds: float) -> str:
    journal = shoppers.journal
    times = Percentiles.of(array("d", [sent.answered_at - sent.due for sent in journal]))
    statuses = Counter(answer.status for sent in journal for answer in sent.answers)
    lags = Percentiles.of(array("d", expiry_lags(shoppers.of(Kind.CONFIRM), world)))
    ids = Counter(event.id for event in world.published)
    return "\n".join(
        (
            f"{len(journal)} requests at {RATE:g} a second: {dict(Counter(s.kind.name for s in journal))}",
            f"gone home, since there were too many: {shoppers.gone_home}",
            f"answers {dict(sorted(statuses.items()))}, lost {sum(len(sent.lost) for sent in journal)}",
            f"decided after: p50 {times.p50:.0f}, p95 {times.p95:.0f}, max {times.max:.0f} ms",
            f"reservations {dict(Counter(r.status.value for r in world.reservations))}",
            f"events {len(ids)}, of these {sum(n > 1 for n in ids.values())} more than once",
            f"expired late by: p50 {lags.p50:.0f}, p95 {lags.p95:.0f}, max {lags.max:.0f} ms",
            f"settled and checked {settled_seconds:.1f} s after the last request",
        )
    )
