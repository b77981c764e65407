"""What functions are called with: the queues that they read, and what becomes of calls that fail."""

from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.choices import within
from testkit.fields import Fields, block, one, unordered
from testkit.kind import Fault, Kind, Rules
from testkit.tagging import LAMBDA
from testkit.values import State, given, only

_MISSING: Final = "ResourceNotFoundException"
_FILTERS: Final = Fields("pattern")
_MAPPING: Final = Fields(
    "batch_size",
    "bisect_batch_on_function_error",
    "enabled",
    "event_source_arn",
    "function_name",
    "kms_key_arn",
    "maximum_batching_window_in_seconds",
    "maximum_record_age_in_seconds",
    "maximum_retry_attempts",
    "parallelization_factor",
    "starting_position",
    "tumbling_window_in_seconds",
    function_response_types=unordered(),
    destination_config=one(on_failure=block(Fields(destination_arn="Destination"))),
    scaling_config=one("maximum_concurrency"),
    metrics_config=one(metrics=unordered()),
)


def _mapping(mapping: State) -> dict[str, Any]:
    settings = _MAPPING.to_aws(mapping)
    criteria = only(mapping["filter_criteria"])
    if criteria:
        filters = [_FILTERS.to_aws(pattern) for pattern in criteria["filter"]]
        settings["FilterCriteria"] = {"Filters": filters}
    return settings


def _create_mapping(aws: Aws, mapping: State) -> State:
    tags = params(Tags=LAMBDA.written(mapping["tags_all"]))
    answer = aws.client("lambda").create_event_source_mapping(**_mapping(mapping), **tags)
    return {"id": answer["UUID"]}


def _read_mapping(aws: Aws, state: State) -> State | None:
    answer = found(aws.client("lambda").get_event_source_mapping, _MISSING, UUID=state["id"])
    if answer is None or answer.get("State") == "Deleting":
        return None
    arn = answer.get("EventSourceMappingArn") or (
        f"arn:aws:lambda:{aws.region}:{aws.account}:event-source-mapping:{state['id']}"
    )
    filters = answer.get("FilterCriteria", {}).get("Filters", [])
    wanted = state.get("function_name")
    as_arn = given(wanted) and str(wanted).startswith("arn:")
    return _MAPPING.to_state(answer) | {
        "arn": arn,
        "uuid": answer["UUID"],
        "enabled": answer.get("State") in {"Enabled", "Enabling", "Creating"},
        "filter_criteria": [{"filter": [_FILTERS.to_state(f) for f in filters]}] if filters else [],
        "function_arn": answer["FunctionArn"],
        "function_name": answer["FunctionArn"] if as_arn else answer["FunctionArn"].rpartition(":")[2],
        "last_modified": str(answer.get("LastModified", "")),
        "last_processing_result": answer.get("LastProcessingResult", ""),
        "state": answer.get("State", ""),
        "state_transition_reason": answer.get("StateTransitionReason", ""),
        "tags_all": LAMBDA.read(aws, arn),
    }


def _update_mapping(aws: Aws, prior: State, planned: State) -> None:
    fixed = {"EventSourceArn", "StartingPosition"}
    settings = {name: value for name, value in _mapping(planned).items() if name not in fixed}
    if prior["filter_criteria"] and not planned["filter_criteria"]:
        settings["FilterCriteria"] = {}
    aws.client("lambda").update_event_source_mapping(UUID=prior["id"], **settings)
    LAMBDA.update(aws, prior["arn"], prior, planned)


def _delete_mapping(aws: Aws, state: State) -> None:
    aws.client("lambda").delete_event_source_mapping(UUID=state["id"])


def _mapping_faults(mapping: State) -> Iterable[Fault]:
    batch, window = mapping["batch_size"], mapping["maximum_batching_window_in_seconds"]
    source = mapping["event_source_arn"]
    of_a_queue = isinstance(source, str) and ":sqs:" in source
    if of_a_queue and isinstance(batch, int) and batch > 10 and not window:  # noqa: PLR2004 (AWS's limit)
        yield Fault("batches of more than 10 need a maximum_batching_window_in_seconds", "batch_size")
    if of_a_queue and mapping["starting_position"] is not None:
        yield Fault("a queue has no starting_position", "starting_position")


_SIX_HOURS: Final = 21_600
"""How long Lambda keeps an event if nothing is said."""
_INVOCATION: Final = Fields(
    "maximum_retry_attempts",
    maximum_event_age_in_seconds="MaximumEventAgeInSeconds",
    destination_config=one(on_failure=one("destination"), on_success=one("destination")),
)


def _put_invocation(aws: Aws, config: State) -> State:
    name, qualifier = config["function_name"], config["qualifier"]
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=name, **params(Qualifier=qualifier), **_INVOCATION.to_aws(config)
    )
    return {"id": f"{name}:{qualifier}" if given(qualifier) else name}


def _read_invocation(aws: Aws, state: State) -> State | None:
    name, qualifier = state["function_name"], state["qualifier"]
    answer = found(
        aws.client("lambda").get_function_event_invoke_config,
        _MISSING,
        FunctionName=name,
        **params(Qualifier=qualifier),
    )
    if answer is None:
        return None
    read = _INVOCATION.to_state(answer)
    if (
        not given(state["maximum_event_age_in_seconds"])
        and read["maximum_event_age_in_seconds"] == _SIX_HOURS
    ):
        read["maximum_event_age_in_seconds"] = None  # ministack answers what is so by default
    for destinations in read["destination_config"]:
        for on, blocks in destinations.items():
            destinations[on] = [block for block in blocks if block["destination"]]
    read["destination_config"] = [which for which in read["destination_config"] if any(which.values())]
    return read | {"function_name": name, "qualifier": qualifier}


def _imported_invocation(identifier: str) -> State:
    name, _, qualifier = identifier.partition(":")
    return {"id": identifier, "function_name": name, "qualifier": qualifier or None}


def _update_invocation(aws: Aws, _prior: State, planned: State) -> None:
    _put_invocation(aws, planned)


def _delete_invocation(aws: Aws, state: State) -> None:
    aws.client("lambda").delete_function_event_invoke_config(
        FunctionName=state["function_name"], **params(Qualifier=state["qualifier"])
    )


def _invocation_faults(config: State) -> Iterable[Fault]:
    yield from within(config, "maximum_retry_attempts", 0, 2)
    yield from within(config, "maximum_event_age_in_seconds", 60, 21_600)


KINDS: Final = (
    Kind(
        "aws_lambda_event_source_mapping",
        _create_mapping,
        _read_mapping,
        _delete_mapping,
        _update_mapping,
        Rules(
            defaults={"enabled": True},
            force_new=frozenset({"event_source_arn", "region", "starting_position"}),
            sticky=frozenset({"batch_size"}),
        ),
        _mapping_faults,
    ),
    Kind(
        "aws_lambda_function_event_invoke_config",
        _put_invocation,
        _read_invocation,
        _delete_invocation,
        _update_invocation,
        Rules(
            defaults={"maximum_retry_attempts": 2},
            force_new=frozenset({"function_name", "qualifier", "region"}),
        ),
        _invocation_faults,
        _imported_invocation,
    ),
)
