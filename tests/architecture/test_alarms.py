"""Alarms, dashboards and runbooks are compared with each other, and with what the service measures."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]

from reservation_api.telemetry.emf import NAMESPACE
from reservation_api.telemetry.names import METRICS, Kind

ROOT: Final = Path(__file__).parents[2]
RUNBOOKS: Final = ROOT / "docs/runbooks"
MODULE: Final = ROOT / "infra/terraform/modules/cloudwatch"
SELDOM: Final = {"restore-tables", "replay-events", "lose-a-region", "README"}
"""Pages that no alarm leads to."""
OF_OTHERS: Final = {
    "up": {"job", "instance"},
    "ALERTS": {"alertstate", "alertname"},
    "process_cpu_seconds_total": {"instance"},
    "process_resident_memory_bytes": {"instance"},
}
"""What Prometheus itself tells, and prometheus_client of the process."""
WORDS: Final = {"by", "or", "and", "unless", "without", "on", "le"}


def alerts() -> dict[str, Mapping[str, Any]]:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def dashboard() -> Mapping[str, Any]:
    loaded: Mapping[str, Any] = json.loads((ROOT / "deploy/grafana/reservation-api.json").read_text())
    return loaded


def queries() -> Iterator[str]:
    yield from (rule["expr"] for rule in alerts().values())
    yield from dashboard_queries()


def dashboard_queries() -> Iterator[str]:
    yield from (note["expr"] for note in dashboard()["annotations"]["list"])
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def series() -> dict[str, set[str]]:
    """Every series that can be asked for, with its labels; Prometheus adds which process it is of."""
    found = {name: set(labels) for name, labels in OF_OTHERS.items()}
    for metric in METRICS:
        labels = {*metric.labels, "job", "instance"}
        match metric.kind:
            case Kind.HISTOGRAM:
                found |= {f"{metric.prometheus}_{part}": labels for part in ("sum", "count")}
                found[f"{metric.prometheus}_bucket"] = {*labels, "le"}
            case Kind.COUNTER:
                found[f"{metric.prometheus}_total"] = labels
            case Kind.GAUGE | Kind.PEAK:
                found[metric.prometheus] = labels
    return found


def asked_by(query: str) -> tuple[set[str], set[str]]:
    """Return the series that a query names, and the labels."""
    bare = re.sub(r'"[^"]*"', '""', query)
    matchers = re.findall(r"\{([^}]*)\}", bare)
    groupings = re.findall(r"\b(?:by|without|on)\s*\(([^)]*)\)", bare)
    labels = {name for matcher in matchers for name in re.findall(r"(\w+)\s*(?:=|!)", matcher)}
    labels |= {name.strip() for grouping in groupings for name in grouping.split(",")}
    rest = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|without|on)\s*\([^)]*\)", " ", bare)
    names = {found[1] for found in re.finditer(r"\b([A-Za-z_]\w*)\b(?!\s*\()", rest)}
    return names - WORDS, labels


def faults_of(query: str) -> list[str]:
    names, labels = asked_by(query)
    known = series()
    if not names or names - known.keys():
        return [f"no such series: {names - known.keys() or query}"]
    return [f"{names} have no label {label}" for label in labels if not any(label in known[n] for n in names)]


@pytest.mark.parametrize("query", sorted(set(queries())))
def test_a_query_asks_for_what_is_measured(query: str) -> None:
    assert faults_of(query) == []


@pytest.mark.parametrize(
    "query",
    [
        "sum(rate(http_request_total[5m]))",
        "max(api_latency_seconds)",
        'sum(rate(http_errors_total{route="x"}[5m]))',
        "sum by (queue) (outbox_failed)",
        "vector(1)",
    ],
)
def test_a_query_for_what_nobody_measures_is_found_out(query: str) -> None:
    assert faults_of(query)


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {name for query in queries() for name in asked_by(query)[0]}
    assert {
        metric.name for metric in METRICS if not any(s.startswith(metric.prometheus) for s in shown)
    } == set()


def test_panels_have_places_of_their_own() -> None:
    panels = dashboard()["panels"]
    places = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("name", alerts())
def test_a_rule_leads_to_the_page_that_is_about_it(name: str) -> None:
    rule = alerts()[name]
    page = ROOT / rule["annotations"]["runbook"]
    assert page.parent == RUNBOOKS
    assert f"`{name}`" in page.read_text()
    assert rule["labels"]["severity"] in {"page", "ticket"}


def cloudwatch_alarms() -> dict[str, str]:
    """Return the page that each alarm of the module ends its description with, by the end of its name."""
    text = (MODULE / "main.tf").read_text()
    blocks = re.findall(r'^resource "aws_cloudwatch_\w*alarm" .*?^}', text, re.DOTALL | re.MULTILINE)
    found: dict[str, str] = {}
    for block in blocks:
        (name,) = re.findall(r'alarm_name\s+= "\$\{local\.prefix\}-(.*)"', block)
        (description,) = re.findall(r'alarm_description\s+= "(.*)"', block)
        page = description.partition("Runbook: ${var.runbooks_url}/")[2]
        if name == "${each.key}":
            (of,) = re.findall(r"for_each = local\.(\w+)", block)
            found |= {key: page.replace("${each.key}", key) for key in keys_of(of, text)}
        else:
            found[name.removesuffix("-${each.key}")] = page
    return found


def keys_of(local: str, text: str) -> list[str]:
    """Return the keys of a map of alarms: names with a hyphen."""
    block = re.split(r"^  \w+ = |^}", text.partition(f"\n  {local} = ")[2], flags=re.MULTILINE)[0]
    return re.findall(r'\b([a-z]+(?:-[a-z]+)+)"?(?: = \{|\])', block)


def test_every_alarm_of_cloudwatch_ends_with_its_page() -> None:
    alarms = cloudwatch_alarms()
    assert len(alarms) == 9
    for name, page in alarms.items():
        assert page == f"{name}.md"
        assert f"`{{env}}-reservation-{name}`" in (RUNBOOKS / page).read_text()


def test_every_page_is_in_the_index_and_every_alarm_in_its_row() -> None:
    index = (RUNBOOKS / "README.md").read_text()
    rows = dict(re.findall(r"^\| \[([\w-]+)\.md\]\([\w-]+\.md\) (\|.*\|)$", index, re.MULTILINE))
    assert rows.keys() == {path.stem for path in RUNBOOKS.glob("*.md")} - SELDOM
    of_rules = {Path(rule["annotations"]["runbook"]).stem for rule in alerts().values()}
    for page, row in rows.items():
        cells = ["yes" if page in of else "" for of in (cloudwatch_alarms(), of_rules)]
        assert [cell.strip() for cell in row.strip("|").split("|")] == cells, page


def test_a_page_says_what_to_look_at_and_what_to_do() -> None:
    for page in {path.stem for path in RUNBOOKS.glob("*.md")} - SELDOM:
        text = (RUNBOOKS / f"{page}.md").read_text()
        assert "**Alarm**" in text, page
        assert "**Look at" in text, page
        assert re.search(r"\*\*Do\b|\| do \|", text), page


def test_what_cloudwatch_watches_is_essential_and_named_as_it_is_sent() -> None:
    """An alarm on what nobody sends is silent for ever; what is essential, and nothing else, is paid for."""
    variables = (MODULE / "variables.tf").read_text()
    named = dict(re.findall(r'^    (\w+)\s+= optional\(string, "(\w[\w/]*)"\)', variables, re.MULTILINE))
    assert named.pop("namespace") == NAMESPACE
    essential = {metric.name: metric for metric in METRICS if metric.essential}
    assert set(named.values()) == set(essential)

    collector = yaml.safe_load((MODULE / "templates/collector.yaml.tftpl").read_text())
    declared = {
        named[re.fullmatch(r"\^\$\{metrics\.(\w+)\}\$", selector)[1]]: declaration["dimensions"][0]  # type: ignore[index]
        for declaration in collector["exporters"]["awsemf"]["metric_declarations"]
        for selector in declaration["metric_name_selectors"]
    }
    assert declared == {name: list(metric.labels) for name, metric in essential.items()}


@pytest.mark.parametrize("file", ["main.tf", "dashboard.tf"])
def test_alarms_and_dashboard_name_metrics_by_those_variables_alone(file: str) -> None:
    text = (MODULE / file).read_text()
    metrics = re.findall(r"(?:metric|metric_name|name)\s+= (\"\w+\"|var\.metrics\.\w+)", text)
    ours = {metric.name for metric in METRICS}
    assert not {name.strip('"') for name in metrics} & ours
    assert any(name.startswith("var.metrics.") for name in metrics)
