"""Two servers behind a real nginx are restarted in turn while people shop, and no request fails.

server    SIGTERM ── readiness 503, still serving ──────── port closes ── ended   started ── readiness 200
balancer            └─ sees it, reloads without it ── old workers gone                      └─ reloads with it

Open-source nginx asks nobody for readiness, so that whoever restarts does; see deploy/nginx.
"""

import asyncio
import random
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest
import uvloop
from bench.tally import Percentiles
from tests.support.aws_fleet import EVENT, AwsFleet, Member, open_fleet, tokens
from tests.support.nginx import ADVICE, Nginx, find_nginx, nginx_before
from tests.support.processes import READINESS, status_of, wait_until
from tests.support.runtimes import World
from tests.support.shoppers import Kind, Plan, Sent, Shoppers, shopping

from reservation_api.domain.reservation import Status

pytestmark = pytest.mark.e2e

SETTINGS = {"APP_DRAIN_SECONDS": "6", "APP_HOLD_SECONDS": "300"}
RATE = 300.0
SECONDS = 20
MIX = "ggggghgggggcggggghggggggggggghgggggxgggg"
"""Of 40: 34 reads, 4 holds, a confirm, a cancel."""
SUBJECTS = 20
CONNECTIONS, PATIENT = 64, 600
FLUSH_SECONDS = 10.0
CLOSING_SECONDS = 1.0
"""So long after nginx's old workers are gone a client may find a connection closed."""
ENOUGH = 50
"""A check that has seen fewer requests has seen nothing."""


@dataclass(frozen=True)
class Restart:
    """When a server was taken out and put back, by `time.perf_counter`."""

    asked_at: float
    out_at: float
    ended_at: float
    in_at: float
    tries_before: int
    """How many requests it had had when it was back."""


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[AwsFleet]:
    with open_fleet(tmp_path, SETTINGS, servers=2, workers=0) as opened:
        yield opened


@pytest.fixture
def nginx(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> Iterator[Nginx]:
    if find_nginx() is None:
        with capsys.disabled():
            print(f"\nSKIPPED: {ADVICE}")  # noqa: T201 (a skip that nobody sees is no test)
        pytest.skip(ADVICE)
    fleet: AwsFleet = request.getfixturevalue("fleet")
    (tmp_path / "nginx").mkdir()
    with nginx_before(tmp_path / "nginx", [server.port for server in fleet.servers]) as opened:
        yield opened


def test_servers_are_restarted_one_after_the_other_and_no_request_fails(
    nginx: Nginx, fleet: AwsFleet
) -> None:
    uvloop.run(shop_while_servers_restart(fleet, nginx))


async def shop_while_servers_restart(fleet: AwsFleet, nginx: Nginx) -> None:
    plan = Plan([nginx.port], tokens(SUBJECTS), MIX, wish, connections=CONNECTIONS, patient=PATIENT)
    restarts: list[Restart] = []
    async with shopping(plan, RATE) as shoppers:
        for server in fleet.servers:
            await shoppers.have_come(shoppers.come_so_far + round(RATE))
            restarts.append(await asyncio.to_thread(restart, server, fleet, nginx))
        await shoppers.have_come(max(shoppers.come_so_far + round(2 * RATE), round(RATE * SECONDS)))
    print(figures(shoppers, nginx, restarts))  # noqa: T201 (pytest shows it with -s, and on failure)
    check_answers(shoppers.journal, restarts)
    check_tries(fleet, nginx, restarts)
    # There is no worker: whoever ended has left nothing undone.
    wait_until(lambda: not fleet.tables.outbox(), lambda: f"left: {fleet.tables.outbox()}", FLUSH_SECONDS)
    check_each_hold_has_its_seats(shoppers, await fleet.check_settled())
    assert [server.process.stop() for server in fleet.servers] == [0, 0]
    logs = [line for server in fleet.servers for line in server.logs()]
    assert [line for line in logs if line["level"] not in {"INFO", "DEBUG"}] == []


def wish(choice: random.Random) -> dict[str, Any]:
    """Make the body of a hold: seats for all of them, the best there are."""
    return {"event_id": EVENT, "qty": choice.randint(1, 2)}


def restart(server: Member, fleet: AwsFleet, nginx: Nginx) -> Restart:
    """Do what deploy/nginx says of a restart."""
    readiness = server.process.url + READINESS

    def refuses() -> bool:
        assert server.process.is_alive(), "the server ended before anybody saw that it would"
        return status_of(readiness) == 503

    all_ports = [member.port for member in fleet.servers]
    asked_at = time.perf_counter()
    server.process.signal(SIGTERM)
    wait_until(refuses, lambda: "its readiness has not refused")
    nginx.reload([port for port in all_ports if port != server.port])
    out_at = time.perf_counter()
    assert status_of(readiness) == 503, "the server did not serve until nginx had let go of it"
    assert server.process.wait() == 0
    ended_at = time.perf_counter()
    server.start()
    server.wait_until_ready()
    tries_before = tries_of(nginx)[server.port]
    nginx.reload(all_ports)
    return Restart(asked_at, out_at, ended_at, time.perf_counter(), tries_before)


def check_answers(journal: Sequence[Sent], restarts: Sequence[Restart]) -> None:
    """All succeeded; connections broke only when nginx ended old workers, before a byte of an answer."""
    assert [str(sent) for sent in journal if sent.refusals or not sent.is_decided] == []
    for sent in journal:
        for at, lost in sent.lost:
            assert lost.may_have_been_idle, sent
            assert any(is_closing(restart, at) for restart in restarts), sent


def is_closing(restart: Restart, at: float) -> bool:
    """Tell whether nginx ended old workers then, and with them the connections on which nothing went on."""
    return restart.asked_at < at < restart.out_at + CLOSING_SECONDS or (
        restart.ended_at < at < restart.in_at + CLOSING_SECONDS
    )


def tries_of(nginx: Nginx) -> Counter[int]:
    return Counter(port for ports in nginx.tries() for port in ports)


def check_tries(fleet: AwsFleet, nginx: Nginx, restarts: Sequence[Restart]) -> None:
    """No request needed a second try, and those who came back took part."""
    assert [ports for ports in nginx.tries() if len(ports) > 1] == []
    assert nginx.error_log() == ""
    tries = tries_of(nginx)
    for server, restarted in zip(fleet.servers, restarts, strict=True):
        assert restarted.tries_before > 0
        assert tries[server.port] - restarted.tries_before > ENOUGH


def check_each_hold_has_its_seats(shoppers: Shoppers, world: World) -> None:
    """As many reservations as holds, with the seats that were answered, and no seat in two of them."""
    said = {sent.said()["reservation_id"]: sent.said()["seat_ids"] for sent in shoppers.of(Kind.HOLD)}
    assert len(said) == len(shoppers.of(Kind.HOLD))
    assert {r.reservation_id: list(r.seat_ids) for r in world.reservations} == said
    kept = [seat for r in world.reservations if r.status is not Status.CANCELLED for seat in r.seat_ids]
    assert len(kept) == len(set(kept))
    for kind in (Kind.HOLD, Kind.CONFIRM, Kind.CANCEL):
        assert len(shoppers.of(kind)) > ENOUGH, kind


def figures(shoppers: Shoppers, nginx: Nginx, restarts: Sequence[Restart]) -> str:
    journal = shoppers.journal
    times = Percentiles.of(array("d", [sent.answered_at - sent.due for sent in journal]))
    statuses = Counter(answer.status for sent in journal for answer in sent.answers)
    lines = [
        f"{len(journal)} requests at {RATE:g} a second: {dict(Counter(s.kind.name for s in journal))}",
        f"answers {dict(sorted(statuses.items()))}, by server {dict(tries_of(nginx))}",
        f"gone home, since there were too many: {shoppers.gone_home}",
        f"sent again on another connection: {sum(len(sent.lost) for sent in journal)}",
        f"answered after: p50 {times.p50:.0f}, p95 {times.p95:.0f}, max {times.max:.0f} ms",
    ]
    for one in restarts:
        out, ended, back = (at - one.asked_at for at in (one.out_at, one.ended_at, one.in_at))
        lines.append(f"out after {out:.1f} s, ended after {ended:.1f} s, back after {back:.1f} s")
    return "\n".join(lines)
