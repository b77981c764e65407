from reservation_api.config.tree import OverloadConfig
from reservation_api.entrypoints.overload.limit import AdaptiveLimit

SETTINGS = OverloadConfig(target_wait_seconds=0.03, min_in_flight=10, max_in_flight=1000)
LATE, IN_TIME = 0.12, 0.03


def test_once_is_a_stall_twice_is_a_queue() -> None:
    limit = AdaptiveLimit(SETTINGS)
    limit.observe(LATE, 400)
    assert limit.value == 1000
    limit.observe(LATE, 400)
    assert limit.value == 200  # of those that there were, the root of 0.03 / 0.12
    limit.observe(IN_TIME, 200)
    limit.observe(LATE, 200)
    assert limit.value == 214


def test_while_those_from_before_are_still_there_nothing_is_judged() -> None:
    limit = AdaptiveLimit(SETTINGS)
    for _ in range(2):
        limit.observe(LATE, 400)
    for _ in range(5):
        limit.observe(10.0, 201)
    assert limit.value == 200


def test_the_limit_keeps_to_its_bounds() -> None:
    limit = AdaptiveLimit(SETTINGS)
    for _ in range(20):
        limit.observe(1e9, limit.value)
    assert limit.value == SETTINGS.min_in_flight
    for _ in range(200):
        limit.observe(0.0, 0)
    assert limit.value == SETTINGS.max_in_flight


def test_one_step_leaves_a_quarter_however_late_they_were() -> None:
    limit = AdaptiveLimit(SETTINGS)
    for _ in range(2):
        limit.observe(1e9, 400)
    assert limit.value == 100
