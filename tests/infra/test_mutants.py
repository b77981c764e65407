"""Mistakes in the modules, each of which one named check has to notice: what checks are worth."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from tests.infra import test_production_plan
from tests.support.terraform_plans import PROD, PROD_VALUES, TERRAFORM, planned, planning

from testkit.fetch import Fetched
from testkit.terraform import HOW_TO_GET_IT, Workspace, installed, workspace

ALONE: Final = "tests/alone.tftest.hcl"
FAILED: Final = 1

needs_terraform = pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT)


@dataclass(frozen=True, slots=True)
class Mutant:
    """An edit of a module, and the run of its tests that has to fail by it."""

    name: str
    file: str
    old: str
    new: str
    red: str
    refused: str = ""

    @property
    def module(self) -> str:
        return "/".join(self.file.split("/")[:2])

    @property
    def path(self) -> Path:
        """Return the file in the module."""
        return Path(*self.file.split("/")[2:])


_TABLE: Final = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text())
MUTANTS: Final = [Mutant(**mutant) for mutant in _TABLE["mutants"]]
PRODUCTION: Final = [Mutant(file="environments/prod/main.tf", **mutant) for mutant in _TABLE["production"]]


@pytest.fixture(scope="module")
def place(
    request: pytest.FixtureRequest, schema_and_protocol: Fetched, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workspace]:
    """A copy of a module, for all of its mutants."""
    work = tmp_path_factory.mktemp("mutants")
    with workspace(TERRAFORM / request.param, work, schema_and_protocol, {}) as opened:
        opened.run("init", "-input=false")
        yield opened


def complaints(place: Workspace, red: str) -> list[tuple[str, str]]:
    """Let Terraform do one run alone out of a file of tests; return where what is wrong stands, and it."""
    file, _, run = red.partition("::")
    header, *runs = re.split(r'(?m)^(?=run ")', (place.folder / f"tests/{file}.tftest.hcl").read_text())
    [text] = [it for it in runs if it.startswith(f'run "{run}" ')]
    (place.folder / ALONE).write_text(header + text)
    done = place.run("test", "-json", f"-filter={ALONE}", allowed=(0, FAILED))
    said = [json.loads(line) for line in done.output.splitlines()]
    found = [it["diagnostic"] for it in said if it["type"] == "diagnostic"]
    errors = [it for it in found if it["severity"] == "error"]
    assert done.code == (FAILED if errors else 0), done.output
    return [(it["range"]["filename"], f"{it['summary']}: {it['detail']}") for it in errors]


@contextmanager
def mutated(place: Workspace, mutant: Mutant) -> Iterator[None]:
    """Make the mistake until the end of the block."""
    file = place.folder / mutant.path
    text = file.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.file} has no such text, or has it twice: {mutant.old}"
    file.write_text(text.replace(mutant.old, mutant.new))
    try:
        yield
    finally:
        file.write_text(text)


@needs_terraform
@pytest.mark.parametrize(
    ("place", "mutant"),
    [pytest.param(mutant.module, mutant, id=mutant.name) for mutant in MUTANTS],
    indirect=["place"],
    scope="module",
)
def test_it_is_noticed(place: Workspace, mutant: Mutant) -> None:
    with mutated(place, mutant):
        found = complaints(place, mutant.red)
    assert found, "it survives"
    if mutant.refused:
        assert any(mutant.refused in what for _, what in found), found
    else:
        # What is no Terraform at all would be noticed by anything, and shows nothing.
        assert {where for where, _ in found} == {ALONE}, found


@pytest.fixture(scope="module")
def production(
    schema_and_protocol: Fetched,
    running_servers: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Workspace]:
    work = tmp_path_factory.mktemp("production")
    with planning(PROD, work, schema_and_protocol, running_servers) as opened:
        yield opened


@needs_terraform
@pytest.mark.parametrize("mutant", PRODUCTION, ids=lambda mutant: mutant.name)
def test_it_is_noticed_in_the_plan_of_production(production: Workspace, mutant: Mutant) -> None:
    with mutated(production, mutant):
        resources = planned(production, PROD_VALUES)
    with pytest.raises(AssertionError):
        getattr(test_production_plan, mutant.red)(resources)


@needs_terraform
@pytest.mark.parametrize("place", sorted({mutant.module for mutant in MUTANTS}), indirect=True)
def test_without_a_mutant_nothing_is_wrong(place: Workspace) -> None:
    for red in sorted({mutant.red for mutant in MUTANTS if mutant.module.endswith(place.folder.name)}):
        assert complaints(place, red) == [], red


def test_every_module_has_some() -> None:
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)
    modules = {f"modules/{path.name}" for path in (TERRAFORM / "modules").iterdir()}
    assert {mutant.module for mutant in MUTANTS} == modules
