"""Tags: the same idea everywhere, spelled in a dozen ways."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from testkit.aws import Aws
from testkit.values import State


@dataclass(frozen=True, slots=True)
class Tagging:
    """How one service spells the calls for tags, and whether it takes a map or a list of pairs."""

    service: str
    resource: str
    tags: str = "Tags"
    names: str = "TagKeys"
    pair: tuple[str, str] | None = ("Key", "Value")
    list_call: str = "list_tags_for_resource"
    tag_call: str = "tag_resource"
    untag_call: str = "untag_resource"
    part: str = ""
    """Of a service that several servers share."""

    def written(self, tags: Mapping[str, str] | None) -> Any:
        """Write tags as the service takes them; None when there are none."""
        if not tags:
            return None
        if self.pair is None:
            return dict(tags)
        key, value = self.pair
        return [{key: name, value: text} for name, text in sorted(tags.items())]

    def listed(self, tags: Any) -> dict[str, str]:
        """Read tags as the service gives them."""
        if self.pair is None:
            return dict(tags or {})
        key, value = self.pair
        return {tag[key]: tag[value] for tag in tags or []}

    def read(self, aws: Aws, resource: str) -> dict[str, str]:
        """Ask for the tags of a resource."""
        answer = getattr(aws.client(self.service, self.part), self.list_call)(**{self.resource: resource})
        return self.listed(answer.get(self.tags))

    def update(self, aws: Aws, resource: str, prior: State, planned: State) -> None:
        """Make the tags what was planned."""
        old, new = prior["tags_all"] or {}, planned["tags_all"] or {}
        gone = sorted(old.keys() - new.keys())
        changed = {name: text for name, text in new.items() if old.get(name) != text}
        client = aws.client(self.service, self.part)
        if gone:
            names: Any = gone if self.names != self.tags else [{"Key": name} for name in gone]
            getattr(client, self.untag_call)(**{self.resource: resource, self.names: names})
        if changed:
            getattr(client, self.tag_call)(**{self.resource: resource, self.tags: self.written(changed)})


_LOWER: Final = ("key", "value")

ACM: Final = Tagging(
    "acm",
    "CertificateArn",
    names="Tags",
    list_call="list_tags_for_certificate",
    tag_call="add_tags_to_certificate",
    untag_call="remove_tags_from_certificate",
)
DYNAMODB: Final = Tagging("dynamodb", "ResourceArn", list_call="list_tags_of_resource")
EVENTS: Final = Tagging("events", "ResourceARN")
SNS: Final = Tagging("sns", "ResourceArn")
CLOUDWATCH: Final = Tagging("cloudwatch", "ResourceARN")
COMPOSITE: Final = Tagging("cloudwatch", "ResourceARN", part="composite")
SECRETS: Final = Tagging("secretsmanager", "SecretId")
LOGS: Final = Tagging("logs", "resourceArn", "tags", "tagKeys", None)
ECS: Final = Tagging("ecs", "resourceArn", "tags", "tagKeys", _LOWER)
AUTOSCALING: Final = Tagging("application-autoscaling", "ResourceARN", pair=None)
LAMBDA: Final = Tagging("lambda", "Resource", pair=None, list_call="list_tags")
SQS: Final = Tagging(
    "sqs", "QueueUrl", "Tags", "TagKeys", None, "list_queue_tags", "tag_queue", "untag_queue"
)
ROLE: Final = Tagging(
    "iam", "RoleName", list_call="list_role_tags", tag_call="tag_role", untag_call="untag_role"
)
POLICY: Final = Tagging(
    "iam", "PolicyArn", list_call="list_policy_tags", tag_call="tag_policy", untag_call="untag_policy"
)
