"""The keys that an issuer publishes, kept fresh without asking it more often than it likes."""

import asyncio
import logging
from datetime import datetime, timedelta

from reservation_api.adapters.jwt.issuer_documents import IssuerDocuments, IssuerFaultError
from reservation_api.adapters.jwt.jwks import NO_KEYS, KeyRing, VerificationKey
from reservation_api.domain.errors import IdentityUnavailableError
from reservation_api.ports.clock import Clock

_log = logging.getLogger(__name__)

MAX_AGE_SECONDS = 600
"""How long a withdrawn key goes unnoticed: issuers publish a new key for longer before they use it."""

MIN_INTERVAL_SECONDS = 10
"""Anybody can send a token with an unknown kid; this is how often the issuer hears of it."""

COLD_RETRY_SECONDS = 1
"""Without any key nobody gets in, so the issuer is asked more often."""


class DiscoveredKeys:
    """A KeySource for the keys of an issuer's discovery document; for one event loop."""

    def __init__(
        self,
        documents: IssuerDocuments,
        clock: Clock,
        max_age_seconds: float = MAX_AGE_SECONDS,
        min_interval_seconds: float = MIN_INTERVAL_SECONDS,
    ) -> None:
        self.generation = 0
        self._documents = documents
        self._clock = clock
        self._max_age = timedelta(seconds=max_age_seconds)
        self._min_interval = timedelta(seconds=min_interval_seconds)
        self._ring = NO_KEYS
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None
        self._asking: asyncio.Task[None] | None = None

    def find(self, kid: str | None) -> VerificationKey | None:
        """Return the key of that id."""
        return self._ring.find(kid)

    async def keep_fresh(self) -> None:
        """Wait for the first keys; replace aged ones in the background, using them until then.

        Raises IdentityUnavailableError when there are no keys.
        """
        if self._ring.keys:
            if self._has_passed(self._max_age, self._fetched_at):
                self._ask()
            return
        await self.refresh()
        if not self._ring.keys:
            raise IdentityUnavailableError("the issuer's keys can not be had")

    async def refresh(self) -> None:
        """Ask the issuer, or wait for the answer that another request is already waiting for."""
        self._ask()
        if self._asking is not None:
            # Shielded: a caller who hangs up must not take the answer from all the others.
            await asyncio.shield(self._asking)

    async def close(self) -> None:
        """Stop asking and give the connections back."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        await self._documents.close()

    def _ask(self) -> None:
        interval = self._min_interval if self._ring.keys else timedelta(seconds=COLD_RETRY_SECONDS)
        if self._asking is None and self._has_passed(interval, self._asked_at):
            self._asked_at = self._clock.now()
            self._asking = asyncio.create_task(self._fetch())

    async def _fetch(self) -> None:
        try:
            self._adopt(await self._documents.fetch_keys())
        except IssuerFaultError as fault:
            _log.warning("the issuer's keys can not be had, those known stay in use: %s", fault)
        finally:
            self._asking = None

    def _adopt(self, ring: KeyRing) -> None:
        """Use these keys from now on. None at all is an answer too: the issuer has withdrawn every key."""
        self._fetched_at = self._clock.now()
        if ring.keys == self._ring.keys:
            return
        self._ring = ring
        self.generation += 1
        for fault in ring.faults:
            _log.warning("the issuer's key set: %s", fault)

    def _has_passed(self, span: timedelta, since: datetime | None) -> bool:
        """Tell whether that long ago; a clock set back counts as passed, lest it stop us from asking."""
        return since is None or not timedelta(0) <= self._clock.now() - since < span
