"""What is deployed, and the permissions to read it; both without a configured service."""

from collections.abc import Mapping
from typing import Any

from reservation_api.adapters.aws_operations.deployment import AwsDeployment
from reservation_api.adapters.aws_operations.deployment_permissions import reading_policy
from reservation_api.ports.deployment import Deployment


def open_deployment(region: str, url: str | None) -> Deployment:
    """Open an account's control plane with whatever credentials are found."""
    return AwsDeployment(region, url)


def permissions_to_read(env: str, region: str) -> Mapping[str, Any]:
    """Return the IAM policy for it."""
    return reading_policy(env, region)
