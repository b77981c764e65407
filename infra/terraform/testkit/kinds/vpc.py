"""Networks and subnets."""

import ipaddress
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import params
from testkit.ec2 import arn, described, retag, tagged, tags_of
from testkit.fields import Fields
from testkit.kind import DataKind, Fault, Kind, Rules
from testkit.values import State

_VPC_SWITCHES: Final = {
    "enable_dns_support": "EnableDnsSupport",
    "enable_dns_hostnames": "EnableDnsHostnames",
    "enable_network_address_usage_metrics": "EnableNetworkAddressUsageMetrics",
}


def _create_vpc(aws: Aws, vpc: State) -> State:
    client = aws.client("ec2")
    answer = client.create_vpc(
        **params(
            CidrBlock=vpc["cidr_block"],
            InstanceTenancy=vpc["instance_tenancy"],
            AmazonProvidedIpv6CidrBlock=vpc["assign_generated_ipv6_cidr_block"],
        ),
        **tagged("vpc", vpc["tags_all"]),
    )
    identifier = answer["Vpc"]["VpcId"]
    for name, switch in _VPC_SWITCHES.items():
        if isinstance(vpc[name], bool):
            client.modify_vpc_attribute(VpcId=identifier, **{switch: {"Value": vpc[name]}})
    return {"id": identifier}


def _read_vpc(aws: Aws, state: State) -> State | None:
    identifier = state["id"]
    vpc = described(aws, "describe_vpcs", "Vpcs", VpcIds=[identifier])
    if vpc is None:
        return None
    ipv6 = [block for block in vpc.get("Ipv6CidrBlockAssociationSet", []) if block.get("Ipv6CidrBlock")]
    read: State = {
        "arn": arn(aws, "vpc", identifier),
        "cidr_block": vpc["CidrBlock"],
        "instance_tenancy": vpc["InstanceTenancy"],
        "owner_id": vpc.get("OwnerId", aws.account),
        "dhcp_options_id": vpc.get("DhcpOptionsId"),
        "assign_generated_ipv6_cidr_block": bool(ipv6),
        "ipv6_association_id": ipv6[0]["AssociationId"] if ipv6 else "",
        "ipv6_cidr_block": ipv6[0]["Ipv6CidrBlock"] if ipv6 else "",
        "ipv6_cidr_block_network_border_group": ipv6[0].get("NetworkBorderGroup", "") if ipv6 else "",
        "tags_all": tags_of(vpc),
    }
    for name, switch in _VPC_SWITCHES.items():
        key = switch[0].lower() + switch[1:]
        answer = aws.client("ec2").describe_vpc_attribute(VpcId=identifier, Attribute=key)
        read[name] = answer.get(switch, {}).get("Value", False)
    return read | _defaults_of(aws, identifier)


def _defaults_of(aws: Aws, vpc: str) -> State:
    """Return what AWS made along with the network."""
    here = {"Name": "vpc-id", "Values": [vpc]}
    table = described(
        aws,
        "describe_route_tables",
        "RouteTables",
        Filters=[here, {"Name": "association.main", "Values": ["true"]}],
    )
    group = described(
        aws,
        "describe_security_groups",
        "SecurityGroups",
        Filters=[here, {"Name": "group-name", "Values": ["default"]}],
    )
    acl = described(
        aws, "describe_network_acls", "NetworkAcls", Filters=[here, {"Name": "default", "Values": ["true"]}]
    )
    return {
        "default_route_table_id": (table or {}).get("RouteTableId"),
        "main_route_table_id": (table or {}).get("RouteTableId"),
        "default_security_group_id": (group or {}).get("GroupId"),
        "default_network_acl_id": (acl or {}).get("NetworkAclId"),
    }


def _update_vpc(aws: Aws, prior: State, planned: State) -> None:
    for name, switch in _VPC_SWITCHES.items():
        if prior[name] != planned[name]:
            aws.client("ec2").modify_vpc_attribute(
                VpcId=prior["id"], **{switch: {"Value": bool(planned[name])}}
            )
    retag(aws, prior, planned)


def _delete_vpc(aws: Aws, state: State) -> None:
    aws.client("ec2").delete_vpc(VpcId=state["id"])


_SUBNET: Final = Fields("vpc_id", "cidr_block", "availability_zone", "availability_zone_id", "ipv6_native")
_SUBNET_SWITCHES: Final = {
    "assign_ipv6_address_on_creation": "AssignIpv6AddressOnCreation",
    "enable_dns64": "EnableDns64",
    "map_public_ip_on_launch": "MapPublicIpOnLaunch",
}
_NAMES: Final = {
    "private_dns_hostname_type_on_launch": "HostnameType",
    "enable_resource_name_dns_a_record_on_launch": "EnableResourceNameDnsARecord",
    "enable_resource_name_dns_aaaa_record_on_launch": "EnableResourceNameDnsAAAARecord",
}


def _create_subnet(aws: Aws, subnet: State) -> State:
    settings = {name: v for name, v in _SUBNET.to_aws(subnet).items() if v is not False}
    ipv6 = params(Ipv6CidrBlock=subnet["ipv6_cidr_block"])
    answer = aws.client("ec2").create_subnet(**settings, **ipv6, **tagged("subnet", subnet["tags_all"]))
    identifier = answer["Subnet"]["SubnetId"]
    _set_switches(aws, identifier, {}, subnet)
    return {"id": identifier}


def _set_switches(aws: Aws, identifier: str, prior: State, planned: State) -> None:
    """Change what differs, one call each as EC2 wants it."""
    client = aws.client("ec2")
    for name, switch in _SUBNET_SWITCHES.items():
        if bool(prior.get(name)) != bool(planned[name]):
            client.modify_subnet_attribute(SubnetId=identifier, **{switch: {"Value": bool(planned[name])}})
    for name, option in _NAMES.items():
        if not planned[name] and not prior.get(name):
            continue
        if prior.get(name) != planned[name]:
            switch = option + "OnLaunch" if name.startswith("enable") else "PrivateDnsHostnameTypeOnLaunch"
            value: Any = {"Value": planned[name]} if name.startswith("enable") else planned[name]
            client.modify_subnet_attribute(SubnetId=identifier, **{switch: value})


def _read_subnet(aws: Aws, state: State) -> State | None:
    identifier = state["id"]
    subnet = described(aws, "describe_subnets", "Subnets", SubnetIds=[identifier])
    if subnet is None:
        return None
    ipv6 = [block for block in subnet.get("Ipv6CidrBlockAssociationSet", []) if block.get("Ipv6CidrBlock")]
    options = subnet.get("PrivateDnsNameOptionsOnLaunch", {})
    return {
        **_SUBNET.to_state(subnet),
        **{name: subnet.get(switch, False) for name, switch in _SUBNET_SWITCHES.items()},
        **{name: options.get(option) for name, option in _NAMES.items()},
        "arn": subnet.get("SubnetArn", arn(aws, "subnet", identifier)),
        "owner_id": subnet.get("OwnerId", aws.account),
        "ipv6_cidr_block": ipv6[0]["Ipv6CidrBlock"] if ipv6 else "",
        "ipv6_cidr_block_association_id": ipv6[0]["AssociationId"] if ipv6 else "",
        "tags_all": tags_of(subnet),
    }


def _update_subnet(aws: Aws, prior: State, planned: State) -> None:
    _set_switches(aws, prior["id"], prior, planned)
    retag(aws, prior, planned)


def _delete_subnet(aws: Aws, state: State) -> None:
    aws.client("ec2").delete_subnet(SubnetId=state["id"])


def _cidr_faults(config: State) -> Iterable[Fault]:
    text = config["cidr_block"]
    if not isinstance(text, str):
        return
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        yield Fault(f"cidr_block: {error}", "cidr_block")
        return
    if not 16 <= network.prefixlen <= 28:  # noqa: PLR2004 (AWS's limits)
        yield Fault("cidr_block must be from /16 to /28", "cidr_block")


def _zones(aws: Aws, config: State) -> State:
    filters = [{"Name": f["name"], "Values": f["values"]} for f in config["filter"] or []]
    if config["state"]:
        filters.append({"Name": "state", "Values": [config["state"]]})
    listed = aws.client("ec2").describe_availability_zones(Filters=filters)["AvailabilityZones"]
    left_out = {*(config["exclude_names"] or []), *(config["exclude_zone_ids"] or [])}
    zones = [z for z in listed if z["ZoneName"] not in left_out and z["ZoneId"] not in left_out]
    zones.sort(key=lambda zone: str(zone["ZoneName"]))
    return {
        "id": aws.region,
        "names": [zone["ZoneName"] for zone in zones],
        "zone_ids": [zone["ZoneId"] for zone in zones],
        "group_names": sorted({zone.get("GroupName", aws.region) for zone in zones}),
    }


KINDS: Final = (
    Kind(
        "aws_vpc",
        _create_vpc,
        _read_vpc,
        _delete_vpc,
        _update_vpc,
        Rules(
            defaults={
                "assign_generated_ipv6_cidr_block": False,
                "enable_dns_support": True,
                "instance_tenancy": "default",
            },
            force_new=frozenset({"cidr_block", "instance_tenancy", "region"}),
        ),
        _cidr_faults,
    ),
    Kind(
        "aws_subnet",
        _create_subnet,
        _read_subnet,
        _delete_subnet,
        _update_subnet,
        Rules(
            defaults={
                **dict.fromkeys(_SUBNET_SWITCHES, False),
                "enable_resource_name_dns_a_record_on_launch": False,
                "enable_resource_name_dns_aaaa_record_on_launch": False,
                "ipv6_native": False,
            },
            force_new=frozenset(
                {"vpc_id", "cidr_block", "availability_zone", "availability_zone_id", "ipv6_native", "region"}
            ),
        ),
        _cidr_faults,
    ),
)
DATA_SOURCES: Final = (DataKind("aws_availability_zones", _zones),)
