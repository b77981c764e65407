"""`archive`: events of the past, once more."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import click

from reservation_api.application.patience import Patience
from reservation_api.application.replay import replay_events
from reservation_api.bootstrap.operations import aws_of, open_archive, system_clock
from reservation_api.config import Config, load_environment
from reservation_api.domain.values import from_iso, to_iso
from reservation_api.ports.operations import EventArchive, Replay, ReplayProgress, ReplayState

ARCHIVE_DELAY = timedelta(minutes=10)
"""So long an event may take to the archive (EventBridge User Guide, "Archiving and replaying events")."""


class _Instant(click.ParamType[datetime]):
    """An instant with its offset, such as 2026-11-23T12:00:00Z."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read it; fails with a sentence."""
        try:
            return from_iso(str(value))
        except ValueError:
            self.fail(f"{value!r} is no instant with an offset, such as 2026-11-23T12:00:00Z", param, ctx)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the command line asks for."""

    from_at: datetime
    until_at: datetime
    rules: tuple[str, ...]
    archive_name: str | None
    name: str | None


@click.group()
def archive() -> None:
    """Events of the past, once more. For operators, with credentials of their own."""


@archive.command()
@click.option("--from", "from_at", type=_Instant(), required=True, help="The time of the first event.")
@click.option("--to", "until_at", type=_Instant(), required=True, help="Events before this are replayed.")
@click.option("--rule", "rules", multiple=True, help="To this rule alone; repeatable; to all if not given.")
@click.option("--archive", "archive_name", help="The bus's name and -archive if not given.")
@click.option("--name", help="What to call the replay; a name may be used once.")
@click.option("--wait", type=click.IntRange(1, 1440), default=60, show_default=True, metavar="MINUTES")
@click.option("--dry-run", is_flag=True, help="Find archive and rules, and start nothing.")
def replay(wait: int, *, dry_run: bool, **wanted: Any) -> None:
    """Put the events of some time on the bus again, and wait until they are there.

    They have `replay-name` set; consumers drop what they have had by its id. Interrupted, or out of patience,
    the command ends and the replay goes on. Needs events:DescribeArchive, events:StartReplay and
    events:DescribeReplay, with --rule also events:DescribeRule.
    """
    config = load_environment()
    found = open_archive(config)
    planned = _plan(config, found, _Wanted(**wanted))
    if dry_run:
        click.echo(f"would replay {_told(planned)}")
        return
    click.echo(f"replaying {_told(planned)}")
    try:
        end = replay_events(found, planned, Patience(time.sleep, wait * 60), _progress)
    except KeyboardInterrupt:
        click.echo(f"{planned.name} goes on: aws events describe-replay, or cancel-replay", err=True)
        raise
    _end(planned, end, wait)


def _plan(config: Config, archive: EventArchive, wanted: _Wanted) -> Replay:
    """Raise UsageError for times that make no sense, OperationFailedError for names that are not known."""
    bus_name, now = aws_of(config).bus_name, system_clock().now()
    if wanted.from_at >= wanted.until_at:
        raise click.UsageError("--from must be before --to")
    if wanted.until_at > now:
        raise click.UsageError("--to must be in the past: what is to come is in no archive")
    if now - wanted.until_at < ARCHIVE_DELAY:
        click.echo("the latest events may not be in the archive yet: it takes up to 10 minutes", err=True)
    return Replay(
        name=wanted.name or f"reservation-replay-{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z",
        archive=archive.find(wanted.archive_name or f"{bus_name}-archive"),
        from_at=wanted.from_at,
        until_at=wanted.until_at,
        rule_arns=tuple(archive.find_rule(bus_name, rule) for rule in wanted.rules),
    )


def _told(planned: Replay) -> str:
    rules = f" to {', '.join(planned.rule_arns)}" if planned.rule_arns else ""
    period = f"from {planned.from_at.isoformat()} to {planned.until_at.isoformat()}"
    return f"{planned.archive.arn} {period}{rules} as {planned.name}"


def _progress(progress: ReplayProgress) -> None:
    until = f", until {to_iso(progress.replayed_until)}" if progress.replayed_until else ""
    click.echo(f"{progress.state.value}{until}", err=True)


def _end(planned: Replay, end: ReplayProgress, minutes: int) -> None:
    """Raise ClickException unless it is complete."""
    if not end.state.is_over:
        raise click.ClickException(
            f"{planned.name} is {end.state.value} after {minutes} minutes, and goes on"
        )
    if end.state is not ReplayState.COMPLETED:
        raise click.ClickException(f"{planned.name} is {end.state.value}: {end.reason or 'no reason given'}")
    click.echo(f"{planned.name} is COMPLETED")
