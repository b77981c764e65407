"""What the stand-in has after the network was applied: who reaches whom, and by which ways."""

import json
import os

from testkit.aws import Aws

OUTPUTS = json.loads(os.environ["TESTKIT_OUTPUTS"])
GROUPS = OUTPUTS["security_group_ids"]
HTTP, HTTPS, GRPC = 8080, 443, 8011
ZONES = 2

ec2 = Aws.of_the_environment().client("ec2")
here = [{"Name": "vpc-id", "Values": [OUTPUTS["vpc_id"]]}]


def sources(group: str) -> dict[int, list[str]]:
    """Return who may come in, by port."""
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [GROUPS[group]]}])
    found: dict[int, list[str]] = {}
    for rule in rules["SecurityGroupRules"]:
        if not rule["IsEgress"]:
            source = rule.get("CidrIpv4") or rule["ReferencedGroupInfo"]["GroupId"]
            found.setdefault(rule["FromPort"], []).append(source)
    return found


assert sources("service") == {HTTP: [GROUPS["balancer"]], GRPC: ["10.20.0.0/20"]}
assert sources("functions") == {}
assert {port: sorted(who) for port, who in sources("endpoints").items()} == {
    HTTPS: sorted([GROUPS["service"], GROUPS["functions"]])
}

tables = ec2.describe_route_tables(Filters=here)["RouteTables"]
out = {
    association["SubnetId"]: {route.get("NatGatewayId") for route in table["Routes"]} - {None}
    for table in tables
    for association in table["Associations"]
    if association.get("SubnetId") in OUTPUTS["private_subnet_ids"]
}
assert len(out) == ZONES
assert len(set().union(*out.values())) == ZONES, "each zone goes out by its own NAT gateway"

endpoints = ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]
assert sorted(
    endpoint["ServiceName"].removeprefix("com.amazonaws.ap-northeast-2.") for endpoint in endpoints
) == [
    "dynamodb",
    "ecr.api",
    "ecr.dkr",
    "events",
    "logs",
    "s3",
    "secretsmanager",
    "sqs",
]
for endpoint in endpoints:
    assert "demo-reservation" in endpoint["PolicyDocument"] or endpoint["ServiceName"].endswith(
        ("ecr.api", "ecr.dkr", "logs", "s3")
    )
