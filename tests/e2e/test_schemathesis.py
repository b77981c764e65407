"""Requests made up from the service's own OpenAPI document: good ones, bad ones, and chains along its links.

What is asked is in schemathesis.toml; what the generator can not know is in schemathesis_hooks.py.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from tests.support.http_client import Users
from tests.support.processes import running

from reservation_api.ports.identity import ADMIN_SCOPE, OPS_SCOPE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]

HERE = Path(__file__).parent
CONFIG = HERE / "schemathesis.toml"
HOOKS = HERE / "schemathesis_hooks.py"
ST = Path(sys.executable).with_name("st")
RUN_SECONDS = 90
SERVER = {"APP_HOLD_SECONDS": "600", "APP_HOLD_MAX_SECONDS": "1200"}
"""Holds that outlast the run: a chain along the links never finds one expired."""
EVENT = ("events", "create", "evt_demo", "--section", "A:50x50:120000")
OWN_PATH = "/openapi.json"
"""Where the document was found is not asked again."""
ALONG_LINKS = (
    "POST /v1/reservations",
    "GET /v1/reservations/{reservation_id}",
    "POST /v1/reservations/{reservation_id}/confirm",
    "POST /v1/reservations/{reservation_id}/cancel",
    "POST /v1/reservations/{reservation_id}/extend",
    "GET /v1/orders/{order_id}",
)


@dataclass(frozen=True)
class Run:
    """What came of it."""

    code: int
    report: str
    answers: Counter[tuple[str, str, int]]
    """By phase, operation and status."""
    operations: set[str]
    log: list[dict[str, object]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("schemathesis")
    with running(["serve"], SERVER) as server:
        server.command(*EVENT)
        token = Users(server.environment).token("alice", [ADMIN_SCOPE, OPS_SCOPE])
        finished = ask(server.url, token, folder)
        document = httpx.get(server.url + OWN_PATH, trust_env=False).json()
        yield Run(
            finished.returncode,
            finished.stdout + finished.stderr,
            read_tally(folder / "tally"),
            {
                f"{method.upper()} {path}"
                for path, methods in document["paths"].items()
                for method in methods
                if path != OWN_PATH
            },
            server.logs(),
        )


def ask(url: str, token: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run all phases and all checks; raises TimeoutExpired."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "HOOKS": str(HOOKS),
        "TALLY": str(folder / "tally"),
        "AUTHORIZATION": f"Bearer {token}",
    }
    command = [str(ST), "--no-color", "--config-file", str(CONFIG), "run", url + OWN_PATH, "--checks", "all"]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )


def read_tally(file: Path) -> Counter[tuple[str, str, int]]:
    lines = map(json.loads, file.read_text().splitlines())
    return Counter((phase, operation, status) for phase, operation, status in lines)


def test_every_answer_is_as_the_document_says_and_bad_requests_are_refused(run: Run) -> None:
    assert run.code == 0, run.report
    assert "No issues found" in run.report


def test_every_operation_was_asked_and_gave_a_good_answer(run: Run) -> None:
    answered = {operation for _, operation, status in run.answers if status < 300}
    assert answered == run.operations


@pytest.mark.parametrize("operation", ALONG_LINKS)
def test_the_links_lead_from_a_hold_to_whatever_can_be_done_with_it(run: Run, operation: str) -> None:
    done = [status for phase, name, status in run.answers if (phase, name) == ("stateful", operation)]
    assert any(status < 300 for status in done), run.answers


def test_every_kind_of_refusal_came_up(run: Run) -> None:
    """Else the checks of refusals would have had nothing to look at."""
    assert {400, 401, 404, 405, 409, 415} <= {status for _, _, status in run.answers}


def test_nothing_went_wrong_that_no_client_could_see(run: Run) -> None:
    assert not [line for line in run.log if line["level"] in {"ERROR", "CRITICAL"}]
