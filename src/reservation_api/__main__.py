"""`python -m reservation_api` is the command `reservation-api`."""

from reservation_api.entrypoints.cli import main

if __name__ == "__main__":
    main(prog_name="reservation-api")
