"""The alarms of deploy/prometheus on a real Prometheus that scrapes a server and a worker.

what goes on          what DynamoDB says          the worker    alarms
people look, some buy everything                  works         none
people buy            AccessDeniedException       is gone       HighErrorRate, OutboxAge
people look           everything                  is back       none
people buy            everything, 0.2 s late,     works         HighLatency, DynamoDBThrottling
                      and ThrottlingException
people look           everything                  works         none

Only the pace is another one: a minute of the rules lasts 0.6 s.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx
import pytest
from tests.support.aws_between import AwsBetween, Reply, between, refusal
from tests.support.aws_fleet import EVENT, Member, open_fleet, tokens
from tests.support.dynamodb import shared_ministack
from tests.support.ports import HOST
from tests.support.processes import wait_until
from tests.support.prometheus import (
    LOOK_MILLISECONDS,
    MINUTE_MILLISECONDS,
    Prometheus,
    find,
    prometheus_on,
)

pytestmark = pytest.mark.e2e

LATE_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 16 * MINUTE_MILLISECONDS / 1000
"""Above what any alarm takes to go off."""
LOOK_SECONDS = LOOK_MILLISECONDS / 1000
LOOKS_A_PURCHASE = 25
PAUSE_SECONDS = 0.02
OF_THE_MACHINE = {"EventLoopLag", "TargetDown"}
"""With other things to do it holds processes up, and cuts off scrapes, which may take 0.25 s."""
WRITE = "TransactWriteItems"
ALARM_SECONDS = 60.0
"""How long to wait for an alarm that takes eight at most: this machine is slow at times."""


class People:
    """Look at what is free, again and again, and buy at times, or all the time."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.are_buying = False
        self.statuses: set[int] = set()
        self._url = url
        self._headers = headers
        self._have_left = threading.Event()

    @contextmanager
    def at_it(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._have_left.set()
            thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=20, trust_env=False) as client:
            for n in count():
                if self._have_left.wait(PAUSE_SECONDS):
                    return
                self.statuses.add(self._do(client, n))

    def _do(self, client: httpx.Client, n: int) -> int:
        if self.are_buying or n % LOOKS_A_PURCHASE == 0:
            key = {"Idempotency-Key": f"key-{n}"}
            return client.post(
                "/v1/reservations", json={"event_id": EVENT, "qty": 1}, headers=key
            ).status_code
        return client.get(f"/v1/events/{EVENT}/availability").status_code


def wait_for(prometheus: Prometheus, alarms: set[str]) -> None:
    """Wait until these are set off, and no others but those of the machine."""
    wait_until(
        lambda: prometheus.firing() - OF_THE_MACHINE == alarms,
        lambda: f"set off: {prometheus.firing()}, not {alarms}",
        ALARM_SECONDS,
    )


def be_late(_: object) -> Reply | None:
    threading.Event().wait(LATE_SECONDS)  # real time: it is what the alarm is about
    return None


@dataclass(frozen=True)
class Scene:
    """Who is there."""

    dynamodb: AwsBetween
    worker: Member
    people: People
    prometheus: Prometheus


@pytest.fixture
def scene(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Scene]:
    program = find("prometheus", capsys)
    with between(shared_ministack().url) as dynamodb:
        settings = {
            "DYNAMODB_ENDPOINT": dynamodb.url,
            "APP_STORE_CIRCUITBREAKER_MINIMUM_NUMBER_OF_CALLS": "1000000",
        }
        with open_fleet(tmp_path, settings, servers=1, workers=1) as fleet:
            (server,), (worker,) = fleet.servers, fleet.workers
            (token,) = tokens(1).values()
            people = People(f"http://{HOST}:{server.port}", {"Authorization": f"Bearer {token}"})
            ports = [server.management_port, worker.management_port]
            with people.at_it(), prometheus_on(program, tmp_path / "prometheus", ports) as prometheus:
                yield Scene(dynamodb, worker, people, prometheus)


def test_alarms_go_off_for_what_is_wrong_and_for_nothing_else_and_clear(scene: Scene) -> None:
    nothing_is_wrong(scene)
    writes_are_refused_and_the_worker_is_gone(scene)
    all_is_well_again(scene)
    writes_are_late_and_one_is_throttled(scene)
    all_is_well_again(scene)


def nothing_is_wrong(scene: Scene) -> None:
    looks = round(LONGEST_WAIT_SECONDS / LOOK_SECONDS)
    wait_until(lambda: bool(scene.prometheus.ask(f"min(count_over_time(up[1h])) > {looks}")))
    assert scene.prometheus.ask("http_requests_total > 100")
    assert scene.prometheus.fired(LONGEST_WAIT_SECONDS) <= OF_THE_MACHINE
    assert scene.people.statuses == {200, 201}


def writes_are_refused_and_the_worker_is_gone(scene: Scene) -> None:
    scene.dynamodb.answers_always(WRITE, refusal("AccessDeniedException"))
    scene.worker.process.stop()
    scene.people.are_buying = True
    firing = scene.prometheus.firing
    wait_until(lambda: {"HighErrorRate", "OutboxAge"} <= firing(), seconds=ALARM_SECONDS)
    assert scene.people.statuses == {200, 201, 503}
    assert not firing() & {"HighLatency", "DynamoDBThrottling"}
    scene.worker.start()
    scene.worker.wait_until_ready()


def writes_are_late_and_one_is_throttled(scene: Scene) -> None:
    scene.people.are_buying = True
    scene.dynamodb.answers_always(WRITE, be_late)
    scene.dynamodb.answers(WRITE, refusal("ThrottlingException"))
    wait_until(lambda: "DynamoDBThrottling" in scene.prometheus.firing(), seconds=ALARM_SECONDS)
    wait_for(scene.prometheus, {"HighLatency"})  # what was throttled once is over by then


def all_is_well_again(scene: Scene) -> None:
    scene.people.are_buying = False
    scene.dynamodb.answers_no_more(WRITE)
    wait_for(scene.prometheus, set())
