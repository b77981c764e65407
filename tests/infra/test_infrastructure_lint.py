"""What linters say of the infrastructure: parliament of policies, checkov of what `make lint-infra` reads."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.terraform_plans import TERRAFORM, planned, planning

from testkit.fetch import Fetched
from testkit.terraform import HOW_TO_GET_IT, installed

ROOT: Final = Path(__file__).parents[2]
LINTERS: Final = ROOT / ".tools" / "lint" / "bin"
SETTINGS: Final = ROOT / "infra" / "lint" / "checkov.yaml"
POLICIES: Final = TERRAFORM / "tests" / "policies"
ATTRIBUTES: Final = ("policy", "policy_document", "assume_role_policy")
LINT_SECONDS: Final = 240
RESOURCE: Final = r'(?ms)^resource "(\w+)" "(\w+)" \{\n(.*?)^\}'
SKIP: Final = r"# checkov:skip=(CKV\d?_\w+):(.{20,})"

ACCEPTED: Final = {
    r"function\[.*: RESOURCE_STAR .*ec2:DeleteNetworkInterface": (
        "Lambda attaches functions by interfaces that have no name yet; the functions' own code is denied it"
    ),
    r"function\[.*: UNKNOWN_CONDITION_FOR_ACTION Unknown condition lambda:SourceFunctionArn ": (
        "a key of the credentials that a function has; parliament knows those of the action's service alone"
    ),
    r"aws_iam_role\.service\.assume.*: UNKNOWN_FEDERATION_SOURCE .*:oidc-provider/oidc\.eks": (
        "a cluster's own issuer; parliament knows those of companies"
    ),
    r"aws_iam_role\.service\.assume.*: UNKNOWN_CONDITION_FOR_ACTION .* oidc\.eks\.[^ ]+:(aud|sub) for": (
        "the keys of that issuer's tokens, named by it"
    ),
}
"""Findings of parliament, and why each is none. Whatever is not found any more has to go."""

needs_linters = pytest.mark.skipif(
    not (LINTERS / "checkov").exists(), reason="there are no linters; `make lint-infra` sets them up"
)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LINT_SECONDS, check=False
    )


def complained(folder: Path, policies: Mapping[str, str]) -> list[str]:
    """Return what parliament has to say of policies, by their names."""
    for number, policy in enumerate(policies.values()):
        document = json.loads(policy)
        # Who takes a role does so on that role; parliament wants it said.
        role = {"Resource": "arn:aws:iam::123456789012:role/this"}
        document["Statement"] = [role | statement for statement in document["Statement"]]
        (folder / f"{number}.json").write_text(json.dumps(document))
    done = run(LINTERS / "parliament", "--directory", folder, "--json")
    assert "Traceback" not in done.stderr, done.stderr
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    names = dict(enumerate(policies))
    return [
        f"{names[int(Path(it['location']['filepath']).stem)]}: {it['issue']} {it['detail']}"
        for it in findings
    ]


@pytest.fixture(scope="module")
def policies(
    schema_and_protocol: Fetched,
    running_servers: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """Every policy in a plan that leaves none of them open, by its address."""
    work = tmp_path_factory.mktemp("policies")
    with planning(POLICIES, work, schema_and_protocol, running_servers) as place:
        resources = planned(place, {})
    return {
        f"{address}.{attribute}": values[attribute]
        for address, values in resources.items()
        for attribute in ATTRIBUTES
        if values.get(attribute)
    }


@needs_linters
@pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT)
@pytest.mark.timeout(300)
def test_parliament_has_nothing_to_say_of_any_policy(policies: dict[str, str], tmp_path: Path) -> None:
    findings = complained(tmp_path, policies)
    unexplained = [it for it in findings if not any(re.search(pattern, it) for pattern in ACCEPTED)]
    assert unexplained == [], "\n".join(unexplained)
    assert [pattern for pattern in ACCEPTED if not any(re.search(pattern, it) for it in findings)] == []


@pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT)
@pytest.mark.timeout(300)
def test_every_policy_of_the_modules_is_looked_at(policies: dict[str, str]) -> None:
    looked_at = {re.sub(r"^module\.\w+\.|\[.*\]", "", name) for name in policies}
    assert looked_at == set(policies_in_the_sources())


def policies_in_the_sources() -> list[str]:
    blocks = [
        block for path in TERRAFORM.glob("modules/*/*.tf") for block in re.findall(RESOURCE, path.read_text())
    ]
    return [
        f"{kind}.{name}.{attribute}"
        for kind, name, body in blocks
        for attribute in ATTRIBUTES
        if re.search(rf"(?m)^  {attribute} +=", body)
    ]


@needs_linters
def test_an_action_that_does_not_exist_is_a_finding(tmp_path: Path) -> None:
    statement = {"Effect": "Allow", "Action": "dynamodb:GetItems", "Resource": "arn:aws:dynamodb:*:*:table/a"}
    policy: dict[str, Any] = {"Version": "2012-10-17", "Statement": [statement]}
    assert complained(tmp_path, {"role": json.dumps(policy)}) == [
        "role: UNKNOWN_ACTION Unknown action dynamodb:GetItems"
    ]


@needs_linters
@pytest.mark.timeout(300)
def test_a_finding_without_a_reason_ends_make_lint_infra(tmp_path: Path) -> None:
    """The settings of `make lint-infra`, over the module of secrets without the reasons that it gives."""
    module = tmp_path / "infra" / "secrets"
    shutil.copytree(TERRAFORM / "modules" / "secrets", module)
    main = module / "main.tf"
    reasons = set(re.findall(SKIP, main.read_text()))
    main.write_text(re.sub(SKIP, "", main.read_text()))
    done = run(LINTERS / "checkov", "--config-file", SETTINGS, "--directory", tmp_path)
    assert done.returncode == 1
    assert set(re.findall(r"^Check: (\w+):", done.stdout, re.MULTILINE)) == {
        identifier for identifier, _ in reasons
    }


def test_whoever_skips_a_check_says_why() -> None:
    skips = [
        (path.name, line.strip())
        for path in [ROOT / "Dockerfile", *TERRAFORM.rglob("*.tf"), *(ROOT / "deploy").rglob("*.yaml")]
        for line in path.read_text().splitlines()
        if "checkov" in line
    ]
    assert skips
    for name, line in skips:
        assert re.search(rf"{SKIP}|checkov.io/skip\d+: CKV\d?_\w+=.{{20,}}", line), f"{name}: {line}"
    assert "skip-check" not in SETTINGS.read_text()
