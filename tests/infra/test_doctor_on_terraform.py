"""`doctor` beside what Terraform makes: two readings of the document, by two hands, compared."""

from collections.abc import Iterator
from typing import Final

import pytest
from tests.support.terraform_deployed import ENV, Deployed

from reservation_api.adapters.aws_operations.deployment import AwsDeployment
from reservation_api.application.examination.document import Environment
from reservation_api.application.examination.examine import Finding, FindingStatus, examine
from reservation_api.ports.deployment import Alarms, Deployment
from testkit import backends
from testkit.terraform import HOW_TO_GET_IT, installed

VARIABLES: Final = {
    "cloudwatch": "CLOUDWATCH",
    "dynamodb": "DYNAMODB",
    "events": "EVENTBRIDGE",
    "iam": "IAM",
    "kms": "KMS",
    "logs": "CLOUDWATCH_LOGS",
    "scheduler": "SCHEDULER",
    "sns": "SNS",
    "sqs": "SQS",
    "sts": "STS",
}
"""How botocore's variables call the services that the doctor asks: AWS_ENDPOINT_URL_{this}."""

FEWEST_FINDINGS: Final = 140
TABLES: Final = 4

pytestmark = [
    pytest.mark.skipif(installed() is None, reason=HOW_TO_GET_IT),
    pytest.mark.timeout(300),
]


class Stitched:
    """One account on several stand-ins: composite alarms are elsewhere than those that they are made of."""

    def __init__(self, whole: Deployment, composite: Deployment) -> None:
        self.account = whole.account
        self.facts = whole.facts
        self.alarms = lambda: Alarms(whole.alarms().metric, composite.alarms().composite)


@pytest.fixture(scope="module")
def deployment(dev: Deployed) -> Iterator[Deployment]:
    """What the doctor sees of it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", backends.ACCOUNT)
        environment.setenv("AWS_SECRET_ACCESS_KEY", "any")
        for service, name in VARIABLES.items():
            environment.setenv(f"AWS_ENDPOINT_URL_{name}", dev.endpoints.get(service, dev.endpoints["*"]))
        composite = AwsDeployment(backends.REGION, dev.endpoints["cloudwatch:composite"])
        yield Stitched(AwsDeployment(backends.REGION), composite)


def examined(deployment: Deployment, *, is_production: bool) -> list[Finding]:
    account = deployment.account()
    where = Environment(ENV, backends.REGION, account, is_production)
    return list(examine(deployment, where))


def test_nothing_is_different(deployment: Deployment) -> None:
    found = examined(deployment, is_production=False)
    assert [one for one in found if one.status is not FindingStatus.OK] == []
    assert len(found) > FEWEST_FINDINGS


def test_in_production_its_tables_would_not_be_protected(deployment: Deployment) -> None:
    found = examined(deployment, is_production=True)
    different = [one for one in found if one.status is not FindingStatus.OK]
    assert {one.check for one in different} == {"deletion protection"}
    assert len(different) == TABLES
