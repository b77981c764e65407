"""Calls of AWS, counted, and spans of those that are made for recorded requests.

Attributes are named as OpenTelemetry's semantic conventions have them (version 1.26). None of them holds what
a client has sent.
"""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from reservation_api.adapters.aws_wire.client import AwsClient
from reservation_api.adapters.aws_wire.errors import AwsCaller, AwsRefusedError
from reservation_api.bootstrap.tracing import Outcome, Spans, by_its_class
from reservation_api.ports.request_context import present_request
from reservation_api.telemetry import names
from reservation_api.telemetry.metrics import Metrics
from reservation_api.telemetry.spans import Attributes, SpanKind, Tracer


def watch_client(metrics: Metrics, peer: str, client: AwsClient) -> None:
    """Show how an AWS client stands."""
    metrics.watch(names.CALL_RETRIES, (peer,), lambda: client.metrics().retries)
    metrics.watch(names.CALLS_THROTTLED, (peer,), lambda: client.metrics().throttles)
    metrics.watch(names.CALLS_WAITING, (peer,), lambda: client.metrics().calls_waiting)


class MeasuredDynamoDb:
    """An AwsCaller that takes the time of each call, by table and operation, and makes spans of calls.

    One wrapper for both: each costs every call a frame, also of the many that are not recorded.
    """

    def __init__(self, caller: AwsCaller, metrics: Metrics, tracer: Tracer | None) -> None:
        self._call = caller.call
        self._latencies = metrics.histograms(names.DYNAMODB_OPERATION_LATENCY)
        self._spans = None if tracer is None else Spans(tracer, SpanKind.CLIENT, _judge_aws, "DynamoDB.")

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        """Make the call; see AwsCaller."""
        began = perf_counter()
        call = self._call(operation, request, repeatable=repeatable)
        present = present_request()
        if present is not None and present.trace.is_sampled and self._spans is not None:
            call = self._spans.recorded(call, operation, _of_dynamodb(operation, request), present.trace)
        try:
            return await call
        finally:
            table = request.get("TableName") or _table_of(request)
            self._latencies[table, operation].observe((perf_counter() - began) * 1000)


def _table_of(request: Mapping[str, Any]) -> str:
    """Return the first table of a batch or a transaction."""
    if "RequestItems" in request:
        return str(next(iter(request["RequestItems"])))
    (action,) = request["TransactItems"][0].values()
    return str(action["TableName"])


def _of_dynamodb(operation: str, request: Mapping[str, Any]) -> Attributes:
    return {
        "db.system": "dynamodb",
        "db.operation.name": operation,
        "aws.dynamodb.table_names": _tables_of(request),
        "rpc.system": "aws-api",
        "rpc.service": "DynamoDB",
        "rpc.method": operation,
    }


def _tables_of(request: Mapping[str, Any]) -> list[str]:
    if "TableName" in request:
        return [request["TableName"]]
    if "RequestItems" in request:
        return list(request["RequestItems"])
    actions = (action for item in request["TransactItems"] for action in item.values())
    return list(dict.fromkeys(action["TableName"] for action in actions))


def _judge_aws(error: BaseException | None) -> Outcome:
    return Outcome(error.code) if isinstance(error, AwsRefusedError) else by_its_class(error)
