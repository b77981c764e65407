"""Each module and environment, by its own tests (`*.tftest.hcl`): formatted, valid, and as they say."""

import re
from pathlib import Path
from typing import Final

import pytest

from testkit.fetch import Fetched
from testkit.terraform import HOW_TO_GET_IT, installed, workspace

TERRAFORM: Final = Path(__file__).parents[2] / "infra" / "terraform"
FOLDERS: Final = sorted(
    path for parent in ("modules", "environments") for path in (TERRAFORM / parent).iterdir() if path.is_dir()
)
NOBODY: Final = {"*": "http://127.0.0.1:1"}
"""These tests make nothing: a provider that asks AWS all the same finds nobody there."""

pytestmark = [
    pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT),
    pytest.mark.timeout(600),
]


def names(folder: Path) -> str:
    return str(folder.relative_to(TERRAFORM))


@pytest.mark.parametrize("folder", FOLDERS, ids=names)
def test_it_is_formatted_valid_and_does_what_its_tests_say(
    folder: Path, tmp_path: Path, schema_and_protocol: Fetched
) -> None:
    place = workspace(folder, tmp_path, schema_and_protocol, NOBODY)
    place.run("fmt", "-check", "-recursive", "-diff")
    place.run("init", "-input=false")
    place.run("validate")
    texts = [path.read_text() for path in place.folder.glob("tests/*.tftest.hcl")]
    runs = sum(len(re.findall(r'^run "', text, re.MULTILINE)) for text in texts)
    assert runs, "it says of itself what it does"
    assert place.run("test").output.rstrip().endswith(f"Success! {runs} passed, 0 failed.")


@pytest.mark.parametrize("folder", FOLDERS, ids=names)
def test_it_has_the_files_that_one_looks_for(folder: Path) -> None:
    files = {path.name for path in folder.iterdir()}
    assert {"main.tf", "outputs.tf", "variables.tf", "versions.tf"} <= files
    if folder.parent.name == "modules":
        assert "README.md" in files
    for path in folder.glob("*.tf"):
        assert len(path.read_text().splitlines()) <= 400, path


@pytest.mark.parametrize(
    "folder", [folder for folder in FOLDERS if folder.parent.name == "environments"], ids=names
)
def test_an_environment_only_calls_modules(folder: Path) -> None:
    for path in folder.glob("*.tf"):
        for line in path.read_text().splitlines():
            assert not line.startswith(("resource ", "data ")), f"{path}: {line}"
