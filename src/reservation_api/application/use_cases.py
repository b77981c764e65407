"""What the entrypoints may ask for, in one place."""

from dataclasses import dataclass

from reservation_api.application.cancel import Cancel
from reservation_api.application.confirm import Confirm
from reservation_api.application.extend import Extend
from reservation_api.application.hold import Hold
from reservation_api.application.queries import Queries


@dataclass(frozen=True, slots=True)
class UseCases:
    """The commands and queries of a subject."""

    hold: Hold
    confirm: Confirm
    cancel: Cancel
    extend: Extend
    queries: Queries
