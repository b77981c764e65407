import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.api import MemoryHeaders

from reservation_api.entrypoints.http.idempotency import KEY_PATTERN, idempotency_key_of
from reservation_api.entrypoints.http.refusals import (
    IdempotencyKeyMalformedError,
    IdempotencyKeyMissingError,
)

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255)


def key_of(*values: str) -> str:
    return idempotency_key_of(MemoryHeaders([("idempotency-key", value) for value in values]))


def quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.parametrize("values", [(), ("",)])
def test_a_command_without_a_key_is_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(IdempotencyKeyMissingError):
        key_of(*values)


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("8e03978e-40d5-43dd", "8e03978e-40d5-43dd"),
        ('"8e03978e-40d5-43dd"', "8e03978e-40d5-43dd"),
        ("with spaces, too", "with spaces, too"),
        ('a"b', 'a"b'),
        ("back\\slash", "back\\slash"),
        (r'"a\"b"', 'a"b'),
        (r'"back\\slash"', "back\\slash"),
        (r'"\\\""', '\\"'),
        ('" "', " "),
        ("x" * 255, "x" * 255),
        ('"' + "x" * 255 + '"', "x" * 255),
        ('"' + r"\"" * 255 + '"', '"' * 255),
    ],
)
def test_a_key_is_taken_bare_or_in_quotes(header: str, key: str) -> None:
    assert key_of(header) == key


@pytest.mark.parametrize(
    "header",
    [
        '"',
        '""',
        '"open',
        '"a"b"',
        '"a";v=1',
        r'"a\b"',
        r'"a\"',
        '"a\\',
        "x" * 256,
        '"' + "x" * 256 + '"',
        "tab\tbed",
        "nul\x00",
        "del\x7f",
        "é",
        '"é"',
        "키",
    ],
)
def test_what_is_no_key_is_refused(header: str) -> None:
    with pytest.raises(IdempotencyKeyMalformedError):
        key_of(header)


def test_two_keys_are_none() -> None:
    with pytest.raises(IdempotencyKeyMalformedError, match="one Idempotency-Key"):
        key_of("a", "b")


@given(PRINTABLE)
def test_the_quoted_form_of_a_key_is_the_same_key(key: str) -> None:
    assert key_of(quoted(key)) == key


@given(PRINTABLE.filter(lambda key: key[0] != '"'))
def test_a_bare_key_is_taken_as_it_is(key: str) -> None:
    assert key_of(key) == key


@given(st.one_of(PRINTABLE.map(str.strip).filter(bool), PRINTABLE.map(quoted), st.from_regex(KEY_PATTERN)))
def test_the_documented_pattern_says_exactly_what_is_taken(header: str) -> None:
    """Over what HTTP lets through: header values have no spaces around them, and no control characters."""
    header = header.strip()
    documented = re.fullmatch(KEY_PATTERN.strip("^$"), header) is not None
    try:
        key_of(header)
    except IdempotencyKeyMalformedError:
        assert not documented
    else:
        assert documented
