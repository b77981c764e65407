"""Configurations of the tests, in workspaces of their own."""

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from testkit import backends
from testkit.aws import Aws
from testkit.fetch import Fetched
from testkit.resources import Resources
from testkit.schema import load
from testkit.terraform import CHANGES, Workspace, workspace
from testkit.values import is_zero

CONFIGURATIONS: Final = Path(__file__).parents[1] / "infra" / "configurations"


@dataclass(frozen=True)
class Run:
    """A workspace, and the stand-ins that it is applied to."""

    place: Workspace
    aws: Aws
    resources: Resources

    def apply(self, **variables: str) -> dict[str, list[str]]:
        """Plan and apply; return what was done to each resource by its address."""
        arguments = [f"-var={name}={value}" for name, value in variables.items()]
        self.place.run("plan", "-input=false", "-out=plan", *arguments)
        changes = self.place.json("show", "-json", "plan").get("resource_changes", [])
        self.place.run("apply", "-input=false", "plan")
        return {change["address"]: change["change"]["actions"] for change in changes}

    def differences(self, **variables: str) -> str:
        """Return what another plan would change; nothing, most of the time."""
        arguments = [f"-var={name}={value}" for name, value in variables.items()]
        command = ["plan", "-input=false", "-detailed-exitcode", *arguments]
        outcome = self.place.run(*command, allowed=(0, CHANGES))
        return outcome.output.partition("will perform")[2] if outcome.code else ""

    def forget_and_import(self, address: str) -> None:
        """Take a resource out of the state and back in by its id."""
        [identifier] = [r["values"]["id"] for r in self.state() if r["address"] == address]
        self.place.run("state", "rm", address)
        self.place.run("import", "-input=false", address, identifier)

    def state(self) -> list[dict[str, Any]]:
        """Return every resource in the state: address, type, values."""
        shown = self.place.json("show", "-json")
        root = shown.get("values", {}).get("root_module", {})
        modules = [root, *root.get("child_modules", [])]
        resources = [resource for module in modules for resource in module.get("resources", [])]
        return [resource for resource in resources if resource["mode"] == "managed"]


@contextmanager
def run_of(configuration: Path, work: Path, fetched: Fetched, servers: Mapping[str, str]) -> Iterator[Run]:
    """Initialise a configuration in a copy, beside its neighbours."""
    endpoints = backends.endpoints(servers)
    with workspace(configuration, work, fetched, endpoints, configuration.parent) as place:
        place.run("init", "-input=false")
        aws = Aws(endpoints)
        yield Run(place, aws, Resources(load(fetched.schema), aws))


def everything(work: Path) -> Path:
    """Copy the configurations of the tests, with the code of their functions; return the one that has all."""
    copy = work / "configurations"
    shutil.copytree(CONFIGURATIONS, copy)
    with zipfile.ZipFile(copy / "functions" / "function.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("main.py"), "def handler(event, context):\n    return event\n")
    return copy / "all"


def comparable(value: Any) -> Any:
    """Leave out of a state what the AWS provider takes for absent, and the order of what is in lists."""
    if isinstance(value, dict):
        members = {name: comparable(inner) for name, inner in value.items()}
        return {name: inner for name, inner in members.items() if not is_zero(inner)}
    if isinstance(value, list):
        listed = [comparable(inner) for inner in value]
        return sorted(listed, key=lambda inner: json.dumps(inner, sort_keys=True))
    if isinstance(value, str) and value.startswith("{"):
        with suppress(ValueError):  # the pattern of a log filter begins so, too
            return comparable(json.loads(value))
    return value
