from dataclasses import fields
from math import inf, nan
from typing import Any

import pytest

from reservation_api.adapters.aws_wire.settings import AwsWireSettings

NAMES = [field.name for field in fields(AwsWireSettings)]
MAY_BE_ZERO = {"backoff_base_seconds", "backoff_cap_seconds", "max_waiting_calls"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-1, nan, inf])
def test_a_bound_that_bounds_nothing_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        AwsWireSettings(**{name: value})


@pytest.mark.parametrize("name", NAMES)
def test_zero_is_for_waits_only(name: str) -> None:
    if name in MAY_BE_ZERO:
        AwsWireSettings(**{name: 0})
        return
    with pytest.raises(ValueError, match=name):
        AwsWireSettings(**{name: 0})


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(ValueError, match=r"max_attempts.*pool_size.*read_seconds"):
        AwsWireSettings(pool_size=0, read_seconds=0, max_attempts=11)
