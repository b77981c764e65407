"""What alarms watch, and whom they tell."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from reservation_api.ports.deployment import Alarms, Facts

Alarm = Mapping[str, Any]

_ANY_UNIT: Final = "any"


class Watches(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The metrics that an alarm is known by, as regular expressions."""

    namespace: str
    metric: str
    table: str | None = None


def watching(alarms: Alarms, what: Watches, env: str) -> Sequence[Alarm]:
    """Return the alarms on these metrics: those named after this environment, or if there are none, all."""
    found = [one for one in alarms.metric if any(_is_watched(metric, what) for metric in _metrics(one))]
    return [one for one in found if str(one["AlarmName"]).startswith(f"{env}-")] or found


def facts_of(alarm: Alarm, alarms: Alarms) -> Facts:
    """Return what an alarm is."""
    metrics = list(_metrics(alarm))
    periods = alarm["EvaluationPeriods"]
    return {
        "alarm": alarm["AlarmName"],
        "threshold": alarm.get("Threshold"),
        "comparison": alarm.get("ComparisonOperator"),
        "periods": _of_periods(int(alarm.get("DatapointsToAlarm") or periods), int(periods)),
        "period seconds": sorted({metric["Period"] for metric in metrics}),
        "statistics": sorted({metric["Stat"] for metric in metrics}),
        "unit": ", ".join(sorted({metric["Unit"] for metric in metrics})),
        "expression": _expression(alarm),
        "metrics": sorted({_name_of(metric) for metric in metrics}),
        "dimensions": sorted({f"{name}={of}" for one in metrics for name, of in _dimensions(one).items()}),
        "notifies": sorted(set(_topics(alarm, alarms.composite))),
    }


def together(all_facts: Sequence[Facts]) -> Facts:
    """Return the facts of several alarms as of one: lists are joined, what differs is told side by side."""
    if len(all_facts) == 1:
        return all_facts[0]
    return {key: _joined([facts[key] for facts in all_facts]) for key in all_facts[0]}


def _joined(values: Sequence[object]) -> object:
    if all(isinstance(value, list) for value in values):
        if not all(values):
            return []  # one that tells nobody is not made good by another
        return sorted({entry for value in values for entry in value})  # type: ignore[attr-defined]
    different = sorted({str(value) for value in values})
    return values[0] if len(different) == 1 else " and ".join(different)


def _of_periods(datapoints: int, periods: int) -> int | str:
    return periods if datapoints == periods else f"{datapoints} of {periods}"


def _metrics(alarm: Alarm) -> Iterator[Mapping[str, Any]]:
    """Yield each metric in one shape, whether the alarm has one or calculates with several."""
    if alarm.get("MetricName"):
        yield {
            "Namespace": alarm["Namespace"],
            "MetricName": alarm["MetricName"],
            "Dimensions": alarm.get("Dimensions", []),
            "Period": alarm["Period"],
            "Stat": alarm.get("Statistic") or alarm.get("ExtendedStatistic"),
            "Unit": alarm.get("Unit") or _ANY_UNIT,
        }
    for query in alarm.get("Metrics") or []:
        if "MetricStat" in query:
            stat = query["MetricStat"]
            yield {**stat["Metric"], **stat, "Unit": stat.get("Unit") or _ANY_UNIT}


def _is_watched(metric: Mapping[str, Any], what: Watches) -> bool:
    return (
        re.fullmatch(what.namespace, metric["Namespace"]) is not None
        and re.fullmatch(what.metric, metric["MetricName"]) is not None
        and (what.table is None or _dimensions(metric).get("TableName") == what.table)
    )


def _dimensions(metric: Mapping[str, Any]) -> Mapping[str, str]:
    return {one["Name"]: one["Value"] for one in metric.get("Dimensions") or []}


def _name_of(metric: Mapping[str, Any]) -> str:
    index = _dimensions(metric).get("GlobalSecondaryIndexName", "")
    return f"{metric['MetricName']} {index}".strip()


def _expression(alarm: Alarm) -> str:
    """Return the expressions that it calculates with, the one that it is decided by last."""
    queries = [query for query in alarm.get("Metrics") or [] if query.get("Expression")]
    return "; ".join(
        query["Expression"] for query in sorted(queries, key=lambda query: query.get("ReturnData", True))
    )


def _topics(alarm: Alarm, composites: Sequence[Alarm]) -> Iterator[str]:
    """Yield the topics that are told when it goes off: by itself, or by an alarm that it sets off."""
    for one in (alarm, *(composite for composite in composites if _sets_off(alarm, composite))):
        if one.get("ActionsEnabled", True):
            yield from (action for action in one.get("AlarmActions") or [] if ":sns:" in action)


def _sets_off(alarm: Alarm, composite: Alarm) -> bool:
    """Tell whether this alarm alone is surely enough: in ALARM(a) OR ALARM(b), and in nothing less plain."""
    parts = re.split(r"\s+OR\s+", composite.get("AlarmRule", ""))
    named = [
        re.fullmatch(r"\(?\s*ALARM\(\s*[\"']?([^\"'()]+)[\"']?\s*\)\s*\)?", part.strip()) for part in parts
    ]
    if not all(named):
        return False
    return bool({one[1] for one in named if one} & {alarm["AlarmName"], alarm.get("AlarmArn")})
