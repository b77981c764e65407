"""Checks of services that all processes share: they drain nobody, and whoever asks often asks nobody else."""

import asyncio

import pytest

from reservation_api.application.health import Component, ComponentStatus
from reservation_api.bootstrap.checks import REMEMBERED_SECONDS, shared
from reservation_api.domain.errors import StoreUnavailableError

UP = Component(ComponentStatus.UP)


class Store:
    """Counts how often it is looked at, and is out if told so."""

    def __init__(self) -> None:
        self.looks = 0
        self.is_out = False

    async def check(self) -> Component:
        self.looks += 1
        await asyncio.sleep(0)
        if self.is_out:
            raise StoreUnavailableError("no answer in 1 s")
        return UP


class Watch:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


async def test_a_shared_service_that_is_out_is_unknown_and_not_this_processs_failure() -> None:
    store, watch = Store(), Watch()
    look = shared(store.check, watch)
    assert await look() == UP
    store.is_out = True
    watch.seconds += REMEMBERED_SECONDS
    seen = await look()
    assert (seen.status, seen.details) == (ComponentStatus.UNKNOWN, {"error": "no answer in 1 s"})


async def test_many_who_ask_at_once_make_one_look() -> None:
    store, watch = Store(), Watch()
    look = shared(store.check, watch)
    assert await asyncio.gather(*(look() for _ in range(50))) == [UP] * 50
    watch.seconds += REMEMBERED_SECONDS - 0.001
    await look()
    assert store.looks == 1
    watch.seconds += 0.001
    await look()
    assert store.looks == 2


async def test_a_bug_in_a_check_is_not_hidden() -> None:
    async def broken() -> Component:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await shared(broken, Watch())()
