"""The service on what Terraform made: its tables, its bus, its role and policies, its tasks' variables.

The stand-in asks for permission by identity policies alone: it knows neither the policies of the bus and of
the tables, nor TLS. It invokes no Lambda function: to the rules, theirs is a target that fails.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from botocore.exceptions import ClientError
from botocore.session import Session
from tests.support.aws_fleet import LIMITS, TOKEN_SECONDS
from tests.support.ports import HOST, free_port
from tests.support.processes import Running, run_command, running, wait_until_ready
from tests.support.shops import EVENT, inventory_on
from tests.support.terraform_deployed import ENV, Deployed
from tests.support.tokens import jwks, make_claims, make_key, mint

from reservation_api.adapters.aws_wire.signing import AwsCredentials
from testkit import backends
from testkit.terraform import HOW_TO_GET_IT, installed

BUS: Final = f"{ENV}-reservation-events"
OTHER_TABLE: Final = "traffic-tacos-reservation-orders"
"""Production's."""
PATIENT_SECONDS: Final = 90.0
"""moto asks for permission slowly."""
NOBODY: Final = f"http://{HOST}:9/v1/metrics"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT),
    pytest.mark.timeout(300),
]


@dataclass(frozen=True)
class Sold:
    """What came of one hold that was confirmed; all processes have ended."""

    aws: Deployed
    held: httpx.Response
    confirmed: httpx.Response
    denied: Sequence[str]
    """What the role was refused: the one table of another environment that it was made to ask for."""

    @property
    def reservation_id(self) -> str:
        return str(self.held.json()["reservation_id"])


@pytest.fixture(scope="module")
def sold(dev: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Sold:
    publish_keys(dev)
    variables = {name: variables_of(dev, name) for name in ("api", "worker")}
    credentials = dev.iam.take(dev.container("api")["role"])
    try:
        held, confirmed = sell(dev, variables, credentials, tmp_path_factory.mktemp("sale"))
        read_another_table(dev, credentials)
    finally:
        dev.iam.relax()
    return Sold(dev, held, confirmed, dev.iam.denied())


def publish_keys(dev: Deployed) -> None:
    """Put the issuer's keys where infra/terraform/README.md says, before a task starts."""
    secrets = dev.aws.client("secretsmanager")
    secrets.put_secret_value(SecretId=f"{ENV}-reservation-jwt-jwks", SecretString=jwks(make_key()))


def variables_of(dev: Deployed, name: str) -> Mapping[str, str]:
    """Return what ECS gives a container: its variables, and its secrets by their values."""
    container, secrets = dev.container(name), dev.aws.client("secretsmanager")
    return {variable["name"]: variable["value"] for variable in container["environment"]} | {
        secret["name"]: secrets.get_secret_value(SecretId=secret["valueFrom"])["SecretString"]
        for secret in container["secrets"]
    }


def sell(
    dev: Deployed, variables: Mapping[str, Mapping[str, str]], credentials: AwsCredentials, folder: Path
) -> tuple[httpx.Response, httpx.Response]:
    """Hold a seat and confirm it, by a server and a worker that have nothing but this and then end."""
    port = free_port()
    here = {
        "DYNAMODB_ENDPOINT": dev.iam.url,
        "EVENTBRIDGE_ENDPOINT": dev.iam.url,
        "INVENTORY_GRPC_ADDRESS": f"{HOST}:{port}",
        "OTLP_ENDPOINT": NOBODY,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "AWS_SESSION_TOKEN": credentials.token or "",
        **LIMITS,
    }
    with ExitStack() as stack:
        inventory = stack.enter_context(inventory_on(port, folder / "inventory"))
        inventory.command("events", "create", EVENT, "--section", "A:1x4:1000")
        server = started(stack, "serve", {**variables["api"], **here})
        management = {"APP_MANAGEMENT_PORT": str(free_port())}
        worker = started(stack, "worker", {**variables["worker"], **here, **management})
        http = stack.enter_context(httpx.Client(base_url=server.url, timeout=30))
        http.headers["Authorization"] = f"Bearer {token(variables['api']['JWT_ISSUER_URI'])}"
        held = post(http, "/v1/reservations", {"event_id": EVENT, "qty": 1}, "hold")
        assert held.status_code == 201, held.text
        path = f"/v1/reservations/{held.json()['reservation_id']}/confirm"
        confirmed = post(http, path, {"payment_intent_id": "pi_1"}, "confirm")
        assert (server.stop(), worker.stop()) == (0, 0)
    return held, confirmed


def started(stack: ExitStack, name: str, environment: Mapping[str, str]) -> Running:
    process = stack.enter_context(running([name], environment, until_ready=False))
    wait_until_ready(process, [name], PATIENT_SECONDS)
    return process


def token(issuer: str) -> str:
    now = datetime.now(UTC)
    return mint(make_key(), make_claims(now, iss=issuer, exp=int(now.timestamp()) + TOKEN_SECONDS))


def post(http: httpx.Client, path: str, body: Mapping[str, Any], key: str) -> httpx.Response:
    return http.post(path, json=body, headers={"Idempotency-Key": key})


def read_another_table(dev: Deployed, credentials: AwsCredentials) -> None:
    dynamodb = Session().create_client(
        "dynamodb",
        backends.REGION,
        endpoint_url=dev.iam.url,
        aws_access_key_id=credentials.access_key,
        aws_secret_access_key=credentials.secret_key,
        aws_session_token=credentials.token,
    )
    with pytest.raises(ClientError, match="not authorized"):
        dynamodb.get_item(TableName=OTHER_TABLE, Key={"pk": {"S": "any"}})


def test_a_seat_is_held_and_confirmed_with_the_policies_that_terraform_attached(sold: Sold) -> None:
    assert sold.confirmed.status_code == 200, sold.confirmed.text
    assert sold.confirmed.json()["status"] == "CONFIRMED"
    where = f"arn:aws:dynamodb:{backends.REGION}:{backends.ACCOUNT}:table/{OTHER_TABLE}"
    assert sold.denied == [f"GetItem {where}"]


def test_it_is_in_the_tables_that_terraform_made(sold: Sold) -> None:
    dynamodb = sold.aws.aws.client("dynamodb")
    key = {"pk": {"S": sold.reservation_id}, "sk": {"S": EVENT}}
    item = dynamodb.get_item(TableName=f"{ENV}-reservation-reservations", Key=key)["Item"]
    assert item["status"] == {"S": "CONFIRMED"}
    orders = dynamodb.scan(TableName=f"{ENV}-reservation-orders")["Items"]
    assert [order["sk"]["S"] for order in orders if "total_amount" in order] == [sold.reservation_id]
    assert dynamodb.scan(TableName=f"{ENV}-reservation-outbox")["Count"] == 0, "all is published"


def test_each_rule_delivers_its_event_to_the_audit(sold: Sold) -> None:
    found = sold.aws.aws.client("logs").filter_log_events(logGroupName=f"/aws/events/{BUS}")["events"]
    events = [json.loads(event["message"]) for event in found]
    assert {(event["detail-type"], event["detail"]["status"]) for event in events} == {
        ("Reservation Created", "HOLD"),
        ("Reservation Status Changed", "CONFIRMED"),
    }
    assert {event["detail"]["reservation_id"] for event in events} == {sold.reservation_id}
    assert {event["source"] for event in events} == {"reservation.service"}


def test_what_a_target_does_not_get_is_a_dead_letter_that_operators_find(sold: Sold) -> None:
    operator = {
        **variables_of(sold.aws, "api"),
        "SQS_ENDPOINT": sold.aws.endpoints["sqs"],
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
    }
    listed = run_command("dlq", "list", "--json", environment=operator)
    letters = [json.loads(line) for line in listed.splitlines()]
    assert {(letter["detail_type"], letter["rule"]) for letter in letters} == {
        ("Reservation Created", f"{ENV}-reservation-created"),
        ("Reservation Status Changed", f"{ENV}-reservation-status-changed"),
    }
    assert {letter["target"].rpartition(":")[2] for letter in letters} == {
        f"{ENV}-reservation-event-processor"
    }
    assert sold.aws.iam.lost() == []
