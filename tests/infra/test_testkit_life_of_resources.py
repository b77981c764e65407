"""The real Terraform makes, keeps, changes and destroys each kind of resource that the testkit knows."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.terraform_runs import CONFIGURATIONS, Run, comparable, everything, run_of

from testkit.fetch import Fetched
from testkit.kinds import DATA_SOURCES, KINDS
from testkit.lost import LOST
from testkit.terraform import HOW_TO_GET_IT, installed

IMPORTED_BY: Final = {
    "aws_appautoscaling_policy": "{service_namespace}/{resource_id}/{scalable_dimension}/{name}",
    "aws_appautoscaling_target": "{service_namespace}/{resource_id}/{scalable_dimension}",
    "aws_cloudwatch_event_target": "{event_bus_name}/{rule}/{target_id}",
    "aws_ecs_cluster": "{name}",
    "aws_ecs_service": "reservation/{name}",
    "aws_ecs_task_definition": "{arn}",
    "aws_lambda_permission": "{function_name}/{id}",
}
"""What `terraform import` takes for them; for all others it is their id."""
AS_WRITTEN: Final = {
    "aws_dynamodb_table": frozenset({"ttl.attribute_name"}),  # not answered while it is disabled
    "aws_ecs_service": frozenset({"cluster", "task_definition"}),  # a name or an ARN
    "aws_ecs_task_definition": frozenset({"container_definitions"}),  # AWS fills in what is left out
}
"""What a state has in the words of the configuration, and AWS in others."""


@pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT)
@pytest.mark.timeout(600)
def test_what_is_applied_is_there_until_it_is_changed_and_then_destroyed(
    tmp_path: Path, schema_and_protocol: Fetched, servers: Mapping[str, str]
) -> None:
    with run_of(everything(tmp_path), tmp_path, schema_and_protocol, servers) as run:
        made = run.apply()
        assert {action for actions in made.values() for action in actions} <= {"create", "read"}
        run.forget_and_import("module.queues.aws_sqs_queue.dead")
        assert run.differences() == ""
        for resource in run.state():
            assert read_by_its_id(run, resource) == read_by_its_state(run, resource), resource["address"]

        changed = run.apply(changed="true")
        replaced = {address for address, actions in changed.items() if "delete" in actions}
        assert replaced == {"module.secrets.aws_secretsmanager_secret.prefixed"}
        updated = {address.split(".")[2] for address, actions in changed.items() if actions == ["update"]}
        assert {name for name, kind in KINDS.items() if kind.update} <= updated
        assert run.differences(changed="true") == ""

        run.place.run("destroy", "-input=false", "-auto-approve")
        assert run.state() == []


def read_by_its_id(run: Run, resource: dict[str, Any]) -> Any:
    """Import a resource: whatever comes back can come from the stand-in alone."""
    kind = resource["type"]
    identifier = IMPORTED_BY.get(kind, "{id}").format(**resource["values"])
    return comparable_read(run, kind, run.resources.imported(kind, identifier))


def read_by_its_state(run: Run, resource: dict[str, Any]) -> Any:
    return comparable_read(run, resource["type"], resource["values"])


def comparable_read(run: Run, kind: str, state: dict[str, Any]) -> Any:
    """Read a resource, and leave out what only a state can tell, and what nobody can."""
    silent = KINDS[kind].rules.kept | LOST.get(kind, {}).keys() | AS_WRITTEN.get(kind, frozenset())
    read = run.resources.read(kind, state) or {}
    return comparable(_without(read, silent | {"timeouts", "name_prefix"}))


def _without(values: dict[str, Any], paths: Collection[str]) -> dict[str, Any]:
    left = {}
    for name, value in values.items():
        below = {path.partition(".")[2] for path in paths if path.startswith(f"{name}.")}
        if name in paths:
            continue
        if below and isinstance(value, list):
            left[name] = [_without(element, below) for element in value]
        else:
            left[name] = value
    return left


def test_every_kind_has_a_configuration() -> None:
    texts = "".join(path.read_text() for path in CONFIGURATIONS.rglob("*.tf"))
    assert set(re.findall(r'^resource "(\w+)"', texts, re.MULTILINE)) == set(KINDS)
    assert set(re.findall(r'^data "(\w+)"', texts, re.MULTILINE)) == set(DATA_SOURCES)
