"""Where the keys come from that prove our tokens: a text, a file, or (issuer_keys.py) the issuer itself."""

import logging
import os
from pathlib import Path
from typing import Protocol

from reservation_api.adapters.jwt.jwks import MAX_JWKS_BYTES, KeyRing, VerificationKey, parse_jwks

_log = logging.getLogger(__name__)


class KeySource(Protocol):
    """Some issuer's public keys, which may change while we run."""

    @property
    def generation(self) -> int:
        """Another number whenever the keys are others: what was proven by the old ones is proven no more."""
        ...

    def find(self, kid: str | None) -> VerificationKey | None:
        """Return the key of that id; for None the key if there is only one."""
        ...

    async def keep_fresh(self) -> None:
        """Be called before `find`, cheaply: make sure that there are keys, and that old ones get replaced.

        Raises IdentityUnavailableError when there are no keys.
        """
        ...

    async def refresh(self) -> None:
        """Look for newer keys because one is unknown, unless that was done a moment ago; never raises."""
        ...


class StaticKeys:
    """The keys of a JWKS text; raises ValueError when it has none that is usable."""

    def __init__(self, jwks: str | bytes) -> None:
        self.generation = 0
        self._ring = _usable(parse_jwks(jwks))

    def find(self, kid: str | None) -> VerificationKey | None:
        """Return the key of that id."""
        return self._ring.find(kid)

    async def keep_fresh(self) -> None:
        """Do nothing: these keys do not age."""

    async def refresh(self) -> None:
        """Do nothing: there are no newer keys."""


class FileKeys:
    """The keys of a JWKS file, read again when the file has changed.

    Raises ValueError when it can not be read or has no usable key; later on, such a file changes nothing.
    """

    def __init__(self, path: Path) -> None:
        self.generation = 0
        self._path = path
        # The file's state first: if it changes while it is read, it is read once more.
        self._state = _state_of(path)
        self._ring = _read(path)

    def find(self, kid: str | None) -> VerificationKey | None:
        """Return the key of that id."""
        return self._ring.find(kid)

    async def keep_fresh(self) -> None:
        """Read the file again if it has changed; a look at it is one system call of about a microsecond."""
        self._reload_if_changed()

    async def refresh(self) -> None:
        """Read the file again if it has changed."""
        self._reload_if_changed()

    def _reload_if_changed(self) -> None:
        state = _state_of(self._path)
        if state == self._state:
            return
        self._state = state
        try:
            ring = _read(self._path)
        except ValueError as fault:
            _log.warning("the keys in use stay: %s", fault)
            return
        if ring.keys != self._ring.keys:
            self._ring = ring
            self.generation += 1


def _state_of(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when the file does, also when a link is moved; None if there is no such file."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path) -> KeyRing:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_JWKS_BYTES + 1)
    except OSError as error:
        raise ValueError(f"the key set file {path} can not be read: {error.strerror}") from error
    try:
        return _usable(parse_jwks(text))
    except ValueError as error:
        raise ValueError(f"the key set file {path}: {error}") from error


def _usable(ring: KeyRing) -> KeyRing:
    if not ring.keys:
        reasons = "; ".join(ring.faults) or "it is empty"
        raise ValueError(f"the key set has no usable key: {reasons}")
    for fault in ring.faults:
        _log.warning("the key set: %s", fault)
    return ring
