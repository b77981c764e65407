"""What a task knows of the request that it serves."""

import asyncio

import pytest

from reservation_api.ports.request_context import (
    RequestContext,
    Trace,
    part_of_request,
    present_seconds_left,
    present_trace,
)

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736")
OTHER = Trace("0af7651916cd43dd8448eb211c80319c", is_sampled=True)


def present() -> tuple[Trace | None, bool]:
    """The trace, and whether there is a deadline."""
    return present_trace(), present_seconds_left() is not None


def test_who_serves_no_request_has_neither_trace_nor_deadline() -> None:
    assert present() == (None, False)


@pytest.mark.parametrize("seconds", [None, 60.0])
def test_a_request_is_known_within_its_block_and_no_longer(seconds: float | None) -> None:
    with RequestContext(TRACE, seconds):
        assert present() == (TRACE, seconds is not None)
    assert present() == (None, False)


def test_the_time_that_is_left_gets_less_and_goes_below_zero() -> None:
    with RequestContext(TRACE, 60.0):
        left = present_seconds_left()
        assert left is not None
        assert 50 < left <= 60
        while present_seconds_left() == left:
            pass
    with RequestContext(TRACE, 0.0):
        assert (present_seconds_left() or 0.0) <= 0


def test_a_request_within_another_has_a_deadline_of_its_own_or_none() -> None:
    with RequestContext(TRACE, 60.0):
        with RequestContext(OTHER):
            assert present() == (OTHER, False)
        assert present() == (TRACE, True)


def test_a_part_of_a_request_has_a_span_of_its_own_and_the_requests_deadline() -> None:
    whole = OTHER._replace(span_id="00f067aa0ba902b7")
    part = whole.part()
    assert (part.trace_id, part.parent_id, part.is_sampled) == (whole.trace_id, whole.span_id, True)
    assert part.span_id != whole.span_id
    with RequestContext(whole, 60.0):
        with part_of_request(part):
            assert present() == (part, True)
            with part_of_request(part.part()):
                assert present()[1]
        assert present() == (whole, True)
    with part_of_request(part):
        assert present() == (part, False)


async def test_a_part_that_outlives_its_request_has_no_deadline_either() -> None:
    is_over = asyncio.Event()

    async def afterwards() -> tuple[Trace | None, bool]:
        with part_of_request(OTHER.part()):
            await is_over.wait()
            return present()

    with RequestContext(OTHER, 60.0):
        later = asyncio.create_task(afterwards())
        await asyncio.sleep(0)
    is_over.set()
    assert (await later)[1] is False


async def test_a_failure_ends_the_block_too() -> None:
    with pytest.raises(KeyError), RequestContext(TRACE, 60.0):
        raise KeyError
    assert present() == (None, False)


async def test_tasks_of_a_request_know_it_and_one_that_outlives_it_has_no_deadline() -> None:
    is_over = asyncio.Event()

    async def during() -> tuple[Trace | None, bool]:
        return present()

    async def afterwards() -> tuple[Trace | None, bool]:
        await is_over.wait()
        return present()

    with RequestContext(TRACE, 0.0):
        assert [*await asyncio.gather(during(), during())] == [(TRACE, True)] * 2
        later = asyncio.create_task(afterwards())
        await asyncio.sleep(0)
    is_over.set()
    assert await later == (TRACE, False)


async def test_requests_side_by_side_do_not_see_each_other() -> None:
    both_serve = asyncio.Barrier(2)

    async def serve(trace: Trace, seconds: float | None) -> tuple[Trace | None, bool]:
        with RequestContext(trace, seconds):
            await both_serve.wait()
            return present()

    served = await asyncio.gather(serve(TRACE, None), serve(OTHER, 9.0))
    assert [*served] == [(TRACE, False), (OTHER, True)]
