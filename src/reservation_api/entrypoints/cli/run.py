"""`serve`, `worker`, `dev`: the commands that stay."""

import logging
import os
import sys
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import uvloop

from reservation_api.config import Config, load_environment
from reservation_api.entrypoints.cli.demo import put_demo_on_sale
from reservation_api.entrypoints.cli.welcome import welcome
from reservation_api.entrypoints.processes.fleet import LIFELINE_OPTION, METRICS_OPTION, run_fleet
from reservation_api.entrypoints.processes.port import PortUnavailableError, check_port
from reservation_api.entrypoints.processes.serving import Role, run_process
from reservation_api.telemetry.line_sink import sink_of
from reservation_api.telemetry.logs import configure_logs
from reservation_api.telemetry.siblings import FolderOfSiblings

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
@click.option(METRICS_OPTION, type=Path, hidden=True)
def serve(workers: int | None, lifeline: int | None, child: int | None, metrics_folder: Path | None) -> None:
    """Serve HTTP, and gRPC on GRPC_PORT. Expiry and retries are for `worker`: run one beside it."""
    config = load_environment()
    configure_process_logs(config, "serve", child)
    if lifeline is None:  # a child shares its ports with the others, so that they are taken
        _check_ports(config)
    count = workers or config.process.workers
    if count == 1:
        siblings = None if metrics_folder is None else FolderOfSiblings(metrics_folder, child or 0)
        _run(run_process(config, Role(serves=True, lifeline=lifeline, siblings=siblings)))
    else:
        _run(run_fleet(config, count))


@click.command()
def worker() -> None:
    """Expire holds, deliver what the fast relay has left, delete what is over. Run one or several."""
    config = load_environment()
    configure_process_logs(config, "worker")
    _check_management_port(config)
    _run(run_process(config, Role(works=True)))


@click.command()
@click.option("--aws", is_flag=True, help="On DynamoDB, EventBridge and SQS of a stand-in for AWS.")
@click.option(
    "--endpoint",
    metavar="URL",
    help="With --aws: a stand-in that is running; else ministack is started, and ended.",
)
def dev(*, aws: bool, endpoint: str | None) -> None:
    """Do everything in one process on this machine, with a demo event and a token."""
    if endpoint is not None and not aws:
        raise click.UsageError("--endpoint is for --aws")
    config = load_environment(dev=True)
    configure_process_logs(config, "dev")
    config = _without_a_grpc_port_that_is_taken(config)
    _check_ports(config)
    if aws:
        # What makes tables and buses, and an inventory over gRPC: nothing else needs them.
        from reservation_api.entrypoints.cli.stand_in import dev_on_stand_in  # noqa: PLC0415

        dev_on_stand_in(config, endpoint)
    else:
        _run(_dev(config))


async def _dev(config: Config) -> None:
    if config.inventory is None:
        await put_demo_on_sale(config)
    await run_process(config, Role(serves=True, works=True), lambda service: click.echo(welcome(service)))


def _check_ports(config: Config) -> None:
    """Raise PortUnavailableError unless all that is to be listened on is free, ConfigError unless TLS can be.

    So a parent says what is wrong, and no child dies of it again and again.
    """
    check_port(config.http.host, config.http.port)
    _check_management_port(config)
    if config.grpc is not None:
        check_port(config.http.host, config.grpc.port)
        if config.grpc.tls is not None:
            from reservation_api.entrypoints.processes.serving_grpc import server_tls  # noqa: PLC0415

            server_tls(config.grpc.tls)


def _check_management_port(config: Config) -> None:
    if config.http.management_port is not None:
        check_port(config.http.host, config.http.management_port)


def _without_a_grpc_port_that_is_taken(config: Config) -> Config:
    """Do without gRPC if only its default port is in the way: a second `dev` has asked for no such thing."""
    if config.grpc is None or config.grpc.is_asked_for:
        return config
    try:
        check_port(config.http.host, config.grpc.port)
    except PortUnavailableError as error:
        _log.warning("no gRPC: %s; GRPC_PORT says where else", error)
        return replace(config, grpc=None)
    return config


def configure_process_logs(config: Config, process: str, child: int | None = None) -> None:
    """Log as JSON lines that name the process, and tell what the environment's notes are."""
    context: dict[str, Any] = {"process": process, "pid": os.getpid()}
    out = sink_of(sys.stderr)
    if child is not None:
        configure_logs(config.process.log_level, {**context, "child": child}, out)
        return  # the parent has told what is to be told once
    configure_logs(config.process.log_level, context, out)
    for note in config.notes:
        _log.info(note)


def _run(main: Coroutine[Any, Any, None]) -> None:
    uvloop.run(main)
