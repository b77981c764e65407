"""What a setting's text may look like; each kind parses it, and says in a few words what it takes."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

import msgspec

_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\Z"
)
_PEER = re.compile(
    r"(?:(?P<scheme>grpcs?|https?|dns)://(?:/(?=.))?)?"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_HIGHEST_PORT = 65535


class Kind(Protocol):
    """How to read one setting."""

    @property
    def hint(self) -> str:
        """What is taken, for the table of settings."""
        ...

    def parse(self, text: str) -> Any:
        """Return the value; raises ValueError with what the text must be."""
        ...


@dataclass(frozen=True, slots=True)
class WholeNumber:
    """An integer within bounds."""

    lowest: int
    highest: int

    @property
    def hint(self) -> str:
        """The bounds."""
        return f"{self.lowest} to {self.highest}"

    def parse(self, text: str) -> int:
        """Return the number; raises ValueError."""
        if not re.fullmatch(r"-?[0-9]{1,18}", text) or not self.lowest <= int(text) <= self.highest:
            raise ValueError(f"must be a whole number from {self.hint}")
        return int(text)


@dataclass(frozen=True, slots=True)
class Seconds:
    """A duration in seconds within bounds; fractions are fine."""

    lowest: float
    highest: float

    @property
    def hint(self) -> str:
        """The bounds."""
        return f"{self.lowest:g} to {self.highest:g}, fractions too"

    def parse(self, text: str) -> float:
        """Return the duration; raises ValueError."""
        if (
            not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text)
            or not self.lowest <= float(text) <= self.highest
        ):
            raise ValueError(f"must be a number of seconds from {self.lowest:g} to {self.highest:g}")
        return float(text)


@dataclass(frozen=True, slots=True)
class Number:
    """A number within bounds; fractions are fine."""

    lowest: float
    highest: float

    @property
    def hint(self) -> str:
        """The bounds."""
        return f"{self.lowest:g} to {self.highest:g}, fractions too"

    def parse(self, text: str) -> float:
        """Return the number; raises ValueError."""
        if (
            not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text)
            or not self.lowest <= float(text) <= self.highest
        ):
            raise ValueError(f"must be a number from {self.lowest:g} to {self.highest:g}")
        return float(text)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def hint(self) -> str:
        """The words."""
        return " or ".join(f"`{word}`" for word in self.words)

    def parse(self, text: str) -> str:
        """Return the word; raises ValueError."""
        if text not in self.words:
            raise ValueError(f"must be {' or '.join(self.words)}")
        return text


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text of a certain form."""

    form: str
    hint: str

    def parse(self, text: str) -> str:
        """Return the text; raises ValueError."""
        if not re.fullmatch(self.form, text):
            raise ValueError(f"must be {self.hint}")
        return text


class IpAddress:
    """An IP address of this machine: names may mean several, and the server listens on one."""

    hint = "an IP address"

    def parse(self, text: str) -> str:
        """Return the address; raises ValueError."""
        try:
            return str(ip_address(text))
        except ValueError:
            raise ValueError("must be an IP address such as 127.0.0.1") from None


class Address:
    """Where a gRPC peer is: plain text, or TLS by its scheme. The adapter that connects reads it again."""

    hint = "`host:port`; `grpcs://host:port` or `https://host` for TLS"

    def parse(self, text: str) -> str:
        """Return the address; raises ValueError."""
        match = _PEER.fullmatch(text)
        if match is None or not _is_host(match["host"].strip("[]")):
            raise ValueError("must be host:port, or grpcs://host:port for TLS")
        port = match["port"] or ("443" if match["scheme"] == "https" else "0")
        if not 1 <= int(port) <= _HIGHEST_PORT:
            raise ValueError(f"must be host:port with a port from 1 to {_HIGHEST_PORT}")
        return text


def plain_text_host(address: str) -> str | None:
    """Return the host of an address that `Address` takes; None if it is spoken to by TLS."""
    match = _PEER.fullmatch(address)
    if match is None or match["scheme"] in {"grpcs", "https"}:
        return None
    return match["host"].strip("[]")


class Url:
    """An http or https URL without credentials: those would end up in logs."""

    hint = "an http or https URL"

    def parse(self, text: str) -> str:
        """Return the URL; raises ValueError."""
        parts = split_url(text)
        if parts is None or parts.scheme not in {"http", "https"} or re.search(r"\s", text):
            raise ValueError(f"must be {self.hint}")
        if "@" in parts.netloc:
            raise ValueError("must not carry a user name or password")
        return text


class Directory:
    """A directory, made when it is needed."""

    hint = "a directory"

    def parse(self, text: str) -> Path:
        """Return the path; raises ValueError."""
        if "\0" in text:
            raise ValueError("must be a path")
        return Path(text)


class File(Directory):
    """A file."""

    hint = "a file"


class Profiles:
    """Spring's comma list of profiles; `prod` is the one that changes anything."""

    hint = "a comma list; `prod` is known"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the profiles; raises ValueError, also for a slip of `prod`: it would protect nothing."""
        names = tuple(name.strip() for name in text.split(","))
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
                raise ValueError("must be a comma list of profile names")
            if name != "prod" and name.lower() in {"prod", "prd", "production"}:
                raise ValueError(f"names the profile {name}: did you mean prod?")
        return names


class KeySet:
    """A JWKS (RFC 7517 section 5); whether its keys are usable is for their reader to say."""

    hint = "a JSON object with `keys`"

    def parse(self, text: str) -> str:
        """Return the text; raises ValueError, which never holds it."""
        try:
            msgspec.json.decode(text, type=_KeySet)
        except (msgspec.DecodeError, RecursionError):
            raise ValueError(f"must be {self.hint}") from None
        return text


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


class Anything:
    """Text that nobody reads, empty or not."""

    hint = "anything"

    def parse(self, text: str) -> str:
        """Return the text."""
        return text


def is_loopback(host: str) -> bool:
    """Tell whether a host is this very machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def split_url(text: str) -> SplitResult | None:
    """Return the parts of a URL that names a host and, if any, a real port."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.hostname else None


def without_password(text: str) -> str:
    """Mask what a URL may carry before its host."""
    return re.sub(r"//[^/\s]*@", "//***@", text)


def _is_host(text: str) -> bool:
    """Tell whether the text is a host name or an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return _HOST_NAME.match(text) is not None
    return True
