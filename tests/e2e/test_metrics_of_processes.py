"""The metrics of real processes: of several on one port, of a worker, and on a port of the actuator's own."""

import json
import os
import threading
from pathlib import Path
from signal import SIGKILL

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.otlp_sink import never_answer, reset, sink
from tests.support.ports import HOST, free_port
from tests.support.processes import READINESS, Running, children_of, is_alive, running, status_of, wait_until

pytestmark = pytest.mark.e2e

needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at command lines in /proc")
FLEET = ["serve", "--workers", "2"]
PROMETHEUS = "/actuator/prometheus"
OPS = "reservation:ops"


def samples_of(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return every sample by its name and labels; what is no exposition format raises."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(
    url: str, headers: dict[str, str] | None = None
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Ask on a connection of its own: the kernel picks who answers."""
    answer = httpx.get(url + PROMETHEUS, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text
    return samples_of(answer.text)


def total(samples: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    return sum(
        value for (sample, own), value in samples.items() if sample == name and set(labels.items()) <= own
    )


def look_at_orders(server: Running, times: int, headers: dict[str, str]) -> None:
    """Each on a connection of its own, so that all children have some."""
    for _ in range(times):
        assert httpx.get(server.url + "/v1/orders", headers=headers, trust_env=False).status_code == 200


def test_any_child_answers_for_all_and_no_counter_falls_when_one_is_killed() -> None:
    with running(FLEET) as server:
        bearer = server.bearer("alice", OPS)
        look_at_orders(server, 30, bearer)
        wait_until(lambda: total(scrape(server.url, bearer), "http_requests_total") == 30)
        shown = [total(scrape(server.url, bearer), "http_requests_total") for _ in range(10)]
        assert shown == [30] * 10

        victim = children_of(server.pid)[0]
        os.kill(victim, SIGKILL)
        wait_until(lambda: not is_alive(victim))
        wait_until(lambda: [line["message"] for line in server.logs()].count("ready") == 3)

        after = [scrape(server.url, bearer) for _ in range(10)]
        assert {total(samples, "http_requests_total") for samples in after} == {30}
        assert {total(s, "api_latency_seconds_count", endpoint="GET /v1/orders") for s in after} == {30}
        look_at_orders(server, 10, bearer)
        wait_until(lambda: total(scrape(server.url, bearer), "http_requests_total") == 40)
        assert server.stop() == 0


def folder_of(child: int) -> Path:
    """Return where a child was told to share its metrics."""
    arguments = Path(f"/proc/{child}/cmdline").read_text().split("\0")
    return Path(arguments[arguments.index("--metrics-folder") + 1])


@needs_proc
def test_the_folder_of_the_metrics_goes_with_the_parent() -> None:
    with running(FLEET) as server:
        folder = folder_of(children_of(server.pid)[0])
        assert folder.exists()
        assert server.stop() == 0
        assert not folder.exists()


@needs_proc
def test_the_folder_of_the_metrics_goes_with_the_children_of_a_parent_that_is_killed() -> None:
    with running(FLEET) as server:
        children = children_of(server.pid)
        folder = folder_of(children[0])
        assert folder.exists()
        server.kill()
        wait_until(lambda: not any(map(is_alive, children)))
        assert not folder.exists()
        assert not [line for line in server.logs() if "other processes do not see" in line["message"]]


def test_a_port_of_its_own_needs_no_token_and_leaves_health_alone_to_http() -> None:
    port = free_port()
    with running(FLEET, {"APP_MANAGEMENT_PORT": str(port)}) as server:
        bearer = server.bearer("alice", OPS)
        management = f"http://{HOST}:{port}"
        look_at_orders(server, 5, bearer)
        wait_until(lambda: total(scrape(management), "http_requests_total") == 5)
        for path in ("health", "health/readiness", "info", "metrics", "metrics/APILatency"):
            assert status_of(f"{management}/actuator/{path}") == 200, path
        details = httpx.get(f"{management}/actuator/health", trust_env=False).json()["components"]["store"]
        assert details["status"] == "UP"
        assert status_of(f"{management}/v1/orders") == 404

        for path, status in (("health", 200), ("prometheus", 404), ("metrics", 404), ("info", 404)):
            answer = httpx.get(f"{server.url}/actuator/{path}", headers=bearer, trust_env=False)
            assert answer.status_code == status, path
        assert server.stop() == 0


def test_a_worker_is_a_target_of_its_own_if_it_has_a_port() -> None:
    port = free_port()
    with running(["worker"], {"APP_MANAGEMENT_PORT": str(port)}) as worker:
        management = f"http://{HOST}:{port}"
        wait_until(lambda: status_of(management + READINESS) == 200)
        wait_until(lambda: ("outbox_oldest_pending_age_seconds", frozenset()) in scrape(management))
        assert worker.stop() == 0


def test_a_port_of_the_actuators_that_is_taken_is_an_error_in_a_line() -> None:
    with running(["serve"]) as first:
        taken = {"APP_MANAGEMENT_PORT": str(first.port)}
        for command in (["worker"], ["serve"], FLEET):
            with running(command, taken, until_ready=False) as second:
                assert second.wait() == 1
                assert f"can not listen on 0.0.0.0 port {first.port}" in second.log_text().replace(
                    HOST, "0.0.0.0"
                )
                assert len(second.log_text().splitlines()) == 1


@pytest.mark.parametrize("trouble", ["absent", "slow", "resets"])
def test_a_collector_in_trouble_neither_holds_requests_up_nor_the_end(trouble: str) -> None:
    over = threading.Event()
    with sink(reset if trouble == "resets" else never_answer(over)) as collector:
        url = f"http://{HOST}:{free_port()}/v1/metrics" if trouble == "absent" else collector.url
        settings = {"OTLP_ENDPOINT": url, "APP_OTLP_INTERVAL_SECONDS": "0.1"}
        with running(["serve"], settings) as server:
            bearer = server.bearer("alice", OPS)
            look_at_orders(server, 20, bearer)
            if trouble != "absent":
                wait_until(lambda: collector.requests > 0)
            assert server.stop() == 0
            lines = [line["message"] for line in server.logs()]
        over.set()
    assert [line for line in lines if "points of metrics are dropped" in line or "wait for the" in line]
    assert len([line for line in lines if "metrics" in line and "telling" not in line]) <= 2
    assert "ended" in lines


def test_cloudwatch_finds_its_metrics_on_stdout_if_asked_for() -> None:
    with running(["serve"], {"APP_METRICS_EMF": "true"}) as server:
        look_at_orders(server, 3, server.bearer("alice"))
        assert server.stop() == 0
        lines = [json.loads(line) for line in server.output().splitlines()]
    assert [line["HTTPRequests"] for line in lines if "HTTPRequests" in line] == [3]
    assert [line["APILatency"]["Count"] for line in lines if "APILatency" in line] == [3]
