"""Each check of the document on what is deployed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from reservation_api.application.examination.alarms import facts_of, together, watching
from reservation_api.application.examination.document import Check, Environment, Subject, subjects_of
from reservation_api.application.examination.policies import grants_of, trusted_by
from reservation_api.ports.deployment import (
    AbsentError,
    Alarms,
    Deployment,
    Facts,
    Unreadable,
    UnreadableError,
)

EXISTS: Final = "exists"
"""The check on a subject that is not there, or of which nothing can be read."""


class FindingStatus(Enum):
    """How what is deployed is beside the document."""

    OK = "ok"
    MISSING = "missing"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check has found."""

    check: str
    subject: str
    status: FindingStatus
    expected: object
    found: object
    section: str


def examine(deployment: Deployment, where: Environment) -> Iterator[Finding]:
    """Yield what each check finds, in the document's order; what may not be read is a finding as well."""
    for subject, checks in subjects_of(where):
        try:
            facts = _facts(deployment, subject, checks, where.env)
        except AbsentError:
            if not subject.optional:
                yield _whole(subject, FindingStatus.MISSING, None)
        except UnreadableError as error:
            yield _whole(subject, FindingStatus.UNREADABLE, str(error))
        else:
            yield _whole(subject, FindingStatus.OK, facts.get("alarm", subject.name))
            yield from (_finding(subject, check, facts) for check in checks)


def _whole(subject: Subject, status: FindingStatus, found: object) -> Finding:
    return Finding(EXISTS, subject.title, status, subject.name, found, subject.section)


def _finding(subject: Subject, check: Check, facts: Facts) -> Finding:
    status, found = _judged(check, facts)
    return Finding(check.name, subject.title, status, check.expectation.expected, found, check.section)


def _judged(check: Check, facts: Facts) -> tuple[FindingStatus, object]:
    if check.fact not in facts:
        return FindingStatus.MISSING, None
    fact = facts[check.fact]
    if isinstance(fact, Unreadable):
        return FindingStatus.UNREADABLE, fact.reason
    is_good, found = check.expectation.judge(fact)
    return FindingStatus.OK if is_good else FindingStatus.DIFFERENT, found


def _facts(deployment: Deployment, subject: Subject, checks: Sequence[Check], env: str) -> Facts:
    """Raise AbsentError, UnreadableError."""
    match subject.kind:
        case "alarm":
            return _with_topics(deployment, _alarm_facts(deployment.alarms(), subject, checks, env))
        case "role":
            return _role_facts(deployment.facts("role", subject.name))
        case kind:
            return deployment.facts(kind, subject.name)


def _alarm_facts(alarms: Alarms, subject: Subject, checks: Sequence[Check], env: str) -> Facts:
    """Return those of the alarm that differs least, or of all that do it together; raises AbsentError."""
    found = watching(alarms, subject.watches, env) if subject.watches is not None else []
    candidates = [facts_of(one, alarms) for one in found]
    if not candidates:
        raise AbsentError

    def differences(facts: Facts) -> int:
        return sum(_judged(check, facts)[0] is FindingStatus.DIFFERENT for check in checks)

    return together(candidates) if subject.together else min(candidates, key=differences)


def _with_topics(deployment: Deployment, facts: Facts) -> Facts:
    told = facts["notifies"]
    arns = told if isinstance(told, list) else []
    try:
        return {**facts, "topics": [_topic(deployment, arn) for arn in arns]}
    except UnreadableError as error:
        return {**facts, "topics": Unreadable(str(error))}


def _topic(deployment: Deployment, arn: str) -> str:
    try:
        deployment.facts("topic", arn)
    except AbsentError:
        return f"missing: {arn}"
    return f"there: {arn}"


def _role_facts(facts: Facts) -> Facts:
    """Return what a role's documents say."""
    trust, policies = facts["trust"], facts["policies"]
    return {
        "trust": trusted_by(trust) if isinstance(trust, Mapping) else trust,
        "permissions": grants_of(policies) if isinstance(policies, list) else policies,
    }
