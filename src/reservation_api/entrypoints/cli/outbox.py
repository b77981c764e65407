"""`outbox`: rows that are not delivered yet, and those that wait for a person."""

from collections.abc import Sequence

import click
import msgspec

from reservation_api.application.relay import retried
from reservation_api.bootstrap import Service
from reservation_api.domain.values import OutboxId, to_iso
from reservation_api.entrypoints.cli.session import with_service
from reservation_api.ports.outbox import OutboxEntry, OutboxStatus

RETRY_BATCH_SIZE = 1000
_COLUMNS = ("outbox_id", "status", "type", "attempts", "created_at", "last_error")


@click.group()
def outbox() -> None:
    """Rows that are not delivered yet, and those that wait for a person."""


@outbox.command(name="list")
@click.option(
    "--status",
    type=click.Choice([status.value for status in OutboxStatus]),
    help="Those alone; all if not given, FAILED ones first.",
)
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Of each status."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, payload included.")
def list_(status: str | None, limit: int, *, as_json: bool) -> None:
    """List what is not delivered, oldest first."""
    statuses = [OutboxStatus.FAILED, OutboxStatus.PENDING] if status is None else [OutboxStatus(status)]
    entries = with_service(lambda service: _listed(service, statuses, limit))
    for line in map(_json_line, entries) if as_json else _table(entries):
        click.echo(line)


@outbox.command()
@click.argument("outbox_id", required=False)
@click.option("--all", "every", is_flag=True, help="Every FAILED row.")
def retry(outbox_id: str | None, *, every: bool) -> None:
    """Let a worker try a FAILED row again, at once and with all its attempts."""
    if (outbox_id is None) is not every:
        raise click.UsageError("give an OUTBOX_ID or --all")
    if outbox_id is None:
        click.echo(f"{with_service(_retry_all)} rows will be tried again")
        return
    if not with_service(lambda service: _retry_one(service, OutboxId(outbox_id))):
        raise click.ClickException(f"there is no FAILED row {outbox_id}")
    click.echo(f"{outbox_id} will be tried again")


async def _listed(service: Service, statuses: Sequence[OutboxStatus], limit: int) -> list[OutboxEntry]:
    return [entry for status in statuses for entry in await service.outbox.list(status, limit)]


async def _retry_one(service: Service, outbox_id: OutboxId) -> bool:
    entry = await service.outbox.get(outbox_id)
    if entry is None or entry.status is not OutboxStatus.FAILED:
        return False
    return await service.outbox.update(entry, retried(entry, service.clock.now()))


async def _retry_all(service: Service) -> int:
    """Return how many there were. Rows that fail anew meanwhile are not tried twice."""
    seen: set[OutboxId] = set()
    count = 0
    while batch := await _failed_but(service, seen):
        for entry in batch:
            seen.add(entry.outbox_id)
            count += await service.outbox.update(entry, retried(entry, service.clock.now()))
    return count


async def _failed_but(service: Service, seen: set[OutboxId]) -> list[OutboxEntry]:
    found = await service.outbox.list(OutboxStatus.FAILED, RETRY_BATCH_SIZE)
    return [entry for entry in found if entry.outbox_id not in seen]


def _json_line(entry: OutboxEntry) -> str:
    return msgspec.json.encode(entry).decode()


def _table(entries: Sequence[OutboxEntry]) -> list[str]:
    rows = [_COLUMNS, *map(_cells, entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _cells(entry: OutboxEntry) -> tuple[str, ...]:
    error = " ".join((entry.last_error or "").split())
    created_at = to_iso(entry.created_at)
    return entry.outbox_id, entry.status.value, entry.type.value, str(entry.attempts), created_at, error
