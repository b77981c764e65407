"""One provider for all commands of a workspace: found by all, one to each configuration, gone in time."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from tests.support.processes import is_alive, wait_until

from testkit.aws import Aws
from testkit.backends import endpoints
from testkit.fetch import HERE, Fetched
from testkit.plugin import REATTACH, ProviderError, serving
from testkit.terraform import HOW_TO_GET_IT, TerraformError, installed, workspace

REQUIRED: Final = """
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}
"""
TWO_REGIONS: Final = """
provider "aws" {
  default_tags {
    tags = { Side = "here" }
  }
}

provider "aws" {
  alias  = "there"
  region = "ap-northeast-1"
  default_tags {
    tags = { Side = "there" }
  }
}

resource "aws_sqs_queue" "here" {
  name = "queue"
}

resource "aws_sqs_queue" "there" {
  provider = aws.there
  name     = "queue"
}
"""
SERVES_AND_IS_KILLED: Final = """
import json, os, sys
from pathlib import Path
from testkit.fetch import Fetched
from testkit.plugin import serving

with serving(Path.cwd(), Fetched(Path(sys.argv[1]), Path(sys.argv[2]), ""), {}) as address:
    print(pid := json.loads(address).popitem()[1]["Pid"], flush=True)
    os.kill(os.getpid(), 9)
"""

needs_terraform = pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT)


def pid_of(address: str) -> int:
    [provider] = json.loads(address).values()
    return int(provider["Pid"])


@needs_terraform
def test_each_configuration_of_the_provider_has_its_own_region_and_tags(
    tmp_path: Path, schema_and_protocol: Fetched, servers: Mapping[str, str]
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "main.tf").write_text(REQUIRED + TWO_REGIONS)
    with workspace(source, tmp_path / "work", schema_and_protocol, endpoints(servers)) as place:
        place.run("init", "-input=false")
        place.run("apply", "-input=false", "-auto-approve")
    for region, side in ("ap-northeast-2", "here"), ("ap-northeast-1", "there"):
        sqs = Aws(endpoints(servers)).at(region).client("sqs")
        [url] = sqs.list_queues()["QueueUrls"]
        assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"Side": side}


@needs_terraform
def test_a_provider_of_another_version_than_the_one_asked_for_is_refused(
    tmp_path: Path, schema_and_protocol: Fetched
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "main.tf").write_text(REQUIRED.replace("~> 6.0", "~> 5.0"))
    with (
        workspace(source, tmp_path / "work", schema_and_protocol, {}) as place,
        pytest.raises(TerraformError, match="no available releases match"),
    ):
        place.run("init", "-input=false")


@needs_terraform
def test_all_commands_ask_the_same_one_and_it_is_gone_with_the_workspace(
    tmp_path: Path, schema_and_protocol: Fetched
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "main.tf").write_text(REQUIRED)
    with workspace(source, tmp_path / "work", schema_and_protocol, {}) as place:
        pid = pid_of(place.environment[REATTACH])
        place.run("init", "-input=false")
        for _ in range(2):
            place.run("validate")
            assert is_alive(pid)
    assert not is_alive(pid)


def test_it_is_gone_when_whoever_started_it_was_killed(tmp_path: Path, schema_and_protocol: Fetched) -> None:
    arguments = [str(schema_and_protocol.schema), str(schema_and_protocol.protocol)]
    started = subprocess.run(
        [sys.executable, "-c", SERVES_AND_IS_KILLED, *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{HERE.parent}:{HERE.parents[2]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == -signal.SIGKILL, started.stderr
    wait_until(lambda: not is_alive(int(started.stdout)))


def test_one_that_does_not_start_says_why(tmp_path: Path, schema_and_protocol: Fetched) -> None:
    without_schema = replace(schema_and_protocol, schema=tmp_path / "absent.json")
    with (
        pytest.raises(ProviderError, match=r"absent\.json"),
        serving(tmp_path, without_schema, {}),
    ):
        pytest.fail("it started")
