"""A state is what was read. What was not read is an error, unless it is on the list of what gets lost."""

import pytest

from testkit.kind import Kind, Rules
from testkit.reading import UnreadError, completed
from testkit.schema import Attribute, Block, Nested
from testkit.values import UNKNOWN, State

BLOCK = Block(
    {
        "name": Attribute("string", required=True),
        "size": Attribute("number", optional=True),
        "force": Attribute("bool", optional=True),
        "name_prefix": Attribute("string", optional=True, computed=True),
    },
    {
        "index": Nested(
            "set", Block({"name": Attribute("string"), "units": Attribute("number", optional=True)})
        ),
        "window": Nested("list", Block({"days": Attribute("number", optional=True)})),
        "timeouts": Nested("single", Block({"create": Attribute("string", optional=True)})),
    },
)


def nothing(*_: object) -> None:
    raise AssertionError("no call is made")


KIND = Kind(
    "aws_example",
    nothing,  # type: ignore[arg-type]
    nothing,
    nothing,
    rules=Rules(kept=frozenset({"force"}), identity={"index": "name"}),
)
STATE: State = BLOCK.empty() | {
    "name": "a",
    "size": 3,
    "force": True,
    "name_prefix": UNKNOWN,
    "index": [{"name": "one", "units": 5}],
    "window": [{"days": 7}],
}
READ: State = {"name": "a", "size": 4, "index": [{"name": "one", "units": 6}], "window": [{"days": 8}]}


def test_what_was_read_stands_in_the_state_and_not_what_was_planned() -> None:
    whole = completed(BLOCK, KIND, {}, STATE, READ)
    assert {name: whole[name] for name in READ} == READ
    assert (whole["force"], whole["name_prefix"]) == (True, "")


@pytest.mark.parametrize("name", ["size", "index", "window"])
def test_what_is_set_and_was_not_read_is_an_error(name: str) -> None:
    read = {key: value for key, value in READ.items() if key != name}
    with pytest.raises(UnreadError, match=f"aws_example.{name} is set"):
        completed(BLOCK, KIND, {}, STATE, read)


def test_what_is_set_inside_a_block_and_was_not_read_is_an_error() -> None:
    with pytest.raises(UnreadError, match=r"aws_example.window.days is set"):
        completed(BLOCK, KIND, {}, STATE, READ | {"window": [{}]})
    with pytest.raises(UnreadError, match=r"aws_example.index.units is set"):
        completed(BLOCK, KIND, {}, STATE, READ | {"index": [{"name": "one"}]})


def test_what_nobody_set_need_not_be_read() -> None:
    state = BLOCK.empty() | {"name": "a"}
    assert completed(BLOCK, KIND, {}, state, {"name": "a"}) == state | {"name_prefix": ""}


def test_what_is_known_to_be_lost_is_read_as_it_was_planned() -> None:
    lost = {"size": "why", "window.days": "why", "index.units": "why"}
    whole = completed(BLOCK, KIND, lost, STATE, READ)
    assert (whole["size"], whole["window"], whole["index"]) == (3, STATE["window"], STATE["index"])


def test_a_lost_attribute_of_something_that_was_not_planned_is_absent() -> None:
    read = READ | {"index": [{"name": "two", "units": 6}]}
    whole = completed(BLOCK, KIND, {"index.units": "why"}, STATE, read)
    assert whole["index"] == [{"name": "two", "units": None}]
