"""What is tried again, how often, and what is said of a call in the end."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.aws_service import (
    Budget,
    Parts,
    Peer,
    Service,
    answering,
    calling,
    operations,
    refusal,
    reply,
    serving,
    silence,
)

from reservation_api.adapters.aws_wire.client import AwsClient
from reservation_api.adapters.aws_wire.errors import (
    AwsCallError,
    AwsNotSentError,
    AwsOutcomeUnknownError,
    AwsRefusedError,
    AwsThrottledError,
)
from reservation_api.adapters.aws_wire.signing import AwsCredentials

THROTTLED = refusal("ThrottlingException")
BROKEN = refusal("InternalServerError", 500)
AT_WORK = refusal("TransactionInProgressException")
FAILED = refusal("ConditionalCheckFailedException")
EXPIRED = refusal("ExpiredTokenException")
FINE = reply({"ok": 1})
ALICE, BOB = (
    AwsCredentials("AKIDALICE", "secret-a", "token-a"),
    AwsCredentials("AKIDBOB", "secret-b", "token-b"),
)


async def put(client: AwsClient, *, repeatable: bool = False) -> Any:
    return await client.call("PutItem", {"Item": {}}, repeatable=repeatable)


@pytest.mark.parametrize("options", [{"repeatable": False}, {"repeatable": True}], ids=str)
@pytest.mark.parametrize(
    "first", [THROTTLED, AT_WORK, reply({}, status=429)], ids=["throttled", "at work", "429"]
)
async def test_what_was_not_done_twice_is_tried_again_whatever_the_call(
    first: bytes, options: dict[str, bool]
) -> None:
    parts = Parts(retries=(budget := Budget()))
    async with serving(answering(first, first, FINE)) as service, calling(service, parts) as client:
        assert await put(client, **options) == {"ok": 1}
        assert client.metrics().retries == 2
    assert operations(service.requests) == ["PutItem"] * 3
    assert (budget.calls, budget.spent) == (1, 2)


async def test_what_the_service_asks_to_make_later_is_counted_items_of_a_transaction_included() -> None:
    def cancelled(*codes: str) -> bytes:
        reasons = [{"Code": code} for code in codes]
        return reply({"__type": "TransactionCanceledException", "CancellationReasons": reasons}, status=400)

    answers = (THROTTLED, FINE, cancelled("None", "ThrottlingError"), cancelled("ConditionalCheckFailed"))
    async with serving(answering(*answers)) as service, calling(service) as client:
        await put(client)
        for _ in range(2):
            with pytest.raises(AwsRefusedError):
                await put(client)
        assert client.metrics().throttles == 2


async def test_an_unknown_outcome_is_tried_again_only_if_the_call_may_be_repeated() -> None:
    async with serving(answering(BROKEN, FINE)) as service, calling(service) as client:
        with pytest.raises(AwsOutcomeUnknownError, match="InternalServerError"):
            await put(client)
        assert len(service.requests) == 1
    async with serving(answering(BROKEN, FINE)) as service, calling(service) as client:
        assert await put(client, repeatable=True) == {"ok": 1}
        assert len(service.requests) == 2


async def test_a_refusal_is_final() -> None:
    async with serving(answering(FAILED, FINE)) as service, calling(service) as client:
        with pytest.raises(AwsRefusedError, match="ConditionalCheckFailedException") as caught:
            await put(client, repeatable=True)
    assert type(caught.value) is AwsRefusedError
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("tries", "ends"),
    [
        ((THROTTLED, THROTTLED, THROTTLED), AwsThrottledError),
        ((BROKEN, BROKEN, BROKEN), AwsOutcomeUnknownError),
        ((AT_WORK, AT_WORK, AT_WORK), AwsOutcomeUnknownError),
        # The last try did nothing, but an earlier one may have:
        ((BROKEN, THROTTLED, THROTTLED), AwsOutcomeUnknownError),
        ((THROTTLED, BROKEN, THROTTLED), AwsOutcomeUnknownError),
        ((AT_WORK, THROTTLED, THROTTLED), AwsOutcomeUnknownError),
        ((BROKEN, EXPIRED), AwsOutcomeUnknownError),
        # A refusal of the request itself is what the adapter must hear of:
        ((BROKEN, FAILED), AwsRefusedError),
        ((THROTTLED, FAILED), AwsRefusedError),
        ((THROTTLED, EXPIRED), AwsRefusedError),
    ],
)
async def test_what_is_said_in_the_end_is_true_of_all_tries(
    tries: Sequence[bytes], ends: type[AwsCallError]
) -> None:
    async with serving(answering(*tries, FINE)) as service, calling(service) as client:
        with pytest.raises(ends) as caught:
            await put(client, repeatable=True)
    assert len(service.requests) == len(tries)
    assert isinstance(caught.value, AwsRefusedError) is (ends in {AwsRefusedError, AwsThrottledError})


async def test_a_service_that_goes_away_after_an_unknown_outcome_leaves_it_unknown() -> None:
    """The second try finds nobody at the port; the first one may have been carried out."""

    async def break_and_go(peer: Peer, service: Service) -> None:
        service.requests.append(await peer.request())
        server.close()
        peer.finish()

    service = Service(break_and_go)
    server = await asyncio.start_server(service.connected, "127.0.0.1", 0)
    service.port = server.sockets[0].getsockname()[1]
    async with calling(service) as client:
        with pytest.raises(AwsOutcomeUnknownError, match=r"an earlier try.*not connected") as caught:
            await put(client, repeatable=True)
    assert isinstance(caught.value.__cause__, AwsNotSentError)
    assert len(service.requests) == 1


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_a_call_has_so_many_tries_and_no_more(attempts: int) -> None:
    async with serving(answering(THROTTLED)) as service, calling(service, max_attempts=attempts) as client:
        with pytest.raises(AwsThrottledError):
            await put(client)
    assert len(service.requests) == attempts


@pytest.mark.parametrize("allowed", [0, 1])
async def test_a_call_is_not_tried_again_beyond_the_budget(allowed: int) -> None:
    parts = Parts(retries=Budget(allowed))
    async with serving(answering(THROTTLED)) as service, calling(service, parts) as client:
        with pytest.raises(AwsThrottledError):
            await put(client)
    assert len(service.requests) == 1 + allowed


async def test_a_try_that_would_come_too_late_is_not_waited_for_nor_paid_for() -> None:
    parts = Parts(retries=(budget := Budget()))
    waits: dict[str, Any] = {"backoff_base_seconds": 1e9, "backoff_cap_seconds": 1e9, "total_seconds": 5}
    async with serving(answering(THROTTLED)) as service, calling(service, parts, **waits) as client:
        with pytest.raises(AwsThrottledError):
            await asyncio.wait_for(put(client), 4)
    assert (len(service.requests), budget.spent) == (1, 0)


async def test_all_tries_together_have_the_calls_time() -> None:
    async with serving(silence) as service, calling(service, total_seconds=0.1) as client:
        began_at = asyncio.get_running_loop().time()
        with pytest.raises(AwsOutcomeUnknownError):
            await put(client, repeatable=True)
        assert asyncio.get_running_loop().time() - began_at < 5


async def test_waits_grow_and_are_cut_off() -> None:
    async with calling("http://127.0.0.1:1", backoff_base_seconds=0.1, backoff_cap_seconds=0.5) as client:
        longest = [max(client._pause_seconds(tries) for _ in range(2000)) for tries in range(1, 6)]
        shortest = min(client._pause_seconds(5) for _ in range(2000))
    assert longest == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5], rel=0.05)
    assert shortest < 0.01  # full jitter


async def test_a_request_that_is_no_json_is_the_callers_mistake() -> None:
    async with calling("http://127.0.0.1:1") as client:
        with pytest.raises(TypeError):
            await client.call("PutItem", {"Item": object()}, repeatable=False)
        assert client.metrics().calls_in_flight == 0
