"""Publish dead letters again: to the bus, and so to every rule.

Consumers that have had an event drop it by its id.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from reservation_api.application.dead_letters import DeadLetter, Pass, Selection
from reservation_api.domain.errors import EventBusUnavailableError
from reservation_api.ports.event_bus import EventBus, OutgoingEvent
from reservation_api.ports.queue import Queue

Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RedriveLimits:
    """How far to go, and how fast."""

    max_letters: int
    per_second: float
    """Rules and targets have to take it beside their daily work."""
    is_dry_run: bool = False
    """Look, and change nothing."""


@dataclass(frozen=True, slots=True)
class Redriven:
    """What has become of the letters so far; at the end, of all of them."""

    looked_at: int
    redriven: Sequence[str]
    """Names of letters that are gone, and whose events the bus has; of a dry run, those it would try."""
    refused: Sequence[tuple[str, str]]
    """Names of letters that stay, and why."""
    stopped: str | None
    """Why it did not go on."""

    @property
    def is_clean(self) -> bool:
        """Tell whether all letters that were meant are redriven."""
        return not self.refused and self.stopped is None


class Redrive:
    """Publishes letters, and deletes each only when the bus has its event."""

    def __init__(self, queue: Queue, bus: EventBus, pause: Pause) -> None:
        self._queue = queue
        self._bus = bus
        self._pause = pause

    async def __call__(
        self, selection: Selection, limits: RedriveLimits, on_progress: Callable[[Redriven], None]
    ) -> Redriven:
        """Redrive the letters that are meant; an outage ends it, and what is left is still in the queue."""
        run = _Run(self._bus, limits)
        try:
            async with Pass(self._queue) as one_pass:
                while run.may_go_on and (letters := await one_pass.next_letters()):
                    published = await run.take(one_pass, letters, selection)
                    on_progress(run.result())
                    if published and run.may_go_on:
                        await self._pause(published / limits.per_second)
        except EventBusUnavailableError as outage:
            run.stopped = str(outage)
        return run.result()


class _Run:
    """One redrive: what it has done so far."""

    def __init__(self, bus: EventBus, limits: RedriveLimits) -> None:
        self._bus = bus
        self._limits = limits
        self._looked_at = 0
        self._published: set[str] = set()
        self._redriven: list[str] = []
        self._refused: list[tuple[str, str]] = []
        self.stopped: str | None = None

    @property
    def may_go_on(self) -> bool:
        return self.stopped is None and self._room > 0

    @property
    def _room(self) -> int:
        return self._limits.max_letters - len(self._redriven) - len(self._refused)

    def result(self) -> Redriven:
        return Redriven(self._looked_at, tuple(self._redriven), tuple(self._refused), self.stopped)

    async def take(self, one_pass: Pass, letters: Sequence[DeadLetter], selection: Selection) -> int:
        """Redrive those of a batch that are meant; return how many events were published.

        Raises EventBusUnavailableError.
        """
        self._looked_at += len(letters)
        meant = list(filter(selection.takes, letters))[: self._room]
        self._refused += [(letter.name, letter.unusable) for letter in meant if letter.unusable is not None]
        usable = [letter for letter in meant if letter.event is not None]
        if self._limits.is_dry_run:
            self._redriven += [letter.name for letter in usable]
            return 0
        # Once for each event, however many letters have it: a rule's every target may have missed it.
        events = {it.name: it.event for it in usable if it.event and it.name not in self._published}
        await self._publish(list(events.values()))
        # Not before: what dies here leaves a letter whose event comes again, under its one id.
        await self._delete(one_pass, [letter for letter in usable if letter.name in self._published])
        return len(events)

    async def _publish(self, events: Sequence[OutgoingEvent]) -> None:
        outcomes = await self._bus.publish(events) if events else ()
        for event, outcome in zip(events, outcomes, strict=True):
            if outcome is None:
                self._published.add(event.id)
            elif isinstance(outcome, str):
                self._refused.append((event.id, outcome))
            else:
                self.stopped = str(outcome)

    async def _delete(self, one_pass: Pass, letters: Sequence[DeadLetter]) -> None:
        left = await one_pass.delete(letters)
        self._redriven += [letter.name for letter in letters if letter not in left]
        self._refused += [(letter.name, "published, but its letter could not be deleted") for letter in left]
