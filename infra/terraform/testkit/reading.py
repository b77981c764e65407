"""From what AWS returned to a whole object, so that nothing is taken for read that was not."""

from collections.abc import Mapping
from typing import Any

from testkit.kind import Kind
from testkit.schema import Block, Nested
from testkit.values import State, Unknown, is_zero, only


class UnreadError(Exception):
    """The configuration sets an attribute that the provider neither reads back nor lists as lost."""


def completed(block: Block, kind: Kind, lost: Mapping[str, str], state: State, got: State) -> State:
    """Return the whole object: what was read; of the rest what nobody set, or what is known to be lost.

    Raises UnreadError for an attribute that is set and was not read: silence would prove nothing.
    """
    return _Completion(kind, frozenset(lost)).object(block, state, got, "")


class _Completion:
    def __init__(self, kind: Kind, lost: frozenset[str]) -> None:
        self._kind = kind
        self._from_state = kind.rules.kept | lost

    def object(self, block: Block, state: State, got: State, path: str) -> State:
        whole: State = {}
        for name in block.attributes:
            whole[name] = self._attribute(state, got, path + name)
        for name, nested in block.blocks.items():
            whole[name] = self._blocks(nested, state, got, path + name)
        return whole

    def _attribute(self, state: State, got: State, path: str) -> Any:
        name = path.rpartition(".")[2]
        before = state.get(name)
        before = None if isinstance(before, Unknown) else before
        if path in self._from_state:
            return before
        if path == "name_prefix":  # what came of it is the name
            return before or ""
        if name in got:
            return got[name]
        if is_zero(before):
            return None
        raise UnreadError(f"{self._kind.name}.{path} is set, but the testkit does not read it back")

    def _blocks(self, nested: Nested, state: State, got: State, path: str) -> Any:
        name = path.rpartition(".")[2]
        before = state.get(name)
        before = None if isinstance(before, Unknown) else before
        if path in self._from_state or path == "timeouts":
            return self._empty(nested) if before is None else before
        if name not in got:
            if before:
                raise UnreadError(f"{self._kind.name}.{path} is set, but the testkit does not read it back")
            return self._empty(nested)
        if nested.mode == "single":
            return (
                None if got[name] is None else self.object(nested.block, before or {}, got[name], path + ".")
            )
        return [
            self.object(
                nested.block, self._was(nested, element, before or [], place, path), element, path + "."
            )
            for place, element in enumerate(got[name] or [])
        ]

    @staticmethod
    def _empty(nested: Nested) -> Any:
        return {"single": None, "map": {}}.get(nested.mode, [])

    def _was(self, nested: Nested, element: State, before: list[State], place: int, path: str) -> State:
        """Find the element of the state that this one was read for."""
        if nested.mode == "list":
            return before[place] if place < len(before) else {}
        identity = self._kind.rules.identity.get(path)
        if identity is not None:
            return only([old for old in before if old.get(identity) == element.get(identity)]) or {}
        return {}
