"""`serve`, `worker`, `dev`: the commands that stay."""

import logging
import os
from collections.abc import Coroutine
from typing import Any

import click
import uvloop

from reservation_api.adapters.sqlite.venues import VenueError, demo_plan, load_event
from reservation_api.bootstrap import open_database
from reservation_api.config import Config, load_environment
from reservation_api.entrypoints.cli.welcome import welcome
from reservation_api.entrypoints.processes.fleet import LIFELINE_OPTION, run_fleet
from reservation_api.entrypoints.processes.port import check_port
from reservation_api.entrypoints.processes.serving import Role, run_process
from reservation_api.telemetry.logs import configure_logs

MAX_WORKERS = 64

_log = logging.getLogger(__name__)


@click.command()
@click.option(
    "--workers",
    type=click.IntRange(1, MAX_WORKERS),
    help="Processes that share the port, one per core; APP_WORKERS if not given.",
)
@click.option(LIFELINE_OPTION, type=int, hidden=True)
@click.option("--child", type=int, hidden=True)
def serve(workers: int | None, lifeline: int | None, child: int | None) -> None:
    """Serve HTTP. Expiry and retries are for `worker`, which wants to run beside it."""
    config = load_environment()
    _configure_logs(config, "serve", child)
    if lifeline is None:  # a child shares its port with the others, so that it is taken
        check_port(config.http.host, config.http.port)
    count = workers or config.process.workers
    if count == 1:
        _run(run_process(config, Role(serves_http=True, lifeline=lifeline)))
    else:
        _run(run_fleet(config, count))


@click.command()
def worker() -> None:
    """Expire holds, deliver what the fast relay has left, delete what is over. Run one or several."""
    config = load_environment()
    _configure_logs(config, "worker")
    _run(run_process(config, Role(works=True)))


@click.command()
def dev() -> None:
    """Do everything in one process on this machine, with a demo event and a token."""
    config = load_environment(dev=True)
    _configure_logs(config, "dev")
    check_port(config.http.host, config.http.port)
    _run(_dev(config))


async def _dev(config: Config) -> None:
    await _put_demo_on_sale(config)
    await run_process(
        config, Role(serves_http=True, works=True), lambda service: click.echo(welcome(service))
    )


async def _put_demo_on_sale(config: Config) -> None:
    database = open_database(config)
    try:
        await load_event(database, demo_plan())
    except VenueError:
        return  # an event of one's own has that id: it is as good
    finally:
        database.close()


def _configure_logs(config: Config, process: str, child: int | None = None) -> None:
    context: dict[str, Any] = {"process": process, "pid": os.getpid()}
    if child is not None:
        configure_logs(config.process.log_level, {**context, "child": child})
        return  # the parent has told what is to be told once
    configure_logs(config.process.log_level, context)
    for note in config.notes:
        _log.info(note)


def _run(main: Coroutine[Any, Any, None]) -> None:
    uvloop.run(main)
