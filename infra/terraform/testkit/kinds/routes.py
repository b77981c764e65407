"""Route tables and gateways: how packets leave a network."""

import contextlib
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import params
from testkit.choices import exactly_one
from testkit.ec2 import arn, described, retag, tagged, tags_of
from testkit.fields import Fields
from testkit.kind import Fault, Kind, Rules
from testkit.values import State, given

_TARGETS: Final = {
    "carrier_gateway_id": "CarrierGatewayId",
    "core_network_arn": "CoreNetworkArn",
    "egress_only_gateway_id": "EgressOnlyInternetGatewayId",
    "gateway_id": "GatewayId",
    "local_gateway_id": "LocalGatewayId",
    "nat_gateway_id": "NatGatewayId",
    "network_interface_id": "NetworkInterfaceId",
    "odb_network_arn": "OdbNetworkArn",
    "transit_gateway_id": "TransitGatewayId",
    "vpc_endpoint_id": "VpcEndpointId",
    "vpc_peering_connection_id": "VpcPeeringConnectionId",
}
_DESTINATIONS: Final = {
    "destination_cidr_block": "DestinationCidrBlock",
    "destination_ipv6_cidr_block": "DestinationIpv6CidrBlock",
    "destination_prefix_list_id": "DestinationPrefixListId",
}
_INLINE_DESTINATIONS: Final = {
    "cidr_block": "DestinationCidrBlock",
    "ipv6_cidr_block": "DestinationIpv6CidrBlock",
    "destination_prefix_list_id": "DestinationPrefixListId",
}


def _call(fields: dict[str, str], route: State) -> dict[str, Any]:
    return {api: route[name] for name, api in fields.items() if given(route.get(name))}


def _create_table(aws: Aws, table: State) -> State:
    client = aws.client("ec2")
    tags = tagged("route-table", table["tags_all"])
    answer = client.create_route_table(VpcId=table["vpc_id"], **tags)
    identifier = answer["RouteTable"]["RouteTableId"]
    for route in table["route"] or []:
        client.create_route(RouteTableId=identifier, **_call(_INLINE_DESTINATIONS | _TARGETS, route))
    return {"id": identifier}


def _table(aws: Aws, identifier: str) -> dict[str, Any] | None:
    return described(aws, "describe_route_tables", "RouteTables", RouteTableIds=[identifier])


def _read_table(aws: Aws, state: State) -> State | None:
    identifier = state["id"]
    table = _table(aws, identifier)
    if table is None:
        return None
    return {
        "arn": arn(aws, "route-table", identifier),
        "owner_id": table.get("OwnerId", aws.account),
        "vpc_id": table["VpcId"],
        "propagating_vgws": [gateway["GatewayId"] for gateway in table.get("PropagatingVgws", [])],
        "route": [_inline(route) for route in table["Routes"] if _is_ours(route)],
        "tags_all": tags_of(table),
    }


def _is_ours(route: dict[str, Any]) -> bool:
    """Leave out the route of the network itself, and those of gateway endpoints."""
    gateway = route.get("GatewayId", "")
    return gateway != "local" and not gateway.startswith("vpce-")


def _inline(route: dict[str, Any]) -> State:
    return {name: route.get(api, "") for name, api in (_INLINE_DESTINATIONS | _TARGETS).items()}


def _update_table(aws: Aws, prior: State, planned: State) -> None:
    client = aws.client("ec2")
    for route in prior["route"] or []:
        if route not in (planned["route"] or []):
            client.delete_route(RouteTableId=prior["id"], **_call(_INLINE_DESTINATIONS, route))
    for route in planned["route"] or []:
        if route not in (prior["route"] or []):
            client.create_route(RouteTableId=prior["id"], **_call(_INLINE_DESTINATIONS | _TARGETS, route))
    retag(aws, prior, planned)


def _delete_table(aws: Aws, state: State) -> None:
    aws.client("ec2").delete_route_table(RouteTableId=state["id"])


def _create_route(aws: Aws, route: State) -> State:
    aws.client("ec2").create_route(
        RouteTableId=route["route_table_id"], **_call(_DESTINATIONS | _TARGETS, route)
    )
    destination = "".join(_call(_DESTINATIONS, route).values())
    return {"id": f"{route['route_table_id']}_{destination}"}


def _read_route(aws: Aws, state: State) -> State | None:
    table = _table(aws, state["route_table_id"])
    wanted = _call(_DESTINATIONS, state)
    routes = [r for r in (table or {}).get("Routes", []) if all(r.get(k) == v for k, v in wanted.items())]
    if not routes:
        return None
    route = routes[0]
    read = {name: route.get(api, "") for name, api in (_DESTINATIONS | _TARGETS).items()}
    return read | {
        "route_table_id": state["route_table_id"],
        "instance_id": route.get("InstanceId", ""),
        "instance_owner_id": route.get("InstanceOwnerId", ""),
        "origin": route.get("Origin", "CreateRoute"),
        "state": route.get("State", "active"),
    }


def _update_route(aws: Aws, _prior: State, planned: State) -> None:
    aws.client("ec2").replace_route(
        RouteTableId=planned["route_table_id"], **_call(_DESTINATIONS | _TARGETS, planned)
    )


def _delete_route(aws: Aws, state: State) -> None:
    aws.client("ec2").delete_route(RouteTableId=state["route_table_id"], **_call(_DESTINATIONS, state))


def _imported_route(identifier: str) -> State:
    table, _, destination = identifier.partition("_")
    kind = "ipv6_cidr_block" if ":" in destination else "cidr_block"
    kind = "prefix_list_id" if destination.startswith("pl-") else kind
    return {"id": identifier, "route_table_id": table, f"destination_{kind}": destination}


def _route_faults(route: State) -> Iterable[Fault]:
    yield from exactly_one(route, *_DESTINATIONS)
    yield from exactly_one(route, *_TARGETS)


def _associate(aws: Aws, association: State) -> State:
    members = params(SubnetId=association["subnet_id"], GatewayId=association["gateway_id"])
    answer = aws.client("ec2").associate_route_table(RouteTableId=association["route_table_id"], **members)
    return {"id": answer["AssociationId"]}


def _read_association(aws: Aws, state: State) -> State | None:
    wanted = [{"Name": "association.route-table-association-id", "Values": [state["id"]]}]
    table = described(aws, "describe_route_tables", "RouteTables", Filters=wanted)
    found = [a for a in (table or {}).get("Associations", []) if a["RouteTableAssociationId"] == state["id"]]
    if not found:
        return None
    return Fields("route_table_id", "subnet_id", "gateway_id").to_state(found[0])


def _update_association(aws: Aws, prior: State, planned: State) -> State:
    answer = aws.client("ec2").replace_route_table_association(
        AssociationId=prior["id"], RouteTableId=planned["route_table_id"]
    )
    return {"id": answer["NewAssociationId"]}


def _disassociate(aws: Aws, state: State) -> None:
    aws.client("ec2").disassociate_route_table(AssociationId=state["id"])


def _create_gateway(aws: Aws, gateway: State) -> State:
    client = aws.client("ec2")
    answer = client.create_internet_gateway(**tagged("internet-gateway", gateway["tags_all"]))
    identifier = answer["InternetGateway"]["InternetGatewayId"]
    if given(gateway["vpc_id"]):
        client.attach_internet_gateway(InternetGatewayId=identifier, VpcId=gateway["vpc_id"])
    return {"id": identifier}


def _read_gateway(aws: Aws, state: State) -> State | None:
    identifier = state["id"]
    gateway = described(
        aws, "describe_internet_gateways", "InternetGateways", InternetGatewayIds=[identifier]
    )
    if gateway is None:
        return None
    attachments = gateway.get("Attachments", [])
    return {
        "arn": arn(aws, "internet-gateway", identifier),
        "owner_id": gateway.get("OwnerId", aws.account),
        "vpc_id": attachments[0]["VpcId"] if attachments else "",
        "tags_all": tags_of(gateway),
    }


def _update_gateway(aws: Aws, prior: State, planned: State) -> None:
    if prior["vpc_id"] != planned["vpc_id"]:
        client = aws.client("ec2")
        if prior["vpc_id"]:
            client.detach_internet_gateway(InternetGatewayId=prior["id"], VpcId=prior["vpc_id"])
        client.attach_internet_gateway(InternetGatewayId=prior["id"], VpcId=planned["vpc_id"])
    retag(aws, prior, planned)


def _delete_gateway(aws: Aws, state: State) -> None:
    if state["vpc_id"]:
        aws.client("ec2").detach_internet_gateway(InternetGatewayId=state["id"], VpcId=state["vpc_id"])
    aws.client("ec2").delete_internet_gateway(InternetGatewayId=state["id"])


def _create_nat(aws: Aws, nat: State) -> State:
    answer = aws.client("ec2").create_nat_gateway(
        **params(
            SubnetId=nat["subnet_id"],
            AllocationId=nat["allocation_id"],
            ConnectivityType=nat["connectivity_type"],
            PrivateIpAddress=nat["private_ip"],
        ),
        **tagged("natgateway", nat["tags_all"]),
    )
    return {"id": answer["NatGateway"]["NatGatewayId"]}


def _read_nat(aws: Aws, state: State) -> State | None:
    nat = described(aws, "describe_nat_gateways", "NatGateways", NatGatewayIds=[state["id"]])
    if nat is None or nat["State"] in {"deleted", "deleting", "failed"}:
        return None
    addresses = nat.get("NatGatewayAddresses", [])
    address = addresses[0] if addresses else {}
    return {
        "allocation_id": address.get("AllocationId"),
        "association_id": address.get("AssociationId"),
        "network_interface_id": address.get("NetworkInterfaceId"),
        "private_ip": address.get("PrivateIp"),
        "public_ip": address.get("PublicIp"),
        "connectivity_type": nat.get("ConnectivityType", "public"),
        "availability_mode": nat.get("AvailabilityMode", "zonal"),
        "subnet_id": nat["SubnetId"],
        "vpc_id": nat["VpcId"],
        "regional_nat_gateway_address": [],
        "secondary_allocation_ids": [],
        "secondary_private_ip_addresses": [],
        "secondary_private_ip_address_count": 0,
        "tags_all": tags_of(nat),
    }


def _update_tags(aws: Aws, prior: State, planned: State) -> None:
    retag(aws, prior, planned)


def _delete_nat(aws: Aws, state: State) -> None:
    aws.client("ec2").delete_nat_gateway(NatGatewayId=state["id"])


def _create_address(aws: Aws, address: State) -> State:
    domain = params(Domain=address["domain"]) or {"Domain": "vpc"}
    answer = aws.client("ec2").allocate_address(**domain, **tagged("elastic-ip", address["tags_all"]))
    return {"id": answer["AllocationId"]}


_ADDRESS: Final = Fields(
    "association_id",
    "carrier_ip",
    "customer_owned_ip",
    "domain",
    "network_border_group",
    "public_ip",
    allocation_id="AllocationId",
    instance="InstanceId",
    network_interface="NetworkInterfaceId",
    private_ip="PrivateIpAddress",
    public_ipv4_pool="PublicIpv4Pool",
)


def _read_address(aws: Aws, state: State) -> State | None:
    address = described(aws, "describe_addresses", "Addresses", AllocationIds=[state["id"]])
    if address is None:
        return None
    computed = {"arn": arn(aws, "elastic-ip", state["id"]), "tags_all": tags_of(address)}
    return {name: value or "" for name, value in _ADDRESS.to_state(address).items()} | computed


def _delete_address(aws: Aws, state: State) -> None:
    client = aws.client("ec2")
    if state["association_id"]:
        with contextlib.suppress(client.exceptions.ClientError):  # gone with the gateway that had it
            client.disassociate_address(AssociationId=state["association_id"])
    client.release_address(AllocationId=state["id"])


def _frozen(*names: str) -> Rules:
    return Rules(force_new=frozenset({"region", *names}))


KINDS: Final = (
    Kind("aws_route_table", _create_table, _read_table, _delete_table, _update_table, _frozen("vpc_id")),
    Kind(
        "aws_route",
        _create_route,
        _read_route,
        _delete_route,
        _update_route,
        _frozen("route_table_id", *_DESTINATIONS),
        _route_faults,
        _imported_route,
    ),
    Kind(
        "aws_route_table_association",
        _associate,
        _read_association,
        _disassociate,
        _update_association,
        _frozen("subnet_id", "gateway_id"),
    ),
    Kind("aws_internet_gateway", _create_gateway, _read_gateway, _delete_gateway, _update_gateway, _frozen()),
    Kind(
        "aws_nat_gateway",
        _create_nat,
        _read_nat,
        _delete_nat,
        _update_tags,
        Rules(
            defaults={"connectivity_type": "public"},
            force_new=frozenset({"allocation_id", "connectivity_type", "private_ip", "region", "subnet_id"}),
        ),
    ),
    Kind(
        "aws_eip", _create_address, _read_address, _delete_address, _update_tags, _frozen("domain", "address")
    ),
)
