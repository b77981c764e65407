"""A plan: every line that follows from a rate, a mix and what was measured."""

from reservation_api.application.capacity.bus import bus_lines
from reservation_api.application.capacity.costs import cost_lines
from reservation_api.application.capacity.lines import Line, Question
from reservation_api.application.capacity.processes import process_lines, vcpus
from reservation_api.application.capacity.tables import polling_line, shard_lines, units_lines, warm_lines


def plan(question: Question) -> list[Line]:
    """Return the lines of a plan, section by section; raises ValueError for a question without an answer."""
    if not 0 < question.requests_per_second < float("inf"):
        raise ValueError("more than 0 requests a second")
    if not 0 < question.utilisation_percent <= 100:  # noqa: PLR2004 (per cent)
        raise ValueError("a share of a core is more than 0 and at most 100 per cent")
    costs = list(
        cost_lines(question)
    )  # it refuses a mix without holds, before others divide by what there is not
    return [
        *process_lines(question),
        *units_lines(question),
        polling_line(question, vcpus(question)[1]),
        *warm_lines(question),
        *shard_lines(question),
        *bus_lines(question),
        *costs,
    ]
