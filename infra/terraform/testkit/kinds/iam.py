"""Roles and policies."""

import json
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.fields import Fields
from testkit.kind import Fault, Kind, Rules
from testkit.policies import faults_of, identity_policy_faults, trust_policy_faults
from testkit.tagging import POLICY, ROLE
from testkit.values import State

_MISSING: Final = ("NoSuchEntity", "NoSuchEntityException")
_JSON: Final = frozenset({"policy", "assume_role_policy"})

_ROLE: Final = Fields(
    "path",
    "description",
    "max_session_duration",
    name="RoleName",
    assume_role_policy="AssumeRolePolicyDocument",
)


def _text(document: Any) -> str:
    """Write a document as text; boto3 has parsed it already."""
    return document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))


def _create_role(aws: Aws, role: State) -> State:
    boundary = params(PermissionsBoundary=role["permissions_boundary"])
    aws.client("iam").create_role(
        **_ROLE.to_aws(role), **boundary, **params(Tags=ROLE.written(role["tags_all"]))
    )
    for inline in role["inline_policy"] or []:
        aws.client("iam").put_role_policy(
            RoleName=role["name"], PolicyName=inline["name"], PolicyDocument=inline["policy"]
        )
    return {"id": role["name"]}


def _read_role(aws: Aws, state: State) -> State | None:
    client, name = aws.client("iam"), state["id"]
    answer = found(client.get_role, *_MISSING, RoleName=name)
    if answer is None:
        return None
    role = answer["Role"]
    attached = client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    read = _ROLE.to_state(role | {"AssumeRolePolicyDocument": _text(role["AssumeRolePolicyDocument"])})
    return read | {
        "arn": role["Arn"],
        "unique_id": role["RoleId"],
        "create_date": role["CreateDate"].isoformat(),
        "permissions_boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "managed_policy_arns": sorted(policy["PolicyArn"] for policy in attached),
        "inline_policy": _read_inline(client, name) if state.get("inline_policy") else [],
        "tags_all": ROLE.read(aws, name),
    }


def _read_inline(client: Any, role: str) -> list[State]:
    names = client.list_role_policies(RoleName=role)["PolicyNames"]
    documents = {name: client.get_role_policy(RoleName=role, PolicyName=name) for name in names}
    return [{"name": name, "policy": _text(answer["PolicyDocument"])} for name, answer in documents.items()]


def _update_role(aws: Aws, prior: State, planned: State) -> None:
    client, name = aws.client("iam"), planned["name"]
    if prior["assume_role_policy"] != planned["assume_role_policy"]:
        client.update_assume_role_policy(RoleName=name, PolicyDocument=planned["assume_role_policy"])
    client.update_role(
        RoleName=name,
        Description=planned["description"] or "",
        MaxSessionDuration=planned["max_session_duration"],
    )
    if planned["permissions_boundary"]:
        client.put_role_permissions_boundary(
            RoleName=name, PermissionsBoundary=planned["permissions_boundary"]
        )
    elif prior["permissions_boundary"]:
        client.delete_role_permissions_boundary(RoleName=name)
    ROLE.update(aws, name, prior, planned)


def _delete_role(aws: Aws, state: State) -> None:
    client, name = aws.client("iam"), state["id"]
    for inline in state["inline_policy"] or []:
        client.delete_role_policy(RoleName=name, PolicyName=inline["name"])
    if state["force_detach_policies"]:
        for policy in client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            client.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    client.delete_role(RoleName=name)


def _role_faults(role: State) -> Iterable[Fault]:
    yield from faults_of(role, "assume_role_policy", trust_policy_faults)


def _policy_faults(config: State) -> Iterable[Fault]:
    yield from faults_of(config, "policy", identity_policy_faults)


def _create_policy(aws: Aws, policy: State) -> State:
    fields = Fields("path", "description", name="PolicyName", policy="PolicyDocument")
    tags = params(Tags=POLICY.written(policy["tags_all"]))
    answer = aws.client("iam").create_policy(**fields.to_aws(policy), **tags)
    return {"id": answer["Policy"]["Arn"]}


def _read_policy(aws: Aws, state: State) -> State | None:
    client, arn = aws.client("iam"), state["id"]
    answer = found(client.get_policy, *_MISSING, PolicyArn=arn)
    if answer is None:
        return None
    policy = answer["Policy"]
    version = client.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])
    return {
        "arn": arn,
        "name": policy["PolicyName"],
        "path": policy["Path"],
        "description": policy.get("Description"),
        "policy": _text(version["PolicyVersion"]["Document"]),
        "policy_id": policy["PolicyId"],
        "attachment_count": policy.get("AttachmentCount", 0),
        "tags_all": POLICY.read(aws, arn),
    }


def _update_policy(aws: Aws, prior: State, planned: State) -> None:
    client, arn = aws.client("iam"), prior["id"]
    if prior["policy"] != planned["policy"]:
        for version in client.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                client.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
        client.create_policy_version(PolicyArn=arn, PolicyDocument=planned["policy"], SetAsDefault=True)
    POLICY.update(aws, arn, prior, planned)


def _delete_policy(aws: Aws, state: State) -> None:
    client, arn = aws.client("iam"), state["id"]
    for version in client.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            client.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    client.delete_policy(PolicyArn=arn)


def _put_inline(aws: Aws, policy: State) -> State:
    role, name = policy["role"], policy["name"]
    aws.client("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=policy["policy"])
    return {"id": f"{role}:{name}"}


def _read_one_inline(aws: Aws, state: State) -> State | None:
    role, _, name = state["id"].partition(":")
    answer = found(aws.client("iam").get_role_policy, *_MISSING, RoleName=role, PolicyName=name)
    return answer and {"role": role, "name": name, "policy": _text(answer["PolicyDocument"])}


def _update_inline(aws: Aws, _prior: State, planned: State) -> None:
    _put_inline(aws, planned)


def _delete_inline(aws: Aws, state: State) -> None:
    aws.client("iam").delete_role_policy(RoleName=state["role"], PolicyName=state["name"])


def _attach(aws: Aws, state: State) -> State:
    aws.client("iam").attach_role_policy(RoleName=state["role"], PolicyArn=state["policy_arn"])
    return {"id": f"{state['role']}/{state['policy_arn']}"}


def _read_attachment(aws: Aws, state: State) -> State | None:
    role, _, arn = state["id"].partition("/")
    answer = found(aws.client("iam").list_attached_role_policies, *_MISSING, RoleName=role)
    attached = {policy["PolicyArn"] for policy in (answer or {"AttachedPolicies": []})["AttachedPolicies"]}
    return {"role": role, "policy_arn": arn} if arn in attached else None


def _detach(aws: Aws, state: State) -> None:
    aws.client("iam").detach_role_policy(RoleName=state["role"], PolicyArn=state["policy_arn"])


KINDS: Final = (
    Kind(
        "aws_iam_role",
        _create_role,
        _read_role,
        _delete_role,
        _update_role,
        Rules(
            defaults={"path": "/", "max_session_duration": 3600, "force_detach_policies": False},
            force_new=frozenset({"name", "path"}),
            json_texts=_JSON,
            kept=frozenset({"force_detach_policies"}),
            identity={"inline_policy": "name"},
        ),
        _role_faults,
    ),
    Kind(
        "aws_iam_policy",
        _create_policy,
        _read_policy,
        _delete_policy,
        _update_policy,
        Rules(
            defaults={"path": "/"},
            force_new=frozenset({"name", "path", "description"}),
            json_texts=_JSON,
            kept=frozenset({"delay_after_policy_creation_in_ms"}),
        ),
        _policy_faults,
    ),
    Kind(
        "aws_iam_role_policy",
        _put_inline,
        _read_one_inline,
        _delete_inline,
        _update_inline,
        Rules(force_new=frozenset({"name", "role"}), json_texts=_JSON),
        _policy_faults,
    ),
    Kind(
        "aws_iam_role_policy_attachment",
        _attach,
        _read_attachment,
        _detach,
        None,
        Rules(force_new=frozenset({"role", "policy_arn"})),
    ),
)
