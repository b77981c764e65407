"""Small turns of phrase of AWS's interfaces: absent parameters, missing resources, lists of tags."""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from testkit.values import Unknown


def params(**parameters: Any) -> dict[str, Any]:
    """Leave out what is not set: null, unknown, or an empty text, list or map."""
    return {
        name: value
        for name, value in parameters.items()
        if not isinstance(value, Unknown) and value is not None and value not in ("", [], {})
    }


def found(call: Callable[..., Any], *missing: str, **parameters: Any) -> Any:
    """Return what a call finds, or None if AWS answers with one of these codes."""
    try:
        return call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] in missing:
            return None
        raise


def tag_list(tags: Mapping[str, str] | None, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Write tags as most services want them."""
    return [{key: name, value: text} for name, text in (tags or {}).items()]


def tag_map(tags: list[dict[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Read tags as most services give them."""
    return {tag[key]: tag[value] for tag in tags or []}


def tag_changes(
    before: Mapping[str, str] | None, now: Mapping[str, str] | None
) -> tuple[dict[str, str], list[str]]:
    """Return the tags to set and the names to remove."""
    old, new = dict(before or {}), dict(now or {})
    return {k: v for k, v in new.items() if old.get(k) != v}, [k for k in old if k not in new]
