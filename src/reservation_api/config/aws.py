"""The part of the tree that is about AWS, and what it needs to be whole (document section 5)."""

from collections.abc import Iterator

from reservation_api.config.guards import (
    EVENT_BUS_GUARD,
    STORE_GUARD,
    Guarded,
    guard_of,
    time_limit_of,
)
from reservation_api.config.tree import AwsConfig, AwsServiceConfig, TableNamesConfig
from reservation_api.config.values import Values

_TABLES = "APP_DYNAMODB_TABLES_"
TABLES = tuple(f"{_TABLES}{name}" for name in ("RESERVATIONS", "ORDERS", "IDEMPOTENCY", "OUTBOX"))
RUNTIME = ("AWS_REGION", "AWS_EVENTBRIDGE_BUS_NAME", "INVENTORY_GRPC_ADDRESS", "JWT_ISSUER_URI")
"""What the AWS runtime needs besides its tables."""
_PREFIXES = (STORE_GUARD.prefix, EVENT_BUS_GUARD.prefix)


def aws_of(values: Values) -> AwsConfig | None:
    """Return the AWS runtime, if it is asked for."""
    if not values.has(TABLES[0]):
        return None
    return AwsConfig(
        region=values.get("AWS_REGION"),
        tables=TableNamesConfig(*(values.get(name) for name in TABLES)),
        bus_name=values.get("AWS_EVENTBRIDGE_BUS_NAME"),
        dynamodb=_service_of(values, STORE_GUARD, "DYNAMODB_ENDPOINT"),
        eventbridge=_service_of(values, EVENT_BUS_GUARD, "EVENTBRIDGE_ENDPOINT"),
        sqs_endpoint=values.get("SQS_ENDPOINT"),
        status_shards=values.get("APP_STATUS_SHARDS"),
    )


def aws_faults(values: Values) -> Iterator[str]:
    """Find branches of the AWS runtime that are begun and not finished."""
    shards = values.get("APP_STATUS_SHARDS")
    settings = [name for name in values.names_set if name.startswith(_PREFIXES)]
    needed = {
        "APP_DYNAMODB_TABLES_*": (TABLES, (*TABLES, *RUNTIME)),
        "DYNAMODB_ENDPOINT": (["DYNAMODB_ENDPOINT"], TABLES),
        "SQS_ENDPOINT": (["SQS_ENDPOINT"], TABLES),
        "EVENTBRIDGE_ENDPOINT": (["EVENTBRIDGE_ENDPOINT"], ("AWS_EVENTBRIDGE_BUS_NAME",)),
        "AWS_EVENTBRIDGE_BUS_NAME": (["AWS_EVENTBRIDGE_BUS_NAME"], ("AWS_REGION", *TABLES)),
        "APP_STATUS_SHARDS": (["APP_STATUS_SHARDS"] if shards != 1 else [], TABLES),
        **{name: ([name], TABLES) for name in sorted(settings)},
    }
    for begun, (triggers, names) in needed.items():
        missing = [name for name in names if not values.has(name)]
        if missing and any(values.has(name) for name in triggers):
            yield f"{begun} needs {', '.join(missing)} too"


def _service_of(values: Values, guarded: Guarded, endpoint: str) -> AwsServiceConfig:
    return AwsServiceConfig(
        endpoint=values.get(endpoint),
        timeout_seconds=time_limit_of(values, guarded),
        guard=guard_of(values, guarded),
    )
