"""The command `reservation-api`; `python -m reservation_api` is the same."""

import gc

OBJECTS_OF_A_START = 200_000
"""What is imported stays: to look for garbage before there are so many objects takes a tenth of a start."""


def main() -> None:
    """Run it."""
    gc.set_threshold(OBJECTS_OF_A_START)
    from reservation_api.entrypoints.cli import main as command  # noqa: PLC0415

    command(prog_name="reservation-api")


if __name__ == "__main__":
    main()
