"""Plans of the infrastructure, made by the real Terraform beside stand-ins for AWS; nothing is applied."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from testkit import backends
from testkit.backends import ACCOUNT, REGION
from testkit.fetch import Fetched
from testkit.terraform import Workspace, workspace

TERRAFORM: Final = Path(__file__).parents[2] / "infra" / "terraform"
PROD: Final = TERRAFORM / "environments" / "prod"
REGISTRY: Final = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
PROD_VALUES: Final[Mapping[str, Any]] = {
    "account_id": ACCOUNT,
    "image": {"uri": f"{REGISTRY}/reservation-api@sha256:{'0' * 64}"},
    "certificate_arn": f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/12345678-1234-1234-1234-123456789012",
    "lambda_package": "./main.tf",  # any file: nothing is made of it
    "payment_address": "grpcs://payment.traffic-tacos.internal:443",
    "collector_image": f"{REGISTRY}/aws-otel-collector:v1",
    "plain_text_peers": ["inventory"],
    "planned_requests_per_second": 30_000,
    "table_quota": {"write_units": 100_000},
    "subscriptions": {"oncall": {"protocol": "email", "endpoint": "oncall@example.com"}},
}
"""Production at the document's peak, with a collector beside each task."""


@contextmanager
def planning(
    configuration: Path, work: Path, fetched: Fetched, servers: Mapping[str, str]
) -> Iterator[Workspace]:
    """Initialise a configuration in a copy of all of infra/terraform, beside stand-ins that run."""
    with workspace(configuration, work, fetched, backends.endpoints(servers)) as place:
        place.run("init", "-input=false")
        yield place


def plan(place: Workspace, values: Mapping[str, Any], modules: Sequence[str] = ()) -> dict[str, Any]:
    """Return a plan as Terraform shows it; of these modules alone, and what they need, if any are named."""
    (place.folder / "values.auto.tfvars.json").write_text(json.dumps(values))
    targets = [f"-target=module.{module}" for module in modules]
    place.run("plan", "-input=false", "-out=plan", *targets)
    shown: dict[str, Any] = place.json("show", "-json", "plan")
    return shown


def planned(place: Workspace, values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what would be there: the values of each resource by its address."""
    found: dict[str, dict[str, Any]] = {}
    modules = [plan(place, values)["planned_values"]["root_module"]]
    while modules:
        module = modules.pop()
        modules += module.get("child_modules", [])
        found |= {resource["address"]: resource["values"] for resource in module.get("resources", [])}
    return found
