"""Load balancers: what they listen to, by which rules, and where they send it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.fields import Fields, one
from testkit.kind import Fault, Kind, Rules
from testkit.kinds.listeners import KINDS as LISTENERS
from testkit.kinds.listeners import balancer_tags, retag_balancer
from testkit.values import State, given, only

_MISSING: Final = ("LoadBalancerNotFound", "TargetGroupNotFound")

_BALANCER_ATTRIBUTES: Final[Mapping[str, str]] = {
    "client_keep_alive": "client_keep_alive.seconds",
    "desync_mitigation_mode": "routing.http.desync_mitigation_mode",
    "drop_invalid_header_fields": "routing.http.drop_invalid_header_fields.enabled",
    "enable_deletion_protection": "deletion_protection.enabled",
    "enable_http2": "routing.http2.enabled",
    "enable_tls_version_and_cipher_suite_headers": "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
    "enable_waf_fail_open": "waf.fail_open.enabled",
    "enable_xff_client_port": "routing.http.xff_client_port.enabled",
    "idle_timeout": "idle_timeout.timeout_seconds",
    "preserve_host_header": "routing.http.preserve_host_header.enabled",
    "xff_header_processing_mode": "routing.http.xff_header_processing.mode",
}
_NUMBERS: Final = frozenset({"client_keep_alive", "idle_timeout", "slow_start"})
_TEXTS: Final = frozenset(
    {
        "deregistration_delay",
        "desync_mitigation_mode",
        "load_balancing_algorithm_type",
        "load_balancing_anomaly_mitigation",
        "load_balancing_cross_zone_enabled",
        "xff_header_processing_mode",
    }
)


def _attributes(fields: Mapping[str, str], state: State) -> list[dict[str, str]]:
    """Write attributes as AWS wants them: texts, by dotted names."""
    return [{"Key": key, "Value": _text(state[name])} for name, key in fields.items() if given(state[name])]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_attributes(fields: Mapping[str, str], listed: list[dict[str, str]]) -> State:
    values = {pair["Key"]: pair["Value"] for pair in listed}
    return {name: _value(name, values[key]) for name, key in fields.items() if key in values}


def _value(name: str, text: str) -> Any:
    if name in _NUMBERS:
        return int(text)
    return text if name in _TEXTS else text == "true"


def _create_balancer(aws: Aws, balancer: State) -> State:
    client = aws.client("elbv2")
    mappings = [
        params(SubnetId=m["subnet_id"], AllocationId=m["allocation_id"])
        for m in balancer["subnet_mapping"] or []
    ]
    internal = balancer["internal"] is True
    answer = client.create_load_balancer(
        Name=balancer["name"],
        Type=balancer["load_balancer_type"],
        Scheme="internal" if internal else "internet-facing",
        **params(
            Subnets=balancer["subnets"],
            SubnetMappings=mappings,
            SecurityGroups=balancer["security_groups"],
            IpAddressType=balancer["ip_address_type"],
            Tags=_tags(balancer),
        ),
    )
    arn = answer["LoadBalancers"][0]["LoadBalancerArn"]
    attributes = _balancer_attributes(balancer)
    client.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)
    return {"id": arn}


def _tags(state: State) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted((state["tags_all"] or {}).items())]


def _balancer_attributes(balancer: State) -> list[dict[str, str]]:
    attributes = _attributes(_BALANCER_ATTRIBUTES, balancer)
    for name in ("access_logs", "connection_logs"):
        logs = only(balancer[name])
        if logs:
            enabled = "true" if logs["enabled"] else "false"
            attributes.append({"Key": f"{name}.s3.enabled", "Value": enabled})
            attributes.append({"Key": f"{name}.s3.bucket", "Value": logs["bucket"]})
            attributes.append({"Key": f"{name}.s3.prefix", "Value": logs["prefix"] or ""})
    return attributes


def _read_balancer(aws: Aws, state: State) -> State | None:
    client, arn = aws.client("elbv2"), state["id"]
    answer = found(client.describe_load_balancers, *_MISSING, LoadBalancerArns=[arn])
    if not answer or not answer["LoadBalancers"]:
        return None
    balancer = answer["LoadBalancers"][0]
    listed = client.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    values = {pair["Key"]: pair["Value"] for pair in listed}
    zones = balancer.get("AvailabilityZones", [])
    return {
        **_read_attributes(_BALANCER_ATTRIBUTES, listed),
        "enable_cross_zone_load_balancing": values.get("load_balancing.cross_zone.enabled") == "true",
        "arn": arn,
        "arn_suffix": arn.partition("loadbalancer/")[2],
        "name": balancer["LoadBalancerName"],
        "load_balancer_type": balancer["Type"],
        "internal": balancer["Scheme"] == "internal",
        "ip_address_type": balancer.get("IpAddressType", "ipv4"),
        "dns_name": balancer["DNSName"],
        "zone_id": balancer["CanonicalHostedZoneId"],
        "vpc_id": balancer["VpcId"],
        "security_groups": sorted(balancer.get("SecurityGroups", [])),
        "subnets": sorted(zone["SubnetId"] for zone in zones),
        "subnet_mapping": [{"subnet_id": zone["SubnetId"], "outpost_id": ""} for zone in zones],
        "access_logs": _read_logs("access_logs", values),
        "connection_logs": _read_logs("connection_logs", values),
        "tags_all": balancer_tags(aws, arn),
    }


def _read_logs(name: str, values: Mapping[str, str]) -> list[State]:
    bucket = values.get(f"{name}.s3.bucket")
    if not bucket:
        return []
    enabled = values.get(f"{name}.s3.enabled") == "true"
    return [{"bucket": bucket, "enabled": enabled, "prefix": values.get(f"{name}.s3.prefix", "")}]


def _update_balancer(aws: Aws, prior: State, planned: State) -> None:
    client, arn = aws.client("elbv2"), prior["id"]
    attributes = _balancer_attributes(planned)
    if attributes != _balancer_attributes(prior):
        client.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)
    if prior["security_groups"] != planned["security_groups"]:
        client.set_security_groups(LoadBalancerArn=arn, SecurityGroups=planned["security_groups"])
    if prior["subnets"] != planned["subnets"]:
        client.set_subnets(LoadBalancerArn=arn, Subnets=planned["subnets"])
    if prior["ip_address_type"] != planned["ip_address_type"]:
        client.set_ip_address_type(LoadBalancerArn=arn, IpAddressType=planned["ip_address_type"])
    retag_balancer(aws, prior, planned)


def _delete_balancer(aws: Aws, state: State) -> None:
    aws.client("elbv2").delete_load_balancer(LoadBalancerArn=state["id"])


def _balancer_faults(balancer: State) -> Iterable[Fault]:
    subnets, kind = balancer["subnets"], balancer["load_balancer_type"] or "application"
    if isinstance(subnets, list) and kind == "application" and len(subnets) < 2:  # noqa: PLR2004 (AWS's limit)
        yield Fault("an application load balancer needs subnets in two zones", "subnets")
    name = balancer["name"]
    if isinstance(name, str) and (len(name) > 32 or name.startswith("internal-")):  # noqa: PLR2004 (AWS's limit)
        yield Fault("a load balancer's name has 32 characters at most, and no internal- in front", "name")


_GROUP_ATTRIBUTES: Final[Mapping[str, str]] = {
    "deregistration_delay": "deregistration_delay.timeout_seconds",
    "load_balancing_algorithm_type": "load_balancing.algorithm.type",
    "load_balancing_anomaly_mitigation": "load_balancing.algorithm.anomaly_mitigation",
    "load_balancing_cross_zone_enabled": "load_balancing.cross_zone.enabled",
    "slow_start": "slow_start.duration_seconds",
}
_HEALTH: Final = Fields(
    enabled="HealthCheckEnabled",
    healthy_threshold="HealthyThresholdCount",
    interval="HealthCheckIntervalSeconds",
    path="HealthCheckPath",
    port="HealthCheckPort",
    protocol="HealthCheckProtocol",
    timeout="HealthCheckTimeoutSeconds",
    unhealthy_threshold="UnhealthyThresholdCount",
    matcher=one(http="HttpCode", name="Matcher"),
)
_GROUP: Final = Fields(
    "name", "port", "protocol", "protocol_version", "target_type", "vpc_id", "ip_address_type"
)


def _health(group: State) -> dict[str, Any]:
    check = only(group["health_check"])
    if not check:
        return {}
    matcher = [{"http": check["matcher"]}] if given(check["matcher"]) else []
    return _HEALTH.to_aws(check | {"matcher": matcher})


def _group_attributes(group: State) -> list[dict[str, str]]:
    attributes = _attributes(_GROUP_ATTRIBUTES, group)
    stickiness = only(group["stickiness"])
    if stickiness:
        seconds = str(stickiness["cookie_duration"])
        attributes.append({"Key": "stickiness.enabled", "Value": _text(stickiness["enabled"])})
        attributes.append({"Key": "stickiness.type", "Value": stickiness["type"]})
        attributes.append({"Key": "stickiness.lb_cookie.duration_seconds", "Value": seconds})
    return attributes


def _create_group(aws: Aws, group: State) -> State:
    client = aws.client("elbv2")
    tags = params(Tags=_tags(group))
    answer = client.create_target_group(**_GROUP.to_aws(group), **_health(group), **tags)
    arn = answer["TargetGroups"][0]["TargetGroupArn"]
    client.modify_target_group_attributes(TargetGroupArn=arn, Attributes=_group_attributes(group))
    return {"id": arn}


def _read_group(aws: Aws, state: State) -> State | None:
    client, arn = aws.client("elbv2"), state["id"]
    answer = found(client.describe_target_groups, *_MISSING, TargetGroupArns=[arn])
    if not answer or not answer["TargetGroups"]:
        return None
    group = answer["TargetGroups"][0]
    listed = client.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    values = {pair["Key"]: pair["Value"] for pair in listed}
    name = group["TargetGroupName"]
    return {
        **_GROUP.to_state(group),
        **_read_attributes(_GROUP_ATTRIBUTES, listed),
        "name": name,
        "arn": arn,
        "arn_suffix": arn.rpartition(":")[2],
        "ip_address_type": group.get("IpAddressType", "ipv4"),
        "load_balancer_arns": sorted(group.get("LoadBalancerArns", [])),
        "health_check": [_read_health(group)],
        "stickiness": _read_stickiness(values),
        "tags_all": balancer_tags(aws, arn),
    }


def _read_health(group: Mapping[str, Any]) -> State:
    check = _HEALTH.to_state(group)
    return check | {"matcher": (only(check["matcher"]) or {}).get("http")}


def _read_stickiness(values: Mapping[str, str]) -> list[State]:
    kind = values.get("stickiness.type")
    if not kind:
        return []
    seconds = int(values.get("stickiness.lb_cookie.duration_seconds", 86_400))
    enabled = values.get("stickiness.enabled") == "true"
    return [{"type": kind, "enabled": enabled, "cookie_duration": seconds, "cookie_name": ""}]


def _update_group(aws: Aws, prior: State, planned: State) -> None:
    client, arn = aws.client("elbv2"), prior["id"]
    if prior["health_check"] != planned["health_check"]:
        client.modify_target_group(TargetGroupArn=arn, **_health(planned))
    attributes = _group_attributes(planned)
    if attributes != _group_attributes(prior):
        client.modify_target_group_attributes(TargetGroupArn=arn, Attributes=attributes)
    retag_balancer(aws, prior, planned)


def _delete_group(aws: Aws, state: State) -> None:
    aws.client("elbv2").delete_target_group(TargetGroupArn=state["id"])


def _group_faults(group: State) -> Iterable[Fault]:
    if group["target_type"] != "lambda":
        for name in ("port", "protocol", "vpc_id"):
            if group[name] is None:
                yield Fault(f"a target group that is not for functions needs {name}", name)
    for check in group["health_check"] or []:
        interval, timeout = check["interval"] or 30, check["timeout"]
        if isinstance(interval, int) and isinstance(timeout, int) and timeout >= interval:
            yield Fault("the timeout of a health check must be less than its interval", "health_check")
    delay = group["deregistration_delay"]
    if isinstance(delay, str) and not (delay.isdigit() and int(delay) <= 3600):  # noqa: PLR2004 (AWS's limit)
        yield Fault("deregistration_delay must be from 0 to 3600 seconds", "deregistration_delay")


KINDS: Final = (
    Kind(
        "aws_lb",
        _create_balancer,
        _read_balancer,
        _delete_balancer,
        _update_balancer,
        Rules(
            defaults={
                "access_logs.enabled": False,
                "client_keep_alive": 3600,
                "connection_logs.enabled": False,
                "desync_mitigation_mode": "defensive",
                "drop_invalid_header_fields": False,
                "enable_cross_zone_load_balancing": False,
                "enable_deletion_protection": False,
                "enable_http2": True,
                "enable_tls_version_and_cipher_suite_headers": False,
                "enable_waf_fail_open": False,
                "enable_xff_client_port": False,
                "idle_timeout": 60,
                "load_balancer_type": "application",
                "preserve_host_header": False,
                "xff_header_processing_mode": "append",
            },
            force_new=frozenset({"internal", "load_balancer_type", "name", "name_prefix", "region"}),
            computed_blocks=frozenset({"subnet_mapping"}),
            sticky=frozenset({"enable_cross_zone_load_balancing"}),
        ),
        _balancer_faults,
    ),
    Kind(
        "aws_lb_target_group",
        _create_group,
        _read_group,
        _delete_group,
        _update_group,
        Rules(
            defaults={
                "deregistration_delay": "300",
                "health_check.enabled": True,
                "health_check.healthy_threshold": 3,
                "health_check.interval": 30,
                "health_check.port": "traffic-port",
                "health_check.protocol": "HTTP",
                "health_check.unhealthy_threshold": 3,
                "lambda_multi_value_headers_enabled": False,
                "proxy_protocol_v2": False,
                "slow_start": 0,
                "stickiness.cookie_duration": 86_400,
                "stickiness.enabled": True,
                "target_type": "instance",
            },
            force_new=frozenset(
                {
                    "ip_address_type",
                    "name",
                    "name_prefix",
                    "port",
                    "protocol",
                    "protocol_version",
                    "region",
                    "target_type",
                    "vpc_id",
                }
            ),
            computed_blocks=frozenset({"health_check", "stickiness", "target_group_health"}),
        ),
        _group_faults,
    ),
    *LISTENERS,
)
