"""`backup`: the tables as they are, to go back to."""

import time
from collections.abc import Sequence
from dataclasses import astuple

import click

from reservation_api.application.back_up import TableBackup, back_up_tables
from reservation_api.application.patience import Patience
from reservation_api.bootstrap.operations import aws_of, open_backups, system_clock
from reservation_api.config import load_environment

_NAME_LENGTH = 200
"""Of at most 255, the instant included."""


def _check_name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    del context, parameter
    if not value or len(value) > _NAME_LENGTH or not value.replace("-", "").replace("_", "").isalnum():
        raise click.BadParameter("letters, digits, - and _, at most 200")
    return value


@click.group()
def backup() -> None:
    """Backups of the tables. For operators, with credentials of their own."""


@backup.command()
@click.option("--name", default="before-deployment", show_default=True, callback=_check_name)
@click.option("--wait", type=click.IntRange(1, 1440), default=30, show_default=True, metavar="MINUTES")
@click.option("--dry-run", is_flag=True, help="Tell how large the tables are, and create nothing.")
def create(name: str, wait: int, *, dry_run: bool) -> None:
    """Back up all four tables under one name with the time in it, and wait until all can be restored from.

    Each table as it is at a moment of its own, seconds apart: for one moment there is point-in-time recovery.
    If one backup fails the command does, and says which there are. Needs dynamodb:CreateBackup and
    dynamodb:DescribeBackup, with --dry-run only dynamodb:DescribeTable.
    """
    config = load_environment()
    tables, backups = astuple(aws_of(config).tables), open_backups(config)
    full_name = f"{name}-{system_clock().now():%Y%m%dT%H%M%S}Z"
    if dry_run:
        for table in tables:
            size = backups.size(table)
            click.echo(f"would back up {table} as {full_name}: {size.items} items, {size.size_bytes} bytes")
        return
    taken = back_up_tables(backups, tables, full_name, Patience(time.sleep, wait * 60), _progress)
    for one in taken:
        click.echo(f"{one.state.value if one.error is None else 'FAILED'}  {one.table}  {one.arn or '-'}")
    if not all(one.is_good for one in taken):
        raise click.ClickException("; ".join(f"{one.table}: {_why(one)}" for one in taken if not one.is_good))


def _why(one: TableBackup) -> str:
    return one.error or f"still {one.state.value}, and it goes on"


def _progress(taken: Sequence[TableBackup]) -> None:
    click.echo(f"{sum(one.is_good for one in taken)} of {len(taken)} backups are there", err=True)
