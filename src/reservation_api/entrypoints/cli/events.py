"""`events`: put events on sale, and watch what is published."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from reservation_api.adapters.sqlite.event_log import LoggedEvent, SqliteEventLog
from reservation_api.adapters.sqlite.venues import (
    EventDetails,
    Grid,
    SectionPlan,
    VenuePlan,
    grid_plan,
    list_events,
    load_event,
    read_plan,
)
from reservation_api.bootstrap import Service
from reservation_api.config import ConfigError
from reservation_api.domain.values import EventId
from reservation_api.entrypoints.cli.session import with_service

FOLLOW_PAUSE_SECONDS = 0.5
READ_BATCH_SIZE = 500
_SECTION = re.compile(r"(?P<name>[^:]+):(?P<rows>[0-9]{1,6})x(?P<seats>[0-9]{1,6}):(?P<price>[0-9]{1,13})")


@click.group()
def events() -> None:
    """Put events on sale; watch what is published."""


@events.command()
@click.argument("event_id")
@click.option("--name", help="What it is called; its id if not given.")
@click.option("--currency", default="KRW", show_default=True, help="ISO 4217.")
@click.option(
    "--section",
    "sections",
    multiple=True,
    required=True,
    metavar="NAME:ROWSxSEATS:PRICE",
    help="A section of equal rows, and what a seat costs in minor units: A:10x20:120000. Best one first.",
)
def create(event_id: str, name: str | None, currency: str, sections: Sequence[str]) -> None:
    """Put an event on sale whose sections are rectangles."""
    plan = VenuePlan(
        EventId(event_id),
        name or event_id,
        currency,
        tuple(_section(event_id, currency, text) for text in sections),
    )
    _load(plan)


@events.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--event-id", help="Outranks the file; for CSV the file's name if not given.")
@click.option("--name", help="Outranks the file.")
@click.option("--currency", help="ISO 4217; outranks the file.")
def import_(file: Path, event_id: str | None, name: str | None, currency: str | None) -> None:
    """Put an event on sale from a .csv or .json FILE of its seats.

    CSV: the columns section, row, number, price and, if wanted, seat_id and blocked; a line for each seat.
    """
    details = EventDetails(None if event_id is None else EventId(event_id), name, currency)
    _load(read_plan(file, details))


@events.command(name="list")
def list_() -> None:
    """List the events on sale."""
    for event in with_service(lambda service: list_events(service.database)):
        click.echo(f"{event.event_id}  {event.seats} seats  {event.currency}  {event.name}")


@events.command()
@click.option("--limit", type=click.IntRange(0, 1_000_000), default=10, show_default=True, help="How many.")
@click.option("--follow", "-f", is_flag=True, help="Go on with those that come, until interrupted.")
def tail(limit: int, *, follow: bool) -> None:
    """Print the newest published events as JSON lines, oldest first."""
    with_service(lambda service: _tail(service, limit, follow=follow))


async def _tail(service: Service, limit: int, *, follow: bool) -> None:
    log = SqliteEventLog(service.database)
    after = max(0, await log.last_seq() - limit)
    while True:
        batch = await log.read(after, READ_BATCH_SIZE)
        for event in batch:
            click.echo(_line(event))
            after = event.seq
        if not batch:
            if not follow:
                return
            await asyncio.sleep(FOLLOW_PAUSE_SECONDS)


def _line(event: LoggedEvent) -> str:
    line = {
        "id": event.id,
        "source": event.source,
        "detail-type": event.detail_type,
        "time": event.occurred_at,
        "detail": msgspec.Raw(event.detail.encode()),
    }
    return msgspec.json.encode(line).decode()


def _section(event_id: str, currency: str, text: str) -> SectionPlan:
    match = _SECTION.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not NAME:ROWSxSEATS:PRICE", param_hint="--section")
    grid = Grid({match["name"]: int(match["price"])}, int(match["rows"]), int(match["seats"]))
    return grid_plan(EventId(event_id), event_id, currency, grid).sections[0]


def _load(plan: VenuePlan) -> None:
    is_new = with_service(lambda service: _load_into(service, plan), may_create=True)
    what = "is on sale" if is_new else "was on sale already, with these very seats"
    click.echo(f"{plan.event_id} {what}: {plan.seat_count} seats")


async def _load_into(service: Service, plan: VenuePlan) -> bool:
    if service.config.inventory is not None:
        raise ConfigError(
            ["INVENTORY_GRPC_ADDRESS is set: events go on sale where that inventory has its data, without it"]
        )
    return await load_event(service.database, plan)
