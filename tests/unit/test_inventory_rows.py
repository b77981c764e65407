import pytest

from reservation_api.adapters.sqlite.inventory_rows import free_runs, longest_run, with_letter


@pytest.mark.parametrize(
    ("states", "runs"),
    [
        ("", []),
        ("HSB", []),
        ("....", [(0, 4)]),
        (".H..B...", [(0, 1), (2, 2), (5, 3)]),
        ("S.", [(1, 1)]),
    ],
)
def test_runs_of_free_seats_end_at_taken_ones(states: str, runs: list[tuple[int, int]]) -> None:
    assert free_runs(states) == runs
    assert longest_run(states) == max((length for _, length in runs), default=0)


def test_letters_change_only_at_the_places_named() -> None:
    assert with_letter(".....", [0, 3, 4], "H") == "H..HH"
    assert with_letter("HSB", [], ".") == "HSB"
