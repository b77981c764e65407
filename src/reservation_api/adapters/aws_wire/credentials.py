"""Credentials as botocore finds them, without ever waiting for them in the event loop.

botocore knows every place: the environment, a profile, the web identity of a Kubernetes service account, the
container's and the instance's role. It may take seconds, so it is asked in a thread of its own:

    first call            waits; all that come meanwhile wait for the same lookup
    15 minutes to go      botocore's own limit: one thread renews them, calls go on with the old ones
    a minute to go        the renewal has failed all that time: calls wait for the next, or fail
    refused by a service  the chain is gone through afresh

The thread is a daemon: a process that ends does not wait for it.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from time import monotonic
from typing import Any, Final, Protocol

from reservation_api.adapters.aws_wire.signing import AwsCredentials, OddCredentialsError

CHECK_SECONDS: Final = 30.0
"""How often the time that is left is looked at: it costs some 10 us."""
SPENT_SECONDS: Final = 60
"""With less to go credentials are not used: more than the time between looks and a call's limit together."""
PAUSE_SECONDS: Final = 1.0
"""Between lookups that failed, so that an outage of the metadata service is not answered with a storm."""
RENEWAL_PAUSE_SECONDS: Final = 10.0
"""Between lookups because of a refusal: credentials that are wrong stay wrong."""
_LOOKUP_CONNECT_SECONDS: Final = 2
_LOOKUP_READ_SECONDS: Final = 5
_LOOKUP_ATTEMPTS: Final = 2
"""botocore's own bounds towards STS are a minute each, five times; nobody waits as long here."""

NOTHING_FOUND: Final = (
    "no AWS credentials were found: give the pod's service account, the task or the instance a role, "
    "or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
)

_log = logging.getLogger(__name__)


class NoCredentialsError(Exception):
    """There are none; the message says why, and never shows any."""


class CredentialSource(Protocol):
    """Whose credentials requests are signed with."""

    def current(self) -> AwsCredentials | None:
        """Return those that are good now, if they are at hand."""
        ...

    async def wait(self) -> AwsCredentials:
        """Wait for some; raises NoCredentialsError."""
        ...

    async def renew(self, refused: AwsCredentials) -> bool:
        """Return whether there are others than these, which a service has refused."""
        ...


class Found(Protocol):
    """botocore.credentials.Credentials, as far as it is needed; those that expire know `refresh_needed`."""

    def get_frozen_credentials(self) -> Any:
        """Return access_key, secret_key and token; asks for new ones in time."""
        ...


Find = Callable[[], Found | None]


def default_chain(region: str) -> Find:
    """Return what goes through botocore's default chain; STS is asked in this region."""

    def find() -> Found | None:
        # A fifth of a second, which a process that never calls AWS need not spend.
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        # Below this level botocore logs what it sends and receives: tokens and secrets.
        logging.getLogger("botocore").setLevel(logging.WARNING)
        session = Session()
        session.set_config_variable("region", region)
        session.set_default_client_config(
            Config(
                connect_timeout=_LOOKUP_CONNECT_SECONDS,
                read_timeout=_LOOKUP_READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": _LOOKUP_ATTEMPTS},
            )
        )
        found: Found | None = session.get_credentials()
        return found

    return find


class CredentialChain:
    """Implements CredentialSource; one for all clients of a process, in one event loop."""

    def __init__(self, find: Find, monotonic: Callable[[], float] = monotonic) -> None:
        self._find = find
        self._monotonic = monotonic
        self._found: Found | None = None
        self._credentials: AwsCredentials | None = None
        self._fault = NOTHING_FOUND
        self._lookup: asyncio.Future[None] | None = None
        self._check_at = 0.0
        self._lookup_allowed_at = float("-inf")
        self._renewal_allowed_at = float("-inf")

    def current(self) -> AwsCredentials | None:
        """Return those that are good now, if they are at hand; have them renewed in time."""
        now = self._monotonic()
        if now >= self._check_at:
            self._check(now)
        return self._credentials

    async def wait(self) -> AwsCredentials:
        """Wait for a lookup, shared with whoever else waits; raises NoCredentialsError."""
        if self._lookup is None and self._monotonic() >= self._lookup_allowed_at:
            self._look_up(self._found)
        await self._lookup_done()
        if self._credentials is None:
            raise NoCredentialsError(self._fault)
        return self._credentials

    async def renew(self, refused: AwsCredentials) -> bool:
        """Go through the chain afresh, unless there are others than these by now, or it was done just now."""
        while self._credentials is refused:
            if self._lookup is None:  # else it may be one that asks where these came from: after it, afresh
                now = self._monotonic()
                if now < self._renewal_allowed_at:
                    break
                self._renewal_allowed_at = now + RENEWAL_PAUSE_SECONDS
                self._look_up(None)
            await self._lookup_done()
        return self._credentials is not None and self._credentials is not refused

    def _check(self, now: float) -> None:
        """Look at the time that is left."""
        self._check_at = now + CHECK_SECONDS
        refresh_needed = getattr(self._found, "refresh_needed", None)
        if refresh_needed is None or not refresh_needed():
            return
        if refresh_needed(SPENT_SECONDS):
            self._credentials = None
        elif self._lookup is None:
            self._look_up(self._found)

    async def _lookup_done(self) -> None:
        if self._lookup is not None:
            await asyncio.shield(self._lookup)  # others wait for it as well

    def _look_up(self, found: Found | None) -> None:
        """Start a lookup; without what was found before, from the beginning."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def run() -> None:
            result = _looked_up(self._find, found)
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(self._end, done, result)

        self._lookup = done
        try:
            Thread(target=run, name="aws-credentials", daemon=True).start()
        except RuntimeError as error:  # no more threads: those at hand may still do
            self._end(done, f"no AWS credentials could be had: {error}")

    def _end(self, done: "asyncio.Future[None]", result: "_Result") -> None:
        """Take over what a lookup found; what it did not find leaves the old ones as they are."""
        self._lookup = None
        if isinstance(result, str):
            self._fault = result
            self._lookup_allowed_at = self._monotonic() + PAUSE_SECONDS
            _log.warning("AWS credentials: %s", result)
        else:
            self._found, credentials = result
            if credentials != self._credentials:  # equal ones stay the same object, as signers compare them
                self._credentials = credentials
            self._check_at = self._monotonic() + CHECK_SECONDS
        done.set_result(None)


_Result = str | tuple[Found, AwsCredentials]


def _looked_up(find: Find, found: Found | None) -> _Result:
    """Return credentials, or what went wrong."""
    try:
        found = found or find()
        if found is None:
            return NOTHING_FOUND
        frozen = found.get_frozen_credentials()
        return found, AwsCredentials(frozen.access_key, frozen.secret_key, frozen.token or None)
    except Exception as error:  # noqa: BLE001 (files, networks, other programs: anything, told to who waits)
        return f"no AWS credentials could be had: {_told(error)}"


def _told(error: Exception) -> str:
    """Say what went wrong, but not in words that may quote secrets."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    is_harmless = isinstance(error, (OSError, BotoCoreError, ClientError, OddCredentialsError))
    return f"{type(error).__name__}: {error}" if is_harmless else type(error).__name__
