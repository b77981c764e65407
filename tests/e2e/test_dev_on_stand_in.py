"""`dev --aws`: the distributed runtime on one machine, read back with the aws CLI."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.ministack import ministack
from tests.support.processes import Running, children_of, is_alive, running, wait_until

pytestmark = pytest.mark.e2e

TABLES = [f"dev-reservation-{kind}" for kind in ("idempotency", "orders", "outbox", "reservations")]
KEYS = {
    "dev-reservation-reservations": ["pk", "sk"],
    "dev-reservation-orders": ["pk", "sk"],
    "dev-reservation-idempotency": ["pk"],
    "dev-reservation-outbox": ["pk", "sk"],
}
INDEXES = {
    "dev-reservation-reservations": {
        "user-status-index": ["user_id", "status"],
        "status-created-index": ["status", "created_at"],
    },
    "dev-reservation-orders": {
        "user-created-index": ["user_id", "created_at"],
        "event-created-index": ["event_id", "created_at"],
    },
    "dev-reservation-idempotency": {},
    "dev-reservation-outbox": {"status-created_at-index": ["status", "created_at"]},
}


@dataclass(frozen=True)
class Shop:
    """`dev --aws`, and what its welcome says."""

    process: Running
    aws_url: str
    queue: str
    http: httpx.Client

    def aws(self, *arguments: str) -> Any:
        """Run the aws CLI on the stand-in and return what it prints."""
        finished = subprocess.run(
            [
                *(Path(sys.executable).with_name("aws"), "--endpoint-url", self.aws_url),
                *("--region", "ap-northeast-2", "--output", "json", *arguments),
            ],
            env={"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return json.loads(finished.stdout or "{}")

    def post(self, path: str, body: Any, key: str) -> httpx.Response:
        return self.http.post(path, json=body, headers={"idempotency-key": key})


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running(["dev", "--aws"], {"APP_HOLD_SECONDS": "5"}) as process:
        wait_until(lambda: "receive-message" in process.output(), process.output)
        said = process.output()
        (token,) = re.findall(r"TOKEN=(\S+)", said)
        (aws_url,) = set(re.findall(r"--endpoint-url (\S+)", said))
        (queue,) = re.findall(r"--queue-url (\S+)", said)
        bearer = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=process.url, headers=bearer, timeout=20, trust_env=False) as http:
            yield Shop(process, aws_url, queue, http)


def test_the_validation_commands_find_the_tables_as_the_document_has_them(shop: Shop) -> None:
    assert shop.aws("dynamodb", "list-tables")["TableNames"] == TABLES
    for name in TABLES:
        table = shop.aws("dynamodb", "describe-table", "--table-name", name)["Table"]
        assert [key["AttributeName"] for key in table["KeySchema"]] == KEYS[name]
        assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
        indexes = {
            index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
            for index in table.get("GlobalSecondaryIndexes", [])
        }
        assert indexes == INDEXES[name]
    ttl = shop.aws("dynamodb", "describe-time-to-live", "--table-name", "dev-reservation-idempotency")
    assert ttl["TimeToLiveDescription"] == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}


def test_the_validation_commands_find_bus_and_rules(shop: Shop) -> None:
    buses = shop.aws("events", "list-event-buses")["EventBuses"]
    assert "dev-reservation-events" in {bus["Name"] for bus in buses}
    rules = shop.aws("events", "list-rules", "--event-bus-name", "dev-reservation-events")["Rules"]
    patterns = {rule["Name"]: json.loads(rule["EventPattern"]) for rule in rules}
    assert patterns == {
        "dev-reservation-created": {
            "source": ["reservation.service"],
            "detail-type": ["Reservation Created"],
            "detail": {"status": ["HOLD"]},
        },
        "dev-reservation-status-changed": {
            "source": ["reservation.service"],
            "detail-type": ["Reservation Status Changed"],
            "detail": {"status": ["CONFIRMED", "CANCELLED", "EXPIRED"]},
        },
    }


def test_seats_orders_and_events_are_there_as_the_document_says(shop: Shop) -> None:
    held = shop.post("/v1/reservations", {"event_id": "evt_demo", "qty": 2}, "hold").json()
    lost = shop.post("/v1/reservations", {"event_id": "evt_demo", "qty": 1}, "left to expire").json()
    paid = shop.post(
        f"/v1/reservations/{held['reservation_id']}/confirm", {"payment_intent_id": "pi_1"}, "pay"
    )
    assert paid.status_code == 200

    item = _item(shop, "dev-reservation-reservations", held["reservation_id"], "evt_demo")
    assert item["status"] == {"S": "CONFIRMED"}
    assert item["user_id"] == {"S": "alice"}
    assert item["qty"] == {"N": "2"}
    assert item["seat_ids"] == {"L": [{"S": seat_id} for seat_id in held["seat_ids"]]}
    for instant in ("hold_expires_at", "created_at", "updated_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", item[instant]["S"])
    order = _item(shop, "dev-reservation-orders", paid.json()["order_id"], held["reservation_id"])
    assert order["total_amount"] == {"N": str(held["total_amount"]["amount"])}
    assert order["payment_intent_id"] == {"S": "pi_1"}
    records = shop.aws("dynamodb", "scan", "--table-name", "dev-reservation-idempotency")["Items"]
    assert all({"pk", "request_hash", "response_snapshot", "ttl"} <= record.keys() for record in records)

    wait_until(lambda: _status(shop, lost["reservation_id"]) == "EXPIRED")
    seen: dict[str, dict[int, str]] = {}
    wait_until(lambda: _take_events(shop, seen) >= 4)
    assert seen[held["reservation_id"]] == {1: "HOLD", 2: "CONFIRMED"}
    assert seen[lost["reservation_id"]] == {1: "HOLD", 2: "EXPIRED"}
    assert shop.aws("dynamodb", "scan", "--table-name", "dev-reservation-outbox")["Items"] == []


def test_it_ends_with_nothing_left_behind() -> None:
    with running(["dev", "--aws"]) as process:
        (stand_in,) = children_of(process.pid)
        assert process.stop() == 0
        assert not is_alive(stand_in)


def test_a_stand_in_that_is_running_keeps_its_tables_and_seats(tmp_path: Path) -> None:
    with ministack() as stand_in:
        for _ in range(2):
            with running(["dev", "--aws", "--endpoint", stand_in.url], data_dir=tmp_path) as process:
                wait_until(lambda: "TOKEN=" in process.output())
                assert process.stop() == 0
        assert stand_in.process.poll() is None


def _item(shop: Shop, table: str, pk: str, sk: str) -> Any:
    key = json.dumps({"pk": {"S": pk}, "sk": {"S": sk}})
    return shop.aws("dynamodb", "get-item", "--consistent-read", "--table-name", table, "--key", key)["Item"]


def _status(shop: Shop, reservation_id: str) -> str:
    return str(shop.http.get(f"/v1/reservations/{reservation_id}").json()["status"])


def _take_events(shop: Shop, seen: dict[str, dict[int, str]]) -> int:
    """Add what is in the queue, by reservation and version; return how many there are by now."""
    batch = shop.aws("sqs", "receive-message", "--queue-url", shop.queue, "--max-number-of-messages", "10")
    for message in batch.get("Messages", []):
        detail = json.loads(message["Body"])["detail"]
        seen.setdefault(detail["reservation_id"], {})[detail["version"]] = detail["status"]
    return sum(map(len, seen.values()))
