"""What the peak costs: an hour of it, and a million reservations (holds) with all that comes with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reservation_api.application.capacity.charges import REQUESTS
from reservation_api.application.capacity.lines import TIMES, Line, Question, told
from reservation_api.application.capacity.processes import vcpus
from reservation_api.application.capacity.tariff import Price

MILLION: Final = 1_000_000
_GB: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Cost:
    """Something that is paid by its use."""

    what: str
    count: float
    """Of what the price is for, for a million reservations."""
    price: Price

    @property
    def dollars(self) -> float:
        """Return the price of it, in whole cents: so are the parts that people add up."""
        return round(self.rounded_count * self.price.dollars, 2)

    @property
    def rounded_count(self) -> float:
        """Return the count as it is shown."""
        return round(self.count, 2)


def costs_of_a_million(question: Question) -> list[Cost]:
    """Return what a million reservations cost by use; raises ValueError if nothing is held."""
    rates = question.rates()
    if "hold" not in rates:
        raise ValueError("without holds there are no reservations to reckon by")
    times = {name: rate / rates["hold"] * MILLION for name, rate in rates.items()}
    charges, prices, assumed = question.charges, question.tariff.prices, question.tariff.assumed

    writes = sum(count * sum(charges[name].write.values()) for name, count in times.items())
    reads = sum(count * sum(charges[name].read.values()) for name, count in times.items())
    events = sum(count * charges[name].events for name, count in times.items())
    event_gigabytes = sum(count * charges[name].event_bytes for name, count in times.items()) / _GB
    kept = sum(count * charges[name].stored_bytes for name, count in times.items()) / _GB
    requests = sum(count for name, count in times.items() if name in REQUESTS)
    lines = (requests + events) * assumed.line_bytes / _GB
    called = events * assumed.targets_per_event
    busy = called * assumed.consumer_milliseconds / 1000 * assumed.consumer_megabytes / 1024
    return [
        Cost("writes of tables and indexes", writes / MILLION, prices.write_units),
        Cost("reads", reads / MILLION, prices.read_units),
        Cost("rows and index entries that stay, a month", kept, prices.storage),
        Cost("their point-in-time recovery, a month", kept, prices.point_in_time_recovery),
        Cost("events put on the bus", events / MILLION, prices.events),
        Cost("archive: processing", event_gigabytes, prices.archive),
        Cost("event processor: invocations", called / MILLION, prices.invocations),
        Cost("event processor: memory", busy, prices.function_memory),
        Cost("logs: events, by function and audit", event_gigabytes * assumed.logged_times, prices.logs),
        Cost("logs: a line for each request and each move", lines, prices.logs),
        Cost("balancer", requests * assumed.request_kilobytes * 1000 / _GB, prices.balancer_units),
    ]


def cost_lines(question: Question) -> Iterator[Line]:
    """Yield an hour at the peak by kind, its sum, and the sum for a million reservations."""
    costs = costs_of_a_million(question)
    millions = question.rates()["hold"] * 3600 / MILLION
    hour = 0.0
    for cost in costs:
        dollars = cost.count * cost.price.dollars * millions
        hour += dollars
        formula = (
            f"{told(cost.count)} {cost.price.per} a million holds"
            f" {TIMES} {told(millions)} million {TIMES} {cost.price.told}"
        )
        yield Line("cost of an hour", cost.what, dollars, "dollars", formula, cost.price.source)
    for line in _always(question):
        hour += line.amount
        yield line
    yield Line("cost of an hour", "together", hour, "dollars", "the sum", question.tariff.as_of)
    million = sum(cost.dollars for cost in costs)
    yield Line(
        "cost of a million reservations",
        "by use",
        million,
        "dollars",
        "each rounded to cents",
        _AS_REMEMBERED,
    )
    yield Line(
        "cost of a million reservations",
        "with the processes",
        hour / millions,
        "dollars",
        f"{told(hour)} an hour / {told(millions)} million holds an hour",
        _AS_REMEMBERED,
    )


_AS_REMEMBERED: Final = "prices as remembered: check tariff.toml"


def _always(question: Question) -> Iterator[Line]:
    """Yield what the processes cost in an hour, and the balancer before them."""
    prices, assumed = question.tariff.prices, question.tariff.assumed
    count = sum(vcpus(question))
    gigabytes = count * assumed.memory_gigabytes_per_vcpu
    for what, amount, price in (
        ("vCPUs of API and workers", count, prices.vcpu),
        ("their memory", gigabytes, prices.memory),
        ("balancer itself", 1, prices.balancer),
    ):
        formula = f"{told(amount)} {TIMES} {price.told}"
        yield Line("cost of an hour", what, amount * price.dollars, "dollars", formula, price.source)
