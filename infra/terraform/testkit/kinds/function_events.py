"""What becomes of calls of functions that fail."""

from collections.abc import Iterable
from typing import Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.choices import within
from testkit.fields import Fields, one
from testkit.kind import Fault, Kind, Rules
from testkit.values import State, given

_MISSING: Final = "ResourceNotFoundException"
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
