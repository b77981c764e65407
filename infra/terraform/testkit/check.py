"""The steps that a configuration has to pass, in their order."""

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from testkit import backends
from testkit.aws import ENDPOINTS
from testkit.fetch import HERE, ROOT, fetched
from testkit.kinds import DATA_SOURCES, KINDS
from testkit.servers import stand_ins
from testkit.terraform import CHANGES, TerraformError, Workspace, workspace

EXPECT_SECONDS: Final = 120
"""A script asks the stand-ins a few questions."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to check and with which values."""

    source: Path
    arguments: Sequence[str] = ()
    """`-var` and `-var-file` for plan, apply and destroy; files by absolute path."""
    expectations: Sequence[Path] = ()
    """Scripts that look at the stand-ins after the apply, with `testkit.aws.Aws.of_the_environment()`."""
    servers: Mapping[str, str] = field(default_factory=dict)
    """Servers for services other than those of the table, to measure with."""


Step = tuple[str, Callable[[], object]]
Report = Callable[[str], None]
Endpoints = Mapping[str, str]


def check(settings: Settings, report: Report = print) -> None:
    """Take a configuration through every step; raise TerraformError at the first that fails."""
    with tempfile.TemporaryDirectory(prefix="testkit-") as logs, stand_ins(Path(logs)) as servers:
        check_on(servers, settings, report)


def check_on(servers: Mapping[str, str], settings: Settings, report: Report = print) -> None:
    """Do the same on stand-ins that run already."""
    with applied(servers, settings, report):
        pass


@contextmanager
def applied(servers: Mapping[str, str], settings: Settings, report: Report = print) -> Iterator[Endpoints]:
    """Do the same, and leave what was made there until the end of the block; yield where each service is."""
    found = fetched(KINDS, DATA_SOURCES)
    endpoints = backends.endpoints(servers, settings.servers)
    with (
        tempfile.TemporaryDirectory(prefix="testkit-") as temporary,
        workspace(settings.source, Path(temporary), found, endpoints) as place,
    ):
        _walk([*_first(place), *_made(place, settings)], settings.source, report)
        yield endpoints
        _walk(_destroyed(place, settings), settings.source, report)


def check_mocked(source: Path, report: Report = print) -> None:
    """Take a configuration through the steps that need no AWS: its own tests have mocks of it."""
    found = fetched(KINDS, DATA_SOURCES)
    with (
        tempfile.TemporaryDirectory(prefix="testkit-") as temporary,
        workspace(source, Path(temporary), found, {}) as place,
    ):
        _walk(_first(place), source, report)


def _walk(steps: Iterable[Step], source: Path, report: Report) -> None:
    for name, step in steps:
        start = time.monotonic()
        step()
        report(f"{source.name}: {name} ({time.monotonic() - start:.1f} s)")


def _first(place: Workspace) -> Iterator[Step]:
    yield "fmt", lambda: place.run("fmt", "-check", "-recursive", "-diff")
    yield "init", lambda: place.run("init", "-input=false")
    yield "validate", lambda: place.run("validate")
    if any(place.folder.glob("tests/*.tftest.hcl")):
        yield "test", lambda: place.run("test")


def _made(place: Workspace, settings: Settings) -> Iterator[Step]:
    arguments = settings.arguments
    yield "plan", lambda: place.run("plan", "-input=false", "-out=plan", *arguments)
    yield "apply", lambda: place.run("apply", "-input=false", "plan")
    yield "second plan is empty", lambda: _plan_nothing(place, arguments)
    for script in settings.expectations:
        yield f"expectations of {script.name}", functools.partial(expect, place, script)


def _destroyed(place: Workspace, settings: Settings) -> Iterator[Step]:
    # Nothing has changed since the second plan read it all.
    command = ["destroy", "-input=false", "-auto-approve", "-refresh=false", *settings.arguments]
    yield "destroy", lambda: place.run(*command)


def _plan_nothing(place: Workspace, arguments: Sequence[str]) -> None:
    outcome = place.run("plan", "-input=false", "-detailed-exitcode", *arguments, allowed=(0, CHANGES))
    if outcome.code:
        raise TerraformError(f"the second plan is not empty:\n{outcome.output}")


def expect(place: Workspace, script: Path) -> None:
    """Run a script of expectations; it finds Terraform's outputs as JSON in TESTKIT_OUTPUTS.

    Raises TerraformError with what it wrote, if it fails.
    """
    outputs = {name: value["value"] for name, value in place.json("output", "-json").items()}
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(ROOT)]),
        ENDPOINTS: place.environment[ENDPOINTS],
        "TESTKIT_OUTPUTS": json.dumps(outputs),
    }
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=EXPECT_SECONDS, check=False
    )
    if done.returncode:
        raise TerraformError(f"{script.name}:\n{done.stdout}{done.stderr}")
