"""The README's walk through the service, taken from the README and run as it is written there."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.support.durable import check_each_move_has_one_event, look
from tests.support.processes import Running, running, wait_until
from tests.support.runtimes import World

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
BEGIN, END = "<!-- walkthrough -->", "<!-- /walkthrough -->"
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = ("bash", "-eu", "-o", "pipefail", "-O", "inherit_errexit", "-c")
STRICT_CURL = 'curl() { command curl --fail-with-body "$@"; }\n'
"""A refusal is a failure, wherever in the walk it comes from; the README need not say so."""
WALK_SECONDS = 60
SHORT_HOLDS = {"APP_HOLD_SECONDS": "5"}
"""The walk waits for one to run out, and a minute is long."""
SOURCE = "reservation.service"
CREATED, CHANGED = "Reservation Created", "Reservation Status Changed"
"""The words of the document's section 2.2: other systems match rules against them."""
SCHEMAS = {CREATED: "reservation-created.schema.json", CHANGED: "reservation-status-changed.schema.json"}


def commands() -> str:
    """Return the walk's commands, in order."""
    text = README.read_text()
    assert text.count(BEGIN) == text.count(END) == 1, f"README.md wants {BEGIN} and {END} once each"
    return "\n".join(BLOCK.findall(text.partition(BEGIN)[2].partition(END)[0]))


def walk(server: Running, script: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run commands beside the server, as its user would; raises TimeoutExpired."""
    bin_folder = Path(sys.executable).parent
    environment = {
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "BASE": server.url,
        "APP_DATA_DIR": str(server.data_dir),
        **more,
    }
    return subprocess.run(
        [*SHELL, STRICT_CURL + script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WALK_SECONDS,
        check=False,
    )


@dataclass(frozen=True)
class Walked:
    """What the walk has left behind."""

    finished: "subprocess.CompletedProcess[str]"
    world: World

    @property
    def printed(self) -> str:
        return self.finished.stdout + self.finished.stderr


@pytest.fixture(scope="module")
def walked() -> Iterator[Walked]:
    with running(["dev"], SHORT_HOLDS) as server:
        finished = walk(server, commands())
        wait_until(lambda: not look(server.environment).outbox)
        yield Walked(finished, look(server.environment))


def test_there_is_a_walk_in_the_readme() -> None:
    assert commands().count("curl") + commands().count("call ") >= 5


def test_every_step_succeeds(walked: Walked) -> None:
    assert walked.finished.returncode == 0, walked.printed
    assert not walked.finished.stderr, walked.printed


def test_it_leads_to_every_end_that_a_hold_can_come_to(walked: Walked) -> None:
    ends = {reservation.status.value for reservation in walked.world.reservations}
    assert ends >= {"CONFIRMED", "CANCELLED", "EXPIRED"}, walked.printed


def test_each_move_is_published_once_and_says_what_it_is(walked: Walked) -> None:
    check_each_move_has_one_event(walked.world)
    ends = {r.reservation_id: r.status.value for r in walked.world.reservations}
    for event in walked.world.published:
        detail = json.loads(event.detail)
        is_first = detail["version"] == 1
        assert event.source == SOURCE
        assert event.detail_type == (CREATED if is_first else CHANGED)
        assert detail["status"] == ("HOLD" if is_first else ends[detail["reservation_id"]])
        assert detail["id"] == event.id


def test_each_event_is_as_its_schema_says(walked: Walked) -> None:
    schemas = {
        detail_type: json.loads((ROOT / "docs" / "events" / file).read_text())
        for detail_type, file in SCHEMAS.items()
    }
    for event in walked.world.published:
        Draft202012Validator(schemas[event.detail_type]).validate(json.loads(event.detail))


def test_it_shows_the_events_as_they_were_published(walked: Walked) -> None:
    shown = list(printed_events(walked.finished.stdout))
    logged = {event.id: event for event in walked.world.published}
    assert len(shown) >= 2
    for line in shown:
        event = logged[line["id"]]
        assert (line["source"], line["detail-type"]) == (event.source, event.detail_type)
        assert line["detail"] == json.loads(event.detail)


def printed_events(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith('{"id":'):
            yield json.loads(line)


@pytest.mark.parametrize(
    "command", ["false", "curl -sS $BASE/nowhere", 'X=$(curl -sS "$BASE/nowhere"; echo)']
)
def test_a_step_that_fails_would_be_noticed(command: str) -> None:
    with running(["dev"]) as server:
        assert walk(server, f"{command}\ntrue\n").returncode != 0
