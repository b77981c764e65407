"""`token`: a bearer token of the embedded issuer."""

import click

from reservation_api.adapters.jwt.claims import MAX_SUBJECT_CHARACTERS
from reservation_api.adapters.system_clock import SystemClock
from reservation_api.bootstrap import open_issuer
from reservation_api.config import load_environment

MAX_TTL_SECONDS = 365 * 24 * 3600


def _check_subject(context: click.Context, parameter: click.Parameter, value: str) -> str:
    del context, parameter
    if not value or len(value) > MAX_SUBJECT_CHARACTERS or not value.isprintable():
        raise click.BadParameter(f"must be 1 to {MAX_SUBJECT_CHARACTERS} printable characters")
    return value


@click.command()
@click.option("--sub", required=True, callback=_check_subject, help="Whose token it is.")
@click.option("--scope", default="", help='Scopes, space-separated: "reservation:admin reservation:ops".')
@click.option(
    "--ttl",
    type=click.IntRange(1, MAX_TTL_SECONDS),
    default=3600,
    show_default=True,
    help="For how many seconds it is good.",
)
def token(sub: str, scope: str, ttl: int) -> None:
    """Print a token of the embedded issuer, and nothing else."""
    config = load_environment()
    issuer = open_issuer(config)
    click.echo(issuer.issue(sub, scope.split(), ttl, SystemClock().now(), config.identity.audience))
