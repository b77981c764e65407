"""`doctor`: the deployed account beside the infrastructure document."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, assert_never

import click
import msgspec

from reservation_api.application.examination.document import Environment
from reservation_api.application.examination.examine import EXISTS, Finding, FindingStatus, examine
from reservation_api.bootstrap.deployment import open_deployment, permissions_to_read
from reservation_api.entrypoints.cli.faults import FAILED

_ENV: Final = re.compile(r"[a-z][a-z0-9-]{0,20}")
_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_FEW: Final = 6
"""Entries that one can compare at a glance."""
_SHORT: Final = 60
"""Characters of what is as expected that still fit into a line."""


@click.command()
@click.option("--env", default="traffic-tacos", show_default=True, help="Prefix of every name.")
@click.option("--region", default="ap-northeast-2", show_default=True)
@click.option(
    "--production/--no-production",
    "is_production",
    default=True,
    show_default=True,
    help="Whether real reservations are there: then tables must be protected from deletion.",
)
@click.option("--json", "as_json", is_flag=True, help="All findings, as one JSON list.")
@click.option("--endpoint-url", metavar="URL", help="A stand-in for AWS, for all services.")
@click.option("--permissions", is_flag=True, help="Print the IAM policy that it needs, and read nothing.")
def doctor(env: str, region: str, **options: Any) -> None:
    """Compare what is deployed with the infrastructure document, line by line.

    Tables, event bus, archive, rules and targets, dead-letter queue, roles, alarms, log groups; and the
    document's validation commands. It reads only, with whatever credentials are found: --permissions
    prints what they must allow, and what they do not is told as unreadable. The exit code is 1 unless
    everything is ok.
    """
    _check_names(env, region)
    if options["permissions"]:
        _print_json(permissions_to_read(env, region))
        return
    deployment = open_deployment(region, options["endpoint_url"])
    where = Environment(env, region, deployment.account(), options["is_production"])
    findings = list(examine(deployment, where))
    if options["as_json"]:
        _print_json([_object(one) for one in findings])
    else:
        click.echo("\n".join(map(_line, findings)))
    _end(findings)


def _print_json(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def _check_names(env: str, region: str) -> None:
    """Raise UsageError for what can be part of no name."""
    if not _ENV.fullmatch(env):
        raise click.UsageError("--env: up to 21 lower-case letters, digits and hyphens")
    if not _REGION.fullmatch(region):
        raise click.UsageError("--region: the name of a region, such as ap-northeast-2")


def _object(one: Finding) -> dict[str, object]:
    return {
        "check": one.check,
        "subject": one.subject,
        "status": one.status.value,
        "expected": one.expected,
        "found": one.found,
        "section": one.section,
    }


def _line(one: Finding) -> str:
    head = f"{one.status.value:<10}  {one.subject}"
    check = "" if one.check == EXISTS else f": {one.check}"
    match one.status:
        case FindingStatus.OK:
            return f"{head}{check}{_in_short(one)}  ({one.section})"
        case FindingStatus.MISSING:
            return f"{head}{check}: expected {_told(one.expected)}  ({one.section})"
        case FindingStatus.DIFFERENT:
            return f"{head}{check}: {_difference(one)}  ({one.section})"
        case FindingStatus.UNREADABLE:
            return f"{head}{check}: {one.found}  ({one.section})"
        case _:
            assert_never(one.status)


def _in_short(one: Finding) -> str:
    told = "" if one.check == EXISTS else _told(one.found)
    return f" {told}" if 0 < len(told) <= _SHORT else ""


def _difference(one: Finding) -> str:
    """Tell two long lists by what is in only one of them."""
    if (
        isinstance(one.expected, list)
        and isinstance(one.found, list)
        and len(one.expected) + len(one.found) > _FEW
    ):
        lacks = [entry for entry in one.expected if entry not in one.found]
        beyond = [entry for entry in one.found if entry not in one.expected]
        parts = [f"lacks {_told(lacks)}"] * bool(lacks) + [f"has beyond it {_told(beyond)}"] * bool(beyond)
        return ", and ".join(parts)
    return f"expected {_told(one.expected)}, found {_told(one.found)}"


def _told(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _end(findings: Sequence[Finding]) -> None:
    """Raise Exit unless everything is as expected."""
    counts = Counter(one.status for one in findings)
    click.echo(", ".join(f"{counts[status]} {status.value}" for status in FindingStatus), err=True)
    if counts[FindingStatus.OK] != len(findings):
        raise click.exceptions.Exit(FAILED)
