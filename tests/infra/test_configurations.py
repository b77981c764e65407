"""Each configuration that says what to expect of it, through every step; each module at least validated."""

from pathlib import Path
from typing import Final

import pytest

from testkit.check import Settings, check
from testkit.terraform import HOW_TO_GET_IT, installed

TERRAFORM: Final = Path(__file__).parents[2] / "infra" / "terraform"
SCRIPTS: Final = sorted(TERRAFORM.rglob("expectations.py"))

pytestmark = [
    pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT),
    pytest.mark.timeout(300),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.parent.relative_to(TERRAFORM)))
def test_it_is_applied_and_what_was_expected_is_there(script: Path) -> None:
    check(Settings(script.parent, expectations=[script]))
