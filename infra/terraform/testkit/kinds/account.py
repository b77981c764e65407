"""Who and where one is."""

from typing import Final

from testkit.aws import Aws
from testkit.kind import DataKind
from testkit.values import State


def _caller_identity(aws: Aws, _config: State) -> State:
    caller = aws.client("sts").get_caller_identity()
    return {
        "id": caller["Account"],
        "account_id": caller["Account"],
        "arn": caller["Arn"],
        "user_id": caller["UserId"],
    }


def _region(aws: Aws, _config: State) -> State:
    here = aws.region
    return {
        "id": here,
        "name": here,
        "region": here,
        "endpoint": f"ec2.{here}.amazonaws.com",
        "description": "",
    }


DATA_SOURCES: Final = (
    DataKind("aws_caller_identity", _caller_identity),
    DataKind("aws_region", _region),
)
