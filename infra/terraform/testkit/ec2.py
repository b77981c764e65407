"""What EC2's resources have in common: they are described in lists, and tagged by one call."""

from typing import Any

from botocore.exceptions import ClientError

from testkit.aws import Aws
from testkit.values import State


def described(aws: Aws, call: str, key: str, **parameters: Any) -> dict[str, Any] | None:
    """Return the first of what a describe call lists; None if EC2 says that there is none."""
    try:
        listed = getattr(aws.client("ec2"), call)(**parameters)[key]
    except ClientError as error:
        if ".NotFound" in error.response["Error"]["Code"]:
            return None
        raise
    return dict(listed[0]) if listed else None


def tagged(kind: str, tags: dict[str, str] | None) -> dict[str, Any]:
    """Return the parameter that tags a new resource."""
    if not tags:
        return {}
    listed = [{"Key": name, "Value": text} for name, text in sorted(tags.items())]
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": listed}]}


def tags_of(answer: dict[str, Any]) -> dict[str, str]:
    """Read the tags of a described resource."""
    return {tag["Key"]: tag["Value"] for tag in answer.get("Tags", [])}


def retag(aws: Aws, prior: State, planned: State) -> None:
    """Make the tags of a resource what was planned."""
    old, new = prior["tags_all"] or {}, planned["tags_all"] or {}
    gone = [{"Key": name} for name in sorted(old.keys() - new.keys())]
    changed = [{"Key": name, "Value": text} for name, text in sorted(new.items()) if old.get(name) != text]
    if gone:
        aws.client("ec2").delete_tags(Resources=[prior["id"]], Tags=gone)
    if changed:
        aws.client("ec2").create_tags(Resources=[prior["id"]], Tags=changed)


def arn(aws: Aws, kind: str, identifier: str) -> str:
    """Write the ARN that EC2 itself seldom tells."""
    return f"arn:aws:ec2:{aws.region}:{aws.account}:{kind}/{identifier}"
