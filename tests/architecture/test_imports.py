"""Who may import whom (ARCHITECTURE.md draws it), and who alone may touch environment, clock and server."""

import ast
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

PACKAGE: Final = "reservation_api"
ROOT: Final = Path(__file__).parents[2]
SRC: Final = ROOT / "src"
ARCHITECTURE: Final = (ROOT / "ARCHITECTURE.md").read_text()

MAY_IMPORT: Final[Mapping[str, frozenset[str]]] = {
    "__init__": frozenset(),
    "__main__": frozenset({"entrypoints"}),
    "domain": frozenset({"domain"}),
    "ports": frozenset({"domain", "ports"}),
    "application": frozenset({"domain", "ports", "application"}),
    "adapters": frozenset({"domain", "ports"}),  # and its own folder, and WIRES
    "telemetry": frozenset({"domain", "telemetry"}),
    "config": frozenset({"domain", "application", "config"}),
    "entrypoints": frozenset(
        {"domain", "ports", "application", "config", "telemetry", "bootstrap", "entrypoints"}
    ),
    "bootstrap": frozenset(
        {"domain", "ports", "application", "adapters", "config", "telemetry", "bootstrap"}
    ),
}
FOREIGN: Final[Mapping[str, frozenset[str]]] = {
    "domain": frozenset(),
    "ports": frozenset(),
    "application": frozenset({"msgspec"}),
}
"""Layers that take hardly anything from outside the standard library; the others may."""
WIRES: Final = frozenset({"aws_wire", "grpc_wire"})
"""How every AWS service is called: the one folder that other adapters may build upon."""
PURE: Final = frozenset({"collections", "dataclasses", "datetime", "enum", "functools", "typing"})
"""All that the domain takes from the standard library: nothing in it reads, waits or draws lots."""
ADAPTERS_SEEN_FROM_ENTRYPOINTS: Final[Mapping[tuple[str, str], str]] = {
    ("entrypoints.cli.events", "adapters.sqlite.event_log"): "prints the log that only this runtime has",
    ("entrypoints.cli.events", "adapters.sqlite.venues"): "loads venues into the built-in inventory",
    ("entrypoints.cli.demo", "adapters.sqlite.venues"): "`dev` loads its demo event",
    ("entrypoints.cli.faults", "adapters.sqlite.venues"): "a bad venue file is told as a sentence",
    ("entrypoints.cli.token", "adapters.jwt.claims"): "refuses a subject that the verifier would refuse",
    (
        "entrypoints.cli.token",
        "adapters.system_clock",
    ): "stamps a token without a service to ask for the time",
}
"""Commands for the embedded runtime's own tools, each with its reason. This list may only shrink."""
ENVIRONMENT: Final = frozenset({"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"})
CLOCK_READERS: Final = {
    "adapters.system_clock": "it is the clock",
    "telemetry.logs": "a line says when it was written, as the records of logging do",
}
WALL_CLOCK: Final = frozenset({"now", "utcnow", "today", "time", "time_ns"})
IO_CALLS: Final = frozenset({"open", "print", "input", "exec", "eval", "__import__"})
IMPORTS_AT_RUN_TIME: Final = frozenset({"import_module", "__import__"})

Check = Callable[[str, ast.Module], list[str]]


@cache
def modules() -> Mapping[str, ast.Module]:
    """Return each module by its name below the package, packages by their own name."""
    found = {}
    for path in sorted((SRC / PACKAGE).rglob("*.py")):
        parts = path.relative_to(SRC / PACKAGE).with_suffix("").parts
        named = parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts
        found[".".join(named)] = ast.parse(path.read_text())
    return found


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield what is imported, by its full name: `from a.b import c` is a.b.c."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(tree: ast.Module) -> Iterator[str]:
    """Yield what is imported of this package, without the package's name."""
    yield from (name.removeprefix(f"{PACKAGE}.") for name in imported(tree) if name.startswith(f"{PACKAGE}."))


def layer(name: str) -> str:
    return name.partition(".")[0]


def adapter(name: str) -> str:
    """The folder of an adapter, or the module if it is one file."""
    return name.split(".")[1]


def wrong_directions(module: str, tree: ast.Module) -> list[str]:
    """Imports against the direction; those of adapters by entrypoints are another check's."""
    own = layer(module)
    faults = []
    for name in ours(tree):
        same_adapter = own == layer(name) == "adapters" and adapter(name) in {adapter(module), *WIRES}
        other_check = own == "entrypoints" and layer(name) == "adapters"
        if layer(name) not in MAY_IMPORT.get(own, frozenset()) and not same_adapter and not other_check:
            faults.append(f"{module} imports {name}")
    return faults


def adapters_seen(module: str, tree: ast.Module) -> list[str]:
    """Imports of adapters from elsewhere than adapters and bootstrap, a module at a time."""
    if layer(module) in {"adapters", "bootstrap"}:
        return []
    seen = {_module_of(name) for name in ours(tree) if layer(name) == "adapters"}
    return [f"{module} imports {name}" for name in sorted(seen)]


def _module_of(name: str) -> str:
    parts = name.split(".")
    while not (SRC / PACKAGE / Path(*parts)).with_suffix(".py").exists() and len(parts) > 1:
        parts.pop()
    return ".".join(parts)


def foreign_imports(module: str, tree: ast.Module) -> list[str]:
    if layer(module) not in FOREIGN:
        return []
    known = FOREIGN[layer(module)] | {PACKAGE}
    known |= PURE if layer(module) == "domain" else sys.stdlib_module_names
    return [f"{module} imports {name}" for name in imported(tree) if layer(name) not in known]


def impurities(module: str, tree: ast.Module) -> list[str]:
    """Whatever in the domain waits, reads, writes, or looks at a clock."""
    if layer(module) != "domain":
        return []
    waits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        *(f"{module}:{node.lineno} is async" for node in ast.walk(tree) if isinstance(node, waits)),
        *(f"{module}:{c.lineno} calls {called(c)}" for c in calls if called(c) in IO_CALLS | WALL_CLOCK),
    ]


def called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def environment_readers(module: str, tree: ast.Module) -> list[str]:
    if layer(module) == "config":
        return []
    reads = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT and ast.unparse(node.value) == "os"
    ]
    names = [name for name in imported(tree) if layer(name) == "os" and name.split(".")[-1] in ENVIRONMENT]
    return [f"{module} reads {ast.unparse(node)}" for node in reads] + [f"{module} reads {n}" for n in names]


def clock_readers(module: str, tree: ast.Module) -> list[str]:
    """Readers of the wall clock; monotonic clocks measure durations and are free."""
    if module in CLOCK_READERS:
        return []
    clocks = ("datetime", "date", "time", "dt")
    return [
        f"{module}:{node.lineno} reads the clock"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in WALL_CLOCK
        and ast.unparse(node.func.value).split(".")[-1] in clocks
    ]


def server_users(module: str, tree: ast.Module) -> list[str]:
    if module.startswith(("entrypoints.http.connection", "adapters.aws_wire.")):
        return []
    return [f"{module} imports {name}" for name in imported(tree) if layer(name) == "httptools"]


def hidden_imports(module: str, tree: ast.Module) -> list[str]:
    """Imports that the other checks could not see."""
    lines = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    lines += [call.lineno for call in calls if called(call) in IMPORTS_AT_RUN_TIME]
    return [f"{module}:{line} hides an import" for line in lines]


CHECKS: Final[Mapping[str, Check]] = {
    "imports follow the direction of the layers": wrong_directions,
    "the core takes little from outside": foreign_imports,
    "the domain is pure": impurities,
    "only config reads the environment": environment_readers,
    "only the clock adapter reads the clock": clock_readers,
    "only the files of a wire know its parser": server_users,
    "no import is hidden": hidden_imports,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_module_keeps_to_it(check: Check) -> None:
    assert [fault for module, tree in modules().items() for fault in check(module, tree)] == []


def test_only_bootstrap_picks_adapters_but_for_the_recorded_few() -> None:
    seen = {fault for module, tree in modules().items() for fault in adapters_seen(module, tree)}
    recorded = {f"{module} imports {name}" for module, name in ADAPTERS_SEEN_FROM_ENTRYPOINTS}
    assert seen - recorded == set()
    assert recorded - seen == set(), "no longer needed: take it off the list"


def test_the_checks_see_every_layer() -> None:
    assert set(map(layer, modules())) == set(MAY_IMPORT)
    assert len(modules()) > 90


PLANTED: Final = [
    (wrong_directions, "domain.values", "from reservation_api.ports.clock import Clock"),
    (wrong_directions, "domain.values", "def f():\n    import reservation_api.application.hold"),
    (wrong_directions, "ports.store", "from reservation_api.application.command import Command"),
    (wrong_directions, "ports.store", "from reservation_api import bootstrap"),
    (wrong_directions, "application.hold", "from reservation_api.adapters.sqlite.store import X"),
    (wrong_directions, "application.hold", "from reservation_api.entrypoints.cli import main"),
    (wrong_directions, "application.hold", "from reservation_api.config import Config"),
    (wrong_directions, "adapters.sqlite.store", "from reservation_api.adapters.jwt.jwks import X"),
    (wrong_directions, "adapters.sqlite.store", "from reservation_api.adapters import system_clock"),
    (wrong_directions, "adapters.aws_wire.client", "from reservation_api.adapters.dynamodb.store import X"),
    (wrong_directions, "adapters.sqlite.store", "from reservation_api.application.relay import Relay"),
    (wrong_directions, "adapters.sqlite.store", "from reservation_api.telemetry.metrics import M"),
    (wrong_directions, "adapters.sqlite.store", "from reservation_api.entrypoints.http.wire import W"),
    (wrong_directions, "telemetry.logs", "from reservation_api.config import Config"),
    (wrong_directions, "config.tree", "from reservation_api.adapters.sqlite.database import Synchronous"),
    (wrong_directions, "bootstrap", "from reservation_api.entrypoints.http.app import Api"),
    (wrong_directions, "__main__", "from reservation_api.bootstrap import build"),
    (wrong_directions, "shared.words", "from reservation_api.domain.values import Money"),
    (adapters_seen, "entrypoints.http.app", "from reservation_api.adapters.sqlite.store import X"),
    (adapters_seen, "entrypoints.http.app", "from reservation_api.adapters import system_clock"),
    (adapters_seen, "application.hold", "import reservation_api.adapters.sqlite"),
    (foreign_imports, "domain.values", "import msgspec"),
    (foreign_imports, "domain.values", "import asyncio"),
    (foreign_imports, "domain.values", "from os import path"),
    (foreign_imports, "domain.values", "import time"),
    (foreign_imports, "ports.store", "import msgspec"),
    (foreign_imports, "application.hold", "import httpx"),
    (impurities, "domain.values", "async def f(): ..."),
    (impurities, "domain.values", "now = datetime.now(UTC)"),
    (impurities, "domain.values", "from datetime import datetime as d\nd.utcnow()"),
    (impurities, "domain.values", "def f():\n    return open('x').read()"),
    (impurities, "domain.values", "def f():\n    print('x')"),
    (environment_readers, "bootstrap", "import os\nos.environ['X']"),
    (environment_readers, "telemetry.logs", "import os\nos.getenv('X')"),
    (environment_readers, "entrypoints.cli.run", "from os import environ"),
    (clock_readers, "application.hold", "now = datetime.now(UTC)"),
    (clock_readers, "entrypoints.http.app", "import datetime as dt\ndt.datetime.now()"),
    (clock_readers, "adapters.sqlite.outbox", "import time\ntime.time()"),
    (server_users, "entrypoints.processes.serving", "from httptools import HttpRequestParser"),
    (server_users, "bootstrap", "import httptools"),
    (hidden_imports, "application.hold", "import importlib\nimportlib.import_module('sqlite3')"),
    (hidden_imports, "application.hold", "__import__('sqlite3')"),
    (hidden_imports, "domain.order", "from .values import Money"),
]


@pytest.mark.parametrize(("check", "module", "source"), PLANTED)
def test_a_planted_violation_is_found(check: Check, module: str, source: str) -> None:
    assert len(check(module, ast.parse(source))) == 1


FINE: Final = [
    (wrong_directions, "adapters.sqlite.store", "from reservation_api.adapters.sqlite.rows import Row"),
    (wrong_directions, "adapters.sqlite.store", "from reservation_api.adapters.sqlite import rows"),
    (wrong_directions, "adapters.dynamodb.store", "from reservation_api.adapters.aws_wire.errors import X"),
    (adapters_seen, "bootstrap", "from reservation_api.adapters.sqlite.store import X"),
    (foreign_imports, "application.hold", "import asyncio, msgspec"),
    (foreign_imports, "adapters.jwt.jwks", "import joserfc"),
    (impurities, "application.hold", "async def f(): ..."),
    (environment_readers, "config.loading", "import os\nos.environ"),
    (environment_readers, "config.loading", "def f(environ):\n    return environ.get('X')"),
    (clock_readers, "adapters.system_clock", "datetime.now(UTC)"),
    (clock_readers, "application.hold", "self._clock.now()"),
    (clock_readers, "entrypoints.processes.shutdown", "import time\ntime.monotonic()"),
    (server_users, "entrypoints.http.connection", "import httptools"),
]


@pytest.mark.parametrize(("check", "module", "source"), FINE)
def test_what_is_allowed_is_no_violation(check: Check, module: str, source: str) -> None:
    assert check(module, ast.parse(source)) == []


def test_architecture_md_tells_these_rules() -> None:
    rows = re.findall(
        r"^\| `(?:src/reservation_api/|…/)(\w+)` \|.*\| ([^|]+) \|$", ARCHITECTURE, re.MULTILINE
    )
    told = {
        layer: set(re.findall(r"\w+", text.partition(";")[0])) & MAY_IMPORT.keys() for layer, text in rows
    }
    assert told == {layer: rule - {layer} for layer, rule in MAY_IMPORT.items() if not layer.startswith("__")}
