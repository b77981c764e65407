"""A role of IAM: who may take it, and all policies that say what it may do."""

from collections.abc import Mapping
from typing import Any

from reservation_api.adapters.aws_operations.asking import ask, ask_all, fact
from reservation_api.ports.deployment import Facts


def role_facts(iam: Any, name: str) -> Facts:
    """Return a role's documents, whatever its policies are called; raises AbsentError, UnreadableError."""
    role = ask(iam.get_role, RoleName=name)["Role"]
    return {
        "trust": role["AssumeRolePolicyDocument"],
        "policies": fact(lambda: [*_attached(iam, name), *_inline(iam, name)]),
    }


def _attached(iam: Any, role: str) -> list[Mapping[str, Any]]:
    found = ask_all(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=role)
    return [_current(iam, one["PolicyArn"]) for one in found]


def _current(iam: Any, arn: str) -> Mapping[str, Any]:
    version = ask(iam.get_policy, PolicyArn=arn)["Policy"]["DefaultVersionId"]
    found = ask(iam.get_policy_version, PolicyArn=arn, VersionId=version)
    document: Mapping[str, Any] = found["PolicyVersion"]["Document"]
    return document


def _inline(iam: Any, role: str) -> list[Mapping[str, Any]]:
    names = ask_all(iam, "list_role_policies", "PolicyNames", RoleName=role)
    return [ask(iam.get_role_policy, RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
