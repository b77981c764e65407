"""`plan-capacity`: what a peak asks of AWS, line by line."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import msgspec

from reservation_api.application.capacity.charges import REQUESTS, Charges, Mix, mix_of
from reservation_api.application.capacity.costs import Cost, costs_of_a_million
from reservation_api.application.capacity.lines import TIMES, Line, Question, told
from reservation_api.application.capacity.plan import plan
from reservation_api.application.capacity.tariff import Cpu, Tariff, default_tariff, measured_cpu, tariff_of
from reservation_api.bootstrap.rehearsal import charges_of
from reservation_api.domain.values import MAX_SEATS_PER_RESERVATION

_SEATS = click.IntRange(1, MAX_SEATS_PER_RESERVATION)


@click.command("plan-capacity")
@click.option("--rps", type=float, default=30_000, show_default=True, help="Requests a second at the peak.")
@click.option(
    "--mix",
    metavar="NAME=PERCENT,…",
    help=f"Of {', '.join(REQUESTS)}.  [default: get=70,hold=20,confirm=7,cancel=3]",
)
@click.option("--region", default="ap-northeast-2", show_default=True, help="The region of the tariff.")
@click.option("--seats", type=_SEATS, default=2, show_default=True, help="Of a reservation.")
@click.option("--utilisation", type=float, default=60, show_default=True, help="Per cent of a core in use.")
@click.option("--cpu", metavar="NAME=…us,…", help="CPU of a request, in place of what was measured.")
@click.option(
    "--tariff",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Prices and limits, in place of tariff.toml.",
)
@click.option("--json", "as_json", is_flag=True, help="The lines as one JSON list.")
@click.option("--markdown", is_flag=True, help="The table of costs in infra/terraform/README.md instead.")
@click.option("--units", is_flag=True, help="The units that infra/terraform reckons with instead.")
def plan_capacity(rps: float, *, as_json: bool, markdown: bool, units: bool, **options: Any) -> None:
    """Say what a peak takes: processes, DynamoDB units, shards, quotas to be raised, costs.

    Units are found by making each request on meters, CPU was measured (application/capacity/cpu.toml), prices
    and limits are data (application/capacity/tariff.toml) and to be checked before they are relied upon.
    """
    if units:
        click.echo(units_file(), nl=False)
        return
    question = _question(rps, options)
    try:
        lines = plan(question)
        costs = costs_of_a_million(question)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(lines), indent=2))
    else:
        click.echo(costs_table(costs) if markdown else text_of(lines))


def units_file() -> str:
    """Return units of a thousand requests, by seats and request: whole numbers, for Terraform to add up."""
    by_seats = {str(seats): charges_of(seats) for seats in range(1, MAX_SEATS_PER_RESERVATION + 1)}
    thousands = {seats: _thousands(charges) for seats, charges in by_seats.items()}
    return msgspec.json.format(msgspec.json.encode(thousands), indent=1).decode() + "\n"


def text_of(lines: Sequence[Line]) -> str:
    """Write a plan for people: section by section, how each number came about under it, then what to do."""
    written = []
    for section, of_section in groupby(lines, key=lambda line: line.section):
        written.append(section.upper())
        for line in of_section:
            written += [f"  {line.what}: {told(line.amount)} {line.unit}", f"      = {line.formula}"]
            written.append(f"      [{line.source}]")
        written.append("")
    todo = [f"  {line.section}, {line.what}: {line.must}" for line in lines if line.must is not None]
    return "\n".join([*written, "BEFORE THE PEAK", *(todo or ["  nothing"])])


def costs_table(costs: Sequence[Cost]) -> str:
    """Write what a million reservations cost as Markdown."""
    rows = ["| | count | price | |", "|---|---|---|---|"]
    for cost in costs:
        count, price = f"{cost.rounded_count:g}", cost.price.told
        product = f"{count} {TIMES} {price} = {cost.dollars:.2f}"
        rows.append(f"| {cost.what} | {count} | ${price} a {cost.price.per} | {product} |")
    together = sum(cost.dollars for cost in costs)
    return "\n".join([*rows, f"| **together** | | | **${together:.2f}** |"])


def _question(rps: float, options: dict[str, Any]) -> Question:
    """Return what is asked; raises UsageError."""
    try:
        mix = Mix() if options["mix"] is None else mix_of(options["mix"])
        cpu = _cpu(options["cpu"])
        tariff = _tariff(options["tariff"])
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if tariff.region != options["region"]:
        raise click.UsageError(
            f"the tariff is of {tariff.region}: give one of {options['region']} by --tariff FILE"
        )
    return Question(rps, mix, charges_of(options["seats"]), cpu, tariff, options["utilisation"])


def _cpu(given: str | None) -> Cpu:
    return measured_cpu() if given is None else measured_cpu().overridden(given)


def _tariff(path: Path | None) -> Tariff:
    return default_tariff() if path is None else tariff_of(path.read_text())


def _thousands(charges: Charges) -> dict[str, dict[str, dict[str, int]]]:
    return {
        name: {
            kind: {key: round(1000 * units) for key, units in sorted(getattr(charge, kind).items())}
            for kind in ("write", "read", "by_status")
        }
        for name, charge in charges.items()
    }
