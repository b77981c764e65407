"""What the benchmark measures with: canned endpoints, a share of a core, many subjects, a full store."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from itertools import islice, repeat
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import grpc.aio
import pytest
from bench.canned_aws import canned_endpoints, canned_id, delays, held_item
from bench.canned_http2 import CannedGrpc
from bench.cpu import CpuTime, Pins, descendants, memory
from bench.growth_rows import HALL_GRID, OWNERS, fill, prepare, sold
from bench.identity import make_identity, subject_of
from bench.load import Arrival
from bench.measure import measure, reading
from bench.quota import (
    MEMBERSHIPS,
    MOUNTS,
    PERIOD_MICROSECONDS,
    PREFIX,
    Place,
    held_to,
    make_group,
    own_group,
    remove_leftovers,
)
from bench.server import SEATS, Server
from bench.tally import Tally
from bench.wire import Response
from bench.workloads import (
    NAMES,
    SALE_SHARES,
    WORKLOADS,
    BuyersBook,
    CannedBook,
    Op,
    Pace,
    RealBook,
    Replays,
    Session,
    TooFewHoldsError,
)

from reservation_api.adapters.sqlite.rows import RESERVATION_COLUMNS, reservation_of
from reservation_proto.reservation.v1 import inventory_pb2 as wire

METHOD = "/reservation.v1.InventoryService/ReserveSeat"


# Canned endpoints


async def served(protocol: CannedGrpc) -> tuple[asyncio.Server, str]:
    server = await asyncio.get_running_loop().create_server(lambda: protocol, "127.0.0.1", 0)
    return server, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_the_real_grpc_client_understands_the_canned_answers() -> None:
    server, address = await served(CannedGrpc(lambda message: message[::-1], repeat(0.0)))
    async with server, grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(METHOD)
        asked = [bytes([number]) * (1 + number * 100) for number in range(100)]
        answers = await asyncio.gather(*(call(message, timeout=20) for message in asked))
    assert answers == [message[::-1] for message in asked]


async def test_more_bytes_than_a_window_holds_are_taken() -> None:
    server, address = await served(CannedGrpc(lambda message: str(len(message)).encode(), repeat(0.0)))
    async with server, grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(METHOD)
        assert [await call(b"x" * 50_000, timeout=20) for _ in range(5)] == [b"50000"] * 5


def test_delays_have_the_median_and_a_tail_and_are_the_same_each_time() -> None:
    drawn = list(islice(delays(0.005, seed=1), 8192))
    assert median(drawn) == pytest.approx(0.005, rel=0.05)
    assert quantiles(drawn, n=100)[98] > 0.010
    assert max(drawn) == pytest.approx(0.05)
    assert drawn == list(islice(delays(0.005, seed=1), 8192))


async def test_a_reservation_that_is_read_belongs_to_the_subject_in_its_id() -> None:
    body = json.dumps({"ExpressionAttributeValues": {":pk": {"S": canned_id(7, 9)}}}).encode()
    with canned_endpoints(None) as endpoints:
        host, _, port = endpoints.aws_url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.Query\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer_head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(answer_head.partition("content-length: ")[2].split()[0])
        (item,) = json.loads(await reader.readexactly(length))["Items"]
        writer.close()
    assert (item["pk"]["S"], item["user_id"]["S"]) == (canned_id(7, 9), subject_of(7))
    assert {**item, "pk": None, "user_id": None} == {**held_item(), "pk": None, "user_id": None}


async def test_the_canned_inventory_holds_sells_and_releases() -> None:
    asked = wire.ReserveSeatRequest(idempotency_key="rsv_1:hold:0")
    asked.hold_expires_at.FromSeconds(1_900_000_000)
    with canned_endpoints(None) as endpoints:
        async with grpc.aio.insecure_channel(endpoints.inventory_address) as channel:
            call: Any = channel.unary_unary(METHOD)
            held = wire.ReserveSeatResponse.FromString(await call(asked.SerializeToString(), timeout=20))
            sale = wire.CommitReservationRequest(idempotency_key="rsv_1:confirm:ord_1").SerializeToString()
            bought = wire.CommitReservationResponse.FromString(await call(sale, timeout=20))
            end = wire.ReleaseHoldRequest(idempotency_key="rsv_1:release:0").SerializeToString()
            freed = wire.ReleaseHoldResponse.FromString(await call(end, timeout=20))
    assert held.hold_expires_at == asked.hold_expires_at
    assert (held.status, len(held.reserved_seats)) == (wire.HOLD_STATUS_ACTIVE, 2)
    assert (bought.status, freed.status) == (wire.COMMIT_STATUS_SUCCESS, wire.RELEASE_STATUS_SUCCESS)


# A share of a core


def test_the_group_of_the_cpu_controller_is_found_in_both_versions() -> None:
    old = "c /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\nu /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
    assert own_group(old, "2:cpu:/mine\n0::/other\n") == Path("/sys/fs/cgroup/cpu/mine")
    new = "u /sys/fs/cgroup cgroup2 rw 0 0\n"
    assert own_group(new, "0::/user.slice\n") == Path("/sys/fs/cgroup/user.slice")
    assert own_group("p /proc proc rw 0 0\n", "0::/\n") is None


def test_a_share_is_written_as_each_version_wants_it(tmp_path: Path) -> None:
    new, old = tmp_path / "new", tmp_path / "old"
    new.mkdir()
    old.mkdir()
    (old / "cpu.cfs_quota_us").write_text("-1")
    group = make_group(new, 0.25)
    assert group is not None
    assert (group / "cpu.max").read_text() == f"{PERIOD_MICROSECONDS // 4} {PERIOD_MICROSECONDS}"
    group = make_group(old, 0.25)
    assert group is not None
    assert (group / "cpu.cfs_quota_us").read_text() == str(PERIOD_MICROSECONDS // 4)


def test_without_the_right_to_make_groups_there_is_the_whole_core(tmp_path: Path) -> None:
    assert make_group(tmp_path / "missing", 0.25) is None
    assert Place(None).share == 1.0


def test_what_is_started_in_a_place_stays_in_its_group_and_we_come_back() -> None:
    before = Path("/proc/self/cgroup").read_text()
    with held_to(0.5, None) as place:
        if place.group is None:
            pytest.skip("this system does not let us make control groups")
        with place.entered():
            process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        try:
            assert str(process.pid) in (place.group / "cgroup.procs").read_text().split()
            assert Path("/proc/self/cgroup").read_text() == before
        finally:
            process.communicate(b"\n")
    assert not place.group.exists()


def test_a_group_whose_maker_was_killed_is_removed() -> None:
    script = "import os; from bench.quota import held_to; held_to(0.5, None).__enter__(); os._exit(1)"
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=False)
    remove_leftovers()
    home = own_group(MOUNTS.read_text(), MEMBERSHIPS.read_text())
    makers = [group.name.split("-")[2] for group in home.glob(f"{PREFIX}*")] if home else []
    assert all(Path("/proc", maker).exists() for maker in makers)


# Whoever is asked, and for what


def test_the_sale_mix_has_the_shares_of_the_aim() -> None:
    counts = Counter(WORKLOADS["sale"].ops)
    assert {op: count / 100 for op, count in counts.items()} == SALE_SHARES
    assert SALE_SHARES == {Op.GET: 0.70, Op.HOLD: 0.20, Op.CONFIRM: 0.07, Op.CANCEL: 0.03}


def test_a_hold_that_is_moved_is_not_moved_again() -> None:
    book = RealBook()
    for number in range(3):
        book.keep(number, f"rsv_{number}")
    moved = [book.pick(Op.CONFIRM, 0), book.pick(Op.CANCEL, 1)]
    assert moved == [(2, "rsv_2"), (1, "rsv_1")]
    assert book.pick(Op.GET, 5) == (2, "rsv_2")
    book.pick(Op.CONFIRM, 2)
    with pytest.raises(TooFewHoldsError):
        book.pick(Op.CONFIRM, 3)


def test_of_those_alone_who_got_a_hold_some_confirm_it_and_some_cancel_it() -> None:
    book = BuyersBook(3)
    before = {op: book.asked(op) for op in Op}
    assert before == {Op.GET: Op.GET, Op.HOLD: Op.HOLD, Op.CONFIRM: Op.GET, Op.CANCEL: Op.GET}
    for number in range(21):
        book.keep(0, f"rsv_{number}")
    asked = Counter(book.asked(op) for op in [Op.CONFIRM, Op.CANCEL] * 20)
    assert asked == {Op.CONFIRM: 7, Op.CANCEL: 3, Op.GET: 30}


def test_a_repetition_that_is_answered_differently_is_noticed() -> None:
    replays = Replays()
    for number, body in enumerate((b"a", b"a", b"a", b"b", b"c", b"b")):
        replays.note(Arrival(number, 0.0), Response(201, body, keep_alive=True))
    replays.note(Arrival(5, 0.0), Response(503, b"", keep_alive=True))
    assert replays.different == 1


class Answering(asyncio.Protocol):
    """A service that says 201 or 200 and keeps what it was asked."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = asked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        text = data.decode()
        self._asked.append(text)
        body = b'{"reservation_id":"rsv_1"}'
        status = b"201" if text.startswith("POST /v1/reservations HTTP") else b"200"
        self._transport.write(b"HTTP/1.1 %s x\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))


@pytest.mark.parametrize("name", NAMES)
async def test_each_workload_is_asked_and_measured(name: str) -> None:
    asked: list[str] = []
    server = await asyncio.get_running_loop().create_server(lambda: Answering(asked), "127.0.0.1", 0)
    tokens = make_identity(3).tokens
    async with server:
        port = server.sockets[0].getsockname()[1]
        session = Session(Server(os.getpid(), port, tokens), CannedBook(3))
        taken = await measure(session, name, Pace(600.0, 0.5, 4), Pins(None, None))  # type: ignore[arg-type]
    assert (taken.answered, taken.good, taken.is_valid) == (300, 300, True)
    assert taken.microseconds > 0
    keys = Counter(line for text in asked for line in text.splitlines() if line.startswith("Idempotency-Key"))
    assert set(keys.values()) <= {WORKLOADS[name].times}  # type: ignore[index]
    assert {text.partition("Bearer ")[2].split()[0] for text in asked} == set(tokens)


def test_only_good_answers_count_as_accepted() -> None:
    tally = Tally(planned=2, started_at=time.perf_counter())
    tally.answer(503, due=tally.started_at - 100, sent_at=tally.started_at)
    tally.answer(201, due=tally.started_at - 1, sent_at=tally.started_at)
    result = tally.result()
    assert (result.good, result.answered) == (1, 2)
    assert result.accepted.max < 100_000 <= result.latency.max


def test_what_is_shed_is_no_work_but_a_price() -> None:
    tally = Tally(planned=4, started_at=time.perf_counter())
    for status in (201, 503, 503, 503):
        tally.answer(status, due=tally.started_at, sent_at=tally.started_at)
    taken = reading("hold", Pace(1.0, 4.0), tally.result(), CpuTime(0.003, 0.001), (0.0, 0.0, 0.0))
    assert (taken.expected, taken.is_valid) == (1, False)
    assert taken.microseconds == pytest.approx(4000)


# A full store


def test_a_full_store_holds_rows_as_the_adapter_writes_them(tmp_path: Path) -> None:
    file = prepare(tmp_path, {"evt_1": HALL_GRID})
    with closing(sqlite3.connect(file)) as connection:
        before = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    fill(file, 1000)
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute(f"SELECT {RESERVATION_COLUMNS} FROM reservations").fetchall()
        after = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    reservations = [reservation_of(row) for row in rows]
    assert len({one.reservation_id for one in reservations}) == 1000
    assert {(one.status, one.seats, one.version) for one in reservations} == {
        (sold().status, sold().seats, sold().version)
    }
    assert len({one.user_id for one in reservations}) > 900
    assert OWNERS > 1000
    assert sorted(after) == sorted(before)


def test_the_hall_that_is_loaded_has_the_seats_that_are_counted(tmp_path: Path) -> None:
    file = prepare(tmp_path, {"evt_1": HALL_GRID})
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT seats FROM inventory_events").fetchall() == [(500,)]
    assert SEATS == 100_000


# Processes


def test_orphans_end_with_the_suite() -> None:
    """A grandchild whose parent is gone is ours, and ends: in a process of its own, or pytest's would too."""
    script = (
        "import os, subprocess, sys\n"
        "from bench.cpu import descendants\n"
        "from bench.suite import adopt_orphans, end_children\n"
        "adopt_orphans()\n"
        'inner = \'import subprocess, sys; subprocess.Popen(["sleep", "600"], start_new_session=True)\'\n'
        "subprocess.run([sys.executable, '-c', inner], check=True)\n"
        "print(len(descendants(os.getpid())) - 1)\n"
        "end_children()\n"
        "print(len(descendants(os.getpid())) - 1)\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.split() == ["1", "0"]


def test_memory_is_read_of_this_process() -> None:
    resident, proportional = memory(os.getpid())
    assert resident >= proportional > 1_000_000
    assert descendants(os.getpid())[0] == os.getpid()
