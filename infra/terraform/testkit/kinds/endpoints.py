"""Endpoints: AWS's services inside a network; and the lists of addresses that some of them have."""

import json
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import params
from testkit.ec2 import arn, described, retag, tagged, tags_of
from testkit.fields import Fields, one, unordered
from testkit.kind import DataKind, Fault, Kind, Rules
from testkit.policies import faults_of, resource_policy_faults
from testkit.values import State

_ENDPOINT: Final = Fields(
    "ip_address_type",
    "policy_document",
    "private_dns_enabled",
    "service_name",
    "vpc_endpoint_type",
    "vpc_id",
    route_table_ids=unordered(),
    security_group_ids=unordered(),
    subnet_ids=unordered(),
    policy="PolicyDocument",
    dns_options=one("dns_record_ip_type", "private_dns_only_for_inbound_resolver_endpoint"),
)
_GATEWAYS: Final = frozenset({"dynamodb", "s3"})
"""The services that have gateway endpoints; all others are reached by interfaces."""


def _create(aws: Aws, endpoint: State) -> State:
    settings = _ENDPOINT.to_aws(endpoint)
    tags = tagged("vpc-endpoint", endpoint["tags_all"])
    answer = aws.client("ec2").create_vpc_endpoint(**settings, **tags)
    return {"id": answer["VpcEndpoint"]["VpcEndpointId"]}


def _read(aws: Aws, state: State) -> State | None:
    identifier = state["id"]
    endpoint = described(aws, "describe_vpc_endpoints", "VpcEndpoints", VpcEndpointIds=[identifier])
    if endpoint is None or str(endpoint["State"]).lower() in {"deleted", "deleting"}:
        return None
    groups = [group["GroupId"] for group in endpoint.get("Groups", [])]
    entries = endpoint.get("DnsEntries", [])
    return _ENDPOINT.to_state(endpoint) | {
        "arn": arn(aws, "vpc-endpoint", identifier),
        "owner_id": endpoint.get("OwnerId", aws.account),
        "state": str(endpoint["State"]).lower(),
        "security_group_ids": sorted(groups or endpoint.get("SecurityGroupIds", [])),
        "network_interface_ids": sorted(endpoint.get("NetworkInterfaceIds", [])),
        "requester_managed": endpoint.get("RequesterManaged", False),
        "dns_entry": [Fields("dns_name", "hosted_zone_id").to_state(entry) for entry in entries],
        "service_region": endpoint.get("ServiceRegion", aws.region),
        **_addresses(aws, endpoint),
        "tags_all": tags_of(endpoint),
    }


def _addresses(aws: Aws, endpoint: dict[str, Any]) -> State:
    """Return the prefix list of a gateway's service."""
    wanted = [{"Name": "prefix-list-name", "Values": [endpoint["ServiceName"]]}]
    lists = described(aws, "describe_prefix_lists", "PrefixLists", Filters=wanted)
    if lists is None or endpoint.get("VpcEndpointType") != "Gateway":
        return {"prefix_list_id": None, "cidr_blocks": []}
    return {"prefix_list_id": lists["PrefixListId"], "cidr_blocks": lists.get("Cidrs", [])}


def _update(aws: Aws, prior: State, planned: State) -> None:
    changes: dict[str, Any] = {}
    for name, parameter in (
        ("route_table_ids", "RouteTableIds"),
        ("subnet_ids", "SubnetIds"),
        ("security_group_ids", "SecurityGroupIds"),
    ):
        old, new = set(prior[name] or []), set(planned[name] or [])
        changes |= params(**{f"Add{parameter}": sorted(new - old), f"Remove{parameter}": sorted(old - new)})
    if prior["policy"] != planned["policy"]:
        changes |= params(PolicyDocument=planned["policy"]) or {"ResetPolicy": True}
    if prior["private_dns_enabled"] != planned["private_dns_enabled"]:
        changes["PrivateDnsEnabled"] = planned["private_dns_enabled"]
    if changes:
        aws.client("ec2").modify_vpc_endpoint(VpcEndpointId=prior["id"], **changes)
    retag(aws, prior, planned)


def _delete(aws: Aws, state: State) -> None:
    aws.client("ec2").delete_vpc_endpoints(VpcEndpointIds=[state["id"]])


def _faults(endpoint: State) -> Iterable[Fault]:
    yield from faults_of(endpoint, "policy", resource_policy_faults)
    service, kind = endpoint["service_name"], endpoint["vpc_endpoint_type"] or "Gateway"
    if not isinstance(service, str) or not isinstance(kind, str):
        return
    name = service.rpartition(".")[2]
    if kind == "Gateway" and name not in _GATEWAYS:
        yield Fault(f"{service} has no gateway endpoint", "vpc_endpoint_type")
    if kind == "Gateway":
        for wrong in ("subnet_ids", "security_group_ids", "private_dns_enabled"):
            if endpoint[wrong]:
                yield Fault(f"a gateway endpoint has no {wrong}", wrong)
    if kind == "Interface" and endpoint["route_table_ids"]:
        yield Fault("an interface endpoint has no route_table_ids", "route_table_ids")


def _filters(config: State, **more: Any) -> list[dict[str, Any]]:
    filters = [{"Name": f["name"], "Values": f["values"]} for f in config["filter"] or []]
    return filters + [{"Name": name.replace("_", "-"), "Values": [v]} for name, v in more.items() if v]


def _find_managed_list(aws: Aws, config: State) -> State:
    wanted = _filters(config, prefix_list_name=config["name"], prefix_list_id=config["id"])
    found = described(aws, "describe_managed_prefix_lists", "PrefixLists", Filters=wanted)
    if found is None:
        raise LookupError(f"no managed prefix list matches {json.dumps(wanted)}")
    identifier = found["PrefixListId"]
    answer = aws.client("ec2").get_managed_prefix_list_entries(PrefixListId=identifier)
    entries = [{"cidr": e["Cidr"], "description": e.get("Description", "")} for e in answer["Entries"]]
    return {
        "id": identifier,
        "arn": found["PrefixListArn"],
        "name": found["PrefixListName"],
        "address_family": found["AddressFamily"],
        "max_entries": found.get("MaxEntries", 0),
        "owner_id": found["OwnerId"],
        "version": found.get("Version", 0),
        "entries": entries,
        "tags": tags_of(found),
    }


KINDS: Final = (
    Kind(
        "aws_vpc_endpoint",
        _create,
        _read,
        _delete,
        _update,
        Rules(
            defaults={"vpc_endpoint_type": "Gateway"},
            force_new=frozenset({"service_name", "vpc_endpoint_type", "vpc_id", "region"}),
            computed_blocks=frozenset({"dns_options", "subnet_configuration"}),
            json_texts=frozenset({"policy"}),
            kept=frozenset({"auto_accept"}),
        ),
        _faults,
    ),
)
DATA_SOURCES: Final = (DataKind("aws_ec2_managed_prefix_list", _find_managed_list),)
