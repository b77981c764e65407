"""Sizes as the Developer Guide counts them ("DynamoDB item sizes and formats")."""

from typing import Any

import pytest

from reservation_api.adapters.dynamodb.sizes import item_bytes, read_units, write_units


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "HOLD"}, 4),
        ({"S": "é"}, 2),
        ({"N": "7"}, 2),
        ({"N": "27"}, 2),
        ({"N": "120000"}, 4),
        ({"N": "-12.345"}, 4),
        ({"L": []}, 3),
        ({"L": [{"S": "ab"}, {"S": "c"}]}, 3 + 1 + 2 + 1 + 1),
        ({"M": {"row": {"S": "12"}}}, 3 + 1 + 3 + 2),
    ],
)
def test_a_value_is_as_large_as_the_guide_says(value: dict[str, Any], size: int) -> None:
    assert item_bytes({"name": value}) == len("name") + size


def test_a_kind_that_no_row_has_is_refused() -> None:
    with pytest.raises(ValueError, match="BOOL"):
        item_bytes({"name": {"BOOL": True}})


@pytest.mark.parametrize(("size", "units"), [(1, 1), (1024, 1), (1025, 2), (4096, 4)])
def test_a_write_takes_a_unit_for_each_kilobyte_begun(size: int, units: int) -> None:
    assert write_units(size) == units


@pytest.mark.parametrize(("size", "units"), [(0, 1), (4096, 1), (4097, 2)])
def test_a_consistent_read_takes_a_unit_for_each_four_kilobytes_begun(size: int, units: int) -> None:
    assert read_units(size) == units
