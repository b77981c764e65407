"""What is deployed in an account, read over botocore; nothing here writes."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from reservation_api.adapters.aws_operations.asking import ask, ask_all
from reservation_api.adapters.aws_operations.client import open_client, open_session, told
from reservation_api.adapters.aws_operations.deployed_events import (
    archive_facts,
    bus_facts,
    queue_facts,
    rule_facts,
    schedule_facts,
)
from reservation_api.adapters.aws_operations.deployed_roles import role_facts
from reservation_api.adapters.aws_operations.deployed_tables import table_facts
from reservation_api.ports.deployment import AbsentError, Alarms, Facts


class AwsDeployment:
    """Implements ports.deployment.Deployment; each service's client is opened when it is first asked."""

    def __init__(self, region: str, url: str | None = None) -> None:
        self._region = region
        self._url = url
        self._clients: dict[str, Any] = {}

    def account(self) -> str:
        """Return the account of the credentials."""
        with told("GetCallerIdentity"):
            return str(self._client("sts").get_caller_identity()["Account"])

    def facts(self, kind: str, name: str) -> Facts:
        """Return what a resource is; see the port. Raises KeyError for a kind that is not known."""
        return _READERS[kind](self._client, name)

    def alarms(self) -> Alarms:
        """Return all alarms."""
        return self._alarms

    @cached_property
    def _alarms(self) -> Alarms:
        cloudwatch = self._client("cloudwatch")
        metric, composite = (
            ask_all(cloudwatch, "describe_alarms", f"{kind}s", AlarmTypes=[kind])
            for kind in ("MetricAlarm", "CompositeAlarm")
        )
        return Alarms(metric, composite)

    @cached_property
    def _session(self) -> Any:
        return open_session()

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = open_client(service, self._region, self._url, self._session)
        return self._clients[service]


_Open = Callable[[str], Any]


def _log_groups(logs: Any, prefix: str) -> Facts:
    """Return those whose name begins so; raises AbsentError if there is none."""
    found = ask_all(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=prefix)
    if not found:
        raise AbsentError(prefix)
    return {"retention": [f"{one['logGroupName']}: {_days(one.get('retentionInDays'))}" for one in found]}


def _days(days: int | None) -> str:
    return "for ever" if days is None else f"{days} days"


def _list(open_: _Open, name: str) -> Facts:
    """Return the names of all resources of a kind, as the document's validation commands list them."""
    match name:
        case "tables":
            return {"names": ask_all(open_("dynamodb"), "list_tables", "TableNames")}
        case "event buses":
            # botocore has no paginator for it; a hundred buses is what an account may have.
            found = ask(open_("events").list_event_buses)["EventBuses"]
            return {"names": [bus["Name"] for bus in found]}
        case _:
            return {"names": [role["RoleName"] for role in ask_all(open_("iam"), "list_roles", "Roles")]}


_READERS: Final[Mapping[str, Callable[[_Open, str], Facts]]] = {
    "table": lambda open_, name: table_facts(open_("dynamodb"), open_("kms"), name),
    "event bus": lambda open_, name: bus_facts(open_("events"), name),
    "archive": lambda open_, name: archive_facts(open_("events"), name),
    "rule": lambda open_, name: rule_facts(open_("events"), name),
    "schedule": lambda open_, name: schedule_facts(open_("events"), open_("scheduler"), name),
    "queue": lambda open_, name: queue_facts(open_("sqs"), name),
    "role": lambda open_, name: role_facts(open_("iam"), name),
    "log groups": lambda open_, name: _log_groups(open_("logs"), name),
    "topic": lambda open_, name: {"arn": ask(open_("sns").get_topic_attributes, TopicArn=name)},
    "list": _list,
}
