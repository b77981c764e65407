"""What the planned peak asks of tables and indexes; infra/terraform/modules/dynamodb reckons alike."""

from collections.abc import Iterator
from typing import Final

from reservation_api.application.capacity.lines import (
    TIMES,
    Line,
    Question,
    must_raise,
    told,
    weighted,
    whole,
)

INDEXES_BY_STATUS: Final = {"status-created-index": "reservations", "status-created_at-index": "outbox"}
ONE_EVENT_INDEX: Final = "event-created-index"
MAX_SHARDS: Final = 100
EVENTUAL_READ_UNITS: Final = 0.5
_CHARGED: Final = "the use cases, made on meters (bootstrap/rehearsal.py)"


def units(question: Question, kind: str) -> dict[str, tuple[int, str]]:
    """Return the units a second by table and index, each with its formula."""
    charged = {name: getattr(question.charges[name], kind) for name in question.charges}
    found = {}
    for table in dict.fromkeys(name for units in charged.values() for name in units):
        amount, formula = weighted(
            question.rates(), {name: each.get(table, 0) for name, each in charged.items()}
        )
        found[table] = whole(amount), formula
    return found


def units_lines(question: Question) -> Iterator[Line]:
    """Yield write and read units of each table and index."""
    limits = question.tariff.limits
    for kind, limit in (("write", limits.table_writes), ("read", limits.table_reads)):
        for table, (amount, formula) in units(question, kind).items():
            must = must_raise(amount, limit)
            yield Line("DynamoDB", f"{kind} units of {table}", amount, "units/s", formula, _CHARGED, must)


def polling_line(question: Question, workers: int) -> Line:
    """Return what the workers' questions take when nothing is due: half a unit for each shard of a status.

    Costs leave it out, being of the workers and not of the requests.
    """
    forms = max(shards(question, index) for index in INDEXES_BY_STATUS) + 1
    polls = question.tariff.assumed.polls_per_second
    formula = f"{workers} workers {TIMES} {told(polls)} polls/s {TIMES} {forms} forms of a status {TIMES} 0.5"
    amount = workers * polls * forms * EVENTUAL_READ_UNITS
    return Line("DynamoDB", "read units of polling", amount, "units/s", formula, "entrypoints/workers")


def warm_lines(question: Question) -> Iterator[Line]:
    """Yield the warm throughput of whatever takes more than a new table has."""
    limits = question.tariff.limits
    has = f"{limits.new_table_writes.amount:,} writes, {limits.new_table_reads.amount:,} reads"
    new = f"what a new table has ({has})"
    formula, source = f"the greater of what is planned and {new}", limits.new_table_writes.source
    warmed = warm(question)
    for table, (reads, writes) in warmed.items():
        must = f"warm it for {writes:,} writes and {reads:,} reads (infra/terraform does)"
        yield Line("warm throughput", f"{table}, writes", writes, "units/s", formula, source, must)
        yield Line("warm throughput", f"{table}, reads", reads, "units/s", formula, source)
    if not warmed:
        yield Line("warm throughput", "none", 0, "units/s", f"nothing takes more than {new}", source)


def warm(question: Question) -> dict[str, tuple[int, int]]:
    """Return read and write units of the tables and indexes that are to be warmed."""
    limits = question.tariff.limits
    reads, writes = units(question, "read"), units(question, "write")
    found = {}
    for table in dict.fromkeys((*writes, *reads)):
        read, write = reads.get(table, (0, ""))[0], writes.get(table, (0, ""))[0]
        if read > limits.new_table_reads.amount or write > limits.new_table_writes.amount:
            found[table] = (
                max(read, limits.new_table_reads.amount),
                max(write, limits.new_table_writes.amount),
            )
    return found


def hottest(question: Question, index: str) -> tuple[float, str, str]:
    """Return the most that one status of an index takes, with its formula and the status."""
    by_status = {name: charge.by_status for name, charge in question.charges.items()}
    keys = dict.fromkeys(key for each in by_status.values() for key in each if key.startswith(f"{index}/"))
    sums = [
        (*weighted(question.rates(), {name: each.get(key, 0) for name, each in by_status.items()}), key)
        for key in keys
    ]
    amount, formula, key = max(sums, key=lambda each: each[0])
    return amount, formula, key.partition("/")[2]


def shards(question: Question, index: str) -> int:
    """Return how many shards an index by status needs."""
    a_shard = (
        question.tariff.limits.partition_writes.amount * question.tariff.assumed.shard_fill_percent / 100
    )
    return max(1, whole(hottest(question, index)[0] / a_shard))


def shard_lines(question: Question) -> Iterator[Line]:
    """Yield the shards of each index by status, the setting for both, and how many events share orders."""
    limit, fill = question.tariff.limits.partition_writes, question.tariff.assumed.shard_fill_percent
    for index, table in INDEXES_BY_STATUS.items():
        amount, formula, status = hottest(question, index)
        yield Line(
            "shards",
            f"{table}: {index}, {status}",
            shards(question, index),
            "shards",
            f"({formula} = {told(amount)}) / ({limit.amount:,} {TIMES} {told(fill)} %)",
            limit.source,
        )
    needed = max(shards(question, index) for index in INDEXES_BY_STATUS)
    must = f"set APP_STATUS_SHARDS={needed}" if needed > 1 else None
    if needed > MAX_SHARDS:
        must = f"plan for less: APP_STATUS_SHARDS goes to {MAX_SHARDS}"
    yield Line("shards", "APP_STATUS_SHARDS", needed, "shards", "the greater", "docs/decisions/0007", must)
    orders, formula = units(question, "write")[ONE_EVENT_INDEX]
    yield Line(
        "shards",
        f"{ONE_EVENT_INDEX}: events that must share the orders",
        max(1, whole(orders / limit.amount)),
        "events",
        f"{formula} / {limit.amount:,} orders a second for one event",
        limit.source,
        None if orders <= limit.amount else f"one event gets {limit.amount:,} orders a second at the most",
    )
