"""Refused signatures: credentials are renewed, a clock that is off is put right, no secret is shown."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from tests.support.aws_service import (
    Budget,
    FixedCredentials,
    Parts,
    Peer,
    Request,
    Script,
    Service,
    answering,
    calling,
    refusal,
    reply,
    serving,
)
from tests.support.clock import FakeClock, SkewedClock

from reservation_api.adapters.aws_wire.client import AwsClient
from reservation_api.adapters.aws_wire.credentials import CredentialChain, NoCredentialsError
from reservation_api.adapters.aws_wire.errors import AwsCallError, AwsNotSentError, AwsRefusedError
from reservation_api.adapters.aws_wire.signing import AwsCredentials

EXPIRED = refusal("ExpiredTokenException")
FINE = reply({"ok": 1})
ALICE = AwsCredentials("AKIDALICE", "secret-a", "token-a")
BOB = AwsCredentials("AKIDBOB", "secret-b", "token-b")
SECRETS = ("secret-a", "token-a", "secret-b", "token-b")
ENDS = {
    "throttled": refusal("ThrottlingException"),
    "broken": refusal("InternalServerError", 500),
    "expired": EXPIRED,
    "failed": refusal("ConditionalCheckFailedException"),
    "garbage": b"garbage",
    "fine": FINE,
}


async def put(client: AwsClient) -> Any:
    return await client.call("PutItem", {"Item": {}}, repeatable=False)


@dataclass
class Renewing:
    """Credentials that are renewed when they were refused, as often as there are more."""

    left: list[AwsCredentials]
    refused: list[AwsCredentials] = field(default_factory=list)

    def current(self) -> AwsCredentials:
        return self.left[0]

    async def wait(self) -> AwsCredentials:
        return self.left[0]

    async def renew(self, refused: AwsCredentials) -> bool:
        self.refused.append(refused)
        self.left = self.left[1:] or self.left
        return self.left[0] is not refused


def keys(requests: Sequence[Request]) -> list[str]:
    return [
        request.headers["authorization"].partition("Credential=")[2].partition("/")[0] for request in requests
    ]


@pytest.mark.parametrize("code", ["ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException"])
async def test_credentials_that_were_refused_are_renewed_and_the_call_made_again(code: str) -> None:
    credentials = Renewing([ALICE, BOB])
    parts = Parts(credentials, retries=Budget(0))
    async with serving(answering(refusal(code), FINE)) as service, calling(service, parts) as client:
        assert await put(client) == {"ok": 1}
    assert keys(service.requests) == ["AKIDALICE", "AKIDBOB"]
    assert [request.headers["x-amz-security-token"] for request in service.requests] == ["token-a", "token-b"]
    assert credentials.refused == [ALICE]


async def test_credentials_that_stay_the_same_are_not_tried_again() -> None:
    async with serving(answering(EXPIRED)) as service, calling(service) as client:
        with pytest.raises(AwsRefusedError, match="ExpiredTokenException"):
            await put(client)
    assert len(service.requests) == 1


async def test_credentials_that_are_refused_again_and_again_are_an_error() -> None:
    parts = Parts(Renewing([ALICE, BOB] * 20))
    async with serving(answering(EXPIRED)) as service, calling(service, parts) as client:
        with pytest.raises(AwsRefusedError, match="ExpiredTokenException"):
            await put(client)
    assert len(service.requests) == 3


class Slow(FixedCredentials):
    """A first lookup that never ends."""

    def current(self) -> None:
        return None

    async def wait(self) -> AwsCredentials:
        await asyncio.Event().wait()
        return self.credentials


class Endless(FixedCredentials):
    """A renewal that never ends."""

    async def renew(self, refused: AwsCredentials) -> bool:
        await asyncio.Event().wait()
        return refused is not self.credentials


async def test_a_renewal_has_no_more_time_than_its_call() -> None:
    parts = Parts(Endless())
    async with serving(answering(EXPIRED)) as service, calling(service, parts, total_seconds=0.05) as client:
        with pytest.raises(AwsRefusedError, match="ExpiredTokenException"):
            await put(client)


async def test_without_credentials_nothing_is_sent() -> None:
    parts = Parts(CredentialChain(lambda: None))
    async with serving(answering(FINE)) as service, calling(service, parts) as client:
        with pytest.raises(
            AwsNotSentError, match=r"PutItem: no AWS credentials.*AWS_ACCESS_KEY_ID"
        ) as caught:
            await put(client)
    assert isinstance(caught.value.__cause__, NoCredentialsError)
    assert service.connections == 0


async def test_credentials_that_take_too_long_mean_not_sent() -> None:
    parts = Parts(Slow())
    async with serving(answering(FINE)) as service, calling(service, parts, total_seconds=0.05) as client:
        with pytest.raises(AwsNotSentError, match="takes too long"):
            await put(client)
    assert service.connections == 0


def keeping_time(clock: FakeClock, code: str = "InvalidSignatureException") -> Script:
    """Refuse a signature that is more than five minutes off, as services do."""

    async def script(peer: Peer, service: Service) -> None:
        while True:
            service.requests.append(request := await peer.request())
            signed_at = datetime.strptime(request.headers["x-amz-date"] + "+0000", "%Y%m%dT%H%M%SZ%z")
            now = clock.now()
            is_off = abs(signed_at - now) > timedelta(minutes=5)
            date = format_datetime(now, usegmt=True)
            peer.send(refusal(code, Date=date) if is_off else reply({"ok": 1}, Date=date))

    return script


@pytest.mark.parametrize("skew_seconds", [-86_400.0, -400.0, 400.0, 86_400.0])
@pytest.mark.parametrize(
    "code", ["InvalidSignatureException", "RequestTimeTooSkewed", "SignatureDoesNotMatch"]
)
async def test_a_clock_that_is_off_is_put_right_once(code: str, skew_seconds: float) -> None:
    clock = FakeClock()
    parts = Parts(clock=SkewedClock(clock, skew_seconds), retries=Budget(0))
    async with serving(keeping_time(clock, code)) as service, calling(service, parts) as client:
        assert await put(client) == {"ok": 1}
        assert len(service.requests) == 2
        clock.advance(3600)
        assert await put(client) == {"ok": 1}
        assert len(service.requests) == 3


async def test_calls_that_were_signed_before_the_clock_was_put_right_are_made_again_as_well() -> None:
    clock = FakeClock()
    parts = Parts(clock=SkewedClock(clock, 7200), retries=Budget(0))
    async with serving(keeping_time(clock)) as service, calling(service, parts) as client:
        assert await asyncio.gather(*(put(client) for _ in range(50))) == [{"ok": 1}] * 50
    assert len(service.requests) == 100


async def test_a_clock_that_was_set_meanwhile_is_followed() -> None:
    clock = FakeClock()
    own = SkewedClock(clock, 7200)
    async with serving(keeping_time(clock)) as service, calling(service, Parts(clock=own)) as client:
        await put(client)
        own._offset = timedelta(0)
        assert await put(client) == {"ok": 1}


@pytest.mark.parametrize("offset_seconds", [None, -30, 0, 30])
async def test_a_wrong_signature_at_the_right_time_is_a_refusal(offset_seconds: int | None) -> None:
    dates: dict[str, Any] = {}
    if offset_seconds is not None:
        date = FakeClock().now() + timedelta(seconds=offset_seconds)
        dates = {"Date": format_datetime(date, usegmt=True)}
    wrong = refusal("InvalidSignatureException", **dates)
    async with serving(answering(wrong)) as service, calling(service) as client:
        with pytest.raises(AwsRefusedError, match="InvalidSignatureException"):
            await put(client)
    assert len(service.requests) == 1


async def test_a_clock_and_credentials_that_are_both_wrong_are_both_put_right() -> None:
    clock = FakeClock()
    date = format_datetime(clock.now(), usegmt=True)
    skewed = refusal("InvalidSignatureException", Date=date)
    parts = Parts(Renewing([ALICE, BOB]), SkewedClock(clock, 7200), Budget(0))
    async with serving(answering(skewed, EXPIRED, FINE)) as service, calling(service, parts) as client:
        assert await put(client) == {"ok": 1}
    assert keys(service.requests) == ["AKIDALICE", "AKIDALICE", "AKIDBOB"]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
async def test_no_message_nor_log_line_shows_a_secret(end: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    parts = Parts(Renewing([ALICE, BOB]))
    async with serving(answering(end)) as service, calling(service, parts) as client:
        said = repr(client) + repr(client.__dict__)
        try:
            await put(client)
        except AwsCallError as error:
            said += f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
    assert service.requests
    assert [secret for secret in SECRETS if secret in said + caplog.text] == []
