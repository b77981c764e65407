"""`reservation-api plan-capacity`: what it prints, and what it refuses."""

from pathlib import Path
from typing import Final

import msgspec
import pytest
from click.testing import CliRunner, Result

from reservation_api.entrypoints.cli import main

ROOT: Final = Path(__file__).parents[2]
TARIFF: Final = ROOT / "src/reservation_api/application/capacity/tariff.toml"
UNITS: Final = ROOT / "infra/terraform/modules/dynamodb/units.json"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plan-capacity", *arguments])


def test_it_prints_each_number_with_its_formula_and_source_and_then_what_to_do() -> None:
    result = run("--cpu", "hold=200us,get=100us,confirm=300us")
    assert result.exit_code == 0
    assert "  APP_STATUS_SHARDS: 45 shards\n      = the greater\n      [docs/decisions/0007]" in result.output
    assert "BEFORE THE PEAK" in result.output
    assert "shards, APP_STATUS_SHARDS: set APP_STATUS_SHARDS=45" in result.output


def test_nothing_is_to_be_done_for_little() -> None:
    result = run("--rps", "10", "--mix", "get=100,hold=0")
    assert result.exit_code == 2, "nothing is held, so there is no cost of a reservation"
    assert run("--rps", "10").output.endswith("BEFORE THE PEAK\n  nothing\n")


def test_json_has_the_same_lines() -> None:
    lines = msgspec.json.decode(run("--json", "--rps", "1000").output)
    assert {line["section"] for line in lines} >= {"processes", "DynamoDB", "shards", "EventBridge"}
    shards = next(line for line in lines if line["what"] == "APP_STATUS_SHARDS")
    assert (shards["amount"], shards["unit"], shards["must"]) == (2, "shards", "set APP_STATUS_SHARDS=2")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--rps", "0"], "more than 0 requests"),
        (["--rps", "many"], "not a valid float"),
        (["--mix", "buy=1"], "no share"),
        (["--mix", "hold=0"], "without holds"),
        (["--mix", "get=100"], "without holds"),
        (["--cpu", "hold=fast"], "is not like hold=200us"),
        (["--utilisation", "0"], "share of a core"),
        (["--seats", "11"], "1<=x<=10"),
        (["--region", "eu-central-1"], "the tariff is of ap-northeast-2"),
        (["--tariff", "none.toml"], "does not exist"),
        (["--tariff", str(ROOT / "pyproject.toml")], "unknown field `project`"),
    ],
)
def test_what_can_not_be_planned_is_refused(arguments: list[str], why: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert why in result.output


def test_another_region_has_a_tariff_of_its_own(tmp_path: Path) -> None:
    own = tmp_path / "tariff.toml"
    text = TARIFF.read_text().replace("ap-northeast-2", "eu-central-1")
    own.write_text(text.replace("dollars = 0.678", "dollars = 1.356"))
    result = run("--region", "eu-central-1", "--tariff", str(own), "--markdown")
    assert result.exit_code == 0
    assert "$1.356 a million units" in result.output


def test_terraform_reckons_with_what_the_code_is_charged() -> None:
    result = run("--units")
    assert UNITS.read_text() == result.output, "make documents"
