"""Values against the models of AWS's services: enumerations, patterns, lengths and ranges."""

import re
from collections.abc import Iterator
from typing import Any

from testkit.patterns import is_reserved


class RefusedError(Exception):
    """AWS would refuse this call."""


def refuse_bad_values(params: dict[str, Any], model: Any, **_: Any) -> None:
    """Raise RefusedError unless a call's parameters are what its model allows."""
    faults = list(faults_of(params, model.input_shape, "")) if model.input_shape else []
    if model.name == "PutEvents":
        sources = [entry.get("Source") for entry in params["Entries"]]
        faults += [f"NotAuthorizedForSource: {source}" for source in sources if is_reserved(source)]
    if faults:
        raise RefusedError(f"{model.name}: {'; '.join(faults)}")


def faults_of(value: Any, shape: Any, path: str) -> Iterator[str]:
    """Yield what is wrong with a value by its shape; structure and types are botocore's own check."""
    match value:
        case dict() if shape.type_name == "structure":
            for name, inner in value.items():
                if name in shape.members:
                    yield from faults_of(inner, shape.members[name], f"{path}.{name}".lstrip("."))
        case dict() if shape.type_name == "map":
            for name, inner in value.items():
                yield from faults_of(inner, shape.value, f"{path}[{name}]")
        case list() | tuple() if shape.type_name == "list":
            for place, inner in enumerate(value):
                yield from faults_of(inner, shape.member, f"{path}[{place}]")
    yield from _leaf(value, shape, path)


def _leaf(value: Any, shape: Any, path: str) -> Iterator[str]:
    allowed = getattr(shape, "enum", None)
    if allowed and value not in allowed:
        yield f"{path}: {value!r} is not one of {', '.join(allowed)}"
    limits = shape.metadata
    size = len(value) if isinstance(value, str | list | dict) else value
    if isinstance(size, int | float) and not isinstance(size, bool):
        low, high = limits.get("min"), limits.get("max")
        if (low is not None and size < low) or (high is not None and size > high):
            yield f"{path}: {value!r} is outside {low}..{high}"
    if "pattern" in limits and isinstance(value, str) and not _matches(limits["pattern"], value):
        yield f"{path}: {value!r} does not match {limits['pattern']}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # AWS writes its patterns for Java
        return True
