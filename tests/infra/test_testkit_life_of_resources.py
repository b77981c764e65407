"""The real Terraform makes, keeps, changes and destroys each kind of resource that the testkit knows."""

import re
from pathlib import Path
from typing import Final

import pytest
from tests.support.terraform_runs import CONFIGURATIONS, copy_of, run_of

from testkit.fetch import Fetched
from testkit.kinds import DATA_SOURCES, KINDS
from testkit.terraform import HOW_TO_GET_IT, installed

NAMES: Final = sorted(path.name for path in CONFIGURATIONS.iterdir())
REPLACED: Final = {
    "aws_secretsmanager_secret_version.keys": "a value is a version, and a version does not change",
}
KEPT: Final = frozenset({"no-op", "read"})

needs_terraform = pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT)


@needs_terraform
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_applied_is_there_until_it_is_changed_and_then_destroyed(
    name: str, tmp_path: Path, schema_and_protocol: Fetched
) -> None:
    with run_of(copy_of(name, tmp_path), tmp_path, schema_and_protocol) as run:
        made = run.apply()
        assert {action for actions in made.values() for action in actions} <= {"create", "read"}
        assert run.differences() == ""

        changed = run.apply(changed="true")
        assert {address for address, actions in changed.items() if "delete" in actions} <= REPLACED.keys()
        assert any("update" in actions for actions in changed.values())
        assert run.differences(changed="true") == ""

        run.place.run("destroy", "-input=false", "-auto-approve")
        assert run.state() == []


def test_every_kind_has_a_configuration() -> None:
    texts = "".join(path.read_text() for path in CONFIGURATIONS.rglob("*.tf"))
    assert set(re.findall(r'^resource "(\w+)"', texts, re.MULTILINE)) == set(KINDS)
    assert set(re.findall(r'^data "(\w+)"', texts, re.MULTILINE)) == set(DATA_SOURCES)
