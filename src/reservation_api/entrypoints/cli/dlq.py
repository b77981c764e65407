"""`dlq`: events that could not be delivered or processed, and what becomes of them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click
import msgspec

from reservation_api.application.dead_letters import DeadLetter, Selection, list_letters
from reservation_api.application.redrive import Redrive, RedriveLimits, Redriven
from reservation_api.bootstrap.operations import open_dead_letters
from reservation_api.config import load_environment
from reservation_api.domain.values import to_iso

MAX_LETTERS = 100_000
_COLUMNS = ("event", "type", "rule", "error code", "since", "error")
_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Which:
    """What both commands take: a queue, and which of its letters."""

    queue: str | None
    selection: Selection


def _letters(command: _Command) -> _Command:
    """Add the options that say which letters are meant."""
    for option in (
        click.option("--error-code", help="Those that failed with this one."),
        click.option("--rule", help="Those that this rule could not deliver."),
        click.option("--detail-type", help="Those of this type, such as 'Reservation Created'."),
        click.option("--event-id", "event_ids", multiple=True, help="The event's own `id`; repeatable."),
        click.option(
            "--queue", metavar="URL", help="Its name will do; the bus's name and -dlq if not given."
        ),
    ):
        command = option(command)
    return command


def _which(options: dict[str, Any]) -> _Which:
    queue, event_ids = options.pop("queue"), options.pop("event_ids")
    return _Which(queue, Selection(event_ids=frozenset(event_ids), **options))


@click.group()
def dlq() -> None:
    """Events that could not be delivered or processed: list them, and publish them again.

    For operators, with credentials of their own: sqs:ReceiveMessage and sqs:ChangeMessageVisibility, and
    sqs:GetQueueUrl unless --queue is a URL. While a command looks at a message nobody else receives it; at
    the end all that is left can be received again at once.
    """


@dlq.command(name="list")
@_letters
@click.option("--limit", type=click.IntRange(1, MAX_LETTERS), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, the event included.")
def list_(limit: int, *, as_json: bool, **options: Any) -> None:
    """List dead letters, and why they are there."""
    letters = asyncio.run(_list(_which(options), limit))
    for line in map(_json_line, letters) if as_json else _table(letters):
        click.echo(line)
    if len(letters) == limit:
        click.echo(f"these are the first {limit}; there may be more", err=True)


async def _list(which: _Which, limit: int) -> Sequence[DeadLetter]:
    async with open_dead_letters(load_environment(), which.queue) as box:
        return await list_letters(box.queue, which.selection, limit)


@dlq.command()
@_letters
@click.option("--max", "max_letters", type=click.IntRange(1, MAX_LETTERS), default=1000, show_default=True)
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 1000),
    default=50.0,
    show_default=True,
    help="Events a second, at most.",
)
@click.option("--dry-run", is_flag=True, help="Tell what would be published, and change nothing.")
def redrive(max_letters: int, rate: float, *, dry_run: bool, **options: Any) -> None:
    """Publish dead letters again, and delete each when the bus has its event.

    Every rule gets the event again, not only the one that failed: consumers drop what they have had by its
    id. What the bus refuses stays in the queue, and so does what is no event of this service; the exit code
    is 1 then, or if an outage ended it. Needs sqs:DeleteMessage and events:PutEvents too.
    """
    limits = RedriveLimits(max_letters, rate, is_dry_run=dry_run)
    result = asyncio.run(_redrive(_which(options), limits))
    for name in result.redriven:
        click.echo(f"{'would publish' if dry_run else 'redriven'}  {name}")
    for name, why in result.refused:
        click.echo(f"stays  {name}  {why}")
    if result.stopped is not None:
        raise click.ClickException(f"{_sum(result)}; stopped: {result.stopped}")
    if not result.is_clean:
        raise click.ClickException(_sum(result))
    click.echo(_sum(result), err=True)


async def _redrive(which: _Which, limits: RedriveLimits) -> Redriven:
    async with open_dead_letters(load_environment(), which.queue) as box:
        return await Redrive(box.queue, box.bus, asyncio.sleep)(which.selection, limits, _progress)


def _progress(so_far: Redriven) -> None:
    click.echo(_sum(so_far), err=True)


def _sum(result: Redriven) -> str:
    return f"{result.looked_at} looked at, {len(result.redriven)} taken, {len(result.refused)} stay"


def _json_line(letter: DeadLetter) -> str:
    event = letter.event
    line = {
        "message_id": letter.message.message_id,
        "event_id": None if event is None else event.id,
        "detail_type": None if event is None else event.detail_type,
        "rule": letter.rule,
        "target": letter.target,
        "error_code": letter.error_code,
        "error": letter.error,
        "unusable": letter.unusable,
        "sent_at": to_iso(letter.message.sent_at),
        "receive_count": letter.message.receive_count,
        "attributes": letter.message.attributes,
        "body": letter.message.body,
    }
    return msgspec.json.encode(line).decode()


def _table(letters: Sequence[DeadLetter]) -> list[str]:
    rows = [_COLUMNS, *map(_cells, letters)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _cells(letter: DeadLetter) -> tuple[str, ...]:
    kind = "?" if letter.event is None else letter.event.detail_type
    error = " ".join((letter.unusable or letter.error or "").split())
    since = to_iso(letter.message.sent_at)
    return letter.name, kind, letter.rule or "?", letter.error_code or "?", since, error
