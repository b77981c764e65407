"""The load generator against small servers of this file's own, over real sockets; and what reads CPU time."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvloop
from bench.cpu import choose_pins, core_time, thread_cpu, tree_cpu
from bench.load import AnswerHook, Arrival, LoadPlan, run, template
from bench.stacks import LOOP_LAYER, NO_PYTHON, count, is_waiting, layer_of, parse, weigh
from bench.tally import LoadResult, Percentiles
from bench.wire import MalformedResponseError, Request, Response, ResponseReader, render

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CREATED = b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"id":"a"}'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"8;name=value\r\n\r\n0\r\n\r\nx\r\n4\r\nWiki\r\n0\r\nTrailer: yes\r\n\r\n"
)

Answer = Callable[["Peer", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Peer:
    """A server that reads whole requests, keeps what it saw, and answers as it is told."""

    answer: Answer
    keys: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = re.search(r"content-length: (\d+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                key = re.search(r"idempotency-key: (\S+)", head)
                self.keys.append(key[1] if key else "")
                await self.answer(self, writer)
        writer.close()


def always(response: bytes) -> Answer:
    async def answer(_: Peer, writer: asyncio.StreamWriter) -> None:
        writer.write(response)

    return answer


async def never(_: Peer, __: asyncio.StreamWriter) -> None:
    pass


PLAN = LoadPlan(port=0, rate_per_second=1000, seconds=0.1, connections=8, drain_seconds=10)
HOLD = template("POST", "/v1/reservations", {"Idempotency-Key": "{run}-{n}"}, '{"seat_ids":["A-{n}"]}')


def drive(peer: Peer, plan: LoadPlan = PLAN, make: Any = HOLD, hook: AnswerHook | None = None) -> LoadResult:
    async def go() -> LoadResult:
        server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await run(replace(plan, port=port), make, hook)

    return uvloop.run(go())


def accounted(result: LoadResult) -> bool:
    return result.planned == result.answered + result.lost + result.unfinished


# The schedule


def test_every_planned_request_arrives_and_not_before_its_time() -> None:
    peer = Peer(always(OK))
    result = drive(peer)
    assert (result.planned, result.answered, len(peer.keys)) == (100, 100, 100)
    assert result.seconds >= 99 / 1000
    assert result.statuses == {200: 100}
    assert (result.lost, result.unfinished, result.malformed, result.reconnects) == (0, 0, 0, 0)


def test_arrivals_do_not_wait_for_answers() -> None:
    all_here = asyncio.Event()

    async def not_before_the_last(peer: Peer, writer: asyncio.StreamWriter) -> None:
        if len(peer.keys) == 100:
            all_here.set()
        await all_here.wait()
        writer.write(OK)

    result = drive(Peer(not_before_the_last), replace(PLAN, connections=100))
    assert (result.answered, result.backlog_peak) == (100, 0)


def test_requests_without_a_free_connection_are_counted_as_backlog() -> None:
    peer = Peer(never)
    result = drive(peer, replace(PLAN, connections=5, drain_seconds=0.1))
    assert (result.backlog_peak, result.answered, result.unfinished) == (95, 0, 100)
    assert len(peer.keys) <= 5


def test_a_stall_shows_in_latency_though_hardly_in_service_time() -> None:
    """One connection: only one request is in service while the server stands still, the others wait."""

    async def stall_once(peer: Peer, writer: asyncio.StreamWriter) -> None:
        if len(peer.keys) == 20:
            await asyncio.sleep(0.25)
        writer.write(OK)

    result = drive(Peer(stall_once), replace(PLAN, rate_per_second=500, seconds=0.4, connections=1))
    assert (result.answered, accounted(result)) == (200, True)
    assert result.latency.max >= 200
    assert result.latency.p99 >= 190
    assert result.service.max >= 200
    assert result.service.p99 < result.latency.p99 / 2


def test_requests_never_answered_count_in_latency_with_the_time_they_waited() -> None:
    result = drive(Peer(never), replace(PLAN, connections=1, drain_seconds=0.1))
    assert result.latency.p50 >= 100
    assert result.service == Percentiles(0, 0, 0, 0, 0)


def test_every_request_has_its_own_key_and_number() -> None:
    peer = Peer(always(OK))
    drive(peer)
    assert len(set(peer.keys)) == 100
    assert {int(key.rpartition("-")[2]) for key in peer.keys} == set(range(100))


# Answers


def test_statuses_are_counted_and_bodies_handed_on() -> None:
    async def alternate(peer: Peer, writer: asyncio.StreamWriter) -> None:
        writer.write(CREATED if len(peer.keys) % 4 else OK)

    seen: list[tuple[Arrival, Response]] = []
    result = drive(Peer(alternate), hook=lambda *answer: seen.append(answer))
    assert result.statuses == {200: 25, 201: 75}
    bodies = [(response.status, response.body) for _, response in seen]
    assert (bodies.count((201, b'{"id":"a"}')), bodies.count((200, b"ok"))) == (75, 25)
    assert {response.fields.get(b"content-type") for _, response in seen} == {b"application/json", None}
    starts = sorted(arrival for arrival, _ in seen)
    assert [arrival.number for arrival in starts] == list(range(100))
    assert starts[-1].due - starts[0].due == pytest.approx(99 / 1000)


def test_chunked_and_split_answers_are_put_together() -> None:
    async def in_pieces(_: Peer, writer: asyncio.StreamWriter) -> None:
        for start in range(0, len(CHUNKED), 7):
            writer.write(CHUNKED[start : start + 7])
            await writer.drain()
            await asyncio.sleep(0)

    bodies: list[bytes] = []
    result = drive(Peer(in_pieces), hook=lambda _, response: bodies.append(response.body))
    assert bodies == [b"\r\n0\r\n\r\nxWiki"] * 100
    assert (result.answered, result.malformed) == (100, 0)


# Losses


def test_lost_connections_are_counted_and_the_run_goes_on() -> None:
    async def hang_up_sometimes(peer: Peer, writer: asyncio.StreamWriter) -> None:
        if len(peer.keys) % 10 == 0:
            writer.transport.abort()
        else:
            writer.write(OK)

    peer = Peer(hang_up_sometimes)
    result = drive(peer, replace(PLAN, connections=3))
    assert (result.lost, result.answered, result.unfinished) == (10, 90, 0)
    assert result.reconnects >= 7  # three connections can not have lost ten requests otherwise
    assert len(set(peer.keys)) == 100  # a lost request is not sent again


def test_connections_that_the_server_closes_after_an_answer_are_opened_again() -> None:
    async def last_answer(_: Peer, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end")
        writer.close()

    bodies: list[bytes] = []
    plan = replace(PLAN, seconds=0.04)
    result = drive(Peer(last_answer), plan, hook=lambda _, response: bodies.append(response.body))
    assert bodies == [b"until the end"] * 40
    assert (result.answered, result.lost) == (40, 0)
    assert result.reconnects >= 32


@pytest.mark.parametrize("garbage", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n"])
def test_garbage_is_counted_as_malformed_and_lost(garbage: bytes) -> None:
    async def sometimes(peer: Peer, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage if len(peer.keys) % 20 == 0 else OK)

    result = drive(Peer(sometimes))
    assert (result.malformed, result.lost, result.answered) == (5, 5, 95)


def test_bytes_after_an_answer_cost_the_connection_but_not_the_answer() -> None:
    result = drive(Peer(always(OK + b"more")), replace(PLAN, seconds=0.02))
    assert (result.answered, result.malformed, result.lost) == (20, 20, 0)


def test_no_server_is_an_error_at_once() -> None:
    with pytest.raises(OSError, match="refused"):
        uvloop.run(run(replace(PLAN, port=1), HOLD))


@pytest.mark.parametrize("connections", [1, 100])
def test_an_error_of_the_request_maker_ends_the_run(connections: int) -> None:
    def broken(number: int) -> Request:
        if number == 10:
            raise RuntimeError("no more seats")
        return HOLD(number)

    with pytest.raises(RuntimeError, match="no more seats"):
        drive(Peer(always(OK)), replace(PLAN, connections=connections), broken)


def test_an_error_of_the_response_hook_ends_the_run() -> None:
    def broken(_: Arrival, __: Response) -> None:
        raise RuntimeError("not what was asked for")

    with pytest.raises(RuntimeError, match="not what was asked for"):
        drive(Peer(always(OK)), hook=broken)


@pytest.mark.parametrize(
    "change",
    [
        {"rate_per_second": 0},
        {"seconds": float("inf")},
        {"rate_per_second": 1e9},
        {"connections": 0},
        {"seconds": 1e-9},
    ],
)
def test_a_plan_without_bounds_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"run has|positive"):
        replace(PLAN, **change)  # type: ignore[arg-type]


# The wire


def read_all(pieces: list[bytes]) -> list[Response]:
    reader = ResponseReader()
    return [response for piece in pieces if (response := reader.feed(piece)) is not None]


WHOLE = [
    (OK, Response(200, b"ok", keep_alive=True)),
    (CREATED, Response(201, b'{"id":"a"}', keep_alive=True)),
    (CHUNKED, Response(200, b"\r\n0\r\n\r\nxWiki", keep_alive=True)),
    (b"HTTP/1.1 204 No Content\r\n\r\n", Response(204, b"", keep_alive=True)),
    (b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", Response(200, b"", keep_alive=True)),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, Response(200, b"ok", keep_alive=True)),
    (
        b"HTTP/1.1 503 Busy\r\nConnection: Close\r\ncontent-length: 1\r\n\r\nx",
        Response(503, b"x", keep_alive=False),
    ),
    (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx", Response(200, b"x", keep_alive=False)),
    (
        b"HTTP/1.1 200 OK\r\nx-content-length: 9\r\ncontent-length: 1\r\n\r\nx",
        Response(200, b"x", keep_alive=True),
    ),
]


@pytest.mark.parametrize(("data", "response"), WHOLE)
def test_a_response_is_read_however_it_is_cut(data: bytes, response: Response) -> None:
    assert read_all([data[i : i + 1] for i in range(len(data))]) == [response]
    for cut in range(len(data) + 1):
        assert read_all([data[:cut], data[cut:]]) == [response]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0x3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcd\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_not_a_response_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        read_all([data])


def test_a_request_is_rendered_with_host_and_length() -> None:
    request = Request("POST", "/v1/x", {"Idempotency-Key": "k"}, b"{}")
    expected = b"POST /v1/x HTTP/1.1\r\nhost: h:1\r\nIdempotency-Key: k\r\ncontent-length: 2\r\n\r\n{}"
    assert render(request, "h:1") == expected
    assert b"content-length" not in render(Request("GET", "/", {}, b""), "h:1")
    with pytest.raises(ValueError, match="HEAD"):
        render(Request("HEAD", "/", {}, b""), "h:1")


# CPU time and stacks


def burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def test_cpu_of_a_process_is_what_it_used_with_its_children() -> None:
    before = tree_cpu(os.getpid())
    burn(0.1)
    assert (tree_cpu(os.getpid()) - before).total >= 0.08  # the kernel counts in hundredths
    code = "import time\nwhile time.process_time() < 0.1: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert (tree_cpu(os.getpid()) - before).total >= 0.16
        assert tree_cpu(child.pid).total >= 0.08
        child.communicate(b"\n")
    assert (tree_cpu(os.getpid()) - before).total >= 0.16


def test_cpu_of_threads_and_cores_is_listed() -> None:
    burn(0.05)
    assert max(cpu.total for cpu in thread_cpu(os.getpid()).values()) >= 0.04
    assert core_time(None).busy >= core_time(choose_pins().server).busy > 0
    with pytest.raises(ProcessLookupError):
        tree_cpu(2**30)


RUN = 'process 7:"serve";thread (8): MainThread;run (/x/lib/python3.11/site-packages/uvloop/__init__.py:1)'
WRITER = "thread (9): writer;loop (/x/src/reservation_api/adapters/sqlite/database.py:3)"
OURS = "/x/src/reservation_api"
RESERVE = f"reserve ({OURS}/adapters/sqlite/inventory.py:9)"
STACKS = "\n".join(
    [
        f"{RUN};hold ({OURS}/application/hold.py:3);{RESERVE};sqlite3_step (/usr/lib/libsqlite3.so.0) 6",
        f"{RUN};answer ({OURS}/entrypoints/http/app.py:3);encode (/x/site-packages/msgspec/_core.so) 3",
        f"{RUN};write (/lib/libc.so.6) 1",
        f"{RUN};uv__io_poll (linux.c:9);epoll_pwait (/lib/libc.so.6) 4",
        f"{WRITER};0x7f12 (/lib/libc-2.36.so) 2",
    ]
)


def test_a_sample_belongs_to_the_innermost_layer_of_ours() -> None:
    layers = [layer_of(sample) for sample in parse(STACKS)]
    assert layers == ["inventory", "codec", LOOP_LAYER, LOOP_LAYER, "sqlite writer and store"]
    (call,) = parse(
        f"{RUN};go ({OURS}/adapters/resilience/guard.py:1);send ({OURS}/adapters/aws_wire/client.py:1) 1"
    )
    assert layer_of(call) == "calls of AWS"


def test_threads_that_wait_are_told_from_those_that_work() -> None:
    assert [is_waiting(sample) for sample in parse(STACKS)] == [False, False, False, True, False]


def test_samples_share_out_the_cpu_time_of_their_thread() -> None:
    weighed = weigh(parse(STACKS), {8: 5.0, 9: 3.0, 10: 1.0})
    assert [sample.weight for sample in weighed] == pytest.approx([3.0, 1.5, 0.5, 3.0, 1.0])
    assert (weighed[-1].frames, layer_of(weighed[-1])) == ((NO_PYTHON,), LOOP_LAYER)


def test_functions_are_counted_by_self_and_cumulative_time() -> None:
    python, native = (count(parse(STACKS), native=native) for native in (False, True))
    assert python.total == native.total == 16
    named = {frame.function: weight for frame, weight in python.by_self.items()}
    assert named == {"reserve": 6, "answer": 3, "run": 5, "loop": 2}
    assert {frame.function: weight for frame, weight in python.cumulative.items()}["run"] == 14
    assert {frame.function: weight for frame, weight in native.by_self.items()}["?"] == 2
    assert {str(frame) for frame in python.by_self} >= {
        "reserve (reservation_api/adapters/sqlite/inventory.py)"
    }
