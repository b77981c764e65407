"""Security groups and their rules."""

from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import params
from testkit.choices import exactly_one
from testkit.ec2 import arn, described, retag, tagged, tags_of
from testkit.fields import Fields
from testkit.kind import Fault, Kind, Rules
from testkit.values import State, given

_ANY: Final = "-1"


def _create_group(aws: Aws, group: State) -> State:
    client = aws.client("ec2")
    answer = client.create_security_group(
        GroupName=group["name"],
        Description=group["description"],
        **params(VpcId=group["vpc_id"]),
        **tagged("security-group", group["tags_all"]),
    )
    identifier = answer["GroupId"]
    _drop_the_open_egress(aws, identifier)
    for direction in ("ingress", "egress"):
        if given(group[direction]):
            _authorize(aws, identifier, direction, group[direction])
    return {"id": identifier}


def _drop_the_open_egress(aws: Aws, identifier: str) -> None:
    """Take away the rule that AWS gives to every new group, as the real provider does."""
    group = described(aws, "describe_security_groups", "SecurityGroups", GroupIds=[identifier])
    rules = (group or {}).get("IpPermissionsEgress", [])
    if rules:
        aws.client("ec2").revoke_security_group_egress(GroupId=identifier, IpPermissions=rules)


def _adopt_default_group(aws: Aws, group: State) -> State:
    """Take over the group that every VPC has, but none of its rules, as the real provider does."""
    client = aws.client("ec2")
    of_the_vpc = [
        {"Name": "group-name", "Values": ["default"]},
        {"Name": "vpc-id", "Values": [group["vpc_id"]]},
    ]
    [found] = client.describe_security_groups(Filters=of_the_vpc)["SecurityGroups"]
    identifier = found["GroupId"]
    if found.get("IpPermissions"):
        client.revoke_security_group_ingress(GroupId=identifier, IpPermissions=found["IpPermissions"])
    _drop_the_open_egress(aws, identifier)
    for direction in ("ingress", "egress"):
        if given(group[direction]):
            _authorize(aws, identifier, direction, group[direction])
    retag(aws, {"id": identifier, "tags_all": tags_of(found)}, group)
    return {"id": identifier}


def _leave_default_group(_aws: Aws, _state: State) -> None:
    """Nobody can delete it: it goes with its VPC."""


def _authorize(aws: Aws, identifier: str, direction: str, rules: list[State]) -> None:
    call = getattr(aws.client("ec2"), f"authorize_security_group_{direction}")
    call(GroupId=identifier, IpPermissions=[_permission(aws, identifier, rule) for rule in rules])


def _permission(aws: Aws, identifier: str, rule: State) -> dict[str, Any]:
    about = params(Description=rule["description"])
    groups = [*(rule["security_groups"] or []), *([identifier] if rule["self"] else [])]
    ports = {} if rule["protocol"] == _ANY else {"FromPort": rule["from_port"], "ToPort": rule["to_port"]}
    return {
        "IpProtocol": rule["protocol"],
        **ports,
        **params(
            IpRanges=[{"CidrIp": cidr, **about} for cidr in rule["cidr_blocks"] or []],
            Ipv6Ranges=[{"CidrIpv6": cidr, **about} for cidr in rule["ipv6_cidr_blocks"] or []],
            PrefixListIds=[{"PrefixListId": name, **about} for name in rule["prefix_list_ids"] or []],
            UserIdGroupPairs=[{"GroupId": g, "UserId": aws.account, **about} for g in groups],
        ),
    }


def _read_group(aws: Aws, state: State) -> State | None:
    identifier = state["id"]
    group = described(aws, "describe_security_groups", "SecurityGroups", GroupIds=[identifier])
    if group is None:
        return None
    return {
        "arn": arn(aws, "security-group", identifier),
        "name": group["GroupName"],
        "description": group["Description"],
        "owner_id": group.get("OwnerId", aws.account),
        "vpc_id": group.get("VpcId", ""),
        "ingress": _read_rules(identifier, group.get("IpPermissions", [])),
        "egress": _read_rules(identifier, group.get("IpPermissionsEgress", [])),
        "tags_all": tags_of(group),
    }


def _read_rules(identifier: str, permissions: list[dict[str, Any]]) -> list[State]:
    """Group what AWS tells by protocol, ports and description, as the real provider does."""
    rules: dict[tuple[Any, ...], State] = {}
    for permission in permissions:
        protocol = permission["IpProtocol"]
        start, end = permission.get("FromPort", 0), permission.get("ToPort", 0)
        ports = (0, 0) if protocol == _ANY else (start, end)
        for member, key, name in (
            ("IpRanges", "CidrIp", "cidr_blocks"),
            ("Ipv6Ranges", "CidrIpv6", "ipv6_cidr_blocks"),
            ("PrefixListIds", "PrefixListId", "prefix_list_ids"),
            ("UserIdGroupPairs", "GroupId", "security_groups"),
        ):
            for source in permission.get(member, []):
                about = source.get("Description", "")
                rule = rules.setdefault((protocol, *ports, about), _rule(protocol, ports, about))
                if source[key] == identifier:
                    rule["self"] = True
                else:
                    rule[name].append(source[key])
    return list(rules.values())


def _rule(protocol: str, ports: tuple[int, int], about: str) -> State:
    return {
        "protocol": protocol,
        "from_port": ports[0],
        "to_port": ports[1],
        "description": about,
        "self": False,
        "cidr_blocks": [],
        "ipv6_cidr_blocks": [],
        "prefix_list_ids": [],
        "security_groups": [],
    }


def _update_group(aws: Aws, prior: State, planned: State) -> None:
    for direction in ("ingress", "egress"):
        old, new = prior[direction] or [], planned[direction] or []
        gone = [_permission(aws, prior["id"], rule) for rule in old if rule not in new]
        if gone:
            revoke = getattr(aws.client("ec2"), f"revoke_security_group_{direction}")
            revoke(GroupId=prior["id"], IpPermissions=gone)
        added = [rule for rule in new if rule not in old]
        if added:
            _authorize(aws, prior["id"], direction, added)
    retag(aws, prior, planned)


def _delete_group(aws: Aws, state: State) -> None:
    aws.client("ec2").delete_security_group(GroupId=state["id"])


_GROUP_RULE: Final = Fields(
    "cidr_ipv4",
    "cidr_ipv6",
    "description",
    "from_port",
    "ip_protocol",
    "prefix_list_id",
    "to_port",
    security_group_id="GroupId",
)


def _single(aws: Aws, rule: State) -> dict[str, Any]:
    """Write a rule of one source as the permission that it is."""
    about = params(Description=rule["description"])
    sources = {
        "cidr_ipv4": ("IpRanges", "CidrIp"),
        "cidr_ipv6": ("Ipv6Ranges", "CidrIpv6"),
        "prefix_list_id": ("PrefixListIds", "PrefixListId"),
        "referenced_security_group_id": ("UserIdGroupPairs", "GroupId"),
    }
    permission: dict[str, Any] = {"IpProtocol": rule["ip_protocol"]}
    if rule["from_port"] is not None:
        permission |= {"FromPort": rule["from_port"], "ToPort": rule["to_port"]}
    for name, (member, key) in sources.items():
        if given(rule[name]):
            owner = {"UserId": aws.account} if key == "GroupId" else {}
            permission[member] = [{key: rule[name], **owner, **about}]
    return permission


def _of_a_group(direction: str) -> Kind:
    """Make the kind of rules of one direction."""

    def create(aws: Aws, rule: State) -> State:
        answer = getattr(aws.client("ec2"), f"authorize_security_group_{direction}")(
            GroupId=rule["security_group_id"],
            IpPermissions=[_single(aws, rule)],
            **tagged("security-group-rule", rule["tags_all"]),
        )
        return {"id": answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]}

    def read(aws: Aws, state: State) -> State | None:
        identifier = state["id"]
        rule = described(
            aws,
            "describe_security_group_rules",
            "SecurityGroupRules",
            SecurityGroupRuleIds=[identifier],
        )
        if rule is None:
            return None
        settings = _GROUP_RULE.to_state(rule)
        if settings["ip_protocol"] == _ANY:  # AWS then answers -1, and the configuration says nothing
            settings |= {"from_port": None, "to_port": None}
        return settings | {
            "arn": rule.get("SecurityGroupRuleArn", arn(aws, "security-group-rule", identifier)),
            "security_group_rule_id": identifier,
            "referenced_security_group_id": rule.get("ReferencedGroupInfo", {}).get("GroupId"),
            "tags_all": tags_of(rule),
        }

    def update(aws: Aws, prior: State, planned: State) -> None:
        settings = {**_GROUP_RULE.to_aws(planned)}
        settings.pop("GroupId")
        reference = params(ReferencedGroupId=planned["referenced_security_group_id"])
        if settings != {k: v for k, v in _GROUP_RULE.to_aws(prior).items() if k != "GroupId"}:
            aws.client("ec2").modify_security_group_rules(
                GroupId=planned["security_group_id"],
                SecurityGroupRules=[
                    {"SecurityGroupRuleId": prior["id"], "SecurityGroupRule": settings | reference}
                ],
            )
        retag(aws, prior, planned)

    def delete(aws: Aws, state: State) -> None:
        revoke = getattr(aws.client("ec2"), f"revoke_security_group_{direction}")
        revoke(GroupId=state["security_group_id"], SecurityGroupRuleIds=[state["id"]])

    rules = Rules(force_new=frozenset({"security_group_id", "region"}))
    return Kind(f"aws_vpc_security_group_{direction}_rule", create, read, delete, update, rules, _rule_faults)


def _rule_faults(rule: State) -> Iterable[Fault]:
    sources = ("cidr_ipv4", "cidr_ipv6", "prefix_list_id", "referenced_security_group_id")
    yield from exactly_one(rule, *sources)
    ports = rule["from_port"], rule["to_port"]
    if rule["ip_protocol"] in {_ANY, "all"}:
        if any(port is not None and port != -1 for port in ports):
            yield Fault("a rule for every protocol has no ports", "from_port")
    elif rule["ip_protocol"] in {"tcp", "udp"} and None in ports:
        yield Fault("from_port and to_port must be set", "from_port")


KINDS: Final = (
    Kind(
        "aws_security_group",
        _create_group,
        _read_group,
        _delete_group,
        _update_group,
        Rules(
            defaults={"description": "Managed by Terraform", "revoke_rules_on_delete": False},
            force_new=frozenset({"name", "name_prefix", "description", "vpc_id", "region"}),
            kept=frozenset({"revoke_rules_on_delete"}),
        ),
    ),
    Kind(
        "aws_default_security_group",
        _adopt_default_group,
        _read_group,
        _leave_default_group,
        _update_group,
        Rules(
            defaults={"revoke_rules_on_delete": False},
            force_new=frozenset({"vpc_id", "region"}),
            kept=frozenset({"revoke_rules_on_delete"}),
        ),
    ),
    _of_a_group("ingress"),
    _of_a_group("egress"),
)
