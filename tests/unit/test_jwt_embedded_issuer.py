"""The issuer of the embedded runtime, and the file that keeps its key."""

import json
import stat
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from tests.support.clock import FakeClock

from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.embedded_issuer import EMBEDDED_ISSUER, EmbeddedIssuer, open_embedded_issuer
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.ports.identity import ADMIN_SCOPE, OPS_SCOPE, InvalidTokenError

PROCESSES = 4
TTL_SECONDS = 600


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "identity" / "issuer.pem"


def issue(issuer: EmbeddedIssuer, subject: str = "demo", audience: str | None = None) -> str:
    return issuer.issue(subject, [OPS_SCOPE, ADMIN_SCOPE], TTL_SECONDS, FakeClock().now(), audience)


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_token_of_the_issuer_lets_its_subject_in_with_its_scopes(key_file: Path) -> None:
    issuer = open_embedded_issuer(key_file)
    verifier = JwtVerifier(issuer.keys(), TokenRules(EMBEDDED_ISSUER), FakeClock())

    caller = await verifier.verify(issue(issuer))

    assert caller.subject == "demo"
    assert caller.scopes == {ADMIN_SCOPE, OPS_SCOPE}


async def test_a_token_for_an_audience_names_it(key_file: Path) -> None:
    issuer = open_embedded_issuer(key_file)
    verifier = JwtVerifier(issuer.keys(), TokenRules(EMBEDDED_ISSUER, "reservation-api"), FakeClock())

    assert (await verifier.verify(issue(issuer, audience="reservation-api"))).subject == "demo"
    with pytest.raises(InvalidTokenError, match="another audience"):
        await verifier.verify(issue(issuer, subject="other"))


def test_a_token_says_all_that_it_should(key_file: Path) -> None:
    issuer, now = open_embedded_issuer(key_file), FakeClock().now()
    (jwk,) = _key_set_of(issuer)["keys"]

    token = jwt.decode(issue(issuer), ECKey.import_key(jwk), ["ES256"])

    assert token.header == {"typ": "JWT", "alg": "ES256", "kid": jwk["kid"]}
    assert len(token.claims.pop("jti")) == 32
    assert token.claims == {
        "iss": "urn:reservation-api:embedded",
        "sub": "demo",
        "scope": "reservation:admin reservation:ops",
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()),
        "exp": int(now.timestamp()) + TTL_SECONDS,
    }


def test_no_two_tokens_have_one_id(key_file: Path) -> None:
    issuer = open_embedded_issuer(key_file)
    (jwk,) = _key_set_of(issuer)["keys"]

    tokens = [jwt.decode(issue(issuer), ECKey.import_key(jwk), ["ES256"]) for _ in range(2)]

    assert tokens[0].claims["jti"] != tokens[1].claims["jti"]


async def test_a_token_is_good_at_once_and_ends_in_time(key_file: Path) -> None:
    issuer, clock = open_embedded_issuer(key_file), FakeClock()
    verifier = JwtVerifier(issuer.keys(), TokenRules(EMBEDDED_ISSUER, clock_skew_seconds=0), clock)
    clock.advance(0.999)
    token = issuer.issue("demo", [], TTL_SECONDS, clock.now())
    assert clock.now() == FakeClock().now() + timedelta(milliseconds=999)

    assert (await verifier.verify(token)).scopes == frozenset()
    clock.advance(TTL_SECONDS)
    with pytest.raises(InvalidTokenError, match="expired"):
        await verifier.verify(token)


def test_the_published_key_set_shows_nothing_private(key_file: Path) -> None:
    (published,) = _key_set_of(open_embedded_issuer(key_file))["keys"]

    assert set(published) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


def test_the_key_outlives_a_restart(key_file: Path) -> None:
    assert open_embedded_issuer(key_file).jwks() == open_embedded_issuer(key_file).jwks()


def test_the_key_is_readable_by_its_owner_only(key_file: Path) -> None:
    open_embedded_issuer(key_file)

    assert permissions(key_file) == 0o600
    assert permissions(key_file.parent) == 0o700
    assert [path.name for path in key_file.parent.iterdir()] == [key_file.name]


def test_a_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)

    open_embedded_issuer(tmp_path / "issuer.pem")

    assert permissions(tmp_path) == 0o750


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o644])
def test_a_key_that_others_can_touch_is_refused(key_file: Path, mode: int) -> None:
    open_embedded_issuer(key_file)
    key_file.chmod(mode)

    with pytest.raises(ValueError, match=r"issuer.pem is open to others: chmod 600 it"):
        open_embedded_issuer(key_file)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds no key"),
        (b"nonsense", "holds no key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds no key"),
        (ECKey.generate_key("P-384").as_pem(private=True), "holds no private P-256 key"),
        (ECKey.generate_key("P-256").as_pem(private=False), "holds no private P-256 key"),
    ],
)
def test_a_file_that_is_no_key_is_refused_and_kept(key_file: Path, content: bytes, reason: str) -> None:
    key_file.parent.mkdir(parents=True)
    key_file.write_bytes(content)
    key_file.chmod(0o600)

    with pytest.raises(ValueError, match=reason):
        open_embedded_issuer(key_file)
    assert key_file.read_bytes() == content


def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file, not a folder")

    with pytest.raises(ValueError, match="can not be had: "):
        open_embedded_issuer(tmp_path / "data" / "issuer.pem")


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    files = [tmp_path / f"start-{n}" / "issuer.pem" for n in range(10)]
    context = get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    with ProcessPoolExecutor(PROCESSES, context, initializer=_meet_at, initargs=(barrier,)) as pool:
        for file in files:
            keys = list(pool.map(_show_keys_of_a_new_start, [file] * PROCESSES))

            assert len(set(keys)) == 1
            assert [path.name for path in file.parent.iterdir()] == [file.name]


_met: Callable[[], object]


def _meet_at(barrier: Barrier) -> None:
    global _met  # noqa: PLW0603
    _met = barrier.wait


def _show_keys_of_a_new_start(path: Path) -> str:
    _met()
    return open_embedded_issuer(path).jwks()


def _key_set_of(issuer: EmbeddedIssuer) -> dict[str, Any]:
    key_set: dict[str, Any] = json.loads(issuer.jwks())
    return key_set
