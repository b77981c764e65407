"""How many processes and vCPUs the planned peak takes, by the CPU that each request was measured to cost."""

from collections.abc import Iterator

from reservation_api.application.capacity.charges import EXPIRE
from reservation_api.application.capacity.lines import Line, Question, must_raise, told, weighted, whole


def requests_per_second_per_core(question: Question) -> float:
    """Return what one process answers on a whole core: what a measured saturation is held against."""
    rates = _of_requests(question)
    seconds, _ = weighted(rates, dict(question.cpu.microseconds))
    return sum(rates.values()) / seconds * 1_000_000


def vcpus(question: Question) -> tuple[int, int]:
    """Return the vCPUs of the API, and of the workers."""
    of_workers = {EXPIRE: question.rates().get(EXPIRE, 0.0)}
    return _vcpus(question, _of_requests(question))[0], max(1, _vcpus(question, of_workers)[0])


def process_lines(question: Question) -> Iterator[Line]:
    """Yield what a process stands, the processes and vCPUs of API and workers, and the API's tasks."""
    sources = question.cpu.sources
    by_source: dict[str, list[str]] = {}
    for name in question.rates():
        by_source.setdefault(sources[name], []).append(name)
    measured = "; ".join(f"{', '.join(names)}: {source}" for source, names in by_source.items())
    a_core = requests_per_second_per_core(question)
    rates = _of_requests(question)
    mean = "1,000,000 us / the mean CPU of a request"
    yield Line("processes", "a process saturates at", a_core, "requests/s", mean, measured)
    needed, formula = _vcpus(question, rates)
    must = must_raise(sum(vcpus(question)), question.tariff.limits.fargate_vcpus)
    yield Line("processes", "API: vCPUs, a process on each", needed, "vCPU", formula, measured, must)
    a_task = question.tariff.assumed.task_vcpus
    yield Line(
        "processes", "API: tasks", whole(needed / a_task), "tasks", f"{needed} / {a_task} vCPU", "tariff.toml"
    )
    workers, formula = _vcpus(question, {EXPIRE: question.rates().get(EXPIRE, 0.0)})
    yield Line(
        "processes", "workers: vCPUs, a process on each", max(1, workers), "vCPU", formula, sources[EXPIRE]
    )


def _of_requests(question: Question) -> dict[str, float]:
    return {name: rate for name, rate in question.rates().items() if name != EXPIRE}


def _vcpus(question: Question, rates: dict[str, float]) -> tuple[int, str]:
    used, formula = weighted(rates, dict(question.cpu.microseconds))
    share = question.utilisation_percent / 100
    return whole(used / 1_000_000 / share), f"({formula} us) / 1,000,000 / {told(share)}"
