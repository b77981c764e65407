"""Topics, who may publish to them, and who listens."""

from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.choices import at_most_one
from testkit.fields import Fields, flag_text, number_text
from testkit.kind import Fault, Kind, Rules
from testkit.policies import faults_of, resource_policy_faults
from testkit.tagging import SNS
from testkit.values import State

_MISSING: Final = ("NotFound", "NotFoundException")
_TOPIC: Final = Fields(
    "policy",
    "display_name",
    "delivery_policy",
    "kms_master_key_id",
    "archive_policy",
    "tracing_config",
    "fifo_throughput_scope",
    fifo_topic=flag_text(),
    content_based_deduplication=flag_text(),
    signature_version=number_text(),
    maximum_message_size=number_text(),
)


def _attributes(topic: State) -> dict[str, Any]:
    """Return the attributes to send; AWS refuses the ones of FIFO topics for others."""
    attributes = _TOPIC.to_aws(topic)
    fifo = {"FifoTopic", "ContentBasedDeduplication"}
    return {name: v for name, v in attributes.items() if topic["fifo_topic"] or name not in fifo}


def _create_topic(aws: Aws, topic: State) -> State:
    answer = aws.client("sns").create_topic(
        Name=topic["name"],
        **params(Attributes=_attributes(topic), Tags=SNS.written(topic["tags_all"])),
    )
    return {"id": answer["TopicArn"]}


def _topic_attributes(aws: Aws, arn: str) -> dict[str, str] | None:
    answer = found(aws.client("sns").get_topic_attributes, *_MISSING, TopicArn=arn)
    return answer and dict(answer["Attributes"])


def _read_topic(aws: Aws, state: State) -> State | None:
    arn = state["id"]
    attributes = _topic_attributes(aws, arn)
    if attributes is None:
        return None
    return _TOPIC.to_state(attributes) | {
        "arn": arn,
        "name": arn.rpartition(":")[2],
        "owner": attributes.get("Owner", aws.account),
        "beginning_archive_time": attributes.get("BeginningArchiveTime", ""),
        "tags_all": SNS.read(aws, arn),
    }


def _update_topic(aws: Aws, prior: State, planned: State) -> None:
    old, new = _attributes(prior), _attributes(planned)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            aws.client("sns").set_topic_attributes(
                TopicArn=prior["id"], AttributeName=name, AttributeValue=new.get(name, "")
            )
    SNS.update(aws, prior["id"], prior, planned)


def _delete_topic(aws: Aws, state: State) -> None:
    aws.client("sns").delete_topic(TopicArn=state["id"])


def _topic_faults(topic: State) -> Iterable[Fault]:
    yield from at_most_one(topic, "name", "name_prefix")
    if not topic["fifo_topic"] and topic["content_based_deduplication"]:
        yield Fault("content_based_deduplication is for FIFO topics only", "content_based_deduplication")
    yield from faults_of(topic, "policy", resource_policy_faults)


def _put_policy(aws: Aws, state: State) -> State:
    arn = state["arn"]
    aws.client("sns").set_topic_attributes(
        TopicArn=arn, AttributeName="Policy", AttributeValue=state["policy"]
    )
    return {"id": arn}


def _read_policy(aws: Aws, state: State) -> State | None:
    attributes = _topic_attributes(aws, state["id"])
    if not attributes or not attributes.get("Policy"):
        return None
    owner = attributes.get("Owner", aws.account)
    return {"arn": state["id"], "owner": owner, "policy": attributes["Policy"]}


def _update_policy(aws: Aws, _prior: State, planned: State) -> None:
    _put_policy(aws, planned)


def _delete_policy(aws: Aws, state: State) -> None:
    """Give the topic back to its owner, as the real provider does: a topic is never without a policy."""
    arn = state["id"]
    owner = f'{{"AWS":"arn:aws:iam::{aws.account}:root"}}'
    policy = (
        f'{{"Version":"2008-10-17","Statement":[{{"Sid":"__default_statement_ID","Effect":"Allow",'
        f'"Principal":{owner},"Action":"SNS:Publish","Resource":"{arn}"}}]}}'
    )
    _put_policy(aws, {"arn": arn, "policy": policy})


def _policy_faults(config: State) -> Iterable[Fault]:
    yield from faults_of(config, "policy", resource_policy_faults)


_SUBSCRIPTION: Final = Fields(
    "delivery_policy",
    "endpoint",
    "filter_policy",
    "filter_policy_scope",
    "protocol",
    "redrive_policy",
    "replay_policy",
    "subscription_role_arn",
    "topic_arn",
    raw_message_delivery=flag_text(),
)
_SUBSCRIBED_TO: Final = frozenset({"Endpoint", "Protocol", "TopicArn"})


def _subscribe(aws: Aws, subscription: State) -> State:
    settings = _SUBSCRIPTION.to_aws(subscription)
    attributes = {name: value for name, value in settings.items() if name not in _SUBSCRIBED_TO}
    answer = aws.client("sns").subscribe(
        ReturnSubscriptionArn=True,
        **{name: settings[name] for name in sorted(_SUBSCRIBED_TO)},
        **params(Attributes=attributes),
    )
    return {"id": answer["SubscriptionArn"]}


def _read_subscription(aws: Aws, state: State) -> State | None:
    arn = state["id"]
    answer = found(aws.client("sns").get_subscription_attributes, *_MISSING, SubscriptionArn=arn)
    if answer is None:
        return None
    attributes = answer["Attributes"]
    read = _SUBSCRIPTION.to_state(attributes)
    read["filter_policy_scope"] = read["filter_policy_scope"] or "MessageAttributes"
    return read | {
        "arn": arn,
        "owner_id": attributes.get("Owner", aws.account),
        "pending_confirmation": attributes.get("PendingConfirmation", "false") == "true",
        "confirmation_was_authenticated": attributes.get("ConfirmationWasAuthenticated", "true") == "true",
    }


def _update_subscription(aws: Aws, prior: State, planned: State) -> None:
    old, new = _SUBSCRIPTION.to_aws(prior), _SUBSCRIPTION.to_aws(planned)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            aws.client("sns").set_subscription_attributes(
                SubscriptionArn=prior["id"], AttributeName=name, AttributeValue=new.get(name, "")
            )


def _unsubscribe(aws: Aws, state: State) -> None:
    aws.client("sns").unsubscribe(SubscriptionArn=state["id"])


KINDS: Final = (
    Kind(
        "aws_sns_topic",
        _create_topic,
        _read_topic,
        _delete_topic,
        _update_topic,
        Rules(
            defaults={"fifo_topic": False, "content_based_deduplication": False},
            force_new=frozenset({"name", "name_prefix", "fifo_topic", "region"}),
            json_texts=frozenset({"policy", "delivery_policy"}),
        ),
        _topic_faults,
    ),
    Kind(
        "aws_sns_topic_policy",
        _put_policy,
        _read_policy,
        _delete_policy,
        _update_policy,
        Rules(force_new=frozenset({"arn", "region"}), json_texts=frozenset({"policy"})),
        _policy_faults,
    ),
    Kind(
        "aws_sns_topic_subscription",
        _subscribe,
        _read_subscription,
        _unsubscribe,
        _update_subscription,
        Rules(
            defaults={
                "confirmation_timeout_in_minutes": 1,
                "endpoint_auto_confirms": False,
                "raw_message_delivery": False,
            },
            force_new=frozenset({"endpoint", "protocol", "topic_arn", "region"}),
            json_texts=frozenset({"delivery_policy", "filter_policy", "redrive_policy"}),
            kept=frozenset({"confirmation_timeout_in_minutes", "endpoint_auto_confirms"}),
        ),
    ),
)
