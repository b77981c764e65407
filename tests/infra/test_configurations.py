"""Modules and environments by their own tests; and every configuration that says what to expect, applied."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from tests.support.terraform_deployed import DEV, Deployed

from testkit.check import Settings, check_mocked, check_on
from testkit.terraform import HOW_TO_GET_IT, installed

TERRAFORM: Final = Path(__file__).parents[2] / "infra" / "terraform"
TESTED: Final = sorted({path.parents[1] for path in TERRAFORM.rglob("tests/*.tftest.hcl")})
SCRIPTS: Final = sorted(TERRAFORM.rglob("expectations.py"))

needs_terraform = pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT)


def name_of(path: Path) -> str:
    return str(path.relative_to(TERRAFORM))


@needs_terraform
@pytest.mark.timeout(300)
@pytest.mark.parametrize("folder", TESTED, ids=name_of)
def test_it_is_valid_and_passes_its_own_tests(folder: Path) -> None:
    check_mocked(folder)


@needs_terraform
@pytest.mark.timeout(300)
@pytest.mark.parametrize("script", [script for script in SCRIPTS if script != DEV], ids=name_of)
def test_it_is_applied_and_what_was_expected_is_there(script: Path, servers: Mapping[str, str]) -> None:
    check_on(servers, Settings(script.parent, expectations=[script]))


@needs_terraform
@pytest.mark.timeout(300)
def test_the_small_environment_is_applied_once_for_all_tests_and_what_was_expected_is_there(
    dev: Deployed,
) -> None:
    assert [report.partition(": ")[2].rpartition(" (")[0] for report in dev.reports] == [
        "fmt",
        "init",
        "validate",
        "plan",
        "apply",
        "second plan is empty",
        "expectations of expectations.py",
    ]


def test_every_module_has_tests_of_its_own_and_is_applied() -> None:
    modules = set((TERRAFORM / "modules").iterdir())
    assert modules <= set(TESTED)
    assert {script.parents[2] for script in SCRIPTS} >= modules - {TERRAFORM / "modules" / "iam"}
