"""`serve --workers N`: a parent that holds no socket and no store, and N children that do."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from functools import partial
from pathlib import Path

from reservation_api.bootstrap import build
from reservation_api.config import Config
from reservation_api.entrypoints.processes.lifeline import Lifeline
from reservation_api.entrypoints.processes.shutdown import LAST_WORDS_SECONDS, Shutdown
from reservation_api.entrypoints.processes.supervisor import ChildrenKeepDyingError, Supervisor
from reservation_api.entrypoints.workers.loops import pause_until
from reservation_api.telemetry.siblings import keep_what_ended, remove_folder, shared_folder

LIFELINE_OPTION = "--lifeline"
METRICS_OPTION = "--metrics-folder"


async def run_fleet(config: Config, count: int) -> None:
    """Run `count` serving children until asked to end.

    Raises ChildrenKeepDyingError, also if a child did not end as it should; and, before any child is
    started, ConfigError or StoreUnavailableError: no child could do better.
    """
    await build(config).close()
    with shared_folder() as folder:
        await _run_children(config, count, folder)


async def _run_children(config: Config, count: int, folder: Path) -> None:
    # Children cut themselves off in time and say where they were; the parent outlasts them by half of that.
    shutdown = Shutdown(
        config.process.shutdown_seconds + LAST_WORDS_SECONDS / 2,
        lambda code: _leave(supervisor, folder, code),
    )
    shutdown.listen()
    lifeline = Lifeline()
    spawn = partial(_spawn, lifeline.read_end, folder)
    bury = partial(keep_what_ended, folder)
    supervisor = Supervisor(spawn, count, pause_until(shutdown.asked), bury)
    try:
        if not await supervisor.run(shutdown):
            raise ChildrenKeepDyingError("a child did not end in time")
    finally:
        lifeline.close()
        shutdown.done()


def _leave(supervisor: Supervisor, folder: Path, code: int) -> None:
    """End at once, children first."""
    supervisor.signal_all(signal.SIGKILL)
    remove_folder(folder)
    os._exit(code)


async def _spawn(lifeline: int, folder: Path, number: int) -> Process:
    """Start a child with this very interpreter and environment."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "reservation_api", "serve", "--workers", "1"),
        *(LIFELINE_OPTION, str(lifeline), "--child", str(number)),
        *(METRICS_OPTION, str(folder)),
        stdin=asyncio.subprocess.DEVNULL,
        pass_fds=(lifeline,),
        start_new_session=True,
    )
