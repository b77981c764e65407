"""Calls of one service: signed, sent, tried again where that is right.

    outcome of a try            done?        tried again
    throttled                   no           yes
    not sent                    no           yes
    the same token at work      maybe        yes
    unknown                     maybe        if the call may be repeated
    signature refused           no           at once, if credentials or clock could be put right
    refused                     no           no

Once a try may have been done, only a refusal of the request itself still says what became of the call: ending
with a try that certainly did nothing is AwsOutcomeUnknownError.
"""

import asyncio
import random
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Protocol

import msgspec

from reservation_api.adapters.aws_wire.connection import NotSentError, ReplyLostError
from reservation_api.adapters.aws_wire.credentials import CredentialSource, NoCredentialsError
from reservation_api.adapters.aws_wire.endpoint import AwsEndpoint
from reservation_api.adapters.aws_wire.errors import (
    AwsCallError,
    AwsNotSentError,
    AwsOutcomeUnknownError,
    AwsRefusedError,
    AwsThrottledError,
)
from reservation_api.adapters.aws_wire.observation import AwsWireMetrics
from reservation_api.adapters.aws_wire.pool import Pool
from reservation_api.adapters.aws_wire.replies import (
    SPENT_CREDENTIALS,
    SignatureRefusedError,
    StillAtWorkError,
    answer,
)
from reservation_api.adapters.aws_wire.settings import AwsWireSettings
from reservation_api.adapters.aws_wire.signing import AwsCredentials, Signer
from reservation_api.ports.clock import Clock

_SKEW_SECONDS: Final = 60.0
"""Services allow five minutes: a clock that is less off was not the reason for a refusal."""

_MENDS: Final = 2
"""How often a call is tried anew for a refused signature: once for the clock, once for the credentials."""

_SAYS_NOTHING: Final = (AwsThrottledError, AwsNotSentError, SignatureRefusedError)
"""Of what became of earlier tries."""

_THROTTLED_ITEM: Final = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})
"""Codes in the reasons of a TransactionCanceledException."""

_encode = msgspec.json.Encoder().encode


class RetryBudget(Protocol):
    """Says how many calls may be tried again, so that an outage is not answered with more calls."""

    def record_call(self) -> None:
        """Count a first try."""
        ...

    def try_spend(self) -> bool:
        """Return whether one more try may be made now, and count it if so."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """What has a good default."""

    settings: AwsWireSettings = field(default_factory=AwsWireSettings)
    tls: ssl.SSLContext | None = None
    """Of `pool.tls_context`, to be shared by clients; None: one of its own."""


@dataclass(slots=True)
class _Call:
    """One call, over all its tries."""

    operation: str
    body: bytes
    ends_at: float
    repeatable: bool
    may_be_done: bool = False
    """Some try may have been carried out."""
    signed_second: int = 0
    """When its last try was signed, by our clock as it was put right."""
    mends_left: int = _MENDS


class AwsClient:
    """Implements AwsCaller for one endpoint, in one event loop."""

    def __init__(
        self,
        endpoint: AwsEndpoint,
        credentials: CredentialSource,
        clock: Clock,
        retries: RetryBudget,
        options: ClientOptions | None = None,
    ) -> None:
        options = options or ClientOptions()
        self._credentials = credentials
        self._clock = clock
        self._retry_budget = retries
        self._settings = options.settings
        self._signer = Signer(endpoint)
        self._pool = Pool(endpoint, options.settings, options.tls)
        self._clock_is_behind_seconds = 0.0
        self._in_flight = 0
        self._retries = 0
        self._throttles = 0

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        """Make one call and return the decoded answer; cancelling it closes its connection.

        Raises AwsRefusedError, AwsThrottledError, AwsNotSentError, AwsOutcomeUnknownError.
        """
        ends_at = monotonic() + self._settings.total_seconds
        call = _Call(operation, _encode(request), ends_at, repeatable)
        self._retry_budget.record_call()
        self._in_flight += 1
        tries = 0
        try:
            while True:
                tries += 1
                try:
                    return await self._try(call)
                except AwsCallError as error:
                    pause_seconds = self._pause_after(call, error, tries)
                await asyncio.sleep(pause_seconds)
        finally:
            self._in_flight -= 1

    def metrics(self) -> AwsWireMetrics:
        """Return how the client stands."""
        return AwsWireMetrics(
            calls_in_flight=self._in_flight,
            calls_waiting=self._pool.waiting,
            waited_seconds=self._pool.waited_seconds,
            retries=self._retries,
            throttles=self._throttles,
            connections_open=self._pool.open,
            connections_opened=self._pool.opened,
        )

    async def close(self) -> None:
        """Let calls under way end within their time limit, then close all connections; may be repeated."""
        await self._pool.close()

    def _pause_after(self, call: _Call, error: AwsCallError, tries: int) -> float:
        """Return how long to wait before the next try; raises what the call ends with if there is none."""
        self._throttles += _is_throttled(error)
        call.may_be_done |= isinstance(error, AwsOutcomeUnknownError)
        pause_seconds = self._pause_seconds(tries)
        if self._may_try_again(call, error, tries, pause_seconds):
            return pause_seconds
        if call.may_be_done and isinstance(error, _SAYS_NOTHING):
            raise AwsOutcomeUnknownError(f"an earlier try may have been done, then {error}") from error
        raise error

    def _may_try_again(self, call: _Call, error: AwsCallError, tries: int, pause_seconds: float) -> bool:
        is_harmless = isinstance(error, (AwsThrottledError, AwsNotSentError, StillAtWorkError))
        is_worth_it = is_harmless or (call.repeatable and isinstance(error, AwsOutcomeUnknownError))
        has_time = monotonic() + pause_seconds < call.ends_at
        is_allowed = is_worth_it and has_time and tries < self._settings.max_attempts
        if not is_allowed or self._pool.is_closed or not self._retry_budget.try_spend():
            return False
        self._retries += 1
        return True

    def _pause_seconds(self, tries: int) -> float:
        """Return a wait with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter")."""
        longest = self._settings.backoff_base_seconds * 2 ** (tries - 1)
        return random.uniform(0, min(longest, self._settings.backoff_cap_seconds))  # noqa: S311 (spreads load)

    async def _try(self, call: _Call) -> Any:
        """Try once, and anew if only the signature was refused, and that can be mended."""
        while True:
            credentials = self._credentials.current() or await self._wait_for_credentials(call)
            try:
                reply = await self._pool.exchange(self._signed(call, credentials), call.ends_at)
                return answer(call.operation, reply)
            except NotSentError as error:
                raise AwsNotSentError(f"{call.operation}: {error}") from error
            except ReplyLostError as error:
                raise AwsOutcomeUnknownError(f"{call.operation}: {error}") from error
            except SignatureRefusedError as error:
                if not call.mends_left or not await self._mend(call, error, credentials):
                    raise
                call.mends_left -= 1

    def _signed(self, call: _Call, credentials: AwsCredentials) -> bytes:
        call.signed_second = second = int(self._clock.now().timestamp() + self._clock_is_behind_seconds)
        return self._signer.request(call.operation, call.body, credentials, second)

    async def _wait_for_credentials(self, call: _Call) -> AwsCredentials:
        try:
            async with asyncio.timeout_at(call.ends_at):
                return await self._credentials.wait()
        except TimeoutError as error:
            raise AwsNotSentError(
                f"{call.operation}: the lookup of AWS credentials takes too long"
            ) from error
        except NoCredentialsError as error:
            raise AwsNotSentError(f"{call.operation}: {error}") from error

    async def _mend(self, call: _Call, error: SignatureRefusedError, credentials: AwsCredentials) -> bool:
        """Put credentials or clock right; return whether the next signature will be another."""
        if error.code in SPENT_CREDENTIALS:
            try:
                async with asyncio.timeout_at(call.ends_at):
                    return await self._credentials.renew(credentials)
            except TimeoutError:
                return False
        if error.service_time is None or abs(error.service_time - call.signed_second) < _SKEW_SECONDS:
            return False
        self._clock_is_behind_seconds = error.service_time - self._clock.now().timestamp()
        return True


def _is_throttled(error: AwsCallError) -> bool:
    """Tell whether the service asked for less: of the call, or of an item of a cancelled transaction."""
    if isinstance(error, AwsThrottledError):
        return True
    reasons = error.body.get("CancellationReasons") or () if isinstance(error, AwsRefusedError) else ()
    return any(reason.get("Code") in _THROTTLED_ITEM for reason in reasons)
