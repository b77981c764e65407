"""`serve --workers N`: a parent that holds no socket and no store, and N children that do."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from functools import partial

from reservation_api.bootstrap import build
from reservation_api.config import Config
from reservation_api.entrypoints.processes.lifeline import Lifeline
from reservation_api.entrypoints.processes.shutdown import LAST_WORDS_SECONDS, Shutdown
from reservation_api.entrypoints.processes.supervisor import ChildrenKeepDyingError, Supervisor
from reservation_api.entrypoints.workers.loops import pause_until

LIFELINE_OPTION = "--lifeline"


async def run_fleet(config: Config, count: int) -> None:
    """Run `count` serving children until asked to end.

    Raises ChildrenKeepDyingError, also if a child did not end as it should; and, before any child is
    started, ConfigError or StoreUnavailableError: no child could do better.
    """
    await build(config).close()
    # Children cut themselves off in time and say where they were; the parent outlasts them by half of that.
    shutdown = Shutdown(
        config.process.shutdown_seconds + LAST_WORDS_SECONDS / 2, lambda code: _leave(supervisor, code)
    )
    shutdown.listen()
    lifeline = Lifeline()
    supervisor = Supervisor(partial(_spawn, lifeline.read_end), count, pause_until(shutdown.asked))
    try:
        if not await supervisor.run(shutdown):
            raise ChildrenKeepDyingError("a child did not end in time")
    finally:
        lifeline.close()
        shutdown.done()


def _leave(supervisor: Supervisor, code: int) -> None:
    """End at once, children first."""
    supervisor.signal_all(signal.SIGKILL)
    os._exit(code)


async def _spawn(lifeline: int, number: int) -> Process:
    """Start a child with this very interpreter and environment."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "reservation_api", "serve", "--workers", "1"),
        *(LIFELINE_OPTION, str(lifeline), "--child", str(number)),
        stdin=asyncio.subprocess.DEVNULL,
        pass_fds=(lifeline,),
        start_new_session=True,
    )
