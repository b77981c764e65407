"""Which keys of a JWKS are used, and what is said of the others."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import urlsafe_b64encode
from tests.support.clock import FakeClock
from tests.support.tokens import ABSENT, ISSUER, jwks, make_claims, make_key, mint

from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.jwks import MAX_JWKS_BYTES, MAX_KEYS, parse_jwks
from reservation_api.adapters.jwt.key_sources import FileKeys, StaticKeys
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.ports.identity import InvalidTokenError

NOT_FOR_SIGNATURES = "its type or curve is not for asymmetric signatures"


def weak_rsa_jwk(bits: int = 1024) -> dict[str, str]:
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key().public_numbers()
    modulus = urlsafe_b64encode(numbers.n.to_bytes(bits // 8, "big")).decode()
    return {"kty": "RSA", "kid": "weak", "n": modulus, "e": "AQAB"}


def test_each_kind_of_key_is_kept_for_its_own_algorithms() -> None:
    algorithms = ["RS256", "ES256", "ES384", "ES512", "EdDSA"]
    ring = parse_jwks(jwks(*(make_key(name, name).public_jwk(alg=ABSENT) for name in algorithms)))

    kept = {kid: key.algorithms for kid, key in ring.keys.items()}

    assert kept.pop("RS256") == {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
    assert kept == {name: {name} for name in algorithms[1:]}
    assert ring.faults == ()


def test_a_key_with_alg_is_kept_for_that_one() -> None:
    ring = parse_jwks(jwks(make_key("PS384")))

    assert ring.keys["k1"].algorithms == {"PS384"}


@pytest.mark.parametrize(
    ("jwk", "fault"),
    [
        (make_key("RS256").public_jwk(alg="HS256"), 'its "alg" does not suit its type'),
        (make_key("RS256").public_jwk(alg="ES256"), 'its "alg" does not suit its type'),
        (make_key("RS256").public_jwk(alg="RSA-OAEP"), 'its "alg" does not suit its type'),
        (make_key("ES256").public_jwk(alg="ES384"), 'its "alg" does not suit its type'),
        (make_key("ES256").public_jwk(use="enc"), 'its "use" is not "sig"'),
        (make_key("ES256").public_jwk(key_ops=["sign"]), 'its "key_ops" lack "verify"'),
        (make_key("ES256").public_jwk(key_ops=[]), 'its "key_ops" lack "verify"'),
        (
            ECKey.generate_key("secp256k1").as_dict(private=False),
            NOT_FOR_SIGNATURES,
        ),
        (
            OKPKey.generate_key("X25519").as_dict(private=False),
            NOT_FOR_SIGNATURES,
        ),
        ({"kty": "oct", "k": "c2VjcmV0"}, NOT_FOR_SIGNATURES),
        (
            {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
            NOT_FOR_SIGNATURES,
        ),
        (make_key("ES256").public_jwk(crv="P-384", alg="ES384"), "its numbers are no public key"),
        (make_key("ES256").public_jwk(y=ABSENT), "its numbers are no public key"),
        (make_key("ES256").public_jwk(x="AAAA"), "its numbers are no public key"),
        (make_key("ES256").public_jwk(x="not base64!"), "its numbers are no public key"),
        (make_key("ES256").public_jwk(x=""), "its numbers are no public key"),
        (make_key("EdDSA").public_jwk(x="AAAA"), "its numbers are no public key"),
        (make_key("RS256").public_jwk(e=ABSENT), "its numbers are no public key"),
        (make_key("RS256").public_jwk(e="AQ"), "its numbers are no public key"),
        (make_key("RS256").public_jwk(n=ABSENT), "an RSA key of 0 bits is too weak, 2048 are needed"),
        (weak_rsa_jwk(1024), "an RSA key of 1024 bits is too weak, 2048 are needed"),
        ({"kid": "no kty"}, "a member is missing or of the wrong type"),
        (make_key("ES256").public_jwk(kid=7), "a member is missing or of the wrong type"),
        (make_key("ES256").public_jwk(x=[1]), "a member is missing or of the wrong type"),
    ],
)
def test_a_key_that_is_no_good_is_left_out_and_the_others_stay(jwk: dict[str, Any], fault: str) -> None:
    ring = parse_jwks(jwks(jwk, make_key(kid="good")))

    assert list(ring.keys) == ["good"]
    assert ring.faults == (f"key 0 is not used: {fault}",)


def test_an_rsa_modulus_padded_with_zeros_is_as_weak_as_it_is() -> None:
    weak = weak_rsa_jwk(1024)

    ring = parse_jwks(jwks({**weak, "n": "A" * 172 + weak["n"]}))

    assert not ring.keys


def test_private_members_are_dropped() -> None:
    private = RSAKey.generate_key(2048).as_dict(private=True)

    (key,) = parse_jwks(jwks(private)).keys.values()

    assert not key.public_key.is_private
    assert key.public_key.private_key is None
    assert str(private["d"]) not in repr(key.public_key.dict_value)


def test_private_members_need_not_even_make_sense() -> None:
    (key,) = parse_jwks(jwks(make_key().public_jwk(d=["nonsense"]))).keys.values()

    assert not key.public_key.is_private


def test_of_two_keys_with_one_kid_the_first_is_used() -> None:
    ring = parse_jwks(jwks(make_key("ES256"), make_key("RS256")))

    assert ring.keys["k1"].algorithms == {"ES256"}
    assert ring.faults == ("key 1 is not used: an earlier key has its kid",)


def test_a_key_without_kid_goes_by_its_thumbprint() -> None:
    jwk = make_key().public_jwk(kid=ABSENT)

    (kid,) = parse_jwks(jwks(jwk)).keys

    assert kid == make_key().private_key.thumbprint()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"keys": {}}',
        '{"keys": null}',
        '{"keys"',
        b"\xff",
        '{"keys":[' + "[" * 5000,
    ],
)
def test_a_text_that_is_no_key_set_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match='the key set is no JSON object with a list "keys"'):
        parse_jwks(text)


def test_a_key_set_beyond_its_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 262144 bytes"):
        parse_jwks(" " * (MAX_JWKS_BYTES + 1))
    with pytest.raises(ValueError, match="more than 100 keys"):
        parse_jwks(jwks(*[{"kty": "oct"}] * (MAX_KEYS + 1)))


@pytest.mark.parametrize(
    "text", ['{"keys": []}', jwks({"kty": "oct", "k": "AA"}), jwks(weak_rsa_jwk()), "nonsense"]
)
def test_given_keys_of_which_none_is_usable_are_refused_at_start(text: str) -> None:
    with pytest.raises(ValueError, match="the key set"):
        StaticKeys(text)


def test_the_refusal_says_what_is_wrong_with_each_key() -> None:
    with pytest.raises(
        ValueError, match=r"no usable key: key 0 .* asymmetric signatures; key 1 .* 1024 bits"
    ):
        StaticKeys(jwks({"kty": "oct", "k": "AA"}, weak_rsa_jwk()))


async def test_given_keys_neither_age_nor_change() -> None:
    keys = StaticKeys(jwks(make_key()))

    await keys.keep_fresh()
    await keys.refresh()

    assert keys.generation == 0
    assert keys.find("k1") is not None


class KeyFile:
    """A JWKS file that a secret store mounts and renews."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "jwks.json"
        self._writes = 0

    def write(self, text: str) -> None:
        self.path.write_text(text)
        # Two writes within one tick of the file system's clock would not be told apart.
        self._writes += 1
        os.utime(self.path, (self._writes, self._writes))


@pytest.fixture
def key_file(tmp_path: Path) -> KeyFile:
    file = KeyFile(tmp_path)
    file.write(jwks(make_key(kid="k1")))
    return file


def verifier_of(keys: FileKeys) -> JwtVerifier:
    return JwtVerifier(keys, TokenRules(ISSUER), FakeClock())


def token_by(kid: str) -> str:
    return mint(make_key(kid=kid), make_claims(FakeClock().now()))


async def test_a_new_key_in_the_file_is_found_when_a_token_names_it(key_file: KeyFile) -> None:
    verifier = verifier_of(FileKeys(key_file.path))
    await verifier.verify(token_by("k1"))

    key_file.write(jwks(make_key(kid="k1"), make_key(kid="k2")))

    assert (await verifier.verify(token_by("k2"))).subject == "user-1"
    assert (await verifier.verify(token_by("k1"))).subject == "user-1"


async def test_a_key_withdrawn_from_the_file_proves_nothing_any_more(key_file: KeyFile) -> None:
    verifier = verifier_of(FileKeys(key_file.path))
    token = token_by("k1")
    await verifier.verify(token)
    assert verifier.cached(token) is not None

    key_file.write(jwks(make_key(kid="k2")))
    await verifier.verify(token_by("k2"))

    assert verifier.cached(token) is None
    with pytest.raises(InvalidTokenError, match="the key is unknown"):
        await verifier.verify(token)


async def test_a_key_withdrawn_from_the_file_is_noticed_without_a_new_one(
    key_file: KeyFile,
) -> None:
    verifier = verifier_of(FileKeys(key_file.path))

    key_file.write(jwks(make_key(kid="k2")))

    with pytest.raises(InvalidTokenError, match="the key is unknown"):
        await verifier.verify(token_by("k1"))


async def test_a_file_that_says_the_same_again_changes_nothing(key_file: KeyFile) -> None:
    keys = FileKeys(key_file.path)

    key_file.write(json.dumps(json.loads(key_file.path.read_text()), indent=2))
    await keys.refresh()

    assert keys.generation == 0


@pytest.mark.parametrize("text", ["", "half a fi", '{"keys": []}'])
async def test_a_file_that_becomes_useless_leaves_the_keys_in_use(key_file: KeyFile, text: str) -> None:
    keys = FileKeys(key_file.path)

    key_file.write(text)
    await keys.refresh()
    assert keys.find("k1") is not None

    key_file.write(jwks(make_key(kid="k2")))
    await keys.refresh()
    assert keys.find("k2") is not None


async def test_a_file_that_vanishes_leaves_the_keys_in_use_and_may_come_back(key_file: KeyFile) -> None:
    keys = FileKeys(key_file.path)

    key_file.path.unlink()
    await keys.refresh()
    assert keys.find("k1") is not None

    key_file.write(jwks(make_key(kid="k2")))
    await keys.refresh()
    assert keys.find("k1") is None
    assert keys.find("k2") is not None


def test_a_file_that_is_not_there_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the key set file .*absent.json can not be read: No such file"):
        FileKeys(tmp_path / "absent.json")


def test_a_file_without_keys_is_refused_at_start(key_file: KeyFile) -> None:
    key_file.write('{"keys": []}')

    with pytest.raises(ValueError, match=r"the key set file .*jwks.json: .* has no usable key: it is empty"):
        FileKeys(key_file.path)


def test_a_file_too_large_to_be_a_key_set_is_refused_at_start(key_file: KeyFile) -> None:
    key_file.write(" " * (MAX_JWKS_BYTES + 10) + jwks(make_key()))

    with pytest.raises(ValueError, match="longer than 262144 bytes"):
        FileKeys(key_file.path)
