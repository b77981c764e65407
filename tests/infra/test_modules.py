"""How modules and environments are laid out; what they do is said by their own tests."""

import re
from pathlib import Path
from typing import Final

import pytest

TERRAFORM: Final = Path(__file__).parents[2] / "infra" / "terraform"
MODULES: Final = sorted(path for path in (TERRAFORM / "modules").iterdir() if path.is_dir())
ENVIRONMENTS: Final = sorted(path for path in (TERRAFORM / "environments").iterdir() if path.is_dir())
MAX_FILE_LINES: Final = 400
"""As of all other files: see tests/architecture/test_sizes.py."""


def name_of(folder: Path) -> str:
    return folder.name


@pytest.mark.parametrize("folder", [*MODULES, *ENVIRONMENTS], ids=name_of)
def test_it_has_the_files_that_one_looks_for(folder: Path) -> None:
    files = {path.name for path in folder.iterdir()}
    assert {"main.tf", "outputs.tf", "variables.tf", "versions.tf"} <= files
    assert "README.md" in files or folder in ENVIRONMENTS
    for path in folder.rglob("*.*"):
        if path.suffix in {".tf", ".hcl"}:
            assert path.read_text().count("\n") <= MAX_FILE_LINES, path


def names_in(folder: Path, kind: str) -> set[str]:
    """Return a module's variables, or its outputs."""
    return set(re.findall(rf'^{kind} "(\w+)"', (folder / f"{kind}s.tf").read_text(), re.MULTILINE))


@pytest.mark.parametrize("folder", MODULES, ids=name_of)
@pytest.mark.parametrize(("kind", "head"), [("variable", "| input |"), ("output", "| output |")])
def test_a_page_lists_what_its_module_takes_and_gives(folder: Path, kind: str, head: str) -> None:
    table = (folder / "README.md").read_text().partition(head)[2].partition("\n\n")[0]
    cells = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    assert {name for cell in cells for name in re.findall(r"`(\w+)`", cell)} == names_in(folder, kind)


@pytest.mark.parametrize("folder", MODULES, ids=name_of)
def test_a_page_takes_from_others_what_they_give(folder: Path) -> None:
    for module, output in re.findall(r"module\.(\w+)\.(\w+)", (folder / "README.md").read_text()):
        assert output in names_in(TERRAFORM / "modules" / module, "output"), f"{module}.{output}"


@pytest.mark.parametrize("folder", ENVIRONMENTS, ids=name_of)
def test_an_environment_only_calls_modules(folder: Path) -> None:
    for path in folder.glob("*.tf"):
        for line in path.read_text().splitlines():
            assert not line.startswith(("resource ", "data ")), f"{path}: {line}"
    assert {path.name for path in MODULES} == {
        line.split('"')[1]
        for line in (folder / "main.tf").read_text().splitlines()
        if line.startswith("module ")
    }


@pytest.mark.parametrize("folder", ENVIRONMENTS, ids=name_of)
def test_an_environment_shows_where_its_state_and_its_values_go(folder: Path) -> None:
    assert (
        f'key          = "reservation-api/{folder.name}.tfstate"'
        in (folder / "backend.tf.example").read_text()
    )
    given = (folder / "terraform.tfvars.example").read_text()
    for line in (folder / "variables.tf").read_text().split("\nvariable ")[1:]:
        name, has_default = line.split('"')[1], "default" in line
        assert has_default or f"{name} " in given, name
