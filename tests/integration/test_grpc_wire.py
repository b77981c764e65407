"""HTTP/2 below gRPC: windows, resets, good-byes, silence, and peers that speak it badly."""

import asyncio

import grpc
import grpc.aio
import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.http2_peer import (
    DONE,
    OK,
    PATH,
    PATIENCE,
    Caller,
    ask,
    calling,
    echo,
    message,
    status_of,
)

from reservation_api.adapters.grpc_wire import frames
from reservation_api.adapters.grpc_wire.frames import settings_frame
from reservation_api.adapters.grpc_wire.headers import MAX_KNOWN, HeaderReader


async def test_a_call_says_what_grpc_says() -> None:
    heard: list[dict[str, str]] = []

    async def script(caller: Caller) -> None:
        stream_id, headers = await caller.call()
        heard.append(headers)
        caller.answer(stream_id, b"answer")

    async with calling(script) as channel:
        assert await ask(channel, seconds=2.5) == b"answer"
    timeout = heard[0].pop("grpc-timeout")
    authority = heard[0].pop(":authority")
    assert heard[0].pop("user-agent").startswith("grpc-python-")
    assert heard[0] == {
        ":method": "POST",
        ":scheme": "http",
        ":path": PATH,
        "te": "trailers",
        "content-type": "application/grpc",
        "traceparent": "00-1-2-01",
    }
    assert authority.startswith("127.0.0.1:")
    assert 0 < int(timeout.removesuffix("m")) <= 2500


async def test_calls_side_by_side_get_their_own_answers() -> None:
    async with calling(echo) as channel:
        bodies = [f"{n}".encode() * n for n in range(50)]
        assert await asyncio.gather(*(ask(channel, body) for body in bodies)) == bodies


@pytest.mark.parametrize("window", [1, 100, 70_000])
async def test_a_message_larger_than_the_window_goes_as_the_peer_reads(window: int) -> None:
    body = b"x" * (300 if window == 1 else 200_000)

    async def slow(caller: Caller) -> None:
        stream_id, _ = await caller.call()
        length = 0
        while True:
            data = await caller.next(frames.DATA)
            assert len(data.payload) <= frames.DEFAULT_FRAME
            length += len(data.payload)
            if data.flags & frames.END_STREAM:
                break
            for each in (0, stream_id):
                caller.writer.write(frames.number_frame(frames.WINDOW_UPDATE, each, len(data.payload)))
        caller.answer(stream_id, str(length).encode())

    async with calling(slow, settings={frames.INITIAL_WINDOW_SIZE: window}) as channel:
        assert await ask(channel, body) == str(len(body) + 5).encode()


async def test_a_peer_may_widen_the_windows_of_calls_under_way() -> None:
    async def widening(caller: Caller) -> None:
        stream_id, _ = await caller.call()
        assert len((await caller.next(frames.DATA)).payload) == 10
        caller.writer.write(settings_frame({frames.INITIAL_WINDOW_SIZE: 1000}))
        assert (await caller.next(frames.DATA)).flags & frames.END_STREAM
        caller.answer(stream_id, b"answer")

    async with calling(widening, settings={frames.INITIAL_WINDOW_SIZE: 10}) as channel:
        assert await ask(channel, b"x" * 500) == b"answer"


async def test_what_was_read_may_be_sent_again_for_ever() -> None:
    replies, body = 24, bytes(1_000_000)

    async def large(caller: Caller) -> None:
        window = frames.DEFAULT_WINDOW

        async def hear(kind: int) -> int:
            """Wait for a frame, and count what the window grows by meanwhile."""
            nonlocal window
            while True:
                one = await caller.frames.get()
                if one.kind == frames.WINDOW_UPDATE and one.stream_id == 0:
                    window += frames.number_of(one.payload)
                if one.kind == kind:
                    return one.stream_id

        for _ in range(replies):
            stream_id = await hear(frames.HEADERS)
            while window < len(body) + 5:
                await hear(frames.WINDOW_UPDATE)
            window -= len(body) + 5
            caller.headers(stream_id, OK)
            whole = message(body)
            for at in range(0, len(whole), frames.DEFAULT_FRAME):
                caller.send(frames.DATA, 0, stream_id, whole[at : at + frames.DEFAULT_FRAME])
            caller.headers(stream_id, DONE, ends=True)

    async with calling(large) as channel:
        for _ in range(replies):
            assert await ask(channel) == body


async def test_more_calls_than_the_peer_takes_at_once_wait_their_turn() -> None:
    at_once: list[int] = []

    async def script(caller: Caller) -> None:
        while True:
            open_calls = [(await caller.call())[0]]
            await caller.next(frames.DATA)
            while not caller.frames.empty():
                open_calls.append((await caller.call())[0])
                await caller.next(frames.DATA)
            at_once.append(len(open_calls))
            for stream_id in open_calls:
                caller.answer(stream_id, b"answer")

    async with calling(script, settings={frames.MAX_CONCURRENT_STREAMS: 2}) as channel:
        assert await asyncio.gather(*(ask(channel) for _ in range(20))) == [b"answer"] * 20
    assert max(at_once) <= 2


async def test_a_call_that_waits_for_room_waits_no_longer_than_its_deadline() -> None:
    async def silent(caller: Caller) -> None:
        await caller.call()

    async with calling(silent, settings={frames.MAX_CONCURRENT_STREAMS: 1}) as channel:
        first = asyncio.create_task(ask(channel, seconds=PATIENCE))
        assert await status_of(channel, seconds=0.2) is grpc.StatusCode.DEADLINE_EXCEEDED
        first.cancel()


@pytest.mark.parametrize(
    ("headers", "trailers", "body", "status"),
    [
        (OK, [("grpc-status", "5"), ("grpc-message", "no%20such")], b"", grpc.StatusCode.NOT_FOUND),
        (OK, [("grpc-status", "99")], b"", grpc.StatusCode.UNKNOWN),
        (OK, [("grpc-status", "x")], b"", grpc.StatusCode.UNKNOWN),
        (OK, [("other", "0")], message(b"a"), grpc.StatusCode.UNKNOWN),
        ([(":status", "503")], [("x", "y")], b"", grpc.StatusCode.UNAVAILABLE),
        ([(":status", "404")], [("x", "y")], b"", grpc.StatusCode.UNIMPLEMENTED),
        ([(":status", "418")], [("x", "y")], b"", grpc.StatusCode.UNKNOWN),
        (OK, DONE, b"", grpc.StatusCode.INTERNAL),
        (OK, DONE, message(b"a") + message(b"b"), grpc.StatusCode.INTERNAL),
        (OK, DONE, b"\x00\x00\x00\x00\x05abc", grpc.StatusCode.INTERNAL),
        (OK, DONE, b"\x01\x00\x00\x00\x01a", grpc.StatusCode.UNIMPLEMENTED),
    ],
)
async def test_an_end_that_is_no_answer_is_an_error(
    headers: list[tuple[str, str]], trailers: list[tuple[str, str]], body: bytes, status: grpc.StatusCode
) -> None:
    async def script(caller: Caller) -> None:
        stream_id, _ = await caller.call()
        caller.headers(stream_id, headers)
        caller.send(frames.DATA, 0, stream_id, body)
        caller.headers(stream_id, trailers, ends=True)

    async with calling(script) as channel:
        assert await status_of(channel) is status


async def test_a_refusal_may_come_in_one_block() -> None:
    async def script(caller: Caller) -> None:
        stream_id, _ = await caller.call()
        caller.headers(stream_id, [*OK, ("grpc-status", "8")], ends=True)

    async with calling(script) as channel:
        assert await status_of(channel) is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("error", "status"),
    [(8, grpc.StatusCode.CANCELLED), (11, grpc.StatusCode.RESOURCE_EXHAUSTED), (2, grpc.StatusCode.INTERNAL)],
)
async def test_a_reset_is_an_error_and_the_connection_goes_on(error: int, status: grpc.StatusCode) -> None:
    async def script(caller: Caller) -> None:
        stream_id, _ = await caller.call()
        caller.writer.write(frames.number_frame(frames.RST_STREAM, stream_id, error))
        await echo(caller)

    async with calling(script) as channel:
        assert await status_of(channel) is status
        assert await ask(channel, b"again") == b"again"


async def test_a_call_that_was_refused_untouched_is_sent_again() -> None:
    async def script(caller: Caller) -> None:
        stream_id, _ = await caller.call()
        caller.writer.write(frames.number_frame(frames.RST_STREAM, stream_id, frames.REFUSED_STREAM))
        await echo(caller)

    async with calling(script) as channel:
        assert await ask(channel, b"again") == b"again"


async def test_a_good_bye_ends_no_call_that_the_peer_has_looked_at() -> None:
    async def leaving(caller: Caller) -> None:
        first, _ = await caller.call()
        await caller.call()
        goodbye = first.to_bytes(4, "big") + bytes(4)
        caller.send(frames.GOAWAY, 0, 0, goodbye)
        caller.answer(first, b"the last")

    async with calling(leaving, echo) as channel:
        answers = await asyncio.gather(ask(channel, b"one"), ask(channel, b"two"))
    assert list(answers) == [b"the last", b"two"]


async def test_a_connection_that_breaks_says_nothing_of_its_calls_and_is_made_again() -> None:
    async def breaking(caller: Caller) -> None:
        await caller.call()
        caller.writer.transport.abort()

    async with calling(breaking, echo) as channel:
        assert await status_of(channel) is grpc.StatusCode.UNAVAILABLE
        assert await ask(channel, b"again") == b"again"


async def test_a_deadline_ends_the_call_at_the_peer_too_and_its_late_answer_is_nobodys() -> None:
    reset: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def late(caller: Caller) -> None:
        stream_id, _ = await caller.call()
        await caller.next(frames.DATA)
        one = await caller.next(frames.RST_STREAM)
        reset.set_result(one.stream_id)
        caller.answer(stream_id, b"late")
        await echo(caller)

    async with calling(late) as channel:
        assert await status_of(channel, seconds=0.1) is grpc.StatusCode.DEADLINE_EXCEEDED
        assert await ask(channel, b"mine") == b"mine"
    assert reset.result() == 1


async def test_a_ping_is_answered_and_what_is_unknown_ignored() -> None:
    pong: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def script(caller: Caller) -> None:
        caller.send(frames.PING, 0, 0, b"12345678")
        caller.send(0x42, 0xFF, 7, b"whatever")
        pong.set_result((await caller.next(frames.PING)).payload)
        await echo(caller)

    async with calling(script) as channel:
        await ask(channel)
    assert pong.result() == b"12345678"


async def test_headers_may_go_on_and_frames_may_be_padded() -> None:
    async def script(caller: Caller) -> None:
        stream_id, _ = await caller.call()
        block = caller.encoder.encode([(":status", "100")])
        caller.send(frames.HEADERS, frames.END_HEADERS, stream_id, block)
        block = caller.encoder.encode([*OK, ("x", "y" * 100)])
        padded = b"\x03" + bytes(5) + block[:7] + bytes(3)
        caller.send(frames.HEADERS, frames.PADDED | frames.PRIORITY, stream_id, padded)
        caller.send(frames.CONTINUATION, 0, stream_id, block[7:20])
        caller.send(frames.CONTINUATION, frames.END_HEADERS, stream_id, block[20:])
        caller.send(frames.DATA, frames.PADDED, stream_id, b"\x02" + message(b"answer") + bytes(2))
        caller.headers(stream_id, DONE, ends=True)

    async with calling(script) as channel:
        assert await ask(channel) == b"answer"


NO_HTTP2 = [
    pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 3, id="HTTP/1.1"),
    pytest.param(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01", id="a frame too long"),
    pytest.param(
        frames.frame(frames.HEADERS, 0, 1, b"") + frames.frame(frames.DATA, 0, 1, b""), id="cut headers"
    ),
    pytest.param(frames.frame(frames.CONTINUATION, 4, 1, b""), id="continued from nowhere"),
    pytest.param(frames.frame(frames.HEADERS, 4, 1, b"\xff\xff\xff\xff\xff"), id="no HPACK"),
    pytest.param(frames.frame(frames.HEADERS, 12, 1, b"\x09abc"), id="nothing but padding"),
    pytest.param(frames.frame(frames.PUSH_PROMISE, 4, 1, bytes(4)), id="a promise"),
    pytest.param(frames.frame(frames.SETTINGS, 0, 0, b"abc"), id="cut settings"),
    pytest.param(frames.number_frame(frames.WINDOW_UPDATE, 0, 0), id="no growth"),
    pytest.param(frames.number_frame(frames.WINDOW_UPDATE, 0, 2**31 - 1), id="a window too wide"),
    pytest.param(frames.frame(frames.GOAWAY, 0, 0, b"abc"), id="a cut good-bye"),
    pytest.param(frames.frame(frames.RST_STREAM, 0, 1, b"abc"), id="a cut reset"),
]


@pytest.mark.parametrize("nonsense", NO_HTTP2)
async def test_a_peer_that_speaks_no_http2_is_left(nonsense: bytes) -> None:
    async def script(caller: Caller) -> None:
        await caller.call()
        caller.writer.write(nonsense)

    async with calling(script, echo) as channel:
        assert await status_of(channel) is grpc.StatusCode.UNAVAILABLE
        assert await ask(channel, b"again") == b"again"


async def test_a_reply_in_too_many_parts_to_keep_is_refused() -> None:
    async def endless(caller: Caller) -> None:
        stream_id, _ = await caller.call()
        caller.headers(stream_id, OK)
        for _ in range(300):
            caller.send(frames.DATA, 0, stream_id, bytes(frames.DEFAULT_FRAME))
        assert (await caller.next(frames.RST_STREAM)).stream_id == stream_id
        await echo(caller)

    async with calling(endless) as channel:
        assert await status_of(channel) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await ask(channel, b"again") == b"again"


@given(
    values=st.lists(st.sampled_from(["a", "b", "c" * 4000, "d" * 4100, "e" * 1990]), max_size=30),
    literal=st.booleans(),
)
def test_a_block_that_is_known_means_what_the_table_says_now(values: list[str], *, literal: bool) -> None:
    encoder, reader = hpack.Encoder(), HeaderReader()
    for value in values:
        headers = [(":status", "200"), ("x", value)]
        sent = [hpack.NeverIndexedHeaderTuple(*each) for each in headers] if literal else headers
        assert list(reader.read(encoder.encode(sent))) == headers


def test_what_is_remembered_of_a_peer_has_an_end() -> None:
    encoder, reader = hpack.Encoder(), HeaderReader()
    for n in range(5 * MAX_KNOWN):
        reader.read(encoder.encode([hpack.NeverIndexedHeaderTuple("grpc-message", str(n))]))
    assert len(reader._known) <= MAX_KNOWN


def test_settings_are_written_as_they_are_read() -> None:
    settings = {frames.MAX_CONCURRENT_STREAMS: 7, frames.INITIAL_WINDOW_SIZE: 1}
    assert frames.settings_of(settings_frame(settings)[9:]) == settings
