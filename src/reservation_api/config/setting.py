"""What one setting is."""

from dataclasses import dataclass

from reservation_api.config.kinds import Kind


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable."""

    name: str
    kind: Kind
    meaning: str
    """One sentence for the README."""
    default: str | None = None
    secret: bool = False
    """Masked wherever it is shown."""


@dataclass(frozen=True, slots=True)
class LaterFeature:
    """What this release does not have yet: its settings are checked and then refused."""

    subject: str
    """Completes "…, but {subject} not part of this release"."""
    remedy: str
    settings: tuple[Setting, ...]
