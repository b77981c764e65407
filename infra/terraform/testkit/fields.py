"""Terraform's names beside AWS's, once for both directions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from testkit.values import State, Unknown, given, only


def camel(name: str) -> str:
    """`role_arn` is RoleArn."""
    return "".join(word.capitalize() for word in name.split("_"))


def lower_camel(name: str) -> str:
    """`role_arn` is roleArn."""
    first, *rest = name.split("_")
    return first + camel("_".join(rest))


@dataclass(frozen=True, slots=True)
class As:
    """A value under another name, or in another form."""

    name: str | None = None
    to_aws: Callable[[Any], Any] = lambda value: value
    to_state: Callable[[Any], Any] = lambda value: value


class Fields:
    """Attributes and blocks: `Fields("name", role="RoleARN", retry_policy=one("attempts"))`.

    A plain name has the same one in AWS, in AWS's spelling. What is not set is not sent; what AWS does not
    answer is read as null.
    """

    def __init__(self, *plain: str, spelling: Callable[[str], str] = camel, **named: "str | As") -> None:
        self._fields: dict[str, tuple[str, As]] = {name: (spelling(name), As()) for name in plain}
        for name, field in named.items():
            given_as = As(field) if isinstance(field, str) else field
            self._fields[name] = (given_as.name or spelling(name), given_as)

    def to_aws(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Write the parameters of a call."""
        return {
            name: field.to_aws(state[key])
            for key, (name, field) in self._fields.items()
            if given(state.get(key))
        }

    def to_state(self, answer: Mapping[str, Any]) -> State:
        """Read an answer; every field is there, null if AWS has nothing of it."""
        return {
            key: field.to_state(answer[name]) if answer.get(name) is not None else _nothing(field)
            for key, (name, field) in self._fields.items()
        }


def _nothing(field: As) -> Any:
    return [] if isinstance(field, _Nested) else None


class _Nested(As):
    """A block: absent is an empty list."""


def one(*plain: str, name: str | None = None, **named: str | As) -> As:
    """Describe a block that may be there once, and its structure in AWS."""
    return block(Fields(*plain, spelling=camel, **named), name)


def block(inner: Fields, name: str | None = None) -> As:
    """Put a block that may be there once beside its structure in AWS."""
    return _Nested(
        name, lambda blocks: inner.to_aws(only(blocks) or {}), lambda answer: [inner.to_state(answer)]
    )


def blocks(inner: Fields, name: str | None = None) -> As:
    """Put a list or set of blocks beside a list of structures in AWS."""
    return _Nested(
        name,
        lambda written: [inner.to_aws(element) for element in written],
        lambda answer: [inner.to_state(element) for element in answer],
    )


def number_text(name: str | None = None) -> As:
    """Put a number beside its text in AWS."""
    return As(name, lambda value: str(int(value)), int)


def number(name: str | None = None) -> As:
    """Put a text of Terraform's beside a number in AWS."""
    return As(name, _number, _plain_text)


def _number(text: str) -> int | float:
    value = float(text)
    return int(value) if value.is_integer() else value


def _plain_text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def flag_text(name: str | None = None) -> As:
    """Put a boolean beside `true` or `false` in AWS."""
    return As(name, lambda value: str(value).lower(), lambda text: str(text).lower() == "true")


def unordered(name: str | None = None) -> As:
    """Put a set beside a list in AWS, sorted, so that every run makes the same call."""
    return As(name, sorted, sorted)


def pairs(key: str, value: str, name: str | None = None) -> As:
    """Put a map beside a list of pairs in AWS."""
    return As(
        name,
        lambda mapping: [{key: k, value: v} for k, v in sorted(mapping.items())],
        lambda listed: {pair[key]: pair[value] for pair in listed},
    )


def known(state: Mapping[str, Any], *names: str) -> bool:
    """Say whether none of these attributes is left to be known after apply."""
    return not any(isinstance(state.get(name), Unknown) for name in names)
