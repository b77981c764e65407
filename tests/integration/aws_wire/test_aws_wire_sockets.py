"""Replies over real sockets: in pieces, cut off, late, too long, not asked for, or no HTTP at all."""

import asyncio
from collections.abc import Callable

import pytest
from tests.support.aws_service import (
    PATIENT_SECONDS,
    Peer,
    Script,
    Service,
    answering,
    calling,
    one_by_one,
    operations,
    reply,
    serving,
    silence,
    until,
)

from reservation_api.adapters.aws_wire.client import AwsClient
from reservation_api.adapters.aws_wire.errors import AwsOutcomeUnknownError

ITEM = {"Item": {"pk": {"S": "reservation" * 20}}}
WHOLE = reply(ITEM)
HEAD_BYTES = WHOLE.index(b"\r\n\r\n") + 4
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'7;x=y\r\n{"Item"\r\n10\r\n:{"pk":{"S":"1"}\r\n2\r\n}}\r\n0\r\nx-trailer: 1\r\n\r\n'
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def saying(data: bytes, then: Callable[[Peer], None] | None = None, piece: int = 0) -> Script:
    """Answer each request with these bytes, and then do that, or wait for more requests."""

    async def script(peer: Peer, service: Service) -> None:
        while True:
            service.requests.append(await peer.request())
            await peer.send_in_pieces(data, piece or max(1, len(data)))
            if then is not None:
                then(peer)
                return

    return script


async def get(client: AwsClient, *, repeatable: bool = False) -> object:
    return await client.call("GetItem", {"Key": 1}, repeatable=repeatable)


@pytest.mark.parametrize("piece", [1, 2, 7, 100, HEAD_BYTES, 100_000])
async def test_a_reply_may_come_in_pieces(piece: int) -> None:
    async with serving(saying(WHOLE, piece=piece)) as service, calling(service) as client:
        assert [await get(client) for _ in range(3)] == [ITEM] * 3
    assert service.connections == 1


async def test_a_reply_that_came_ends_the_wait_for_it() -> None:
    async with serving(saying(WHOLE)) as service, calling(service) as client:
        await get(client)
        (idle,) = client._pool._idle
        assert idle._timer is None  # or it would close the connection, under whichever call


@pytest.mark.parametrize("piece", [1, 3, 1000])
async def test_a_reply_may_be_chunked(piece: int) -> None:
    async with serving(saying(CHUNKED, piece=piece)) as service, calling(service) as client:
        assert [await get(client) for _ in range(3)] == [{"Item": {"pk": {"S": "1"}}}] * 3
    assert service.connections == 1


@pytest.mark.parametrize("piece", [1, 1000])
async def test_what_comes_before_a_reply_is_no_reply(piece: int) -> None:
    async with (
        serving(saying(CONTINUE + CONTINUE + WHOLE, piece=piece)) as service,
        calling(service) as client,
    ):
        assert [await get(client) for _ in range(2)] == [ITEM] * 2
    assert service.connections == 1


async def test_a_large_request_and_a_large_reply_arrive_whole() -> None:
    large = {"Item": {"pk": {"S": "x" * 4_000_000}}}
    async with serving(saying(reply(large), piece=65_536)) as service, calling(service) as client:
        assert await client.call("PutItem", large, repeatable=False) == large
    assert service.requests[0].content == large


@pytest.mark.parametrize(
    "last",
    [
        reply(ITEM, Connection="close"),
        WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),
        WHOLE + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        WHOLE + b"x",
        WHOLE + WHOLE,
    ],
    ids=[
        "says that it closes",
        "HTTP/1.0",
        "is followed by another",
        "is followed by rubbish",
        "comes twice",
    ],
)
async def test_after_some_replies_a_connection_is_not_used_again(last: bytes) -> None:
    other = answering({"other": 1})
    async with serving(one_by_one(saying(last), other)) as service, calling(service) as client:
        assert await get(client) == ITEM
        assert await get(client) == {"other": 1}
        await until(lambda: service.open == 1)
    assert operations(service.requests) == ["GetItem"] * 2


@pytest.mark.parametrize("unasked", [reply({}, status=408), b"garbage", b"HTT"])
async def test_bytes_that_nobody_asked_for_are_nobodys_reply(unasked: bytes) -> None:
    """A load balancer says 408 as it closes an idle connection; that is no reply to the call after it."""
    said = asyncio.Event()

    async def say_more(peer: Peer, service: Service) -> None:
        service.requests.append(await peer.request())
        peer.send(WHOLE)
        await said.wait()
        peer.send(unasked)
        await peer.gone()

    async with (
        serving(one_by_one(say_more, answering({"other": 1}))) as service,
        calling(service) as client,
    ):
        await get(client)
        said.set()
        await until(lambda: client.metrics().connections_open == 0)
        assert await get(client) == {"other": 1}


CUTS = {
    "before a byte": b"",
    "in the status": WHOLE[:9],
    "in the head": WHOLE[: HEAD_BYTES - 3],
    "before the body": WHOLE[:HEAD_BYTES],
    "in the body": WHOLE[:-1],
    "in a chunk": CHUNKED[:-30],
    "before the last chunk": CHUNKED[: CHUNKED.index(b"0\r\nx")],
    "after 100 Continue": CONTINUE,
    "where nothing says how long it is": b"HTTP/1.1 200 OK\r\n\r\n{}",
}


@pytest.mark.parametrize("end", [Peer.finish, Peer.reset], ids=["FIN", "RST"])
@pytest.mark.parametrize("sent", CUTS.values(), ids=CUTS)
async def test_a_reply_that_is_cut_off_leaves_the_outcome_unknown(
    sent: bytes, end: Callable[[Peer], None]
) -> None:
    cut = saying(sent, end)
    async with serving(one_by_one(cut, cut, answering(ITEM))) as service, calling(service) as client:
        with pytest.raises(AwsOutcomeUnknownError, match="GetItem"):
            await get(client)
        assert len(service.requests) == 1
        assert await get(client, repeatable=True) == ITEM
        assert len(service.requests) == 3


NO_HTTP = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "TLS": b"\x15\x03\x03\x00\x02\x02\x46",
    "zeros": b"\x00" * 100,
    "a status that is none": b"HTTP/1.1 abc OK\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
    "a chunk that is none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "another protocol from now on": b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
}


@pytest.mark.parametrize("sent", NO_HTTP.values(), ids=NO_HTTP)
async def test_what_is_no_reply_leaves_the_outcome_unknown_at_once(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(saying(sent)) as service, calling(service) as client:
        with pytest.raises(AwsOutcomeUnknownError, match="GetItem"):
            await get(client)
        await until(lambda: service.open == 0)  # the client has closed it
    assert caplog.text == ""  # the event loop has no error of ours to tell of


async def test_a_service_that_never_answers_is_waited_for_no_longer_than_was_said() -> None:
    async with serving(silence) as service, calling(service, read_seconds=0.05) as client:
        with pytest.raises(AwsOutcomeUnknownError, match=r"no reply within 0\.05 s"):
            await get(client)
        await until(lambda: service.open == 0)
    assert len(service.requests) == 1


async def test_a_reply_that_trickles_is_waited_for_no_longer_than_was_said() -> None:
    async def trickle(peer: Peer, service: Service) -> None:
        service.requests.append(await peer.request())
        peer.send(WHOLE[:-1])
        await peer.gone()

    async with serving(trickle) as service, calling(service, read_seconds=0.05) as client:
        with pytest.raises(AwsOutcomeUnknownError, match="no reply within"):
            await get(client)


@pytest.mark.parametrize(
    "begin",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 "],
    ids=["body", "headers", "status"],
)
async def test_an_endless_reply_is_cut_off(begin: bytes) -> None:
    sent_bytes = 0

    async def flood(peer: Peer, service: Service) -> None:
        nonlocal sent_bytes
        service.requests.append(await peer.request())
        peer.send(begin)
        while True:
            await peer.send_in_pieces(b"x-header: value\r\n" * 1000, 17_000)
            sent_bytes += 17_000

    async with serving(flood) as service, calling(service, max_reply_bytes=200_000) as client:
        with pytest.raises(AwsOutcomeUnknownError, match=r"more than 200000 bytes|no HTTP"):
            await get(client)
        await until(lambda: service.open == 0)
    assert sent_bytes < 20_000_000  # what fits into the sockets' buffers on the way


async def test_the_largest_reply_allowed_is_taken_and_the_limit_is_for_each_reply() -> None:
    async with serving(saying(WHOLE)) as service, calling(service, max_reply_bytes=1024) as client:
        assert [await get(client) for _ in range(10)] == [ITEM] * 10
    assert service.connections == 1


async def test_a_call_that_is_cancelled_closes_its_connection() -> None:
    async with serving(one_by_one(silence, answering(ITEM))) as service, calling(service) as client:
        call = asyncio.create_task(get(client))
        await until(lambda: service.requests)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.wait_for(until(lambda: service.open == 0), PATIENT_SECONDS)
        assert await get(client) == ITEM
    assert service.connections == 2
