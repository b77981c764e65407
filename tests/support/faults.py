"""Faults at a process's port calls: refused, lost, late, paused, or the process dies, at any await."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from enum import Enum
from inspect import iscoroutinefunction
from typing import Any

from reservation_api.domain.errors import UnavailableError
from reservation_api.ports.inventory import CommitOutcome, CommitSeats, Inventory


class ProcessDiedError(BaseException):
    """What no code may catch: the process is gone at this await."""


class Fault(Enum):
    REFUSED = "no answer, nothing done"
    ANSWER_LOST = "no answer, but done"
    ARRIVES_LATE = "no answer; done when the network lets it through"
    PAUSED = "the process stops here until it is resumed"
    DIES_BEFORE = "the process dies before the call"
    DIES_AFTER = "the process dies when the call is done"


class Plan:
    """Which of one command's port calls go wrong, counted from 0; and where it is, if paused."""

    def __init__(self, faults: Mapping[int, Fault] | None = None) -> None:
        self.faults = dict(faults or {})
        self.calls = 0
        self.late: list[Callable[[], Awaitable[Any]]] = []
        self.paused = asyncio.Event()
        self.resumed = asyncio.Event()

    async def around(self, error: type[UnavailableError], call: Callable[[], Awaitable[Any]]) -> Any:
        fault = self.faults.get(self.calls)
        self.calls += 1
        match fault:
            case Fault.REFUSED:
                raise error("refused by a test")
            case Fault.ARRIVES_LATE:
                self.late.append(call)
                raise error("made late by a test")
            case Fault.DIES_BEFORE:
                raise ProcessDiedError
            case Fault.PAUSED:
                self.paused.set()
                await self.resumed.wait()
        try:
            result = await call()
        finally:
            if fault is Fault.ANSWER_LOST:
                raise error("lost by a test")
            if fault is Fault.DIES_AFTER:
                raise ProcessDiedError
        return result


PLAN: ContextVar[Plan | None] = ContextVar("PLAN", default=None)


class Faulty:
    """A port whose every async method goes through the current command's plan."""

    def __init__(self, port: object, error: type[UnavailableError]) -> None:
        self._port = port
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._port, name)
        if not iscoroutinefunction(method):
            return method  # type: ignore[no-any-return]

        async def call(*args: Any, **kwargs: Any) -> Any:
            plan = PLAN.get()
            if plan is None:
                return await method(*args, **kwargs)
            return await plan.around(self._error, lambda: method(*args, **kwargs))

        return call


DECLINED = "pi_declined"


class DecliningInventory:
    """An inventory that refuses one payment intent, each time it is asked, as a real one would."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inventory, name)

    async def commit(self, request: CommitSeats) -> CommitOutcome:
        if request.payment_intent_id == DECLINED:
            return CommitOutcome.PAYMENT_REFUSED
        return await self._inventory.commit(request)
