"""`config`, `openapi`, `schemas`: documents that the code writes, so that they are true."""

from collections.abc import Mapping
from pathlib import Path

import click

from reservation_api.config import list_effective, load_environment, markdown_table
from reservation_api.entrypoints.cli.event_schemas import schema_files
from reservation_api.entrypoints.http.openapi import openapi_document


@click.command()
@click.option("--markdown", is_flag=True, help="The README's table of all settings instead.")
def config(*, markdown: bool) -> None:
    """Print what holds for each setting, and who says so; then what is wrong with it, if anything."""
    if markdown:
        click.echo(markdown_table(), nl=False)
        return
    rows = [(setting.name, setting.value or "-", setting.origin) for setting in list_effective()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())
    load_environment()


@click.command()
@click.option(
    "--check", type=click.Path(path_type=Path), metavar="FILE", help="Fail if it differs from this."
)
def openapi(check: Path | None) -> None:
    """Print the OpenAPI document."""
    document = openapi_document()
    if check is None:
        click.echo(document, nl=False)
    else:
        _check({check: document}, "make openapi")


@click.command()
@click.option(
    "--check", type=click.Path(path_type=Path), metavar="DIR", help="Fail if they differ from these."
)
@click.option("--write", type=click.Path(path_type=Path), metavar="DIR", help="Write them there.")
def schemas(check: Path | None, write: Path | None) -> None:
    """Print the JSON Schemas of the published events."""
    files = schema_files()
    if check is not None:
        _check({check / name: text for name, text in files.items()}, "reservation-api schemas --write")
    elif write is not None:
        write.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (write / name).write_bytes(text)
    else:
        for text in files.values():
            click.echo(text, nl=False)


def _check(wanted: Mapping[Path, bytes], remedy: str) -> None:
    """Raise ClickException unless each file holds just that."""
    for path, text in wanted.items():
        try:
            is_same = path.read_bytes() == text
        except OSError as error:
            raise click.ClickException(f"{path} can not be read: {error.strerror}") from error
        if not is_same:
            raise click.ClickException(f"{path} is not what the code says: {remedy}")
