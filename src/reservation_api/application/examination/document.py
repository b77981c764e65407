"""The infrastructure document, as document.toml has it, for one environment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec

from reservation_api.application.examination.alarms import Watches
from reservation_api.application.examination.expectations import Expectation, expectation


@dataclass(frozen=True, slots=True)
class Environment:
    """What the document leaves open."""

    env: str
    region: str
    account: str
    is_production: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One fact of a subject, and what the document says of it."""

    name: str
    fact: str
    section: str
    expectation: Expectation


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A resource of the document."""

    kind: str
    name: str
    section: str
    checks: dict[str, Any] = {}
    optional: bool = False
    """Nothing is missing if it is not there."""
    watches: Watches | None = None
    together: bool = False
    """Several alarms may do what is asked, each a part of it; else one has to do all."""

    @property
    def title(self) -> str:
        """Return what it is called in findings."""
        return f"{self.kind} {self.name}"


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subjects: list[Subject]
    kinds: dict[str, dict[str, Any]]
    production: dict[str, dict[str, Any]]


def subjects_of(where: Environment) -> Sequence[tuple[Subject, Sequence[Check]]]:
    """Return the resources that the document asks for, each with its checks."""
    text = files(__package__).joinpath("document.toml").read_text()
    for name, value in (("env", where.env), ("region", where.region), ("account", where.account)):
        text = text.replace(f"{{{name}}}", value)
    document = msgspec.toml.decode(text, type=_Document)
    return [(subject, list(_checks(subject, document, where))) for subject in document.subjects]


def _checks(subject: Subject, document: _Document, where: Environment) -> Iterator[Check]:
    of_production = document.production.get(subject.kind, {}) if where.is_production else {}
    said = {**subject.checks, **document.kinds.get(subject.kind, {}), **of_production}
    for name, value in said.items():
        yield _check(name, dict(value) if isinstance(value, Mapping) else {"is": value}, subject.section)


def _check(name: str, said: dict[str, Any], section: str) -> Check:
    fact, section = said.pop("of", name), said.pop("section", section)
    ((how, value),) = said.items()
    return Check(name, fact, section, expectation(how, value))
