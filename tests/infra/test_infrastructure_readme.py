"""What infra/terraform/README.md and the runbooks tell one to type, and how they reckon: is it true?"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner
from tests.support.terraform_plans import PROD, PROD_VALUES, TERRAFORM, plan, planning

from reservation_api.application.capacity.charges import Mix
from reservation_api.application.capacity.lines import Question
from reservation_api.application.capacity.tables import INDEXES_BY_STATUS, shards, units, warm
from reservation_api.application.capacity.tariff import default_tariff, measured_cpu
from reservation_api.bootstrap.rehearsal import charges_of
from reservation_api.entrypoints.cli import main
from testkit.fetch import Fetched
from testkit.terraform import HOW_TO_GET_IT, Workspace, installed

ROOT: Final = Path(__file__).parents[2]
README: Final = (TERRAFORM / "README.md").read_text()
PAGES: Final = [TERRAFORM / "README.md", *sorted((ROOT / "docs/runbooks").glob("*.md"))]
TIMES: Final = " \N{MULTIPLICATION SIGN} "
SUM: Final = re.compile(rf"(\d[\d.]*(?:{TIMES}\d[\d.]*)+) = (\d[\d.]*)")
PEAK: Final = 30_000
CENT: Final = 0.005

needs_terraform = pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT)


def phases() -> list[set[str]]:
    """Return the modules that each `terraform apply` names, in the order of the page."""
    commands = re.findall(r"^ {4}terraform apply(.*)$", README, re.MULTILINE)
    return [set(re.findall(r"-target=module\.(\w+)", command)) for command in commands]


def test_every_product_is_right() -> None:
    found = SUM.findall(README)
    assert len(found) > 15
    for factors, product in found:
        exact = 1.0
        for factor in factors.split(TIMES):
            exact *= float(factor)
        assert abs(exact - float(product)) <= CENT, f"{factors} is {exact}"


def test_a_million_reservations_cost_what_the_plan_says() -> None:
    table = CliRunner().invoke(main, ["plan-capacity", "--markdown"]).output
    assert f"<!-- costs -->\n{table}<!-- /costs -->" in README


def test_what_runs_always_is_reckoned_with_the_prices_of_the_plan() -> None:
    always = README.partition("What runs always")[2]
    prices = default_tariff().prices
    for what, price in (
        ("API:", prices.vcpu),
        ("their memory, 8 GB", prices.memory),
        ("workers:", prices.vcpu),
        ("their memory, 2 GB", prices.memory),
        ("endpoints:", prices.endpoint),
        ("balancer", prices.balancer),
        ("alarms:", prices.alarm_metric),
        ("metrics of the service:", prices.custom_metric),
    ):
        row = re.search(rf"^\| {what}[^|]*\|([^|=]*)=", always, re.MULTILINE)
        assert row is not None, what
        assert float(row[1].split(TIMES)[-1]) == price.dollars, what


@needs_terraform
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seats", [2, 10])
def test_tables_are_planned_and_warmed_as_the_plan_says(
    seats: int, schema_and_protocol: Fetched, running_servers: Mapping[str, str], tmp_path: Path
) -> None:
    values = {
        "planned_requests_per_second": PEAK,
        "seats_per_reservation": seats,
        "table_quota": {"write_units": 200_000},
    }
    module = TERRAFORM / "modules" / "dynamodb"
    with planning(module, tmp_path, schema_and_protocol, running_servers) as place:
        shown = plan(place, values)["planned_values"]
    question = Question(PEAK, Mix(), charges_of(seats), measured_cpu(), default_tariff())
    reads, writes = units(question, "read"), units(question, "write")
    planned = shown["outputs"]["planned_units"]["value"]
    assert planned.keys() == {*reads, *writes}
    for name, of_name in planned.items():
        assert of_name["write"] == writes.get(name, (0, ""))[0], name
        assert of_name["read"] == reads.get(name, (0, ""))[0], name
    assert shown["outputs"]["status_shards"]["value"] == max(shards(question, i) for i in INDEXES_BY_STATUS)
    assert dict(_warmed(shown["root_module"]["resources"])) == warm(question)


def test_the_quota_of_a_table_is_the_plans() -> None:
    variables = (TERRAFORM / "modules" / "dynamodb" / "variables.tf").read_text()
    limits = default_tariff().limits
    for kind, limit in (("read", limits.table_reads), ("write", limits.table_writes)):
        assert re.search(rf"{kind}_units *= optional\(number, {limit.amount}\)", variables), kind


def _warmed(resources: list[dict[str, Any]]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield each table and index of a plan that is warmed, with its read and write units."""
    for resource in resources:
        if resource["type"] == "aws_dynamodb_table":
            values = resource["values"]
            for name, of_name in (
                (resource["index"], values),
                *((index["name"], index) for index in values["global_secondary_index"]),
            ):
                for warmed in of_name["warm_throughput"]:
                    yield name, (warmed["read_units_per_second"], warmed["write_units_per_second"])


@pytest.fixture(scope="module")
def place(
    schema_and_protocol: Fetched,
    running_servers: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Workspace]:
    work = tmp_path_factory.mktemp("phases")
    with planning(PROD, work, schema_and_protocol, running_servers) as opened:
        yield opened


def made(place: Workspace, modules: set[str]) -> set[str]:
    """Return what a phase would make: `module.type`."""
    changes = plan(place, PROD_VALUES, sorted(modules))["resource_changes"]
    return {".".join(change["address"].split(".")[1:3]) for change in changes}


@needs_terraform
@pytest.mark.timeout(300)
def test_each_phase_makes_what_the_document_has_in_it(place: Workspace) -> None:
    first, second, last = phases()
    assert {name.partition(".")[0] for name in made(place, first)} == {"dynamodb", "iam"}
    of_second = made(place, second)
    assert "eventbridge.aws_cloudwatch_event_rule" in of_second
    assert "cloudwatch.aws_cloudwatch_metric_alarm" in of_second
    assert "functions.aws_lambda_function_event_invoke_config" in of_second
    assert "secrets.aws_secretsmanager_secret_policy" in of_second, "before its keys are put"
    assert not any("ecs" in name for name in of_second), "no task starts before there are keys"
    assert last == set(), "the whole"


def test_modules_and_resources_that_are_imported_exist() -> None:
    page = (ROOT / "docs/runbooks/lose-a-region.md").read_text()
    addresses = re.findall(r"module\.(\w+)\.(aws_\w+)\.(\w+)", page)
    assert len(addresses) == 9
    for module, kind, name in addresses:
        texts = [path.read_text() for path in (TERRAFORM / "modules" / module).glob("*.tf")]
        assert any(f'resource "{kind}" "{name}"' in text for text in texts), f"{module}: {kind}.{name}"


def test_the_readme_names_every_module_and_the_runbooks_each_other() -> None:
    modules = {path.name for path in (TERRAFORM / "modules").iterdir() if path.is_dir()}
    assert modules == set(re.findall(r"\(modules/(\w+)/README\.md\)", README))
    index = (ROOT / "docs/runbooks/README.md").read_text()
    assert {path.name for path in PAGES[1:]} - {"README.md"} == set(re.findall(r"\(([\w-]+\.md)\)", index))


def test_links_of_the_infrastructure_lead_somewhere() -> None:
    for page in TERRAFORM.rglob("README.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in target or (page.parent / target).exists(), f"{page}: {target}"
