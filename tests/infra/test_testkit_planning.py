"""A plan is what the AWS provider's SDK would plan: nothing changes that nobody changed."""

from typing import Any

import pytest

from testkit.kind import Rules
from testkit.planning import plan, same, same_documents
from testkit.schema import Attribute, Block, Nested
from testkit.values import UNKNOWN

RULE = Block(
    {
        "name": Attribute("string", required=True),
        "size": Attribute("number", optional=True),
        "names": Attribute(["set", "string"], optional=True),
        "policy": Attribute("string", optional=True),
        "arn": Attribute("string", computed=True),
        "version": Attribute("string", computed=True),
        "state": Attribute("string", optional=True),
    },
    {
        "index": Nested(
            "set",
            Block(
                {
                    "name": Attribute("string", required=True),
                    "key": Attribute("string", optional=True),
                    "units": Attribute("number", optional=True, computed=True),
                }
            ),
        ),
        "target": Nested("list", Block({"tries": Attribute("number", optional=True)})),
        "recovery": Nested("list", Block({"enabled": Attribute("bool", optional=True)})),
    },
)
RULES = Rules(
    defaults={"size": 30, "target.tries": 185},
    force_new=frozenset({"name"}),
    computed_blocks=frozenset({"recovery"}),
    json_texts=frozenset({"policy"}),
    sticky=frozenset({"state"}),
    identity={"index": "name"},
    renewed={"version": frozenset({"size"})},
)


def config(**values: Any) -> dict[str, Any]:
    return RULE.empty() | {"name": "a"} | values


def index(name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "key": None, "units": None} | values


PRIOR = config(
    size=30,
    names=["x", "y"],
    policy='{"Action":["a"]}',
    arn="arn:a",
    version="1",
    state="ENABLED",
    index=[index("one", units=5), index("two", units=6)],
    target=[{"tries": 185}],
    recovery=[{"enabled": False}],
)
AGAIN = config(
    names=["y", "x"],
    policy='{ "Action": "a" }',
    index=[index("two"), index("one")],
    target=[{"tries": None}],
)


def test_what_only_aws_knows_is_known_after_apply() -> None:
    planned = plan(RULE, RULES, config(index=[index("one")]), None).planned
    assert (planned["arn"], planned["version"]) == (UNKNOWN, UNKNOWN)
    assert planned["index"] == [index("one", units=UNKNOWN)]


def test_defaults_of_the_provider_are_planned_also_inside_blocks() -> None:
    planned = plan(RULE, RULES, config(target=[{"tries": None}]), None).planned
    assert (planned["size"], planned["target"], planned["state"]) == (30, [{"tries": 185}], None)


def test_the_same_configuration_again_changes_nothing() -> None:
    assert plan(RULE, RULES, AGAIN, PRIOR).planned == PRIOR


@pytest.mark.parametrize(
    "changed",
    [
        {"size": 31},
        {"names": ["x"]},
        {"names": []},
        {"policy": '{"Action":"b"}'},
        {"state": "DISABLED"},
        {"target": [{"tries": 0}]},
        {"target": []},
        {"recovery": [{"enabled": True}]},
        {"index": [index("one"), index("two", key="k")]},
        {"index": [index("one"), index("two", units=7)]},
        {"index": [index("one")]},
        {"index": [index("one"), index("two"), index("three")]},
        {"size": UNKNOWN},
        {"index": UNKNOWN},
    ],
    ids=str,
)
def test_what_is_changed_is_planned(changed: dict[str, Any]) -> None:
    outcome = plan(RULE, RULES, AGAIN | changed, PRIOR)
    [name] = changed
    assert outcome.planned[name] != PRIOR[name]
    assert outcome.replaces == ()


def test_an_element_of_a_set_keeps_what_aws_has_given_it() -> None:
    planned = plan(RULE, RULES, AGAIN | {"index": [index("two", key="k"), index("one")]}, PRIOR).planned
    assert planned["index"] == [index("two", key="k", units=6), index("one", units=5)]


def test_what_can_not_change_is_made_anew_and_nothing_is_known_of_it() -> None:
    outcome = plan(RULE, RULES, AGAIN | {"name": "b"}, PRIOR)
    assert outcome.replaces == ("name",)
    assert (outcome.planned["arn"], outcome.planned["version"]) == (UNKNOWN, UNKNOWN)


def test_a_name_that_is_not_yet_known_is_a_new_name() -> None:
    assert plan(RULE, RULES, AGAIN | {"name": UNKNOWN}, PRIOR).replaces == ("name",)


def test_what_follows_from_a_change_is_known_after_it() -> None:
    assert plan(RULE, RULES, AGAIN | {"size": 31}, PRIOR).planned["version"] is UNKNOWN
    assert plan(RULE, RULES, AGAIN | {"state": "DISABLED"}, PRIOR).planned["version"] == "1"


@pytest.mark.parametrize(
    ("cty", "value", "before", "equal"),
    [
        ("string", None, "", True),
        ("bool", None, False, True),
        ("number", 0, None, True),
        (["list", "string"], [], None, True),
        ("number", 0, 1, False),
        ("string", "", "a", False),
        ("string", UNKNOWN, "a", False),
        (["set", "string"], ["b", "a"], ["a", "b"], True),
        (["list", "string"], ["b", "a"], ["a", "b"], False),
        (["set", ["object", {}]], [{"a": "1", "b": None}], [{"a": "1", "b": ""}], True),
        (["set", ["object", {}]], [{"a": "1"}], [{"a": "2"}], False),
        (["map", "string"], {"a": "1"}, {"a": "2"}, False),
    ],
)
def test_zero_is_as_good_as_absent_and_sets_have_no_order(
    cty: Any, value: Any, before: Any, *, equal: bool
) -> None:
    assert same(cty, value, before) is equal


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ('{"Action": ["a", "b"]}', '{"Action":["b","a"]}', True),
        ('{"Action": ["a"]}', '{"Action":"a"}', True),
        ('{"Action": "a"}', '{"Action":"b"}', False),
        ('{"A": {"B": ["x"]}}', '{"A": {"B": "x"}}', True),
        ("no json", "no json", True),
        ("no json", "{}", False),
    ],
)
def test_policies_are_compared_as_documents(one: str, other: str, *, equal: bool) -> None:
    assert same_documents(one, other) is equal
