"""Policy documents: what IAM and the services' own policies refuse."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from testkit.kind import Fault
from testkit.values import State

VERSIONS: Final = frozenset({"2008-10-17", "2012-10-17"})
ELEMENTS: Final = frozenset(
    {
        "Action",
        "Condition",
        "Effect",
        "NotAction",
        "NotPrincipal",
        "NotResource",
        "Principal",
        "Resource",
        "Sid",
    }
)
_SID: Final = re.compile(r"[0-9A-Za-z]*")
_ACTION: Final = re.compile(r"\*|[0-9A-Za-z-]+:[0-9A-Za-z*?]+")
_RESOURCE: Final = re.compile(r"\*|arn:.*")


def identity_policy_faults(text: str) -> Iterator[str]:
    """Yield what is wrong with a policy of a role, user or group: it names resources and no principals."""
    for statement, path in _statements(text):
        yield from _always(statement, path, _SID)
        if "Principal" in statement or "NotPrincipal" in statement:
            yield f"{path} has a principal, which only policies of resources have"
        yield from _exactly_one(statement, path, "Resource", "NotResource")
        for resource in _list(statement.get("Resource", [])):
            if not _RESOURCE.fullmatch(str(resource)):
                yield f"{path}: {resource!r} is no ARN"
    yield from _malformed(text)


def resource_policy_faults(text: str) -> Iterator[str]:
    """Yield what is wrong with a policy of a queue, bus, table, secret or topic: it names principals."""
    for statement, path in _statements(text):
        yield from _always(statement, path, re.compile(".*"))
        yield from _exactly_one(statement, path, "Principal", "NotPrincipal")
        yield from _exactly_one(statement, path, "Resource", "NotResource")
    yield from _malformed(text)


def trust_policy_faults(text: str) -> Iterator[str]:
    """Yield what is wrong with a trust policy: principals, sts actions, no resources."""
    for statement, path in _statements(text):
        yield from _always(statement, path, _SID)
        yield from _exactly_one(statement, path, "Principal", "NotPrincipal")
        if "Resource" in statement or "NotResource" in statement:
            yield f"{path} has a resource, which a trust policy has not"
        for action in _list(statement.get("Action", [])):
            if not str(action).startswith("sts:"):
                yield f"{path}: {action!r} is not of sts"
        if statement.get("Principal") == "*" or "*" in _mapping(statement.get("Principal")):
            yield f'{path}: a trust policy takes {{"AWS": "*"}}, and not "*"'
    yield from _malformed(text)


def faults_of(config: State, attribute: str, check: Any) -> Iterable[Fault]:
    """Check one attribute, if it is known by now."""
    text = config.get(attribute)
    if isinstance(text, str) and text:
        for fault in check(text):
            yield Fault(f"{attribute}: {fault}", attribute)


def _malformed(text: str) -> Iterator[str]:
    try:
        document = json.loads(text)
    except ValueError as error:
        yield f"not JSON: {error}"
        return
    if not isinstance(document, dict) or not document.get("Statement"):
        yield "there is no Statement"
        return
    if document.get("Version", "2008-10-17") not in VERSIONS:
        yield f"there is no version {document['Version']!r}"
    for name in document.keys() - {"Version", "Id", "Statement"}:
        yield f"a policy has no element {name!r}"
    sids = [s["Sid"] for s, _ in _statements(text) if s.get("Sid")]
    for sid in sorted({sid for sid in sids if sids.count(sid) > 1}):
        yield f"Sid {sid!r} stands twice"


def _statements(text: str) -> Iterator[tuple[dict[str, Any], str]]:
    try:
        document = json.loads(text)
    except ValueError:
        return
    listed = _list(document.get("Statement", [])) if isinstance(document, dict) else []
    for place, statement in enumerate(listed):
        if isinstance(statement, dict):
            yield statement, f"statement {statement.get('Sid') or place}"


def _always(statement: Mapping[str, Any], path: str, sid: re.Pattern[str]) -> Iterator[str]:
    if statement.get("Effect") not in {"Allow", "Deny"}:
        yield f"{path}: Effect must be Allow or Deny"
    for name in statement.keys() - ELEMENTS:
        yield f"{path}: there is no element {name!r}"
    if not sid.fullmatch(statement.get("Sid", "")):
        yield f"{path}: a Sid has letters and digits only"
    yield from _exactly_one(statement, path, "Action", "NotAction")
    for action in _list(statement.get("Action", [])):
        if not _ACTION.fullmatch(str(action)):
            yield f"{path}: {action!r} is no action"


def _exactly_one(statement: Mapping[str, Any], path: str, one: str, other: str) -> Iterator[str]:
    if (one in statement) == (other in statement):
        yield f"{path} must have either {one} or {other}"
    elif not statement.get(one, statement.get(other)):
        yield f"{path}: {one} is empty"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
