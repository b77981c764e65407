"""The table: each resource type and data source that the provider knows, and the calls that make it true."""

from collections.abc import Mapping
from typing import Final

from testkit.kind import DataKind, Kind
from testkit.kinds import (
    account,
    autoscaling,
    balancers,
    certificates,
    cloudwatch,
    dynamodb,
    ecs,
    endpoints,
    events,
    function_events,
    functions,
    iam,
    logs,
    routes,
    secrets,
    security_groups,
    sns,
    sqs,
    vpc,
)

_OF_RESOURCES: Final = (
    autoscaling,
    balancers,
    certificates,
    cloudwatch,
    dynamodb,
    ecs,
    endpoints,
    events,
    function_events,
    functions,
    iam,
    logs,
    routes,
    secrets,
    security_groups,
    sns,
    sqs,
    vpc,
)
_OF_DATA: Final = (account, endpoints, vpc)

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for module in _OF_RESOURCES for kind in module.KINDS}
DATA_SOURCES: Final[Mapping[str, DataKind]] = {
    kind.name: kind for module in _OF_DATA for kind in module.DATA_SOURCES
}
