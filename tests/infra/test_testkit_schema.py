"""The schema as it is read out of the bindings; and the values that travel to and from Terraform."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.support.terraform_configs import config_of

from testkit import bindings
from testkit.fetch import CACHE, HERE, ROOT, Fetched, FetchError, fetched
from testkit.kinds import DATA_SOURCES, KINDS
from testkit.schema import Schema, set_by_the_provider_alone
from testkit.values import UNKNOWN, decode, encode, is_known


def test_every_kind_of_the_table_is_in_the_provider(schema: Schema) -> None:
    assert schema.resources.keys() == KINDS.keys()
    assert schema.data_sources.keys() == DATA_SOURCES.keys()


def test_the_table_of_kinds_has_what_the_modules_use_and_no_more() -> None:
    folders = (HERE.parent / "modules", HERE.parent / "environments")
    texts = "".join(path.read_text() for folder in folders for path in folder.rglob("*.tf"))
    assert set(re.findall(r'^resource "(\w+)"', texts, re.MULTILINE)) == set(KINDS)
    assert set(re.findall(r'^data "(\w+)"', texts, re.MULTILINE)) == set(DATA_SOURCES)


def test_every_rule_is_about_an_attribute_of_its_kind(schema: Schema) -> None:
    for name, kind in KINDS.items():
        rules, block = kind.rules, schema.resources[name]
        members = block.attributes.keys() | block.blocks.keys()
        paths = {*rules.defaults, *rules.kept, *rules.computed_blocks, *rules.sticky, *rules.json_texts}
        named = {*rules.force_new, *rules.renewed, *rules.identity, *(p.partition(".")[0] for p in paths)}
        assert named - members <= {"region", "policy", "assume_role_policy"}, name


def test_attributes_have_their_types_and_who_sets_them(schema: Schema) -> None:
    table = schema.resources["aws_dynamodb_table"]
    assert table.attributes["name"].required
    assert table.attributes["arn"].computed
    assert not table.attributes["arn"].optional
    assert table.attributes["tags"].type == ["map", "string"]
    index = table.blocks["global_secondary_index"]
    assert index.mode == "set"
    assert index.block.attributes["non_key_attributes"].type == ["set", "string"]
    assert (table.blocks["ttl"].mode, table.blocks["ttl"].max_items) == ("list", 1)
    assert table.blocks["timeouts"].mode == "single"


def test_blocks_that_must_be_there_and_attributes_of_objects_are_known(schema: Schema) -> None:
    assert schema.resources["aws_lb_listener"].blocks["default_action"].min_items == 1
    group = schema.resources["aws_security_group"]
    assert group.attributes["ingress"].type[0] == "set"
    assert group.attributes["ingress"].type[1][1]["security_groups"] == ["set", "string"]


def test_the_provider_has_its_own_blocks(schema: Schema) -> None:
    assert schema.provider.blocks["default_tags"].block.attributes["tags"].type == ["map", "string"]
    assert "alias" not in schema.provider.attributes


def test_a_type_that_is_not_in_the_provider_is_an_error() -> None:
    wheel = next((CACHE / "wheels").glob("cdktn*.whl"))
    with pytest.raises(bindings.UnreadableError, match="aws_no_such_thing"):
        bindings.schema_of(wheel, ["aws_no_such_thing"])


def test_what_the_provider_decides_can_not_be_configured(schema: Schema) -> None:
    block = schema.resources["aws_dynamodb_table"]
    config = config_of(schema, "aws_dynamodb_table", arn="a", replica=[{"region_name": "r", "arn": "a"}])
    assert set(set_by_the_provider_alone(block, config)) == {"arn", "replica.arn"}


def test_the_schema_is_read_once(schema_and_protocol: Fetched) -> None:
    before = schema_and_protocol.schema.stat().st_mtime_ns
    assert fetched(KINDS, DATA_SOURCES).schema.stat().st_mtime_ns == before


def test_a_wheel_with_another_content_is_refused(tmp_path: Path) -> None:
    pins = tmp_path / "wheels.txt"
    pins.write_text("tf==1.2.0 --hash=sha256:" + "0" * 64 + "\n")
    with pytest.raises(FetchError, match=r"(?i)hash"):
        fetched([], [], tmp_path / "cache", pins)


def test_nothing_that_is_fetched_or_made_is_ever_committed() -> None:
    paths = [
        CACHE / "schema.json",
        CACHE / "wheels" / "tf-1.2.0-py3-none-any.whl",
        ROOT / "infra/terraform/modules/dynamodb/.terraform.lock.hcl",
        ROOT / "infra/terraform/modules/dynamodb/.terraform/providers/x",
        ROOT / "infra/terraform/environments/dev/terraform.tfstate",
    ]
    command = ["git", "check-ignore", *map(str, paths)]
    ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert ignored.splitlines() == [str(path) for path in paths]


@pytest.mark.parametrize("value", [None, {"a": [1, 2.5, True, "x"]}, {"unknown": UNKNOWN, "b": [UNKNOWN]}])
def test_values_come_back_as_they_were_sent(value: object) -> None:
    assert decode(encode(value)) == value


def test_values_may_come_as_json() -> None:
    assert decode(b"", json.dumps({"a": 1}).encode()) == {"a": 1}
    assert decode(b"") is None


def test_unknown_is_seen_at_any_depth() -> None:
    assert not is_known({"a": [{"b": UNKNOWN}]})
    assert is_known({"a": [{"b": None}]})
