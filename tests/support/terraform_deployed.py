"""The small environment, applied once for all who look at it: expectations, `doctor`, and the service itself.

The service's own calls go to moto, which asks for permission by the policies that it was given; ministack has
what moto does not keep.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.ministack import ministack
from tests.support.moto_iam import MotoIam, moto_with_iam

from testkit import backends
from testkit.aws import Aws
from testkit.check import Settings, applied

ENV: Final = "traffic-tacos-dev"
DEV: Final = Path(__file__).parents[2] / "infra/terraform/environments/dev/tests/apply/expectations.py"
ON_MOTO: Final = ("dynamodb", "logs", "sqs")
"""Elsewhere they are ministack's, which knows nothing of moto's roles."""


@dataclass(frozen=True)
class Deployed:
    """The stand-ins, after the apply."""

    iam: MotoIam
    aws: Aws
    endpoints: Mapping[str, str]
    reports: Sequence[str]
    """The steps that it has passed."""

    def container(self, name: str) -> Mapping[str, Any]:
        """Return the container of a task definition: `api` or `worker`."""
        found = self.aws.client("ecs").describe_task_definition(taskDefinition=f"{ENV}-reservation-{name}")
        [container] = [c for c in found["taskDefinition"]["containerDefinitions"] if c["name"] == name]
        return {**container, "role": found["taskDefinition"]["taskRoleArn"]}


@contextmanager
def deployed() -> Iterator[Deployed]:
    """Take the environment through every step; it is destroyed at the end of the block."""
    reports: list[str] = []
    with ministack(MINISTACK_ACCOUNT_ID=backends.ACCOUNT) as rest, moto_with_iam() as iam:
        servers = {"ministack": rest.url, "moto": iam.url}
        settings = Settings(DEV.parent, expectations=[DEV], servers=dict.fromkeys(ON_MOTO, "moto"))
        with applied(servers, settings, reports.append) as endpoints:
            yield Deployed(iam, Aws(endpoints), endpoints, reports)
