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
