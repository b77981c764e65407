"""Alarms: what CloudWatch refuses, and expressions that name metrics which are not there."""

import re
from collections.abc import Iterator
from typing import Any, Final

from testkit.choices import exactly_one
from testkit.kind import Fault
from testkit.values import State, Unknown, is_known

STATISTICS: Final = frozenset({"Average", "Maximum", "Minimum", "SampleCount", "Sum"})
_PERCENTILE: Final = r"p(\d{1,2}(\.\d{1,10})?|100)"
_RANGE: Final = r"(tm|wm|tc|ts)(\d{1,2}(\.\d{1,10})?|100)|(TM|WM|TC|TS|PR)\([^()]*:[^()]*\)|IQM"
EXTENDED: Final = re.compile(f"{_PERCENTILE}|{_RANGE}")
_TREAT_MISSING: Final = frozenset({"breaching", "ignore", "missing", "notBreaching"})
_ANOMALY: Final = frozenset(
    {
        "GreaterThanUpperThreshold",
        "LessThanLowerOrGreaterThanUpperThreshold",
        "LessThanLowerThreshold",
    }
)
_COMPARISONS: Final = _ANOMALY | {
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanOrEqualToThreshold",
    "LessThanThreshold",
}
_SHORT_PERIODS: Final = (10, 20, 30)
_MINUTE: Final = 60
_DAY: Final = 86_400
_WEEK: Final = 604_800
_ID: Final = re.compile(r"[a-z][A-Za-z0-9_]*")
_WORD: Final = re.compile(r"\b[a-z][A-Za-z0-9_]*\b")
_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")


def alarm_faults(alarm: State) -> Iterator[Fault]:
    """Yield what PutMetricAlarm refuses."""
    queries = alarm["metric_query"]
    if isinstance(queries, Unknown):
        return
    if queries:
        yield from _query_faults(queries)
        for name in ("metric_name", "namespace", "period", "statistic", "extended_statistic", "dimensions"):
            if alarm[name]:
                yield Fault(f"{name} conflicts with metric_query", name)
    elif not alarm["evaluation_criteria"]:
        yield from _single_metric_faults(alarm)
    yield from _evaluation_faults(alarm)


def _single_metric_faults(alarm: State) -> Iterator[Fault]:
    for name in ("metric_name", "namespace", "period"):
        if alarm[name] is None:
            yield Fault(f"an alarm of one metric needs {name}", name)
    plain, extended = alarm["statistic"], alarm["extended_statistic"]
    yield from exactly_one(alarm, "statistic", "extended_statistic")
    if isinstance(plain, str) and plain not in STATISTICS:
        yield Fault(f"statistic must be one of {', '.join(sorted(STATISTICS))}", "statistic")
    if isinstance(extended, str) and not EXTENDED.fullmatch(extended):
        yield Fault(f"{extended!r} is no extended statistic; p99 is one", "extended_statistic")
    if isinstance(alarm["period"], int) and not _is_period(alarm["period"]):
        yield Fault("period must be 10, 20, 30 or a multiple of 60 seconds", "period")


def _is_period(seconds: int) -> bool:
    return seconds in _SHORT_PERIODS or (seconds > 0 and seconds % _MINUTE == 0)


def _evaluation_faults(alarm: State) -> Iterator[Fault]:
    periods, datapoints = alarm["evaluation_periods"], alarm["datapoints_to_alarm"]
    if isinstance(periods, int) and isinstance(datapoints, int) and datapoints > periods:
        yield Fault("datapoints_to_alarm can not be more than evaluation_periods", "datapoints_to_alarm")
    if isinstance(periods, int) and periods < 1:
        yield Fault("evaluation_periods must be at least 1", "evaluation_periods")
    missing = alarm["treat_missing_data"]
    if isinstance(missing, str) and missing not in _TREAT_MISSING:
        yield Fault(
            f"treat_missing_data must be one of {', '.join(sorted(_TREAT_MISSING))}", "treat_missing_data"
        )
    comparison, period = alarm["comparison_operator"], _period(alarm)
    if isinstance(comparison, str) and comparison not in _COMPARISONS:
        yield Fault(f"there is no comparison_operator {comparison!r}", "comparison_operator")
    yield from exactly_one(alarm, "threshold", "threshold_metric_id", "evaluation_criteria")
    longest = _DAY if period and period < 3600 else _WEEK  # noqa: PLR2004 (hourly and longer may look back a week)
    if isinstance(periods, int) and period and periods * period > longest:
        yield Fault(f"period times evaluation_periods can not exceed {longest} seconds", "evaluation_periods")


def _period(alarm: State) -> int | None:
    listed = [alarm["period"]]
    for query in alarm["metric_query"] or []:
        listed += [query["period"], *(metric["period"] for metric in query["metric"] or [])]
    known = [period for period in listed if isinstance(period, int)]
    return max(known) if known else None


def _query_faults(queries: list[State]) -> Iterator[Fault]:
    ids = [query["id"] for query in queries]
    if not is_known(ids):
        return
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield Fault(f"metric_query {name} stands twice", "metric_query")
    if sum(query["return_data"] is True for query in queries) != 1:
        yield Fault("exactly one metric_query must have return_data = true", "metric_query")
    for query in queries:
        yield from (Fault(text, "metric_query") for text in _one_query(query, set(ids)))


def _one_query(query: State, ids: set[str]) -> Iterator[str]:
    name, expression = query["id"], query["expression"]
    if not _ID.fullmatch(name):
        yield f"the id {name!r} must start with a lower-case letter"
    if bool(expression) == bool(query["metric"]):
        yield f"metric_query {name} must have either a metric or an expression"
    if isinstance(expression, str):
        yield from (
            f"metric_query {name}: there is no {word!r} for its expression"
            for word in sorted(set(_WORD.findall(_QUOTED.sub("", expression))) - ids)
        )
        if name in _WORD.findall(_QUOTED.sub("", expression)):
            yield f"metric_query {name} uses itself"
    for metric in query["metric"] or []:
        yield from _metric(metric, name)


def _metric(metric: State, name: str) -> Iterator[str]:
    stat: Any = metric["stat"]
    if isinstance(stat, str) and stat not in STATISTICS and not EXTENDED.fullmatch(stat):
        yield f"metric_query {name}: there is no statistic {stat!r}"
    if isinstance(metric["period"], int) and not _is_period(metric["period"]):
        yield f"metric_query {name}: period must be 10, 20, 30 or a multiple of 60 seconds"
