"""Queues, and who may use them."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.choices import at_most_one, within
from testkit.fields import Fields, flag_text, number_text
from testkit.kind import Fault, Kind, Rules
from testkit.tagging import SQS
from testkit.values import State, is_known

_MISSING: Final = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
_POLICIES: Final = frozenset({"policy", "redrive_policy", "redrive_allow_policy"})

_ATTRIBUTES: Final = Fields(
    "deduplication_scope",
    "fifo_throughput_limit",
    "kms_master_key_id",
    "policy",
    "redrive_policy",
    "redrive_allow_policy",
    content_based_deduplication=flag_text(),
    delay_seconds=number_text(),
    fifo_queue=flag_text(),
    kms_data_key_reuse_period_seconds=number_text(),
    max_message_size=number_text("MaximumMessageSize"),
    message_retention_seconds=number_text("MessageRetentionPeriod"),
    receive_wait_time_seconds=number_text("ReceiveMessageWaitTimeSeconds"),
    sqs_managed_sse_enabled=flag_text(),
    visibility_timeout_seconds=number_text("VisibilityTimeout"),
)
_NAME: Final = re.compile(r"[0-9A-Za-z_-]{1,80}|[0-9A-Za-z_-]{1,75}\.fifo")
_RANGES: Final = {
    "visibility_timeout_seconds": (0, 43_200),
    "message_retention_seconds": (60, 1_209_600),
    "max_message_size": (1024, 1_048_576),
    "delay_seconds": (0, 900),
    "receive_wait_time_seconds": (0, 20),
    "kms_data_key_reuse_period_seconds": (60, 86_400),
}


def _attributes(queue: State) -> dict[str, Any]:
    """Return the attributes to send; AWS refuses the ones of FIFO queues for others."""
    attributes = _ATTRIBUTES.to_aws(queue)
    if not queue["fifo_queue"]:
        attributes = {
            name: value
            for name, value in attributes.items()
            if name not in {"FifoQueue", "ContentBasedDeduplication"}
        }
    return attributes


def _create(aws: Aws, queue: State) -> State:
    client = aws.client("sqs")
    answer = client.create_queue(
        QueueName=queue["name"],
        Attributes=_attributes(queue),
        **params(tags=SQS.written(queue["tags_all"])),
    )
    return {"id": answer["QueueUrl"]}


def _read_attributes(aws: Aws, url: str) -> dict[str, str] | None:
    answer = found(aws.client("sqs").get_queue_attributes, *_MISSING, QueueUrl=url, AttributeNames=["All"])
    return answer and dict(answer["Attributes"])


def _read(aws: Aws, state: State) -> State | None:
    url = state["id"]
    attributes = _read_attributes(aws, url)
    if attributes is None:
        return None
    read = _ATTRIBUTES.to_state(attributes)
    read["kms_data_key_reuse_period_seconds"] = read["kms_data_key_reuse_period_seconds"] or 300
    for name in _POLICIES:
        read[name] = read[name] or ""
    name = url.rpartition("/")[2]
    arn = attributes["QueueArn"]
    return read | {"name": name, "url": url, "arn": arn, "tags_all": SQS.read(aws, url)}


def _update(aws: Aws, prior: State, planned: State) -> None:
    old, new = _attributes(prior), _attributes(planned)
    changed = {name: value for name, value in new.items() if old.get(name) != value}
    changed |= dict.fromkeys(old.keys() - new.keys(), "")
    changed.pop("FifoQueue", None)
    if changed:
        aws.client("sqs").set_queue_attributes(QueueUrl=prior["id"], Attributes=changed)
    SQS.update(aws, prior["id"], prior, planned)


def _delete(aws: Aws, state: State) -> None:
    aws.client("sqs").delete_queue(QueueUrl=state["id"])


def _faults(queue: State) -> Iterable[Fault]:
    for name, (low, high) in _RANGES.items():
        yield from within(queue, name, low, high)
    yield from at_most_one(queue, "kms_master_key_id", "sqs_managed_sse_enabled")
    yield from at_most_one(queue, "name", "name_prefix")
    if isinstance(queue["name"], str) and not _NAME.fullmatch(queue["name"]):
        yield Fault("the name of a queue has 80 letters, digits, - and _ at most", "name")
    if queue["fifo_queue"] and isinstance(queue["name"], str) and not queue["name"].endswith(".fifo"):
        yield Fault("the name of a FIFO queue ends in .fifo", "name")
    if not queue["fifo_queue"] and queue["content_based_deduplication"]:
        yield Fault(
            "content_based_deduplication can only be set for a FIFO queue", "content_based_deduplication"
        )
    for name in _POLICIES:
        yield from json_faults(queue, name)


def json_faults(config: State, name: str) -> Iterable[Fault]:
    """Find a text that is no JSON object."""
    text = config[name]
    if not isinstance(text, str) or not is_known(text) or not text:
        return
    try:
        valid = isinstance(json.loads(text), dict)
    except ValueError:
        valid = False
    if not valid:
        yield Fault(f"{name} is not a JSON object", name)


KINDS: Final = (
    Kind(
        "aws_sqs_queue",
        _create,
        _read,
        _delete,
        _update,
        Rules(
            defaults={
                "content_based_deduplication": False,
                "delay_seconds": 0,
                "fifo_queue": False,
                "max_message_size": 262_144,
                "message_retention_seconds": 345_600,
                "receive_wait_time_seconds": 0,
                "visibility_timeout_seconds": 30,
            },
            force_new=frozenset({"name", "name_prefix", "fifo_queue", "region"}),
            json_texts=_POLICIES,
        ),
        _faults,
    ),
)
