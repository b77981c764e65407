"""What a fact may be: the ways in which document.toml says so."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from reservation_api.application.examination.policies import grants_of, lets, service_of

Verdict = tuple[bool, object]
"""Whether the fact is as expected, and what of it is to be told."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected, as it is told, and how a fact is judged."""

    expected: object
    judge: Callable[[Any], Verdict]


def expectation(how: str, value: Any) -> Expectation:
    """Return the expectation that document.toml writes as {how = value}; raises KeyError for another word."""
    return _WAYS[how](value)


def _is(value: object) -> Expectation:
    return Expectation(value, lambda fact: (fact == value, fact))


def _one_of(values: Sequence[object]) -> Expectation:
    return Expectation({"one of": values}, lambda fact: (fact in values, fact))


def _at_least(values: Sequence[str]) -> Expectation:
    return Expectation(values, lambda fact: (set(values) <= set(fact), sorted(set(values) & set(fact))))


def _json(text: str) -> Expectation:
    wanted = msgspec.json.decode(text)
    return Expectation(wanted, lambda fact: (_sorted(fact) == _sorted(wanted), fact))


def _sorted(value: Any) -> Any:
    """Return it with its lists in one order: in a pattern of events their order says nothing."""
    if isinstance(value, Mapping):
        return {key: _sorted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return sorted(map(_sorted, value), key=msgspec.json.encode)
    return value


def _like(pattern: str) -> Expectation:
    return Expectation(
        {"like": pattern}, lambda fact: (re.fullmatch(pattern, str(fact or "")) is not None, fact)
    )


def _each_like(patterns: Sequence[str]) -> Expectation:
    return Expectation(
        {"each like": patterns}, lambda fact: (bool(fact) and all(_any(patterns, one) for one in fact), fact)
    )


def _some_like(patterns: Sequence[str]) -> Expectation:
    return Expectation(
        {"some like": patterns},
        lambda fact: (
            all(any(_any([pattern], one) for one in fact) for pattern in patterns),
            [one for one in fact if _any(patterns, one)],
        ),
    )


def _none_like(patterns: Sequence[str]) -> Expectation:
    def judge(fact: Sequence[str]) -> Verdict:
        found = [one for one in fact if _any(patterns, one)]
        return not found, found

    return Expectation({"none like": patterns}, judge)


def _any(patterns: Sequence[str], text: str) -> bool:
    return any(re.fullmatch(pattern, text) for pattern in patterns)


def _grants(text: str) -> Expectation:
    wanted = grants_of([msgspec.json.decode(text)])
    services = {service_of(line) for line in wanted}

    def judge(fact: Sequence[str]) -> Verdict:
        found = [line for line in fact if service_of(line) in services]
        return found == wanted, found

    return Expectation(wanted, judge)


def _no_service_but(services: Sequence[str]) -> Expectation:
    def judge(fact: Sequence[str]) -> Verdict:
        found = [line for line in fact if service_of(line) not in services]
        return not found, found

    return Expectation([], judge)


class _Access(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who does something on behalf of each source."""

    service: str
    action: str
    resource: str
    sources: list[str]

    def let_by(self, policy: Mapping[str, Any] | None) -> list[str]:
        return [one for one in self.sources if policy is not None and self._is_let(policy, one)]

    def _is_let(self, policy: Mapping[str, Any], source: str) -> bool:
        context = {
            "aws:sourcearn": source,
            "aws:sourceaccount": source.split(":")[4],
            "aws:securetransport": "true",
            "aws:principalisawsservice": "true",
        }
        return lets(policy, self.service, self.action, self.resource, context)


def _lets(value: Any) -> Expectation:
    access = msgspec.convert(value, _Access)
    return Expectation(access.sources, lambda fact: ((found := access.let_by(fact)) == access.sources, found))


def _lets_not(value: Any) -> Expectation:
    access = msgspec.convert(value, _Access)
    return Expectation([], lambda fact: (not (found := access.let_by(fact)), found))


_WAYS: Final[Mapping[str, Callable[[Any], Expectation]]] = {
    "is": _is,
    "one_of": _one_of,
    "at_least": _at_least,
    "json": _json,
    "like": _like,
    "each_like": _each_like,
    "some_like": _some_like,
    "none_like": _none_like,
    "grants": _grants,
    "no_service_but": _no_service_but,
    "lets": _lets,
    "lets_not": _lets_not,
}
