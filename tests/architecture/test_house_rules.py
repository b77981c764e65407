"""House rules that no linter knows (CONTRIBUTING.md): each as a check, and each shown to fail."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
SRC: Final = ROOT / "src" / "reservation_api"
TEXTS: Final = ("src", "tests", "bench", "docs", "proto", "infra")
TEXT_SUFFIXES: Final = frozenset(
    {".py", ".md", ".json", ".toml", ".csv", ".yaml", ".yml", ".tf", ".proto", ".html", ".sh"}
)

BROAD: Final = frozenset({"Exception", "BaseException"})
REASON: Final = re.compile(r"# noqa: BLE001 \(.{10,}\)")
EDGES: Final = {
    "entrypoints/workers/loops.py: except Exception without a reason": "no error ends a worker",
}
"""A process's edges, where no linter asks for the noqa. This list may only shrink."""
VERBS: Final = frozenset(
    {
        *("abandon", "cancel", "confirm", "deliver", "expire", "extend", "finish", "hold", "recover"),
        *("redrive", "relay"),
    }
)
"""What the application does; a new use case brings its verb along."""
WORDS_THAT_SAY_NOTHING: Final = frozenset(
    {"manager", "managers", "helper", "helpers", "util", "utils", "utility", "utilities", "misc"}
)
PUBLISHERS: Final = frozenset(
    {
        "application/deliver.py",
        "adapters/resilience/event_bus.py",
        "bootstrap/traced_bus.py",
        "application/redrive.py",
    }
)
"""The relay's hand, the guard and the tracing that it publishes through, and what an operator publishes a
second time."""
PLACES_OF_A_MACHINE: Final = re.compile(r"(?<![\w.])/(?:work|home|Users|root)/\w|[A-Z]:\\Users\\")
WAITING_TESTS: Final = {
    "tests/unit/test_bench_load.py: sleeps": "the stall that the load generator must notice is real time",
    "tests/support/processes.py: sleeps": "real processes say by no other means that they are ready",
}
"""Tests of time itself. Everything else has a fake clock. This list may only shrink."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Function = ast.FunctionDef | ast.AsyncFunctionDef
Check = Callable[[str, str], list[str]]


@cache
def parsed(source: str) -> ast.Module:
    return ast.parse(source)


def sources() -> Iterator[tuple[str, str]]:
    """Yield each module of the product by its path below the package."""
    for path in sorted(SRC.rglob("*.py")):
        yield path.relative_to(SRC).as_posix(), path.read_text()


def words(name: str) -> set[str]:
    """`FastRelay2go_on` is fast, relay, 2go, on."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def is_public(definition: Definition) -> bool:
    return not definition.name.startswith("_") or definition.name == "__call__"


def assertions(path: str, source: str) -> list[str]:
    nodes = ast.walk(parsed(source))
    return [f"{path}:{node.lineno} asserts" for node in nodes if isinstance(node, ast.Assert)]


def broad_excepts(path: str, source: str) -> list[str]:
    """`except Exception` wants a reason or must raise again; BaseException must raise; bare never."""
    lines, faults = source.splitlines(), []
    for node in ast.walk(parsed(source)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = {"BaseException"} if node.type is None else {n.id for n in _names(node.type)} & BROAD
        raises = isinstance(node.body[-1], ast.Raise) and node.type is not None
        reasoned = caught == {"Exception"} and REASON.search(lines[node.lineno - 1])
        if caught and not raises and not reasoned:
            faults.append(f"{path}: except {min(caught)} without a reason")
    return faults


def _names(node: ast.AST) -> list[ast.Name]:
    return [name for name in ast.walk(node) if isinstance(name, ast.Name)]


def misnamed_use_cases(path: str, source: str) -> list[str]:
    """A class that is called, or run again and again, lives in a module of its name, which is a verb."""
    if not path.startswith("application/"):
        return []
    module = Path(path).stem
    cases = [node for node in parsed(source).body if isinstance(node, ast.ClassDef) and _is_use_case(node)]
    named = module in {snake(case.name) for case in cases} and module.partition("_")[0] in VERBS
    return [f"{path}: {[case.name for case in cases]} is not its name"] if cases and not named else []


def _is_use_case(node: ast.ClassDef) -> bool:
    methods = {method.name for method in node.body if isinstance(method, Function)}
    return bool(methods & {"__call__", "run_once", "run_forever"})


def undocumented(path: str, source: str) -> list[str]:
    """Public functions and classes of ports and application, and the public methods of such classes."""
    if not path.startswith(("ports/", "application/")):
        return []
    found: list[Definition] = []
    for node in parsed(source).body:
        if isinstance(node, Definition) and is_public(node):
            found.append(node)
            if isinstance(node, ast.ClassDef):
                found += [
                    method for method in node.body if isinstance(method, Function) and is_public(method)
                ]
    return [f"{path}: {node.name} has no docstring" for node in found if not ast.get_docstring(node)]


def names_that_say_nothing(path: str, source: str) -> list[str]:
    names = [node.name for node in ast.walk(parsed(source)) if isinstance(node, Definition)]
    return [f"{path}: {name}" for name in (*Path(path).parts, *names) if words(name) & WORDS_THAT_SAY_NOTHING]


def thawed(path: str, source: str) -> list[str]:
    """Dataclasses of domain, ports and application are frozen; and slotted, but for what they cache."""
    if not path.startswith(("domain/", "ports/", "application/")):
        return []
    faults = []
    for node in ast.walk(parsed(source)):
        for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else []:
            text = ast.unparse(decorator)
            wanted = (
                {"frozen=True"} if "cached_property" in ast.unparse(node) else {"frozen=True", "slots=True"}
            )
            if "dataclass" in text and not all(word in text for word in wanted):
                faults.append(f"{path}: {text}")
    return faults


def publishers(path: str, source: str) -> list[str]:
    """A use case never publishes: what it writes to the outbox would be lost with its process."""
    if path in PUBLISHERS:
        return []
    calls = [node for node in ast.walk(parsed(source)) if isinstance(node, ast.Call)]
    return [
        f"{path}:{call.lineno} publishes"
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "publish"
    ]


def work_at_import(path: str, source: str) -> list[str]:
    """Calls whose result nobody keeps, loops and with blocks that run when a module is imported."""
    work = (ast.For, ast.While, ast.With, ast.Try, ast.Delete, ast.AugAssign)
    return [
        f"{path}:{node.lineno} works at import"
        for node in parsed(source).body
        if isinstance(node, work) or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))
    ]


def places_of_a_machine(path: str, source: str) -> list[str]:
    return [
        f"{path}:{number} names a place of one machine"
        for number, line in enumerate(source.splitlines(), 1)
        if PLACES_OF_A_MACHINE.search(line)
    ]


def shortcuts(path: str, source: str) -> list[str]:
    """Sleeps (but sleep(0), which lets others run) and patches of our own code."""
    faults = set()
    for node in ast.walk(parsed(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="sleep") | ast.Name(id="sleep")):
                faults |= {"sleeps"} if [ast.unparse(a) for a in node.args] != ["0"] else set()
            case ast.Call(func=ast.Attribute(value=ast.Name(id="monkeypatch" | "mp"), attr="setattr")):
                faults.add("patches")
            case ast.ImportFrom(module="unittest.mock") | ast.Import(names=[ast.alias(name="unittest.mock")]):
                faults.add("patches")
    return [f"{path}: {fault}" for fault in sorted(faults)]


CHECKS: Final[Mapping[str, Check]] = {
    "assert never guards anything": assertions,
    "use cases are named by their verbs": misnamed_use_cases,
    "ports and application explain themselves": undocumented,
    "no name says nothing": names_that_say_nothing,
    "the core is frozen": thawed,
    "only the relay publishes": publishers,
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_module_keeps_to_it(check: Check) -> None:
    assert [fault for path, source in sources() for fault in check(path, source)] == []


def test_exception_is_caught_at_edges_only_each_with_its_reason() -> None:
    assert {fault for path, source in sources() for fault in broad_excepts(path, source)} == set(EDGES)


def test_nothing_works_at_import_but_the_list_of_commands() -> None:
    found = [fault for path, source in sources() for fault in work_at_import(path, source)]
    assert [fault for fault in found if not fault.startswith("entrypoints/cli/__init__.py")] == []
    assert len(found) <= 1


def test_no_test_sleeps_or_patches_what_is_ours() -> None:
    tests = sorted((ROOT / "tests").rglob("*.py"))
    found = [f for t in tests for f in shortcuts(t.relative_to(ROOT).as_posix(), t.read_text())]
    assert set(found) == set(WAITING_TESTS)


def test_no_text_names_a_place_of_one_machine() -> None:
    files = [path for folder in TEXTS for path in sorted((ROOT / folder).rglob("*")) if is_text(path)]
    files += [path for path in sorted(ROOT.iterdir()) if is_text(path) or path.name == "Makefile"]
    assert SRC / "bootstrap/service.py" in files
    texts = ((path.relative_to(ROOT).as_posix(), path.read_text()) for path in files)
    assert [fault for path, text in texts for fault in places_of_a_machine(path, text)] == []


def is_text(path: Path) -> bool:
    return path.suffix in TEXT_SUFFIXES and "results" not in path.parts and path.is_file()


def test_the_checks_see_every_module() -> None:
    seen = dict(sources())
    assert {
        "application/hold.py",
        "ports/store.py",
        "domain/errors.py",
        "bootstrap/service.py",
    } <= seen.keys()
    assert len(seen) > 90


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (assertions, "domain/order.py", "def f(x):\n    assert x"),
        (broad_excepts, "a.py", "try:\n    f()\nexcept Exception:\n    pass"),
        (broad_excepts, "a.py", "try:\n    f()\nexcept Exception:  # noqa: BLE001\n    pass"),
        (broad_excepts, "a.py", "try:\n    f()\nexcept (ValueError, Exception) as e:\n    log(e)"),
        (broad_excepts, "a.py", "try:\n    f()\nexcept:\n    raise"),
        (
            broad_excepts,
            "a.py",
            "try:\n    f()\nexcept BaseException:  # noqa: BLE001 (for no reason)\n    pass",
        ),
        (misnamed_use_cases, "application/holding.py", "class Hold:\n    async def __call__(self): ..."),
        (misnamed_use_cases, "application/expiry.py", "class Expiry:\n    async def run_once(self): ..."),
        (misnamed_use_cases, "application/hold.py", "class Cancel:\n    async def __call__(self): ..."),
        (undocumented, "ports/clock.py", "class Clock: ..."),
        (undocumented, "ports/clock.py", 'class Clock:\n    """It."""\n    def now(self): ...'),
        (undocumented, "application/hold.py", "async def hold(): ..."),
        (undocumented, "application/hold.py", 'class Hold:\n    """It."""\n    def __call__(self): ...'),
        (names_that_say_nothing, "a.py", "class SeatManager: ..."),
        (names_that_say_nothing, "a.py", "def seat_helper(): ..."),
        (names_that_say_nothing, "domain/utils.py", ""),
        (names_that_say_nothing, "helpers/seats.py", ""),
        (thawed, "domain/order.py", "@dataclass\nclass Order: ..."),
        (thawed, "domain/order.py", "@dataclass(frozen=True)\nclass Order: ..."),
        (thawed, "ports/store.py", "@dataclasses.dataclass(slots=True)\nclass Order: ..."),
        (publishers, "application/cancel.py", "async def f(self):\n    await self._bus.publish([])"),
        (shortcuts, "tests/a.py", "import asyncio\nasync def f():\n    await asyncio.sleep(0.1)"),
        (shortcuts, "tests/a.py", "from time import sleep\nsleep(1)"),
        (shortcuts, "tests/a.py", "def test_x(monkeypatch):\n    monkeypatch.setattr(a, 'b', 1)"),
        (shortcuts, "tests/a.py", "from unittest.mock import Mock"),
        (shortcuts, "tests/a.py", "import unittest.mock"),
        (work_at_import, "a.py", "connect()"),
        (work_at_import, "a.py", "for x in y:\n    f(x)"),
        (
            thawed,
            "domain/order.py",
            "@dataclass(slots=True)\nclass C:\n    @cached_property\n    def f(s): ...",
        ),
        (places_of_a_machine, "a.md", "see /" + "home/somebody/notes"),
        (places_of_a_machine, "a.py", "cd /" + "work/x"),
    ],
)
def test_a_planted_violation_is_found(check: Check, path: str, source: str) -> None:
    assert len(check(path, source)) == 1


@pytest.mark.parametrize(
    ("check", "path", "source"),
    [
        (broad_excepts, "a.py", "try:\n    f()\nexcept ValueError:\n    pass"),
        (broad_excepts, "a.py", "try:\n    f()\nexcept BaseException:\n    undo()\n    raise"),
        (
            broad_excepts,
            "a.py",
            "try:\n    f()\nexcept Exception:  # noqa: BLE001 (no error ends it)\n    pass",
        ),
        (misnamed_use_cases, "application/fast_hold.py", "class Answer: ..."),
        (
            misnamed_use_cases,
            "application/relay.py",
            _RELAYS := "class F:\n    def run_once(self): ...\nclass Relay:\n    def run_once(self): ...",
        ),
        (undocumented, "ports/clock.py", "def _now(): ..."),
        (undocumented, "adapters/clock.py", "def now(): ..."),
        (names_that_say_nothing, "a.py", "@contextmanager\ndef utilised(): ..."),
        (thawed, "domain/order.py", "@dataclass(frozen=True, slots=True)\nclass Order: ..."),
        (
            thawed,
            "domain/order.py",
            "@dataclass(frozen=True)\nclass C:\n    @cached_property\n    def f(s): ...",
        ),
        (thawed, "adapters/jobs.py", "@dataclass\nclass Job: ..."),
        (publishers, "application/deliver.py", "self._bus.publish([])"),
        (
            shortcuts,
            "tests/a.py",
            "async def f(monkeypatch):\n    await asyncio.sleep(0)\n    monkeypatch.setenv('A', 'b')",
        ),
        (work_at_import, "a.py", '"""It."""\nX = frozenset()\ndef f(): ...'),
        (places_of_a_machine, "a.md", "GET /v1/work/home and src/home/x"),
    ],
)
def test_what_is_allowed_is_no_violation(check: Check, path: str, source: str) -> None:
    assert check(path, source) == []
