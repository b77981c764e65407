"""An issuer's discovery document and key set over HTTP (OpenID Connect Discovery 1.0, section 4)."""

import asyncio
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

import httpx
import msgspec

from reservation_api.adapters.jwt.jwks import MAX_JWKS_BYTES, KeyRing, parse_jwks

_WELL_KNOWN = "/.well-known/openid-configuration"
_OK = 200


class IssuerFaultError(Exception):
    """The issuer gave no keys; the message says why."""


@dataclass(frozen=True, slots=True)
class IssuerAddress:
    """Where an issuer is, and how long it may take; raises ValueError unless its URL is safe to ask.

    Safe is https. Plain http is for an issuer on this very machine, or when asked for by name: whoever is
    on the way could hand out keys of their own.
    """

    issuer: str
    """Exactly as tokens name it."""
    allow_plain_http: bool = False
    connect_timeout_seconds: float = 2
    total_timeout_seconds: float = 5
    """For both documents together: a request may be waiting for them."""

    def __post_init__(self) -> None:
        if not self.is_safe(self.issuer):
            raise ValueError("the issuer is no https URL")

    @property
    def discovery_url(self) -> str:
        """Return the discovery document's address."""
        return self.issuer.rstrip("/") + _WELL_KNOWN

    def is_safe(self, url: str) -> bool:
        """Tell whether keys may be had from there."""
        parts = _split(url)
        if parts is None:
            return False
        return parts.scheme == "https" or (parts.scheme == "http" and self._plain_http_is_safe())

    def _plain_http_is_safe(self) -> bool:
        parts = _split(self.issuer)
        on_this_machine = parts is not None and parts.scheme == "http" and _is_loopback(parts.hostname or "")
        return self.allow_plain_http or on_this_machine


class _Discovery(msgspec.Struct, frozen=True):
    issuer: str
    jwks_uri: str


_discovery_decoder = msgspec.json.Decoder(_Discovery)


class IssuerDocuments:
    """Asks one issuer for its keys; holds connections, so close it."""

    def __init__(self, address: IssuerAddress, tls: ssl.SSLContext | None = None) -> None:
        self._address = address
        self._http = httpx.AsyncClient(
            verify=tls or True,
            # No proxy from the environment, and nobody's word that another host has the keys.
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(address.total_timeout_seconds, connect=address.connect_timeout_seconds),
            # What is counted is what is sent: no small answer that unpacks to a large one.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def fetch_keys(self) -> KeyRing:
        """Return the keys published now, perhaps none; raises IssuerFaultError."""
        try:
            async with asyncio.timeout(self._address.total_timeout_seconds):
                return parse_jwks(await self._get(await self._find_jwks_uri()))
        except TimeoutError as error:
            raise IssuerFaultError("it takes too long") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise IssuerFaultError(f"it can not be reached ({type(error).__name__})") from error
        except (ValueError, RecursionError) as error:
            raise IssuerFaultError(f"it answers nonsense ({error})") from error

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()

    async def _find_jwks_uri(self) -> str:
        discovery = _discovery_decoder.decode(await self._get(self._address.discovery_url))
        if discovery.issuer != self._address.issuer:
            raise IssuerFaultError("its discovery document is another issuer's")
        if not self._address.is_safe(discovery.jwks_uri):
            raise IssuerFaultError("its jwks_uri is no https URL")
        return discovery.jwks_uri

    async def _get(self, url: str) -> bytes:
        body = bytearray()
        async with self._http.stream("GET", url) as response:
            if response.status_code != _OK:
                raise IssuerFaultError(f"it answers {response.status_code}")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_JWKS_BYTES:
                    raise IssuerFaultError("its answer is too long")
        return bytes(body)


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL that names a host."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts if parts.hostname else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
