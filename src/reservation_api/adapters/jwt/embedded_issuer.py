"""The issuer of the embedded runtime: one key in a file, made at the first start."""

import os
import tempfile
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from reservation_api.adapters.jwt.key_sources import StaticKeys

EMBEDDED_ISSUER = "urn:reservation-api:embedded"

_ALGORITHM = "ES256"
_CURVE = "P-256"
_OTHERS_MAY = 0o077


class EmbeddedIssuer:
    """Issues tokens with one ES256 key; its `kid` is the key's thumbprint (RFC 7638)."""

    def __init__(self, key: ECKey) -> None:
        self._key = key
        self._kid = key.thumbprint()

    def jwks(self) -> str:
        """Return the public key as a JWKS text."""
        public = self._key.as_dict(private=False, kid=self._kid, use="sig", alg=_ALGORITHM)
        return msgspec.json.encode({"keys": [public]}).decode()

    def keys(self) -> StaticKeys:
        """Return the key source that proves this issuer's tokens."""
        return StaticKeys(self.jwks())

    def issue(
        self,
        subject: str,
        scopes: Iterable[str],
        ttl_seconds: int,
        now: datetime,
        audience: str | None = None,
    ) -> str:
        """Return a token that is good from `now` (cut to the second) for `ttl_seconds`."""
        issued_at = int(now.timestamp())
        claims = {
            "iss": EMBEDDED_ISSUER,
            "sub": subject,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + ttl_seconds,
            "jti": uuid.uuid4().hex,
            "scope": " ".join(sorted(scopes)),
        }
        if audience is not None:
            claims["aud"] = audience
        header = {"typ": "JWT", "alg": _ALGORITHM, "kid": self._kid}
        return jws.serialize_compact(header, msgspec.json.encode(claims), self._key, [_ALGORITHM])


def open_embedded_issuer(key_file: Path) -> EmbeddedIssuer:
    """Return the issuer of a key file, which is made if absent; raises ValueError if the file is no good.

    Of several processes that start at once one makes the key, and all of them have it.
    """
    try:
        if not key_file.exists():
            _make_key_file(key_file)
        return EmbeddedIssuer(_read_key_file(key_file))
    except OSError as error:
        raise ValueError(f"the issuer's key file {key_file} can not be had: {error.strerror}") from error


def _make_key_file(path: Path) -> None:
    """Put a whole key in place, or leave the one that another process has put there meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(ECKey.generate_key(_CURVE).as_pem(private=True))
            file.flush()
            os.fsync(file.fileno())
        # A link is made or refused as a whole: nobody ever sees half a key, the second one loses.
        Path(path).hardlink_to(temporary)
    except FileExistsError:
        pass
    finally:
        Path(temporary).unlink()


def _read_key_file(path: Path) -> ECKey:
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_mode & _OTHERS_MAY:
            raise ValueError(f"the issuer's key file {path} is open to others: chmod 600 it")
        text = file.read()
    try:
        key = ECKey.import_key(text)
    except (JoseError, ValueError) as error:
        raise ValueError(f"the issuer's key file {path} holds no key") from error
    if not key.is_private or key.curve_name != _CURVE:
        raise ValueError(f"the issuer's key file {path} holds no private {_CURVE} key")
    return key
