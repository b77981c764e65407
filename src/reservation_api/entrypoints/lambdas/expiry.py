"""The target of the expiry schedule: `reservation_api.entrypoints.lambdas.expiry.handler`.

Each invocation expires what is due, as the workers do every half second, and beside them: any number may.
The service, its connections and the event loop that they belong to live as long as the container.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from time import monotonic
from typing import Any, Protocol

import uvloop

from reservation_api.application.expire import BATCH_SIZE
from reservation_api.application.relay import FastRelay
from reservation_api.bootstrap import Service, build
from reservation_api.config import Config, load_environment
from reservation_api.entrypoints.workers.loops import keep_running
from reservation_api.telemetry.logs import configure_logs

LAST_SECONDS = 5.0
"""Kept of an invocation's time: for the events and releases of the last batch, and for the answer."""
FEW_DUE_PAUSE_SECONDS = 0.2
"""Before another look when few were due: the index that names them is a moment behind the table."""

_log = logging.getLogger(__name__)


class Context(Protocol):
    """What Lambda tells of an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Return how much time is left of it."""
        ...


def handler(event: object, context: Context) -> dict[str, Any]:
    """Expire what is due until nothing is, or the time is nearly up; tell how many were due.

    Raises ConfigError, StoreUnavailableError: the invocation fails, is counted, and the next one goes on.
    """
    del event
    return _function().run(context.get_remaining_time_in_millis() / 1000)


@cache
def _function() -> "ExpiryFunction":
    config = load_environment()
    configure_logs(config.process.log_level, {"process": "expiry function"})
    return ExpiryFunction(config)


class ExpiryFunction:
    """One container's service, and the loop that all its invocations run in."""

    def __init__(self, config: Config) -> None:
        """Build the service; raises ConfigError, StoreUnavailableError."""
        # One loop for all invocations: connections belong to the loop that they were opened in.
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        try:
            self._service = self._runner.run(_open(config))
        except BaseException:
            self._runner.close()
            raise

    def run(self, seconds: float) -> dict[str, Any]:
        """Do what one invocation does, in so many seconds at most."""
        return self._runner.run(_run(self._service, monotonic() + seconds))

    def close(self) -> None:
        """Give everything back; Lambda never does."""
        self._runner.run(self._service.close())
        self._runner.close()


async def _open(config: Config) -> Service:
    return build(config)


async def _run(service: Service, ends_at: float) -> dict[str, Any]:
    run_relay = keep_running("the fast relay", service.fast_relay.run_forever, asyncio.sleep)
    relay = asyncio.create_task(run_relay)
    try:
        due, is_done = await _expire_all(service.expire.run_once, ends_at - LAST_SECONDS)
        await _flush(service.fast_relay, ends_at - LAST_SECONDS / 2)
    finally:
        # What it was about to do is in the outbox, and the slow path has it.
        relay.cancel()
        await asyncio.wait([relay])
    _log.info("expired", extra={"fields": {"due": due, "done": is_done}})
    return {"due": due, "done": is_done}


async def _expire_all(run_once: Callable[[], Awaitable[int]], until: float) -> tuple[int, bool]:
    """Return how many holds were due, and whether there are no more."""
    count = 0
    with suppress(TimeoutError):
        # A batch that is cut off has moved some holds and not others: each is one transaction.
        async with asyncio.timeout(until - monotonic()):
            while due := await run_once():
                count += due
                if 2 * due < BATCH_SIZE:
                    await asyncio.sleep(FEW_DUE_PAUSE_SECONDS)
            return count, True
    return count, False


async def _flush(relay: FastRelay, until: float) -> None:
    try:
        async with asyncio.timeout(until - monotonic()):
            await relay.flush()
    except TimeoutError:
        _log.warning("outbox rows are left to the slow path")
