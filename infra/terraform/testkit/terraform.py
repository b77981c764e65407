"""Runs the real Terraform on a copy of a configuration, with the testkit as its only provider."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from testkit.aws import ENDPOINTS
from testkit.fetch import HERE, Fetched
from testkit.plugin import REATTACH, serving

RUN_SECONDS: Final = 300
CHANGES: Final = 2
"""What `plan -detailed-exitcode` exits with when there is something to do."""
HOW_TO_GET_IT: Final = (
    "Terraform is not installed, so nothing of infra/terraform was checked.\n"
    "Get 1.11 or newer from https://developer.hashicorp.com/terraform/install and put it on the PATH."
)


class TerraformError(Exception):
    """Terraform exited with an error; the message is what it wrote."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command wrote and how it ended."""

    code: int
    output: str


def installed() -> str | None:
    """Return where Terraform is, or None."""
    return shutil.which("terraform")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A copy of a configuration with our provider in the AWS provider's place."""

    folder: Path
    """The copy of the module or environment that Terraform runs in."""
    environment: Mapping[str, str] = field(repr=False)

    def run(self, *arguments: str, allowed: Sequence[int] = (0,)) -> Outcome:
        """Run Terraform; raise TerraformError with what it wrote unless it exits with an allowed code."""
        command = ["terraform", *arguments]
        # `init` asks no provider that runs for its version: it looks for one that may be installed.
        hidden = {REATTACH} if arguments[0] == "init" else set()
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={name: value for name, value in self.environment.items() if name not in hidden},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        if done.returncode not in allowed:
            raise TerraformError(f"$ {' '.join(command)}  # exited with {done.returncode}\n{done.stdout}")
        return Outcome(done.returncode, done.stdout)

    def json(self, *arguments: str) -> Any:
        """Run a command that writes JSON."""
        return json.loads(self.run(*arguments).output)


@contextmanager
def workspace(
    source: Path, work: Path, fetched: Fetched, endpoints: Mapping[str, str], tree: Path = HERE.parent
) -> Iterator[Workspace]:
    """Copy a configuration, with the tree of others if it is part of one, and serve the provider to it."""
    source, tree = source.resolve(), tree.resolve()
    root = tree if source.is_relative_to(tree) else source
    copy = work / "tree"
    shutil.copytree(
        root, copy, ignore=shutil.ignore_patterns(".terraform*", "testkit", "*.tfstate*", "__pycache__")
    )
    folder = copy / source.relative_to(root)
    (folder / "testkit_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    mirror = work / "mirror"
    _write_provider(mirror, fetched.provider_version)
    settings = work / "terraform.rc"
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
    )
    variables = {
        "TF_CLI_CONFIG_FILE": str(settings),
        "TF_IN_AUTOMATION": "1",
        "TF_CLI_ARGS": "-no-color",
        "CHECKPOINT_DISABLE": "1",
        "GOGC": "400",  # Terraform ends soon: collecting its garbage was a fifth of its work
        ENDPOINTS: json.dumps(dict(endpoints)),
    }
    with serving(folder, fetched, endpoints) as address:
        yield Workspace(folder, bare_environment() | variables | {REATTACH: address})


def bare_environment() -> dict[str, str]:
    """Return the environment without anything that would reach the user's own AWS or Terraform settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}


def _write_provider(mirror: Path, version: str) -> None:
    """Put something where Terraform looks for the AWS provider; it is never started."""
    folder = mirror / "registry.terraform.io/hashicorp/aws" / version / _platform()
    folder.mkdir(parents=True)
    provider = folder / f"terraform-provider-aws_v{version}_x5"
    provider.write_text("#!/bin/sh\nexit 1\n")
    provider.chmod(0o755)


@functools.cache
def _platform() -> str:
    """Return what Terraform calls this machine."""
    shown = subprocess.check_output(["terraform", "version", "-json"], env=bare_environment())
    return str(json.loads(shown)["platform"])
