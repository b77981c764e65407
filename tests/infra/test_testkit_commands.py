"""`python -m testkit`: each step is taken, and the first that fails ends it with what Terraform said."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner, Result

from testkit.__main__ import main
from testkit.check import Settings, check_on
from testkit.fetch import HERE, ROOT, Fetched
from testkit.terraform import HOW_TO_GET_IT, TerraformError, installed, workspace

VERSIONS: Final = """terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}
"""
QUEUE: Final = """
variable "seconds" {
  type    = number
  default = 60
}

resource "aws_sqs_queue" "this" {
  name                       = "tested"
  visibility_timeout_seconds = var.seconds
}

output "url" {
  value = aws_sqs_queue.this.url
}
"""
MOCKED: Final = """mock_provider "aws" {}

run "plan" {
  command = plan

  assert {
    condition     = aws_sqs_queue.this.name == "tested"
    error_message = "the queue has another name"
  }
}
"""
EXPECTED: Final = """
import json, os
from testkit.aws import Aws

url = json.loads(os.environ["TESTKIT_OUTPUTS"])["url"]
sqs = Aws.of_the_environment().client("sqs")
attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
assert attributes == {"VisibilityTimeout": "90"}, attributes
"""

needs_terraform = pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with a queue; on AWS its state would be in a bucket."""
    here = tmp_path / "configuration"
    (here / "tests").mkdir(parents=True)
    backend = VERSIONS.replace("terraform {", 'terraform {\n  backend "s3" {}\n', 1)
    (here / "main.tf").write_text(backend + QUEUE)
    (here / "tests" / "name.tftest.hcl").write_text(MOCKED)
    (here / "expectations.py").write_text(EXPECTED)
    return here


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def steps(result: Result) -> Sequence[str]:
    lines = [line for line in result.output.splitlines() if line.startswith("configuration: ")]
    return [line.removeprefix("configuration: ").rpartition(" (")[0] for line in lines]


@needs_terraform
def test_a_good_configuration_passes_every_step(folder: Path) -> None:
    result = run("check", folder, "--var", "seconds=90", "--expect", folder / "expectations.py")
    assert result.exit_code == 0, result.output
    assert steps(result) == [
        "fmt",
        "init",
        "validate",
        "test",
        "plan",
        "apply",
        "second plan is empty",
        "expectations of expectations.py",
        "destroy",
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["expectations.py", "main.tf", "tests"]


@needs_terraform
def test_expectations_that_are_not_met_end_it(folder: Path, servers: Mapping[str, str]) -> None:
    reports: list[str] = []
    settings = Settings(folder, expectations=[folder / "expectations.py"])
    with pytest.raises(TerraformError, match=r"AssertionError: \{'VisibilityTimeout': '60'\}"):
        check_on(servers, settings, reports.append)
    assert "second plan is empty" in reports[-1]


@needs_terraform
def test_what_a_stand_in_loses_is_a_second_plan_that_is_not_empty(folder: Path) -> None:
    lost = QUEUE.replace("visibility_timeout", "redrive_allow_policy = jsonencode({})\n  visibility_timeout")
    (folder / "main.tf").write_text(VERSIONS + lost)
    formatted(folder)
    result = run("check", folder, "--stand-in", "sqs=moto")
    assert result.exit_code == 1
    assert steps(result)[-1] == "apply"
    assert "the second plan is not empty" in result.output
    assert "redrive_allow_policy" in result.output


@needs_terraform
def test_what_is_not_formatted_is_not_looked_at(folder: Path) -> None:
    (folder / "main.tf").write_text(VERSIONS + QUEUE.replace("  name  ", "  name"))
    result = run("test", folder)
    assert result.exit_code == 1
    assert steps(result) == []
    assert "terraform fmt" in result.output


@needs_terraform
def test_its_own_tests_are_run(folder: Path) -> None:
    assert steps(run("test", folder)) == ["fmt", "init", "validate", "test"]
    (folder / "tests" / "name.tftest.hcl").write_text(MOCKED.replace('"tested"', '"other"'))
    result = run("test", folder)
    assert result.exit_code == 1
    assert "the queue has another name" in result.output


@needs_terraform
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('schedule_expression = "rate(1 minute)"', "works on the default bus only"),
        ('arn = "arn"', 'unconfigurable attribute "arn"'),
        ("colour = 1", "Unsupported argument"),
    ],
)
def test_what_aws_would_refuse_does_not_validate(folder: Path, written: str, said: str) -> None:
    rule = f"""
resource "aws_cloudwatch_event_rule" "this" {{
  name = "tested"
  event_bus_name = "reservations"
  event_pattern = jsonencode({{ source = ["a"] }})
  {written}
}}
"""
    (folder / "main.tf").write_text(VERSIONS + QUEUE + rule)
    formatted(folder)
    result = run("test", folder)
    assert result.exit_code == 1
    assert steps(result) == ["fmt", "init"]
    assert said in " ".join(result.output.split())


@needs_terraform
def test_what_is_known_only_when_it_is_applied_is_looked_at_then(
    folder: Path, servers: Mapping[str, str]
) -> None:
    late = """
resource "aws_iam_policy" "this" {
  policy = aws_sqs_queue.this.arn
}
"""
    (folder / "main.tf").write_text(VERSIONS + QUEUE + late)
    reports: list[str] = []
    with pytest.raises(TerraformError, match="policy: not JSON"):
        check_on(servers, Settings(folder), reports.append)
    assert "plan" in reports[-1]


@needs_terraform
def test_a_configuration_of_the_tree_finds_the_others(tmp_path: Path, schema_and_protocol: Fetched) -> None:
    tree = tmp_path / "tree"
    (tree / "modules" / "queue").mkdir(parents=True)
    (tree / "environments" / "dev").mkdir(parents=True)
    (tree / "modules" / "queue" / "main.tf").write_text(VERSIONS + QUEUE)
    (tree / "environments" / "dev" / "main.tf").write_text(
        'module "queue" {\n  source = "../../modules/queue"\n}\n'
    )
    folder = tree / "environments" / "dev"
    with workspace(folder, tmp_path / "work", schema_and_protocol, {}, tree) as place:
        place.run("init", "-input=false")
        assert "configuration is valid" in place.run("validate").output


def test_without_terraform_it_says_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    result = run("check", folder)
    assert result.exit_code == 1
    assert "Get 1.11 or newer from https://" in result.output
    assert steps(result) == []


def test_without_terraform_the_tests_say_so_at_their_end(tmp_path: Path) -> None:
    tests = ["tests/infra/test_testkit_plugin.py", "-k", "another_version"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout
    assert HOW_TO_GET_IT in done.stdout


def test_what_it_needs_can_be_fetched_before() -> None:
    assert Path(run("fetch").output.strip()).exists()


@needs_terraform
def test_nothing_of_the_testkit_itself_is_copied(tmp_path: Path, schema_and_protocol: Fetched) -> None:
    module = min((HERE.parent / "modules").iterdir())
    with workspace(module, tmp_path, schema_and_protocol, {}) as place:
        assert place.folder.parents[1].name == "tree"
        assert not (place.folder.parents[1] / "testkit").exists()
        assert not list(place.folder.rglob(".terraform*"))


def formatted(folder: Path) -> None:
    subprocess.run(["terraform", "fmt", "-recursive"], cwd=folder, check=True, capture_output=True)
