"""IAM's documents, so far as the doctor must understand them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import msgspec

Policy = Mapping[str, Any]

ANYBODY = "anybody"


def grants_of(policies: Sequence[Policy]) -> list[str]:
    """Return what policies say, one line for each effect, action and resource: however it is split up."""
    return sorted({line for policy in policies for one in _statements(policy) for line in _grants(one)})


def service_of(grant: str) -> str:
    """Return the service that a line of `grants_of` is about; `*` may be any."""
    action = grant.removeprefix("Allow ").removeprefix("Deny ").removeprefix("not ")
    return action.partition(":")[0].partition(" ")[0].lower()


def trusted_by(policy: Policy) -> list[str]:
    """Return who may take a role: services, accounts, and others' identities as whom, by tokens for whom."""
    found = set()
    for one in _statements(policy):
        if one["Effect"] == "Allow":
            found |= {_trusted(kind, name, one) for kind, name in _principals(one)}
    return sorted(found)


def lets(policy: Policy, service: str, action: str, resource: str, context: Mapping[str, str]) -> bool:
    """Tell whether a resource's policy lets a service of AWS do something, in these circumstances.

    A condition that is not known here counts against: it grants nothing, and denies.
    """
    effects = set()
    for one in _statements(policy):
        concerns = (
            _is_for(service, one)
            and any(_matches(pattern, action) for pattern in _listed(one.get("Action")))
            and any(fnmatchcase(resource, pattern) for pattern in _listed(one.get("Resource")))
        )
        is_denial = one["Effect"] == "Deny"
        if concerns and _conditions_hold(one.get("Condition", {}), context, when_unknown=is_denial):
            effects.add(one["Effect"])
    return effects == {"Allow"}


def _statements(policy: Policy) -> Sequence[Policy]:
    found = policy.get("Statement", [])
    return [found] if isinstance(found, Mapping) else found


def _listed(value: Any) -> Sequence[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


def _grants(statement: Policy) -> Iterator[str]:
    actions = [*_listed(statement.get("Action")), *(f"not {a}" for a in _listed(statement.get("NotAction")))]
    resources = [
        *_listed(statement.get("Resource")),
        *(f"not {resource}" for resource in _listed(statement.get("NotResource"))),
    ]
    condition = statement.get("Condition")
    when = f" if {msgspec.json.encode(condition, order='sorted').decode()}" if condition else ""
    for action in actions:
        for resource in resources:
            yield f"{statement['Effect']} {action} on {resource}{when}"


def _principals(statement: Policy) -> Iterator[tuple[str, str]]:
    found = statement.get("Principal", "*")
    if isinstance(found, str):
        yield "AWS", found
        return
    for kind, names in found.items():
        yield from ((kind, name) for name in _listed(names))


def _trusted(kind: str, name: str, statement: Policy) -> str:
    if kind != "Federated":
        return f"{kind} {name}"
    return f"{kind} {name} as {_claimed('sub', statement)} for {_claimed('aud', statement)}"


def _claimed(claim: str, statement: Policy) -> str:
    """Return what a token's claim has to be, or anybody if it may be left out."""
    found = [
        value
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
        if key.endswith(f":{claim}") and operator in {"StringEquals", "StringLike"}
        for value in _listed(values)
    ]
    return ", ".join(sorted(found)) or ANYBODY


def _is_for(service: str, statement: Policy) -> bool:
    return any(
        name == "*" or (kind == "Service" and name == service) for kind, name in _principals(statement)
    )


def _matches(pattern: str, text: str) -> bool:
    return fnmatchcase(text.lower(), pattern.lower())


def _conditions_hold(
    conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str], *, when_unknown: bool
) -> bool:
    return all(
        _condition_holds(operator, context.get(key.lower()), _listed(values), when_unknown=when_unknown)
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _condition_holds(operator: str, actual: str | None, values: Sequence[str], *, when_unknown: bool) -> bool:
    found = re.fullmatch(r"(?:ForAnyValue:)?(String|Arn)(Not)?(Equals|Like)(?:IfExists)?|(Bool)", operator)
    if found is None or actual is None:
        return when_unknown
    if found[4]:
        return actual in values
    has_wildcards = found[1] == "Arn" or found[3] == "Like"
    matched = any(fnmatchcase(actual, value) if has_wildcards else actual == value for value in values)
    return matched != bool(found[2])
