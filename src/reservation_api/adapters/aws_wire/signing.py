"""AWS Signature Version 4 of requests that are all alike (AWS reference, "Create a signed AWS API request").

They are POST / with JSON, so all but the body is known beforehand. What changes with the day (the key), with
the second (the date) and with the operation is made once for each; a request costs the hash of its body, and
the ends of three hashes that have begun.
"""

import hmac
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, Protocol

from reservation_api.adapters.aws_wire.endpoint import AwsEndpoint

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_BLOCK_BYTES: Final = 64
"""Of SHA-256."""


class _Hash(Protocol):
    def copy(self) -> "_Hash": ...
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...
    def hexdigest(self) -> str: ...


class OddCredentialsError(ValueError):
    """No request can be signed with these; the message does not show them."""


@dataclass(frozen=True, slots=True)
class AwsCredentials:
    """Who signs; printable ASCII without spaces, since it goes into headers. Raises OddCredentialsError."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    """Of credentials that expire."""

    def __post_init__(self) -> None:
        for name in ("access_key", "secret_key", "token"):
            value = getattr(self, name)
            if value is None and name == "token":
                continue
            if not value or not (value.isascii() and value.isprintable() and " " not in value):
                # A line end that came along with a secret is the usual case; the value is not shown.
                raise OddCredentialsError(
                    f"the {name} is empty, or has a space, a line end or another odd character"
                )


@dataclass(frozen=True, slots=True)
class _Operation:
    """Of one operation in one second."""

    canonical: _Hash
    """Of the canonical request up to the hash of its body."""
    head: bytes
    """Of the request up to its signature."""


class Signer:
    """Signs for one endpoint; not for several threads."""

    def __init__(self, endpoint: AwsEndpoint) -> None:
        self._endpoint = endpoint
        self._credentials: AwsCredentials | None = None
        self._second = -1
        self._day = ""
        self._key = b""
        self._scope = ""
        self._signature_inner: _Hash = sha256()
        self._signature_outer: _Hash = sha256()
        self._date = ""
        self._operations: dict[str, _Operation] = {}

    def request(self, operation: str, body: bytes, credentials: AwsCredentials, second: int) -> bytes:
        """Return the whole request, signed for this second since the epoch."""
        if second != self._second or credentials is not self._credentials:
            self._turn_to(credentials, second)
        prepared = self._operations.get(operation) or self._prepare(operation, credentials)
        canonical = prepared.canonical.copy()
        canonical.update(sha256(body).hexdigest().encode())
        inner, outer = self._signature_inner.copy(), self._signature_outer.copy()
        inner.update(canonical.hexdigest().encode())
        outer.update(inner.digest())
        signature = outer.hexdigest().encode()
        return b"%b%b\r\ncontent-length: %d\r\n\r\n%b" % (prepared.head, signature, len(body), body)

    def _turn_to(self, credentials: AwsCredentials, second: int) -> None:
        self._date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        day = self._date[:8]
        if day != self._day or credentials is not self._credentials:
            self._key = self._derive_key(credentials, day)
        self._credentials, self._second, self._day = credentials, second, day
        self._scope = f"{day}/{self._endpoint.region}/{self._endpoint.service.name}/aws4_request"
        self._begin_signature(f"{_ALGORITHM}\n{self._date}\n{self._scope}\n".encode())
        self._operations.clear()

    def _begin_signature(self, to_sign: bytes) -> None:
        """Begin the two hashes of an HMAC (RFC 2104), as far as a second's requests are alike.

        By copies of these it takes half the time of the whole, which looks its hash up each time.
        """
        padded = self._key.ljust(_BLOCK_BYTES, b"\0")
        self._signature_inner = sha256(bytes(byte ^ 0x36 for byte in padded) + to_sign)
        self._signature_outer = sha256(bytes(byte ^ 0x5C for byte in padded))

    def _derive_key(self, credentials: AwsCredentials, day: str) -> bytes:
        key = f"AWS4{credentials.secret_key}".encode()
        for part in (day, self._endpoint.region, self._endpoint.service.name, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key

    def _prepare(self, operation: str, credentials: AwsCredentials) -> _Operation:
        service = self._endpoint.service
        headers = {
            "content-type": f"application/x-amz-json-{service.json_version}",
            "host": self._endpoint.host,
            "x-amz-date": self._date,
            **({} if credentials.token is None else {"x-amz-security-token": credentials.token}),
            "x-amz-target": f"{service.target}.{operation}",
        }
        names = ";".join(headers)
        listed = "".join(f"{name}:{value}\n" for name, value in headers.items())
        sent = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = (
            f"POST / HTTP/1.1\r\n{sent}accept-encoding: identity\r\n"
            f"authorization: {_ALGORITHM} Credential={credentials.access_key}/{self._scope}, "
            f"SignedHeaders={names}, Signature="
        )
        prepared = _Operation(sha256(f"POST\n/\n\n{listed}\n{names}\n".encode()), head.encode())
        self._operations[operation] = prepared
        return prepared
