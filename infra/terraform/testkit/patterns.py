"""Event patterns: what EventBridge refuses, and what it accepts though it can never match as meant."""

import json
from collections.abc import Iterator
from typing import Any, Final

MAX_CHARACTERS: Final = 4096
OPERATORS: Final = frozenset(
    {
        "anything-but",
        "cidr",
        "equals-ignore-case",
        "exists",
        "numeric",
        "prefix",
        "suffix",
        "wildcard",
    }
)
FIELDS: Final = frozenset(
    {
        "account",
        "detail",
        "detail-type",
        "id",
        "region",
        "replay-name",
        "resources",
        "source",
        "time",
        "version",
        "$or",
    }
)
"""The fields of an event's envelope; a pattern that names another one matches nothing."""


def pattern_faults(text: str, *, custom_bus: bool = False) -> Iterator[str]:
    """Yield what is wrong with an event pattern."""
    try:
        pattern = json.loads(text)
    except ValueError as error:
        yield f"event pattern is not JSON: {error}"
        return
    if len(json.dumps(pattern, separators=(",", ":"))) > MAX_CHARACTERS:
        yield f"event pattern is longer than {MAX_CHARACTERS} characters"
    yield from _object(pattern, "event pattern")
    if isinstance(pattern, dict):
        for name in pattern.keys() - FIELDS:
            yield f"event pattern: events have no field {name!r}"
        sources = pattern.get("source")
        if custom_bus and isinstance(sources, list) and all(map(is_reserved, sources)):
            yield f"event pattern: nobody can publish {sources} to a bus of one's own"


def is_reserved(source: object) -> bool:
    """Say whether AWS alone may publish events of this source."""
    return isinstance(source, str) and source.startswith("aws.")


def _object(pattern: Any, path: str) -> Iterator[str]:
    if not isinstance(pattern, dict) or not pattern:
        yield f"{path} must be an object that is not empty"
        return
    for name, value in pattern.items():
        here = f"{path}.{name}"
        if name == "$or":
            yield from _alternatives(value, here)
        elif isinstance(value, dict):
            yield from _object(value, here)
        elif not isinstance(value, list) or not value:
            yield f"{here} must be a list that is not empty"
        else:
            yield from _matchers(value, here)


def _alternatives(value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list) or len(value) < 2:  # noqa: PLR2004 (an "or" of one is none)
        yield f"{path} must be a list of two or more"
        return
    for pattern in value:
        yield from _object(pattern, path)


def _matchers(values: list[Any], path: str) -> Iterator[str]:
    for value in values:
        if isinstance(value, list):
            yield f"{path} holds a list in a list"
        if isinstance(value, dict):
            if len(value) != 1:
                yield f"{path}: a matcher has exactly one operator"
            for operator in value.keys() - OPERATORS:
                yield f"{path}: there is no operator {operator!r}"
