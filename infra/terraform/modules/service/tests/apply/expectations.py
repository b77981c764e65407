"""What the stand-in has after the service was applied: tasks that our own settings take, behind TLS."""

import json
import os
from typing import Any

from reservation_api.config.loading import load
from testkit.aws import Aws

OUTPUTS = json.loads(os.environ["TESTKIT_OUTPUTS"])
CLUSTER = OUTPUTS["cluster"]
KEY = {"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
KEYS = json.dumps({"keys": [KEY]})

aws = Aws.of_the_environment()
ecs, balancers = aws.client("ecs"), aws.client("elbv2")


def container(role: str) -> dict[str, Any]:
    """Return the main container of a service's task, as ECS has it."""
    [service] = ecs.describe_services(cluster=CLUSTER["name"], services=[CLUSTER["services"][role]])[
        "services"
    ]
    task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    found: dict[str, Any] = task["containerDefinitions"][0]
    return found


for role, command in (("api", ["serve"]), ("worker", ["worker"])):
    main = container(role)
    assert (main["name"], main["command"]) == (role, command)
    environment = {pair["name"]: pair["value"] for pair in main["environment"]}
    secrets = {pair["name"]: KEYS for pair in main["secrets"]}
    config = load(environment | secrets)
    assert config.aws is not None
    assert config.aws.tables.outbox == "demo-reservation-outbox"
    assert config.process.shutdown_seconds == main["stopTimeout"]

ports = {
    listener["Port"]: listener
    for listener in balancers.describe_listeners(LoadBalancerArn=OUTPUTS["load_balancer_arn"])["Listeners"]
}
assert {port: listener["DefaultActions"][0]["Type"] for port, listener in ports.items()} == {
    80: "redirect",
    443: "forward",
}
assert ports[443]["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
