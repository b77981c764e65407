"""The request to end, and what happens when the end does not come."""

import asyncio
import threading

import pytest

from reservation_api.entrypoints.processes.serving import ServerEndedError, watch_server
from reservation_api.entrypoints.processes.shutdown import GAVE_UP, LAST_WORDS_SECONDS, Shutdown

SHORT = LAST_WORDS_SECONDS + 0.02


class Exit:
    """Ends no process; tells that it was asked to, and with which code."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.left = threading.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self.left.set()


def watch(shutdown: Shutdown) -> None:
    """As `listen`, without taking the test runner's signals."""
    threading.Thread(target=shutdown._watch, daemon=True).start()


async def test_the_deadline_holds_even_when_the_event_loop_hangs(caplog: pytest.LogCaptureFixture) -> None:
    leave = Exit()
    shutdown = Shutdown(SHORT, leave)
    watch(shutdown)
    shutdown.enter("finishing requests", lambda: 3)
    shutdown.ask("a test")

    assert leave.left.wait(timeout=5)  # this blocks the loop itself
    assert leave.codes == [GAVE_UP]
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert line.__dict__["fields"] == {"stage": "finishing requests", "left": 3}


async def test_whoever_is_done_in_time_is_left_alone() -> None:
    leave = Exit()
    shutdown = Shutdown(SHORT, leave)
    watcher = threading.Thread(target=shutdown._watch)
    watcher.start()
    shutdown.ask("a test")
    shutdown.ask("again")
    shutdown.done()
    watcher.join(timeout=5)
    assert not watcher.is_alive()
    assert leave.codes == []


async def test_asking_wakes_who_waits_for_it_from_any_thread() -> None:
    shutdown = Shutdown(30, Exit())
    threading.Thread(target=shutdown.ask, args=("a test",)).start()
    await asyncio.wait_for(shutdown.asked.wait(), timeout=5)


async def test_asking_again_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    shutdown = Shutdown(30, Exit())
    shutdown.ask("first")
    shutdown.ask("second")
    await shutdown.asked.wait()
    await asyncio.sleep(0)
    assert [record.getMessage() for record in caplog.records] == ["shutting down: first"]


class BrokenServer:
    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def wait_stopped(self) -> None:
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("error", [None, RuntimeError("broken")])
async def test_a_server_that_ends_by_itself_ends_the_process_as_failed(error: Exception | None) -> None:
    shutdown = Shutdown(30, Exit())
    with pytest.raises(ServerEndedError):
        await watch_server(BrokenServer(error), shutdown)
    await asyncio.wait_for(shutdown.asked.wait(), timeout=5)
