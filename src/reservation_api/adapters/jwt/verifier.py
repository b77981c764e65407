"""From a bearer token to a caller; remembers what it has verified."""

from collections import OrderedDict
from datetime import datetime, timedelta

from reservation_api.adapters.jwt.claims import (
    TokenRules,
    caller_of,
    check_issuer,
    check_times,
    parse_claims,
)
from reservation_api.adapters.jwt.jwks import VerificationKey
from reservation_api.adapters.jwt.key_sources import KeySource
from reservation_api.adapters.jwt.signed_token import check_signature, parse_token
from reservation_api.ports.clock import Clock
from reservation_api.ports.identity import Caller, InvalidTokenError

MAX_CACHE_SECONDS = 60
"""Design section 5: how long a withdrawn key or token can go unnoticed."""

DEFAULT_CACHE_SIZE = 20_000
"""Tokens are about 1 KB: 20 MB for each process, and the callers of some seconds at its full rate."""


class JwtVerifier:
    """A TokenVerifier for the tokens of one issuer; for one event loop."""

    def __init__(
        self,
        keys: KeySource,
        rules: TokenRules,
        clock: Clock,
        cache_size: int = DEFAULT_CACHE_SIZE,
        cache_seconds: float = MAX_CACHE_SECONDS,
    ) -> None:
        if cache_size < 0 or not 0 <= cache_seconds <= MAX_CACHE_SECONDS:
            raise ValueError(f"a token can be remembered for 0 to {MAX_CACHE_SECONDS} seconds")
        self._keys = keys
        self._rules = rules
        self._clock = clock
        self._cache_size = cache_size
        self._cache_seconds = cache_seconds
        self._generation = keys.generation
        # Ordered, so that the oldest is found at once: all live equally long, so it also expires first.
        self._verified: OrderedDict[str, tuple[Caller, datetime]] = OrderedDict()

    def cached(self, token: str) -> Caller | None:
        """Return the caller if this very token was verified a moment ago, without awaiting anything."""
        if self._generation != self._keys.generation:
            self._forget_all()
        found = self._verified.get(token)
        if found is None:
            return None
        caller, until = found
        if self._clock.now() < until:
            return caller
        del self._verified[token]
        return None

    async def verify(self, token: str) -> Caller:
        """Return the caller, as the port says; raises InvalidTokenError, IdentityUnavailableError."""
        caller = self.cached(token)
        if caller is not None:
            return caller
        signed = parse_token(token)
        check_signature(signed, await self._find_key(signed.kid))
        claims = parse_claims(signed.payload)
        check_issuer(claims, self._rules)
        now = self._clock.now()
        expires = check_times(claims, self._rules, now.timestamp())
        caller = caller_of(claims)
        self._remember(token, caller, now, expires)
        return caller

    async def _find_key(self, kid: str | None) -> VerificationKey:
        await self._keys.keep_fresh()
        key = self._keys.find(kid)
        if key is None and kid is not None:
            await self._keys.refresh()
            key = self._keys.find(kid)
        if key is None:
            raise InvalidTokenError("the key id is missing" if kid is None else "the key is unknown")
        return key

    def _remember(self, token: str, caller: Caller, now: datetime, expires: float) -> None:
        """Keep the caller until `cache_seconds` are over or the token expires, skew or not."""
        if not self._cache_size:
            return
        # The key may have been found in newer keys than those of the tokens that are remembered.
        if self._generation != self._keys.generation:
            self._forget_all()
        if len(self._verified) >= self._cache_size:
            self._verified.popitem(last=False)
        # The smaller of the two first: an `exp` of 400 digits is legal, and too large to subtract from.
        lifetime = min(expires, now.timestamp() + self._cache_seconds) - now.timestamp()
        self._verified[token] = (caller, now + timedelta(seconds=lifetime))

    def _forget_all(self) -> None:
        self._verified.clear()
        self._generation = self._keys.generation
