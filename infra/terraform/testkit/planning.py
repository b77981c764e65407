"""From a configuration and the prior state to the planned object, as the AWS provider's SDK does it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from testkit.kind import Rules
from testkit.schema import Attribute, Block, Nested
from testkit.values import UNKNOWN, State, Unknown, is_known, is_zero


@dataclass(frozen=True, slots=True)
class Plan:
    """The object as it will be, and the attributes that only a new object can have so."""

    planned: State
    replaces: tuple[str, ...] = ()


def plan(block: Block, rules: Rules, config: State, prior: State | None) -> Plan:
    """Plan a creation (no prior state) or an update, which may turn out to be a replacement."""
    planned = _object(block, rules, config, prior, "")
    if prior is None:
        return Plan(planned)
    replaces = tuple(
        sorted(name for name in rules.force_new & planned.keys() if planned[name] != prior[name])
    )
    if replaces:
        return Plan(_object(block, rules, config, None, ""), replaces)
    changed = {name for name in planned if planned[name] != prior[name]}
    for name, causes in rules.renewed.items():
        if changed & causes and config.get(name) is None:
            planned[name] = UNKNOWN
    return Plan(planned)


def _object(block: Block, rules: Rules, config: State, prior: State | None, path: str) -> State:
    planned: State = {}
    for name, attribute in block.attributes.items():
        planned[name] = _attribute(attribute, rules, config, prior, path + name)
    for name, nested in block.blocks.items():
        planned[name] = _blocks(nested, rules, config, prior, path + name)
    return planned


def _attribute(attribute: Attribute, rules: Rules, config: State, prior: State | None, path: str) -> Any:
    name = path.rpartition(".")[2]
    value = config.get(name)
    if value is None:
        value = rules.defaults.get(path)
    if prior is None:
        return UNKNOWN if value is None and attribute.computed else value
    before = prior.get(name)
    if value is None and (attribute.computed or path in rules.sticky):
        return before
    return before if same(attribute.type, value, before, as_json=path in rules.json_texts) else value


def _blocks(nested: Nested, rules: Rules, config: State, prior: State | None, path: str) -> Any:
    name = path.rpartition(".")[2]
    written = config.get(name)
    before = prior.get(name) if prior else None
    if isinstance(written, Unknown):
        return UNKNOWN
    if nested.mode == "single":
        return None if written is None else _object(nested.block, rules, written, before, path + ".")
    if not written and path in rules.computed_blocks and before:
        return before
    elements = before if isinstance(before, list) else []
    pairs = _matched(nested, written or [], elements, rules.identity.get(path))
    planned = [_object(nested.block, rules, new, old, path + ".") for new, old in pairs]
    return before if before is not None and _same_blocks(nested.mode, planned, before) else planned


def _matched(
    nested: Nested, written: list[State], before: list[State], identity: str | None
) -> list[tuple[State, State | None]]:
    """Pair each written block with what it was: by place, by its identifying attribute, or by likeness."""
    if nested.mode == "list":
        padded: list[State | None] = [*before, *[None] * len(written)]
        return list(zip(written, padded, strict=False))
    left, pairs = list(before), []
    for new in written:
        alike = [old for old in left if _alike(nested.block, new, old, identity)]
        if alike:
            left.remove(alike[0])
        pairs.append((new, alike[0] if alike else None))
    return pairs


def _alike(block: Block, new: State, old: State, identity: str | None) -> bool:
    if identity is not None:
        return bool(new.get(identity) == old.get(identity))
    return all(
        (new.get(name) is None and attribute.computed) or same(attribute.type, new.get(name), old.get(name))
        for name, attribute in block.attributes.items()
    )


def _same_blocks(mode: str, planned: list[State], before: Any) -> bool:
    if mode == "list":
        return bool(planned == before)
    return len(planned) == len(before) and all(element in before for element in planned)


def same(cty: Any, value: Any, before: Any, *, as_json: bool = False) -> bool:
    """Say whether two values are one to the AWS provider: no order in sets, and zero is as good as absent."""
    if isinstance(value, Unknown) or isinstance(before, Unknown):
        return False
    if is_zero(value) and is_zero(before):
        return True
    if as_json and isinstance(value, str) and isinstance(before, str):
        return same_documents(value, before)
    if isinstance(cty, list) and cty[0] == "set" and is_known(value):
        return sorted(map(_canonical, value or [])) == sorted(map(_canonical, before or []))
    return bool(value == before)


def _canonical(value: Any) -> str:
    """Write an element of a set; of an object only what is set, and its lists in order."""
    if isinstance(value, Mapping):
        members = {key: inner for key, inner in value.items() if not is_zero(inner)}
        return json.dumps({key: _canonical(inner) for key, inner in members.items()}, sort_keys=True)
    if isinstance(value, list):
        return json.dumps(sorted(map(_canonical, value)))
    return json.dumps(value)


def same_documents(one: str, other: str) -> bool:
    """Say whether two JSON texts are one policy: a list of one is its element, lists have no order."""
    try:
        return bool(_document(json.loads(one)) == _document(json.loads(other)))
    except ValueError:
        return one == other


def _document(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _document(inner) for key, inner in value.items()}
    if isinstance(value, list):
        inner = sorted((_document(element) for element in value), key=lambda v: json.dumps(v, sort_keys=True))
        return inner[0] if len(inner) == 1 else inner
    return value
