"""The settings written down: the effective ones for an operator, and the table for the README."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reservation_api.config.kinds import without_password
from reservation_api.config.setting import Setting
from reservation_api.config.settings import SETTINGS

MASK = "***"


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """What holds for one setting, and who says so."""

    name: str
    value: str
    """As it may be shown; empty if unset."""
    origin: str
    """`environment`, `default`, or `unset`."""


def list_effective(environ: Mapping[str, str] | None = None) -> Iterator[EffectiveSetting]:
    """List every setting, good or not; of this process's environment if none is given."""
    environ = os.environ if environ is None else environ
    for setting in SETTINGS.values():
        given = environ.get(setting.name)
        if given is not None:
            shown = MASK if setting.secret else without_password(given)
            yield EffectiveSetting(setting.name, shown, "environment")
        elif setting.default is not None:
            yield EffectiveSetting(setting.name, setting.default, "default")
        else:
            yield EffectiveSetting(setting.name, "", "unset")


def markdown_table() -> str:
    """Return the README's table of settings."""
    head = ["| variable | default | takes | meaning |", "|---|---|---|---|"]
    return "\n".join([*head, *map(_row, SETTINGS.values())]) + "\n"


def _row(setting: Setting) -> str:
    default = "" if setting.default is None else f"`{setting.default}`"
    secret = " Masked where shown." if setting.secret else ""
    return f"| `{setting.name}` | {default} | {setting.kind.hint} | {setting.meaning}{secret} |"
