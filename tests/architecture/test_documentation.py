"""What the documents say of the code is compared with the code."""

import re
from pathlib import Path

import pytest
from click import Context
from click.testing import CliRunner

from reservation_api.entrypoints.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "bench" / "README.md"]


def test_the_readme_has_the_settings_of_the_code() -> None:
    table = CliRunner().invoke(main, ["config", "--markdown"]).output.strip()
    readme = (ROOT / "README.md").read_text()
    assert f"<!-- settings -->\n{table}\n<!-- /settings -->" in readme


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_that_exist(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(document: Path) -> None:
    """A path in backticks that names a file or folder of ours is true."""
    named = re.findall(r"`((?:src|tests|docs|bench(?!/results)|infra|proto)/[\w./-]+)`", document.read_text())
    for path in named:
        assert (ROOT / path).exists(), path


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text()
    pages = {path.name for path in ROOT.glob("docs/decisions/0*.md")}
    assert pages == set(re.findall(r"\((0[\w-]+\.md)\)", index))


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for command in main.list_commands(Context(main)):
        if command not in {"openapi", "schemas"}:  # for make, not for people
            assert f"reservation-api {command}" in readme, command
