"""The command line: `python -m testkit check DIR`."""

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import click

from testkit.check import Settings, check, check_mocked
from testkit.fetch import FetchError, fetched
from testkit.kinds import DATA_SOURCES, KINDS
from testkit.plugin import ProviderError
from testkit.terraform import HOW_TO_GET_IT, TerraformError, installed


@click.group()
def main() -> None:
    """Plan and apply Terraform configurations against local stand-ins for AWS."""


@main.command("check")
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--var", "variables", multiple=True, help="NAME=VALUE, as for terraform.")
@click.option("--var-file", "files", multiple=True, type=click.Path(exists=True, path_type=Path))
@click.option("--expect", "expectations", multiple=True, type=click.Path(exists=True, path_type=Path))
@click.option("--stand-in", "servers", multiple=True, help="SERVICE=moto|ministack, against the table.")
def check_command(
    folders: tuple[Path, ...],
    variables: tuple[str, ...],
    files: tuple[Path, ...],
    expectations: tuple[Path, ...],
    servers: tuple[str, ...],
) -> None:
    """Take each folder through fmt, init, validate, test, plan, apply, plan, expectations, destroy."""
    arguments = [f"-var={variable}" for variable in variables]
    arguments += [f"-var-file={file.resolve()}" for file in files]
    scripts = [script.resolve() for script in expectations]
    chosen = dict(server.split("=", 1) for server in servers)
    for folder in folders:
        settings = Settings(folder, arguments, scripts, chosen)
        _run(functools.partial(check, settings, click.echo))


@main.command("test")
@click.argument(
    "folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
def test_command(folders: tuple[Path, ...]) -> None:
    """Take each folder through fmt, init, validate and test; its tests have mocks of AWS."""
    for folder in folders:
        _run(functools.partial(check_mocked, folder, click.echo))


def _run(step: Callable[[], None]) -> None:
    if installed() is None:
        raise click.ClickException(HOW_TO_GET_IT)
    try:
        step()
    except (TerraformError, FetchError, ProviderError) as error:
        raise click.ClickException(str(error)) from error


@main.command("fetch")
def fetch_command() -> None:
    """Fetch the provider's schema and the plugin protocol, so that later runs need no network."""
    click.echo(fetched(KINDS, DATA_SOURCES).schema)


if __name__ == "__main__":
    sys.exit(main())
