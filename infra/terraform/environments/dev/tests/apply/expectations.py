"""What the stand-in has after the environment was applied: what the document tells one to look for."""

import json
import os

from reservation_api.config.loading import load
from testkit.aws import Aws

OUTPUTS = json.loads(os.environ["TESTKIT_OUTPUTS"])
ENV = "traffic-tacos-dev"
BUS = f"{ENV}-reservation-events"

aws = Aws.of_the_environment()
dynamodb, events, iam, functions = map(aws.client, ("dynamodb", "events", "iam", "lambda"))

# Document, "Validation Commands".
tables = {f"{ENV}-reservation-{table}" for table in ("reservations", "orders", "idempotency", "outbox")}
assert tables <= set(dynamodb.list_tables()["TableNames"])
assert BUS in {bus["Name"] for bus in events.list_event_buses()["EventBuses"]}
roles = {role["RoleName"]: role for role in iam.list_roles()["Roles"]}
assert {
    f"{ENV}-reservation-api-service-role",
    f"{ENV}-reservation-api-execution-role",
    f"{ENV}-reservation-event-processor-role",
    f"{ENV}-reservation-expiry-role",
} <= set(roles)

# What the modules only know of each other by names.
config = load(OUTPUTS["environment"])
assert config.aws is not None
assert set(tables) == {
    config.aws.tables.reservations,
    config.aws.tables.orders,
    config.aws.tables.idempotency,
    config.aws.tables.outbox,
}
assert config.aws.bus_name == BUS

for name in ("event-processor", "expiry"):
    function = functions.get_function_configuration(FunctionName=f"{ENV}-reservation-{name}")
    assert function["Role"] == roles[f"{ENV}-reservation-{name}-role"]["Arn"]
    policy = json.loads(functions.get_policy(FunctionName=function["FunctionName"])["Policy"])
    sources = {statement["Condition"]["ArnLike"]["AWS:SourceArn"] for statement in policy["Statement"]}
    for source in sources:
        place = source.split(":rule/")[1].split("/")
        rule = {"Rule": place[-1]} | ({"EventBusName": place[0]} if len(place) > 1 else {})
        targets = {target["Arn"] for target in events.list_targets_by_rule(**rule)["Targets"]}
        assert function["FunctionArn"] in targets, "who may invoke it does"
