"""What load balancers listen to, and the rules by which they pass it on."""

from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.choices import exactly_one
from testkit.fields import As, Fields, block, blocks, one, unordered
from testkit.kind import Fault, Kind, Rules
from testkit.values import State, given

_MISSING: Final = ("ListenerNotFound", "RuleNotFound")
_TARGETS: Final = Fields(arn="TargetGroupArn", weight="Weight")
_FORWARD: Final = Fields(
    target_group=blocks(_TARGETS, "TargetGroups"),
    stickiness=one(enabled="Enabled", duration="DurationSeconds", name="TargetGroupStickinessConfig"),
)
_ACTION: Final = Fields(
    "order",
    "target_group_arn",
    "type",
    fixed_response=one("content_type", "message_body", "status_code", name="FixedResponseConfig"),
    forward=block(_FORWARD, "ForwardConfig"),
    redirect=one("host", "path", "port", "protocol", "query", "status_code", name="RedirectConfig"),
)


def balancer_tags(aws: Aws, arn: str) -> dict[str, str]:
    """Ask for the tags of anything that belongs to a load balancer."""
    described = aws.client("elbv2").describe_tags(ResourceArns=[arn])["TagDescriptions"]
    return {tag["Key"]: tag["Value"] for tag in (described[0]["Tags"] if described else [])}


def retag_balancer(aws: Aws, prior: State, planned: State) -> None:
    """Make the tags of anything that belongs to a load balancer what was planned."""
    old, new = prior["tags_all"] or {}, planned["tags_all"] or {}
    gone = sorted(old.keys() - new.keys())
    changed = [{"Key": k, "Value": v} for k, v in sorted(new.items()) if old.get(k) != v]
    if gone:
        aws.client("elbv2").remove_tags(ResourceArns=[prior["id"]], TagKeys=gone)
    if changed:
        aws.client("elbv2").add_tags(ResourceArns=[prior["id"]], Tags=changed)


def _tags(state: State) -> dict[str, Any]:
    return params(Tags=[{"Key": k, "Value": v} for k, v in sorted((state["tags_all"] or {}).items())])


def _read_actions(answer: list[dict[str, Any]], before: list[State] | None) -> list[State]:
    """Read actions; AWS tells a simple forward in two ways, and the configuration has one of them."""
    actions = []
    for place, action in enumerate(answer):
        read = _ACTION.to_state(action)
        was = before[place] if before and place < len(before) else None
        simple = _only_target(read)
        if read["type"] == "forward" and ((was and was["forward"]) or not simple):
            read["target_group_arn"] = ""
        elif read["type"] == "forward":
            read |= {"target_group_arn": simple, "forward": []}
        read["order"] = read["order"] or (was or {}).get("order") or None
        actions.append(read)
    return actions


def _only_target(action: State) -> str:
    groups = [group["arn"] for forward in action["forward"] for group in forward["target_group"]]
    return groups[0] if len(groups) == 1 else str((not groups and action["target_group_arn"]) or "")


_LISTENER: Final = Fields(
    "load_balancer_arn",
    "port",
    "protocol",
    "ssl_policy",
    alpn_policy=As("AlpnPolicy", lambda name: [name], lambda names: names[0] if names else ""),
    certificate_arn=As(
        "Certificates",
        lambda arn: [{"CertificateArn": arn}],
        lambda listed: listed[0]["CertificateArn"] if listed else "",
    ),
    default_action=blocks(_ACTION, "DefaultActions"),
)


def _create(aws: Aws, listener: State) -> State:
    answer = aws.client("elbv2").create_listener(**_LISTENER.to_aws(listener), **_tags(listener))
    return {"id": answer["Listeners"][0]["ListenerArn"]}


def _read(aws: Aws, state: State) -> State | None:
    arn = state["id"]
    answer = found(aws.client("elbv2").describe_listeners, *_MISSING, ListenerArns=[arn])
    if not answer or not answer["Listeners"]:
        return None
    listener = answer["Listeners"][0]
    return _LISTENER.to_state(listener) | {
        "arn": arn,
        "default_action": _read_actions(listener["DefaultActions"], state.get("default_action")),
        "tags_all": balancer_tags(aws, arn),
    }


def _update(aws: Aws, prior: State, planned: State) -> None:
    settings = _LISTENER.to_aws(planned)
    if settings != _LISTENER.to_aws(prior):
        del settings["LoadBalancerArn"]
        aws.client("elbv2").modify_listener(ListenerArn=prior["id"], **settings)
    retag_balancer(aws, prior, planned)


def _delete(aws: Aws, state: State) -> None:
    aws.client("elbv2").delete_listener(ListenerArn=state["id"])


def _faults(listener: State) -> Iterable[Fault]:
    secure = {"HTTPS", "TLS"}
    if listener["protocol"] in secure and listener["certificate_arn"] is None:
        yield Fault(f"{listener['protocol']} needs a certificate_arn", "certificate_arn")
    if isinstance(listener["protocol"], str) and listener["protocol"] not in secure:
        for name in ("certificate_arn", "ssl_policy"):
            if listener[name] is not None:
                yield Fault(f"{name} is for {' and '.join(sorted(secure))} only", name)
    yield from _action_faults(listener["default_action"], "default_action")


def _action_faults(actions: Any, name: str) -> Iterable[Fault]:
    needed = {"redirect": "redirect", "fixed-response": "fixed_response"}
    for action in actions if isinstance(actions, list) else []:
        want = needed.get(action["type"])
        if want and not action[want]:
            yield Fault(f"an action of type {action['type']} needs {want}", name)
        if action["type"] == "forward":
            yield from (
                Fault(fault.summary, name) for fault in exactly_one(action, "target_group_arn", "forward")
            )


_VALUES: Final = Fields(values=unordered())
_CONDITIONS: Final = {
    "host_header": ("host-header", "HostHeaderConfig", _VALUES),
    "http_header": ("http-header", "HttpHeaderConfig", Fields("http_header_name", values=unordered())),
    "http_request_method": ("http-request-method", "HttpRequestMethodConfig", _VALUES),
    "path_pattern": ("path-pattern", "PathPatternConfig", _VALUES),
    "source_ip": ("source-ip", "SourceIpConfig", _VALUES),
}
_QUERY: Final = Fields("key", "value")


def _condition(condition: State) -> dict[str, Any]:
    for name, (field, config, fields) in _CONDITIONS.items():
        if condition[name]:
            return {"Field": field, config: fields.to_aws(condition[name][0])}
    values = [_QUERY.to_aws(pair) for pair in condition["query_string"]]
    return {"Field": "query-string", "QueryStringConfig": {"Values": values}}


def _read_condition(answer: dict[str, Any]) -> State:
    read: State = {name: [] for name in _CONDITIONS} | {"query_string": []}
    for name, (field, config, fields) in _CONDITIONS.items():
        if answer["Field"] == field:
            read[name] = [fields.to_state(answer.get(config) or {"Values": answer.get("Values", [])})]
    if answer["Field"] == "query-string":
        read["query_string"] = [
            _QUERY.to_state(pair) for pair in answer.get("QueryStringConfig", {}).get("Values", [])
        ]
    return read


def _rule(rule: State) -> dict[str, Any]:
    return {
        "Actions": [_ACTION.to_aws(action) for action in rule["action"]],
        "Conditions": [_condition(condition) for condition in rule["condition"]],
    }


def _create_rule(aws: Aws, rule: State) -> State:
    client = aws.client("elbv2")
    priority = rule["priority"] if given(rule["priority"]) else _next_priority(client, rule["listener_arn"])
    arn = rule["listener_arn"]
    answer = client.create_rule(ListenerArn=arn, Priority=priority, **_rule(rule), **_tags(rule))
    return {"id": answer["Rules"][0]["RuleArn"]}


def _next_priority(client: Any, listener: str) -> int:
    listed = client.describe_rules(ListenerArn=listener)["Rules"]
    return max((int(r["Priority"]) for r in listed if r["Priority"].isdigit()), default=0) + 1


def _read_rule(aws: Aws, state: State) -> State | None:
    arn = state["id"]
    answer = found(aws.client("elbv2").describe_rules, *_MISSING, RuleArns=[arn])
    if not answer or not answer["Rules"]:
        return None
    rule = answer["Rules"][0]
    listener = arn.replace(":listener-rule/", ":listener/").rpartition("/")[0]
    return {
        "arn": arn,
        "listener_arn": listener,
        "priority": int(rule["Priority"]),
        "action": _read_actions(rule["Actions"], state.get("action")),
        "condition": [_read_condition(condition) for condition in rule["Conditions"]],
        "tags_all": balancer_tags(aws, arn),
    }


def _update_rule(aws: Aws, prior: State, planned: State) -> None:
    client = aws.client("elbv2")
    if _rule(prior) != _rule(planned):
        client.modify_rule(RuleArn=prior["id"], **_rule(planned))
    if prior["priority"] != planned["priority"]:
        priority = {"RuleArn": prior["id"], "Priority": planned["priority"]}
        client.set_rule_priorities(RulePriorities=[priority])
    retag_balancer(aws, prior, planned)


def _delete_rule(aws: Aws, state: State) -> None:
    aws.client("elbv2").delete_rule(RuleArn=state["id"])


def _rule_faults(rule: State) -> Iterable[Fault]:
    yield from _action_faults(rule["action"], "action")
    for condition in rule["condition"] if isinstance(rule["condition"], list) else []:
        if sum(bool(condition[name]) for name in (*_CONDITIONS, "query_string")) != 1:
            yield Fault("a condition looks at exactly one thing", "condition")


def _rules(actions: str, of: str) -> Rules:
    kept = {"host": "#{host}", "path": "/#{path}", "port": "#{port}", "protocol": "#{protocol}"}
    return Rules(
        defaults={f"{actions}.redirect.{name}": v for name, v in (kept | {"query": "#{query}"}).items()},
        force_new=frozenset({of, "region"}),
        computed_blocks=frozenset({f"{actions}.forward.stickiness"}),
    )


KINDS: Final = (
    Kind(
        "aws_lb_listener",
        _create,
        _read,
        _delete,
        _update,
        _rules("default_action", "load_balancer_arn"),
        _faults,
    ),
    Kind(
        "aws_lb_listener_rule",
        _create_rule,
        _read_rule,
        _delete_rule,
        _update_rule,
        _rules("action", "listener_arn"),
        _rule_faults,
    ),
)
