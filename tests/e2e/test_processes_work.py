"""What the processes do together: one serves, one works, and `dev` does both."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from tests.support.processes import Running, run_command, running, wait_until

pytestmark = pytest.mark.e2e

SHORT_HOLDS = {"APP_HOLD_SECONDS": "1", "APP_HOLD_GRACE_SECONDS": "5"}
SEATS = ("events", "create", "evt_1", "--section", "A:1x10:1000")


def hold(server: Running, headers: Mapping[str, str], key: str, event_id: str = "evt_1") -> httpx.Response:
    body = {"event_id": event_id, "qty": 2}
    keyed = {**headers, "Idempotency-Key": key}
    return httpx.post(f"{server.url}/v1/reservations", json=body, headers=keyed)


def published(server: Running) -> list[str]:
    lines = server.command("events", "tail").splitlines()
    return [json.loads(line)["detail"]["status"] for line in lines]


def test_a_worker_expires_what_a_server_holds_and_both_events_are_published() -> None:
    with running(["serve"], SHORT_HOLDS) as server:
        server.command(*SEATS)
        with running(["worker"], SHORT_HOLDS, data_dir=server.data_dir):
            assert hold(server, server.bearer("alice"), "k1").status_code == 201
            wait_until(lambda: published(server) == ["HOLD", "EXPIRED"])

        free = httpx.get(f"{server.url}/v1/events/evt_1/availability", headers=server.bearer("bob"))
        assert free.json()["available"] == 10


def test_dev_does_it_all_with_a_demo_event_and_a_token_that_works() -> None:
    with running(["dev"], SHORT_HOLDS) as server:
        wait_until(lambda: "More tokens" in server.output())
        token = re.findall(r"TOKEN=(\S+)", server.output())
        alice = {"Authorization": f"Bearer {token[0]}"}
        assert f"{server.url}/docs" in server.output()
        assert httpx.get(f"{server.url}/docs").status_code == 200

        assert hold(server, alice, "k1", "evt_demo").status_code == 201
        wait_until(lambda: published(server) == ["HOLD", "EXPIRED"])
        assert token[0] not in server.log_text()


def test_dev_starts_again_on_the_same_data() -> None:
    with running(["dev"]) as first:
        assert first.stop() == 0
        with running(["dev"], data_dir=first.data_dir):
            pass


def test_dev_leaves_an_event_alone_that_has_the_demos_id(tmp_path: Path) -> None:
    environment = {"APP_DATA_DIR": str(tmp_path)}
    run_command("events", "create", "evt_demo", "--section", "A:1x2:1", environment=environment)
    with running(["dev"], data_dir=tmp_path) as server:
        assert "evt_demo  2 seats" in server.command("events", "list")


def test_a_confirm_by_the_lines_that_dev_prints() -> None:
    with running(["dev"]) as server:
        alice = server.bearer("alice")
        held = hold(server, alice, "k1", "evt_demo").json()["reservation_id"]
        keyed = {**alice, "Idempotency-Key": "k2"}
        url = f"{server.url}/v1/reservations/{held}/confirm"
        assert httpx.post(url, json={"payment_intent_id": "pay_1"}, headers=keyed).status_code == 200


def test_jvm_opts_are_ignored_with_one_line() -> None:
    with running(["serve", "--workers", "2"], {"JVM_OPTS": "-Xmx4g"}) as server:
        noted = [line for line in server.logs() if "JVM_OPTS" in line["message"]]
        assert len(noted) == 1


def test_wrong_settings_are_all_told_before_anything_starts() -> None:
    with running(["serve"], {"APP_HTTP_PORT": "http", "APP_WORKER": "2"}, until_ready=False) as server:
        assert server.wait() == 2
        assert server.log_text().splitlines() == [
            "Configuration: APP_WORKER is no setting: did you mean APP_WORKERS?",
            "Configuration: APP_HTTP_PORT must be a whole number from 1 to 65535, not 'http'",
        ]


def test_the_program_runs_as_a_module_and_says_its_version() -> None:
    assert re.fullmatch(r"reservation-api, version [0-9.]+\n", run_command("--version", environment={}))
