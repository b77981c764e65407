"""Who gets in: signature, algorithm, key and header."""

import json

import pytest
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode
from tests.support.clock import FakeClock
from tests.support.tokens import (
    ABSENT,
    AUDIENCE,
    ISSUER,
    SigningKey,
    jwks,
    make_claims,
    make_key,
    mint,
    mint_by,
    mint_hmac,
    mint_unsigned,
)

from reservation_api.adapters.jwt.claims import TokenRules
from reservation_api.adapters.jwt.jwks import VerificationKey
from reservation_api.adapters.jwt.key_sources import KeySource, StaticKeys
from reservation_api.adapters.jwt.verifier import JwtVerifier
from reservation_api.domain.values import UserId
from reservation_api.ports.identity import ADMIN_SCOPE, Caller, InvalidTokenError, TokenVerifier

RSA_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
OTHER_ALGORITHMS = ["ES256", "ES384", "ES512", "EdDSA"]
MAX_TOKEN_CHARACTERS = 8192

CLOCK = FakeClock()
NOW = CLOCK.now()


class UntouchableKeys:
    """Keys that no bad header may reach."""

    generation = 0

    def find(self, _kid: str | None) -> VerificationKey | None:
        raise AssertionError("the header was good enough to look for a key")

    async def keep_fresh(self) -> None:
        raise AssertionError("the header was good enough to ask for keys")

    async def refresh(self) -> None:
        raise AssertionError("the header was good enough to ask for newer keys")


def verifier_of(keys: KeySource) -> JwtVerifier:
    return JwtVerifier(keys, TokenRules(ISSUER, AUDIENCE), CLOCK)


def verifier_for(*keys: SigningKey) -> JwtVerifier:
    return verifier_of(StaticKeys(jwks(*keys)))


async def refusal(verifier: TokenVerifier, token: str) -> str:
    with pytest.raises(InvalidTokenError) as caught:
        await verifier.verify(token)
    return str(caught.value)


@pytest.mark.parametrize("algorithm", RSA_ALGORITHMS + OTHER_ALGORITHMS)
async def test_every_allowed_algorithm_lets_its_owner_in(algorithm: str) -> None:
    key = make_key(algorithm)

    caller = await verifier_for(key).verify(mint(key, make_claims(NOW)))

    assert caller == Caller(UserId("user-1"), frozenset({ADMIN_SCOPE}))


@pytest.mark.parametrize("algorithm", RSA_ALGORITHMS + OTHER_ALGORITHMS)
async def test_another_key_of_the_same_kind_is_refused(algorithm: str) -> None:
    published, evil = make_key(algorithm), make_key(algorithm, "evil")

    token = mint(evil, make_claims(NOW), kid=published.kid)

    assert await refusal(verifier_for(published), token) == "the signature is wrong"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
async def test_alg_none_is_refused_however_it_is_spelt(algorithm: str) -> None:
    token = mint_unsigned(make_claims(NOW), algorithm, kid="k1")

    assert await refusal(verifier_of(UntouchableKeys()), token) == "the algorithm is not allowed"


async def test_a_token_without_alg_is_refused() -> None:
    token = mint(make_key(), make_claims(NOW), alg=ABSENT)

    assert await refusal(verifier_of(UntouchableKeys()), token) == "the algorithm is not allowed"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_hmac_with_the_public_pem_as_secret_is_refused_before_any_key_is_used(algorithm: str) -> None:
    token = mint_hmac(make_key("RS256").public_pem(), make_claims(NOW), algorithm, kid="k1")

    assert await refusal(verifier_of(UntouchableKeys()), token) == "the algorithm is not allowed"
    assert await refusal(verifier_for(make_key("RS256")), token) == "the algorithm is not allowed"


async def test_hmac_with_the_published_jwk_as_secret_is_refused_before_any_key_is_used() -> None:
    secret = json.dumps(make_key("RS256").public_jwk()).encode()
    token = mint_hmac(secret, make_claims(NOW), kid="k1")

    assert await refusal(verifier_of(UntouchableKeys()), token) == "the algorithm is not allowed"


async def test_hmac_with_a_secret_that_the_key_set_publishes_is_refused() -> None:
    oct_jwk = {"kty": "oct", "kid": "shared", "alg": "HS256", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}
    verifier = verifier_of(StaticKeys(jwks(make_key(), oct_jwk)))
    secret = urlsafe_b64decode(oct_jwk["k"].encode())

    as_hmac = mint_hmac(secret, make_claims(NOW), kid="shared")
    as_es256 = mint(make_key(), make_claims(NOW), kid="shared")

    assert await refusal(verifier, as_hmac) == "the algorithm is not allowed"
    assert await refusal(verifier, as_es256) == "the key is unknown"


@pytest.mark.parametrize("algorithm", ["ES256K", "RSA1_5", "RSA-OAEP", "A128KW", "dir", "es256", "Ed25519"])
async def test_an_algorithm_outside_the_list_is_refused_before_any_key_is_used(algorithm: str) -> None:
    token = mint(make_key(), make_claims(NOW), alg=algorithm)

    assert await refusal(verifier_of(UntouchableKeys()), token) == "the algorithm is not allowed"


@pytest.mark.parametrize(
    ("signed_by", "pretended"), [("ES256", "RS256"), ("RS256", "ES256"), ("EdDSA", "ES256")]
)
async def test_an_algorithm_of_another_key_type_is_refused(signed_by: str, pretended: str) -> None:
    key = make_key(signed_by)

    token = mint(key, make_claims(NOW), alg=pretended)

    assert await refusal(verifier_for(key), token) == "the algorithm is not the key's"


async def test_an_algorithm_of_another_curve_is_refused() -> None:
    token = mint(make_key("ES384"), make_claims(NOW), alg="ES256")

    assert await refusal(verifier_for(make_key("ES384")), token) == "the algorithm is not the key's"


async def test_a_good_signature_by_another_algorithm_than_the_jwk_names_is_refused() -> None:
    key = make_key("RS256")
    token = mint_by(key, "PS256", make_claims(NOW))

    free = verifier_of(StaticKeys(jwks(key.public_jwk(alg=ABSENT))))

    assert (await free.verify(token)).subject == "user-1"
    assert await refusal(verifier_for(key), token) == "the algorithm is not the key's"


@pytest.mark.parametrize("changes", [{"use": "enc"}, {"use": ABSENT, "key_ops": ["encrypt", "wrapKey"]}])
async def test_a_key_that_is_not_for_signatures_proves_nothing(changes: dict[str, object]) -> None:
    key = make_key("RS256", "other-use")
    verifier = verifier_of(StaticKeys(jwks(make_key(), key.public_jwk(**changes))))

    assert await refusal(verifier, mint(key, make_claims(NOW))) == "the key is unknown"


async def test_an_unknown_kid_is_refused() -> None:
    token = mint(make_key(), make_claims(NOW), kid="nobody")

    assert await refusal(verifier_for(make_key()), token) == "the key is unknown"


async def test_a_missing_kid_means_the_sole_key() -> None:
    token = mint(make_key(), make_claims(NOW), kid=ABSENT)

    assert (await verifier_for(make_key()).verify(token)).subject == "user-1"


async def test_a_missing_kid_is_refused_among_several_keys() -> None:
    token = mint(make_key(), make_claims(NOW), kid=ABSENT)

    verifier = verifier_for(make_key(), make_key(kid="k2"))

    assert await refusal(verifier, token) == "the key id is missing"


async def test_a_token_can_not_bring_its_own_key() -> None:
    evil = make_key(kid="evil")
    vouchers = {
        "jwk": evil.public_jwk(),
        "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/certificate",
        "x5c": ["MIIB"],
    }
    verifier = verifier_for(make_key())

    assert await refusal(verifier, mint(evil, make_claims(NOW), **vouchers)) == "the key is unknown"
    pretending = mint(evil, make_claims(NOW), kid="k1", **vouchers)
    assert await refusal(verifier, pretending) == "the signature is wrong"


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], None, "exp"])
async def test_a_crit_header_is_refused(crit: object) -> None:
    token = mint(make_key(), make_claims(NOW), crit=crit, b64=False)

    reason = await refusal(verifier_of(UntouchableKeys()), token)

    assert reason == "critical header extensions are not understood"


async def test_a_changed_claim_breaks_the_signature() -> None:
    header, _, signature = mint(make_key(), make_claims(NOW)).split(".")
    _, payload, _ = mint(make_key(), make_claims(NOW, sub="user-2")).split(".")

    token = f"{header}.{payload}.{signature}"

    assert await refusal(verifier_for(make_key()), token) == "the signature is wrong"


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256", "EdDSA"])
async def test_an_empty_signature_is_refused(algorithm: str) -> None:
    token = mint(make_key(algorithm), make_claims(NOW)).rpartition(".")[0] + "."

    assert await refusal(verifier_for(make_key(algorithm)), token) == "the signature is wrong"


async def test_an_ecdsa_signature_of_zeros_is_refused() -> None:
    token = mint(make_key(), make_claims(NOW)).rpartition(".")[0] + "." + "A" * 86

    assert await refusal(verifier_for(make_key()), token) == "the signature is wrong"


async def test_a_token_of_8_kib_is_read_and_a_longer_one_is_not() -> None:
    verifier = verifier_for(make_key())
    padding = next(
        size
        for size in range(5000, MAX_TOKEN_CHARACTERS)
        if len(mint(make_key(), make_claims(NOW, pad="x" * size))) >= MAX_TOKEN_CHARACTERS - 1
    )

    longest = mint(make_key(), make_claims(NOW, pad="x" * padding))
    longer = mint(make_key(), make_claims(NOW, pad="x" * (padding + 3)))

    assert len(longest) <= MAX_TOKEN_CHARACTERS < len(longer)
    assert (await verifier.verify(longest)).subject == "user-1"
    assert await refusal(verifier, longer) == "the token is too long"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "the token is not three segments"),
        ("a.b", "the token is not three segments"),
        ("a.b.c.d.e", "the token is not three segments"),
        ("é.b.c", "the token is not ASCII"),
        ("\ud800.b.c", "the token is not ASCII"),
        ("e30=.e30.", "a segment is not base64url"),
        ("e3 0.e30.", "a segment is not base64url"),
        ("e30.e30.", "the algorithm is not allowed"),
        ("W10.e30.", "the header is malformed"),
    ],
)
async def test_what_is_no_token_is_refused(token: str, reason: str) -> None:
    assert await refusal(verifier_of(UntouchableKeys()), token) == reason


@pytest.mark.parametrize("headers", [{"kid": 1}, {"kid": ["k1"]}, {"alg": ["ES256"]}, {"alg": 256}])
async def test_a_header_of_the_wrong_type_is_refused(headers: dict[str, object]) -> None:
    token = mint(make_key(), make_claims(NOW), **headers)

    assert await refusal(verifier_of(UntouchableKeys()), token) == "the header is malformed"


@pytest.mark.parametrize("header", [b"null", b"[]", b"{", b"\xff", b'{"alg":"ES256","x":' + b"[" * 4000])
async def test_a_header_that_is_no_object_is_refused(header: bytes) -> None:
    token = urlsafe_b64encode(header).decode() + ".e30."

    assert await refusal(verifier_of(UntouchableKeys()), token) == "the header is malformed"
