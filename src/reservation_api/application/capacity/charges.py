"""What one request is charged, and how many of a hundred requests do what."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Final


@dataclass(frozen=True, slots=True)
class Charge:
    """What AWS charges for one request, with all that follows from it: events, releases, deleted rows."""

    write: Mapping[str, float] = field(default_factory=dict)
    """Write units by table (reservations, orders, idempotency, outbox) and by index."""
    read: Mapping[str, float] = field(default_factory=dict)
    by_status: Mapping[str, float] = field(default_factory=dict)
    """Write units that fall on one status of an index by status, by `index/STATUS`."""
    stored_bytes: int = 0
    """Of rows and entries that stay, with DynamoDB's overhead."""
    events: int = 0
    event_bytes: int = 0


Charges = Mapping[str, Charge]
"""By what a request does: a field of Mix, or EXPIRE."""

EXPIRE: Final = "expire"


@dataclass(frozen=True, slots=True)
class Mix:
    """Of a hundred requests at the peak, how many do what; the rest reaches no table.

    The default is the sale that measurements are made with. What is neither confirmed nor cancelled expires a
    minute later, at the same rate.
    """

    hold: float = 20
    """Holds that take seats."""
    refused_hold: float = 0
    """Holds that find them taken."""
    confirm: float = 7
    cancel: float = 3
    extend: float = 0
    get: float = 70
    """One reservation."""
    list: float = 0
    """A page of them."""

    def __post_init__(self) -> None:
        """Raise ValueError for what can not be."""
        shares = [getattr(self, name) for name in REQUESTS]
        if not all(share >= 0 for share in shares) or sum(shares) > 100:  # noqa: PLR2004 (per cent)
            raise ValueError("shares are not negative, and add up to a hundred at most")
        if self.confirm + self.cancel > self.hold:
            raise ValueError("a hold ends once: confirm and cancel together are no more than hold")

    def rates(self, requests_per_second: float) -> Mapping[str, float]:
        """Return how often each happens in a second, expiry included."""
        shares = {name: getattr(self, name) for name in REQUESTS}
        shares[EXPIRE] = self.hold - self.confirm - self.cancel
        return {name: requests_per_second * share / 100 for name, share in shares.items()}


REQUESTS: Final = tuple(one.name for one in fields(Mix))


def mix_of(text: str) -> Mix:
    """Read `hold=20,get=70`; what is not named does not happen. Raises ValueError for anything else."""
    shares = dict.fromkeys(REQUESTS, 0.0)
    for part in text.split(","):
        name, is_given, share = part.strip().partition("=")
        if not is_given or name not in shares:
            raise ValueError(f"{part.strip()!r} is no share: name=per cent, of {', '.join(REQUESTS)}")
        try:
            shares[name] = float(share)
        except ValueError as error:
            raise ValueError(f"{share!r} is no number") from error
    return Mix(**shares)
