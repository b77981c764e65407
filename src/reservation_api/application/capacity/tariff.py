"""Prices, limits and measured CPU as data: tariff.toml and cpu.toml, or files like them."""

from collections.abc import Mapping
from decimal import Decimal
from importlib.resources import files
from typing import Final

import msgspec

from reservation_api.application.capacity.charges import EXPIRE, REQUESTS

PLANNED: Final = (*REQUESTS, EXPIRE)


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What something costs."""

    dollars: float
    per: str
    source: str

    @property
    def told(self) -> str:
        """Return the dollars as people write them, however few."""
        return f"{Decimal(str(self.dollars)):f}"


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"can_be_raised": "raise"}):
    """Where AWS stops."""

    amount: int
    unit: str
    source: str
    can_be_raised: bool = False


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By what is paid for."""

    write_units: Price
    read_units: Price
    storage: Price
    point_in_time_recovery: Price
    events: Price
    archive: Price
    invocations: Price
    function_memory: Price
    logs: Price
    balancer_units: Price
    balancer: Price
    vcpu: Price
    memory: Price
    endpoint: Price
    alarm_metric: Price
    custom_metric: Price


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By what is limited."""

    new_table_writes: Limit
    new_table_reads: Limit
    partition_writes: Limit
    table_writes: Limit
    table_reads: Limit
    put_events: Limit
    target_invocations: Limit
    function_concurrency: Limit
    fargate_vcpus: Limit


class Assumed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the code can not tell; tariff.toml says what each is."""

    targets_per_event: float
    consumer_milliseconds: float
    consumer_megabytes: float
    request_kilobytes: float
    logged_times: float
    line_bytes: float
    task_vcpus: int
    memory_gigabytes_per_vcpu: float
    shard_fill_percent: float
    polls_per_second: float


class Tariff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One region's prices and limits, as of some day."""

    region: str
    as_of: str
    prices: Prices
    limits: Limits
    assumed: Assumed


class _CpuFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    measured: str
    microseconds: dict[str, float]
    like: dict[str, str]


class Cpu(msgspec.Struct, frozen=True):
    """Microseconds of CPU by request and EXPIRE, and where each figure comes from."""

    microseconds: Mapping[str, float]
    sources: Mapping[str, str]

    def overridden(self, text: str) -> "Cpu":
        """Put `hold=200us,get=100us` in their place; raises ValueError for anything else."""
        given = {}
        for part in text.split(","):
            name, _, amount = part.strip().partition("=")
            if name not in PLANNED or not amount.endswith("us"):
                raise ValueError(f"{part.strip()!r} is not like hold=200us, of {', '.join(PLANNED)}")
            given[name] = _positive(amount.removesuffix("us"))
        return Cpu({**self.microseconds, **given}, {**self.sources, **dict.fromkeys(given, "given")})


def tariff_of(text: str) -> Tariff:
    """Read a tariff; raises ValueError if something is missing, or not what it should be."""
    return msgspec.toml.decode(text, type=Tariff)


def default_tariff() -> Tariff:
    """Return tariff.toml."""
    return tariff_of(files(__package__).joinpath("tariff.toml").read_text())


def cpu_of(text: str) -> Cpu:
    """Read a table of CPU; raises ValueError unless each request is measured, or like one that is."""
    table = msgspec.toml.decode(text, type=_CpuFile)
    microseconds, sources = dict(table.microseconds), dict.fromkeys(table.microseconds, table.measured)
    for name, other in table.like.items():
        if name in microseconds or other not in table.microseconds:
            raise ValueError(f"{name}: measured itself, or like what is not measured ({other})")
        microseconds[name], sources[name] = table.microseconds[other], f"like {other}"
    if set(microseconds) != set(PLANNED):
        raise ValueError(f"all of {', '.join(PLANNED)} must be there, and nothing else")
    for amount in microseconds.values():
        _positive(str(amount))
    return Cpu(microseconds, sources)


def measured_cpu() -> Cpu:
    """Return cpu.toml."""
    return cpu_of(files(__package__).joinpath("cpu.toml").read_text())


def _positive(text: str) -> float:
    try:
        amount = float(text)
    except ValueError as error:
        raise ValueError(f"{text!r} microseconds?") from error
    if not 0 < amount < float("inf"):
        raise ValueError(f"{text} microseconds?")
    return amount
