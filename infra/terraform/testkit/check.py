"""The steps that a configuration has to pass, in their order."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from testkit import backends
from testkit.aws import ENDPOINTS
from testkit.fetch import HERE, fetched
from testkit.kinds import DATA_SOURCES, KINDS
from testkit.servers import stand_ins
from testkit.terraform import CHANGES, TerraformError, Workspace, workspace


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


Step = tuple[str, Callable[[], None]]


def check(settings: Settings, report: Callable[[str], None] = print) -> None:
    """Take a configuration through every step; raise TerraformError at the first that fails."""
    found = fetched(KINDS, DATA_SOURCES)
    with tempfile.TemporaryDirectory(prefix="testkit-") as temporary:
        work = Path(temporary)
        with stand_ins(work) as servers:
            endpoints = backends.endpoints(servers, settings.servers)
            place = workspace(settings.source, work, found, endpoints)
            for name, step in steps(place, settings):
                start = time.monotonic()
                step()
                report(f"{settings.source.name}: {name} ({time.monotonic() - start:.1f} s)")


def steps(place: Workspace, settings: Settings) -> Iterator[Step]:
    """Yield the steps by name."""
    arguments = settings.arguments

    def init() -> None:
        place.run("init", "-input=false")

    def plan() -> None:
        place.run("plan", "-input=false", "-out=plan", *arguments)

    def second_plan() -> None:
        outcome = place.run("plan", "-input=false", "-detailed-exitcode", *arguments, allowed=(0, CHANGES))
        if outcome.code:
            raise TerraformError(f"the second plan is not empty:\n{outcome.output}")

    yield "fmt", lambda: _silently(place, "fmt", "-check", "-recursive", "-diff")
    yield "init", init
    yield "validate", lambda: _silently(place, "validate")
    if any(place.folder.glob("**/*.tftest.hcl")):
        yield "test", lambda: _silently(place, "test")
    yield "plan", plan
    yield "apply", lambda: _silently(place, "apply", "-input=false", "plan")
    yield "second plan is empty", second_plan
    for script in settings.expectations:
        yield f"expectations of {script.name}", lambda script=script: expect(place, script)  # type: ignore[misc]
    yield "destroy", lambda: _silently(place, "destroy", "-input=false", "-auto-approve", *arguments)


def _silently(place: Workspace, *arguments: str) -> None:
    place.run(*arguments)


def expect(place: Workspace, script: Path) -> None:
    """Run a script of expectations; it finds Terraform's outputs as JSON in TESTKIT_OUTPUTS."""
    outputs = {name: value["value"] for name, value in place.json("output", "-json").items()}
    environment = os.environ | {
        "PYTHONPATH": str(HERE.parent),
        ENDPOINTS: place.environment[ENDPOINTS],
        "TESTKIT_OUTPUTS": json.dumps(outputs),
    }
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise TerraformError(f"{script.name}:\n{done.stdout}{done.stderr}")
