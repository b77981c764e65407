"""The scale model for the performance document: what a fleet takes for the peak, and the simulated limits.

`python -m bench.fleet` prints the section; `scale_section` returns it, reckoned with what was measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import click

from bench.hot_partition import PEAK, peak, plot_names
from reservation_api.application.capacity.lines import Line, Question, told
from reservation_api.application.capacity.plan import plan
from reservation_api.application.capacity.processes import requests_per_second_per_core
from reservation_api.application.capacity.tariff import measured_cpu


def planned_with(microseconds: Mapping[str, float] | None = None) -> Question:
    """Return the sale at the peak, with these figures of CPU by request where there are any."""
    if not microseconds:
        return peak()
    given = ",".join(f"{name}={amount}us" for name, amount in microseconds.items())
    return replace(peak(), cpu=measured_cpu().overridden(given))


def predicted_requests_per_second(question: Question, processes: int) -> float:
    """Return the rate of the mix that saturates so many processes, a core each, by the model."""
    return processes * requests_per_second_per_core(question)


def scale_section(microseconds: Mapping[str, float] | None = None) -> str:
    """Write the section: every line of the plan, what to do before the peak, and the plots."""
    lines = plan(planned_with(microseconds))
    return "\n".join(
        [
            f"`reservation-api plan-capacity --rps {PEAK}`, as a table; each number with its formula.",
            "",
            *_table(lines),
            "",
            "Before the peak:",
            "",
            *[f"- {line.what}: {line.must}" for line in lines if line.must is not None],
            "",
            "What one key of an index takes, simulated (`bench/hot_partition.py`):",
            "",
            *[f"![{title}](performance/{name})" for name, title in plot_names().items()],
            "",
        ]
    )


def _table(lines: Sequence[Line]) -> list[str]:
    rows = [
        f"| {one.section} | {one.what} | {told(one.amount)} {one.unit} | {one.formula} |" for one in lines
    ]
    return ["| | | | how |", "|---|---|---|---|", *rows]


@click.command()
def main() -> None:
    """Print the section."""
    click.echo(scale_section(), nl=False)


if __name__ == "__main__":
    main()
