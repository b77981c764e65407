"""The size ratchet: bodies, files and parameter lists stay small; what is larger today may only shrink."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("src", "tests", "bench")

MAX_BODY_LINES: Final = 40
"""From the first statement after the docstring to the last: what a reader keeps in mind at once."""
MAX_FILE_LINES: Final = 400
MAX_PARAMETERS: Final = 5
"""Beyond self and cls. Tests are free: pytest is their only caller, and passes what they name."""

LARGER_TODAY: Final[Mapping[str, int]] = {
    "tests/support/simulation.py: parameters of move": 6,
}
"""Lower a number or delete a line here when the code gets smaller; never add one."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files() -> Iterator[tuple[str, str]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def larger_than_allowed(name: str, source: str) -> dict[str, int]:
    """Return what is too large in a file, and how large it is."""
    found = {}
    if source.count("\n") > MAX_FILE_LINES:
        found[f"{name}: lines"] = source.count("\n")
    for function in functions(source):
        if body_lines(function) > MAX_BODY_LINES:
            found[f"{name}: body of {function.name}"] = body_lines(function)
        is_test = function.name.startswith("test_") and name.startswith("tests/")
        if parameters(function) > MAX_PARAMETERS and not is_test:
            found[f"{name}: parameters of {function.name}"] = parameters(function)
    return found


def functions(source: str) -> list[Function]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, Function)]


def body_lines(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def parameters(function: Function) -> int:
    listed = function.args
    named = [
        a for a in (*listed.posonlyargs, *listed.args, *listed.kwonlyargs) if a.arg not in {"self", "cls"}
    ]
    return len(named) + sum(star is not None for star in (listed.vararg, listed.kwarg))


def test_nothing_is_larger_than_allowed_but_for_what_was_yesterday() -> None:
    found: dict[str, int] = {}
    for name, source in files():
        found |= larger_than_allowed(name, source)
    assert found == LARGER_TODAY


def test_the_ratchet_looks_at_product_tests_and_bench() -> None:
    assert {name.partition("/")[0] for name, _ in files()} == set(FOLDERS)
    assert "src/reservation_api/domain/reservation.py" in dict(files())


def function_of(body: int, docstring: int = 0) -> str:
    words = ['    """Say.', *["    more"] * (docstring - 2), '    """'] if docstring else []
    return "\n".join(["def f():", *words, *["    x = 1"] * body]) + "\n"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (function_of(40), {}),
        (function_of(41), {"x.py: body of f": 41}),
        (function_of(40, docstring=30), {}),
        (function_of(41, docstring=30), {"x.py: body of f": 41}),
        ("class C:\n    async def f(self, a, b, /, c, *, d, e): ...\n", {}),
        ("class C:\n    async def f(self, a, b, /, c, *, d, e, g): ...\n", {"x.py: parameters of f": 6}),
        ("def f(a, b, c, d, *e, **g): ...\n", {"x.py: parameters of f": 6}),
        ("def f():\n    def g(a, b, c, d, e, h): ...\n", {"x.py: parameters of g": 6}),
        ("x = 1\n" * 400, {}),
        ("x = 1\n" * 401, {"x.py: lines": 401}),
        ('def f():\n    """Only this."""\n', {}),
        ("def test_f(a, b, c, d, e, h): ...\n", {"x.py: parameters of test_f": 6}),
    ],
)
def test_what_is_planted_is_measured(source: str, found: Mapping[str, int]) -> None:
    assert larger_than_allowed("x.py", source) == found


def test_a_test_may_name_as_much_as_it_needs() -> None:
    assert larger_than_allowed("tests/unit/test_x.py", "def test_f(a, b, c, d, e, h): ...\n") == {}
