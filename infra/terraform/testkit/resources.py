"""What happens to a resource of any kind: plan, apply, read, import, with tags and regions alike."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from testkit import planning
from testkit.aws import Aws
from testkit.backends import REGION
from testkit.kind import Fault, Kind
from testkit.kinds import DATA_SOURCES, KINDS
from testkit.lost import lost_by_the_stand_in
from testkit.reading import completed
from testkit.schema import Block, Schema, elements
from testkit.values import UNKNOWN, State, Unknown, is_known, only


@dataclass(frozen=True, slots=True)
class Applied:
    """The state after an apply; with an error, as far as it came."""

    state: State | None
    error: Exception | None = None


class Resources:
    """The table of kinds, with a schema to fit and an AWS to call."""

    def __init__(self, schema: Schema, aws: Aws, default_tags: Mapping[str, str] | None = None) -> None:
        self._schema = schema
        self._aws = aws
        self._default_tags = dict(default_tags or {})

    def configured(self, config: State) -> "Resources":
        """Return the same with region and default tags of a provider block."""
        tags = (only(config.get("default_tags")) or {}).get("tags")
        return Resources(self._schema, self._aws.at(config.get("region") or REGION), tags)

    def faults(self, name: str, config: State) -> list[Fault]:
        """Find what AWS would refuse."""
        return list(KINDS[name].faults(config))

    def plan(self, name: str, config: State, prior: State | None) -> planning.Plan:
        """Plan a creation, an update or a replacement."""
        block = self._block(name)
        config = dict(config)
        if "region" in block.attributes and config["region"] is None:
            config["region"] = (prior or {}).get("region") or self._aws.region
        if "tags_all" in block.attributes:
            config["tags_all"] = self._all_tags(config.get("tags"))
        return planning.plan(block, KINDS[name].rules, config, prior)

    def _all_tags(self, tags: dict[str, str] | Unknown | None) -> dict[str, str] | Unknown:
        return UNKNOWN if isinstance(tags, Unknown) else self._default_tags | (tags or {})

    def apply(self, name: str, prior: State | None, planned: State | None) -> Applied:
        """Create, update or delete. An error leaves the state at what is there now."""
        kind = KINDS[name]
        aws = self._aws_of(planned or prior or {})
        if planned is None:
            try:
                kind.delete(aws, prior or {})
            except Exception as error:  # noqa: BLE001 (Terraform shows it to the user, and keeps the resource)
                return Applied(prior, error)
            return Applied(None)
        now = prior
        try:
            now = self._written(kind, aws, prior, planned)
            state = self._read(kind, aws, now)
            return (
                Applied(state) if state else Applied(None, LookupError("it is not there after it was made"))
            )
        except Exception as error:  # noqa: BLE001 (Terraform shows it to the user, and keeps what was made)
            return Applied(None if now is None else _without_unknowns(self._block(name), now), error)

    @staticmethod
    def _written(kind: Kind, aws: Aws, prior: State | None, planned: State) -> State:
        if prior is None:
            planned = planned | _generated_name(planned)
            return planned | kind.create(aws, planned)
        if kind.update is None:
            raise NotImplementedError(
                f"{kind.name} has no update: is an attribute missing from its force_new?"
            )
        now = {name: prior[name] if isinstance(v, Unknown) else v for name, v in planned.items()}
        return now | (kind.update(aws, prior, planned) or {})

    def read(self, name: str, state: State) -> State | None:
        """Read a resource anew; None when it is gone."""
        return self._read(KINDS[name], self._aws_of(state), state)

    def _read(self, kind: Kind, aws: Aws, state: State) -> State | None:
        got = kind.read(aws, state)
        if got is None:
            return None
        block = self._block(kind.name)
        got = {"id": state.get("id"), "region": aws.region} | got
        if "tags" in block.attributes and "tags_all" in got:
            got["tags"] = self._own_tags(got["tags_all"], state.get("tags") or {})
        return completed(block, kind, lost_by_the_stand_in(kind.name), state, got)

    def _own_tags(self, tags: dict[str, str], before: dict[str, str]) -> dict[str, str] | None:
        """Leave out the default tags, unless the resource names them itself."""
        default = self._default_tags.items()
        return {k: v for k, v in tags.items() if (k, v) not in default or k in before} or None

    def imported(self, name: str, identifier: str) -> State:
        """Begin the state of a resource that is there already."""
        return self._block(name).empty() | KINDS[name].imported(identifier)

    def data(self, name: str, config: State) -> State:
        """Look something up."""
        aws = self._aws_of(config)
        found = DATA_SOURCES[name].read(aws, config)
        base = config | ({"region": aws.region} if "region" in config else {})
        return {key: found.get(key, value) for key, value in base.items()}

    def _block(self, name: str) -> Block:
        return self._schema.resources[name]

    def _aws_of(self, state: State) -> Aws:
        region = state.get("region")
        return self._aws if isinstance(region, Unknown) else self._aws.at(region)


def _generated_name(planned: State) -> State:
    """Make a name when the configuration leaves it to the provider."""
    if "name_prefix" not in planned or not isinstance(planned["name"], Unknown):
        return {}
    prefix = planned["name_prefix"]
    return {"name": ("terraform-" if isinstance(prefix, Unknown) else prefix) + uuid.uuid4().hex[:26]}


def _without_unknowns(block: Block, state: State) -> State:
    """Leave out what nobody will know any more."""
    kept: State = {name: None if not is_known(state[name]) else state[name] for name in block.attributes}
    for name, nested in block.blocks.items():
        whole = [_without_unknowns(nested.block, element) for element in elements(nested, state[name])]
        kept[name] = block.empty()[name] if not whole else whole[0] if nested.mode == "single" else whole
    return kept
