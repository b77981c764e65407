"""Several processes on one port, under a parent; and ports that are taken."""

import os
import socket
import time
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM, Signals

import pytest
from tests.support.ports import HOST, free_port
from tests.support.processes import READINESS, Running, children_of, is_alive, running, status_of, wait_until

pytestmark = pytest.mark.e2e

FLEET = ["serve", "--workers", "2"]


def ready_children(server: Running) -> set[int]:
    return {line["child"] for line in server.logs() if line["message"] == "ready"}


def test_children_share_the_port_and_end_with_their_parent() -> None:
    with running(FLEET) as server:
        children = children_of(server.pid)
        assert len(children) == 2
        assert ready_children(server) == {1, 2}

        assert server.stop() == 0
        assert not [child for child in children if is_alive(child)]
        ended = [line["child"] for line in server.logs() if line["message"] == "ended"]
        assert sorted(ended) == [1, 2]


def test_the_number_of_children_is_a_setting_too() -> None:
    with running(["serve"], {"APP_WORKERS": "2"}) as server:
        wait_until(lambda: len(children_of(server.pid)) == 2)


def test_a_child_that_is_killed_is_replaced_while_the_others_serve() -> None:
    with running(FLEET) as server:
        victim, survivor = children_of(server.pid)
        os.kill(victim, SIGKILL)
        wait_until(lambda: not is_alive(victim))
        wait_until(lambda: status_of(server.url + READINESS) == 200)

        wait_until(lambda: [line["message"] for line in server.logs()].count("ready") == 3)
        assert survivor in children_of(server.pid)
        assert len(children_of(server.pid)) == 2
        assert server.stop() == 0


def test_children_that_keep_dying_end_the_service() -> None:
    with running(FLEET) as server:
        (server.data_dir / "issuer-key.pem").chmod(0o644)  # a key that others can read is no secret
        os.kill(children_of(server.pid)[0], SIGKILL)

        assert server.wait() == 1
        assert children_of(server.pid) == []
        log = server.log_text()
        assert "died 5 times in a row" in log.splitlines()[-1]
        assert "Traceback" not in log


def test_no_child_outlives_a_parent_that_is_killed() -> None:
    with running(FLEET) as server:
        children = children_of(server.pid)
        server.kill()
        wait_until(lambda: not any(map(is_alive, children)))
        assert status_of(server.url + READINESS) is None


@pytest.mark.parametrize(("number", "code"), [(SIGTERM, 143), (SIGINT, 130)])
def test_a_second_signal_ends_parent_and_children_at_once(number: Signals, code: int) -> None:
    with running(FLEET, {"APP_DRAIN_SECONDS": "20"}) as server:
        children = children_of(server.pid)
        server.signal(number)
        wait_until(lambda: status_of(server.url + READINESS) == 503)
        began = time.monotonic()
        assert server.stop(number) == code
        wait_until(lambda: not any(map(is_alive, children)))
        assert time.monotonic() - began < 3


def test_children_drain_once_when_the_whole_process_group_is_signalled() -> None:
    """As a terminal does it on Ctrl-C: twice would be at once."""
    with running(FLEET, {"APP_DRAIN_SECONDS": "1"}) as server:
        os.killpg(os.getpgid(server.pid), SIGINT)
        assert server.wait() == 0
        assert "a second signal" not in server.log_text()


def test_what_a_child_could_not_open_the_parent_says_before_it_starts_any(tmp_path: Path) -> None:
    (tmp_path / "reservation.db").write_bytes(b"this is no database " * 100)
    with running(FLEET, data_dir=tmp_path, until_ready=False) as server:
        assert server.wait() == 1
        assert server.log_text().startswith("Error: the database file can not be used")
        assert len(server.log_text().splitlines()) == 1


@pytest.mark.parametrize("arguments", [["serve"], FLEET, ["dev"]], ids=" ".join)
def test_a_port_that_is_taken_is_an_error_even_if_it_could_be_shared(arguments: list[str]) -> None:
    with socket.create_server((HOST, free_port()), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        with running(arguments, port=port, until_ready=False) as server:
            assert server.wait() == 1
            assert (
                server.log_text() == f"Error: can not listen on {HOST} port {port}: Address already in use\n"
            )


def test_a_second_service_on_the_same_port_does_not_start(tmp_path: Path) -> None:
    with running(["serve"]) as first:
        with running(["serve"], data_dir=tmp_path, port=first.port, until_ready=False) as second:
            assert second.wait() == 1
        assert status_of(first.url + READINESS) == 200


def test_a_host_that_is_not_ours_is_an_error_in_a_line() -> None:
    with running(["serve"], {"APP_HTTP_HOST": "192.0.2.1"}, until_ready=False) as server:
        assert server.wait() == 1
        assert "can not listen on 192.0.2.1" in server.log_text()
        assert len(server.log_text().splitlines()) == 1
