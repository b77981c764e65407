"""docs/requirements-trace.md is whole and true: its sections, its files, its tests."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[2]
TRACE: Final = (ROOT / "docs" / "requirements-trace.md").read_text()
SECTIONS: Final = (
    *("Overview", "Service Information"),
    *("1.1", "1.2", "1.3", "1.4", "2.1", "2.2", "2.3", "3.1", "3.2", "4.1", "4.2", "5"),
    *("6.1", "6.2", "6.3", "7.1", "7.2", "7.3", "8.1", "8.2", "9.1", "9.2"),
    *("Implementation Priority", "Terraform Module Dependencies", "Validation Commands"),
)
"""The document's outline."""
HEAD: Final = ("requirement", "what does it", "what shows it")
FOLDERS: Final = "src|tests|infra|docs|bench|deploy|scripts"
NAMED: Final = re.compile(rf"`((?:{FOLDERS})/[\w./-]+|pyproject\.toml|Dockerfile)(?:::(\w+))?`")
SHOWN: Final = re.compile(r"`(?:tests/[\w./-]+\.py|infra/[\w./-]+/tests/[\w./-]+)(?:::\w+)?`")
ONLY_AN_ACCOUNT: Final = re.compile(r"only an account: .{10,}")
NOT_YET: Final = re.compile(r"not yet: (.+)")
ALLOWED: Final[frozenset[str]] = frozenset()
"""Requirements that may still be `not yet`, by their text. This list may only shrink."""


class Line(NamedTuple):
    section: str
    requirement: str
    does: str
    shows: str


def lines(text: str) -> Iterator[Line]:
    section = ""
    for row in text.splitlines():
        if row.startswith("## "):
            section = row.removeprefix("## ")
        elif row.startswith("|") and not row.startswith("|---"):
            cells = tuple(cell.strip() for cell in row.strip("|").split("|"))
            assert len(cells) == len(HEAD), row
            if cells != HEAD:
                yield Line(section, *cells)


def sections(text: str) -> list[str]:
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    return [re.sub(r"^([\d.]+) .*", r"\1", heading) for heading in headings]


def missing(text: str) -> list[str]:
    """Return the files and tests that are named and do not exist."""
    return [
        f"{path}::{name}" if name else path for path, name in NAMED.findall(text) if not exists(path, name)
    ]


def exists(path: str, name: str) -> bool:
    if not (ROOT / path).exists():
        return False
    return not name or name in names_in(path)


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the tests of a file: functions of Python, runs of Terraform."""
    text = (ROOT / path).read_text()
    if path.endswith(".tftest.hcl"):
        return frozenset(re.findall(r'^run "(\w+)"', text, re.MULTILINE))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.parse(text).body if isinstance(node, functions))


def unshown(line: Line) -> bool:
    """Tell whether nothing shows it, no account is needed for it, and nobody said that it is to come."""
    shown = SHOWN.search(line.shows) or ONLY_AN_ACCOUNT.search(line.shows) or NOT_YET.search(line.shows)
    return not shown


def test_every_section_of_the_document_is_there_in_its_order_with_something_in_it() -> None:
    assert sections(TRACE) == list(SECTIONS)
    assert {re.sub(r"^([\d.]+) .*", r"\1", line.section) for line in lines(TRACE)} == set(SECTIONS)


def test_files_and_tests_that_are_named_exist() -> None:
    assert missing(TRACE) == []


def test_each_requirement_is_shown_or_says_why_not() -> None:
    assert [line for line in lines(TRACE) if unshown(line) or not line.does] == []


def test_what_is_not_yet_is_on_the_list_and_no_longer_than_that() -> None:
    waiting = {line.requirement for line in lines(TRACE) if NOT_YET.search(line.does + line.shows)}
    assert waiting == ALLOWED


def test_whatever_the_doctor_compares_is_traced_and_the_other_way_round() -> None:
    document = (ROOT / "src/reservation_api/application/examination/document.toml").read_text()
    compared = {
        one
        for many in re.findall(r'section = "([^"]+)"', document)
        for one in re.findall(r"[\d.]+|[A-Z]\w+ \w+", many)
    }
    traced = {
        line.section.split(" ")[0] if line.section[0].isdigit() else line.section
        for line in lines(TRACE)
        if "doctor" in line.does + line.shows
    }
    assert compared - {"1"} <= traced | {"1.1"}
    assert {one for one in traced if one[0].isdigit()} <= compared


@pytest.mark.parametrize(
    "text",
    [
        "`src/reservation_api/none.py`",
        "`tests/architecture/test_none.py::test_x`",
        "`tests/architecture/test_requirements_trace.py::test_none`",
        "`tests/architecture/test_requirements_trace.py::SECTIONS`",
        "`infra/terraform/modules/dynamodb/tests/tables.tftest.hcl::none`",
        "`deploy/none.yaml`",
    ],
)
def test_a_planted_name_is_missed(text: str) -> None:
    assert missing(text) == [text.strip("`")]


@pytest.mark.parametrize(
    "shows", ["", "`doctor`", "`src/reservation_api/domain/order.py`", "only an account: x"]
)
def test_a_planted_requirement_that_nothing_shows_is_found(shows: str) -> None:
    assert unshown(Line("1.1", "a table", "x", shows))


def test_a_planted_section_is_found() -> None:
    assert sections(TRACE.replace("## 7.2 EventBridge's cost", "## Cost")) != list(SECTIONS)
