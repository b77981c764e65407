"""What load balancers listen to, and whom they pass it on to."""

from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.choices import exactly_one
from testkit.fields import As, Fields, block, blocks, one
from testkit.kind import Fault, Kind, Rules
from testkit.values import State

_MISSING: Final = "ListenerNotFound"
_TARGETS: Final = Fields(arn="TargetGroupArn", weight="Weight")
_FORWARD: Final = Fields(
    target_group=blocks(_TARGETS, "TargetGroups"),
    stickiness=one(enabled="Enabled", duration="DurationSeconds", name="TargetGroupStickinessConfig"),
)
_ACTION: Final = Fields(
    "order",
    "target_group_arn",
    "type",
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
    answer = found(aws.client("elbv2").describe_listeners, _MISSING, ListenerArns=[arn])
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
    yield from _action_faults(listener["default_action"])


def _action_faults(actions: Any) -> Iterable[Fault]:
    for action in actions if isinstance(actions, list) else []:
        if action["type"] == "redirect" and not action["redirect"]:
            yield Fault("an action of type redirect needs redirect", "default_action")
        if action["type"] == "forward":
            for fault in exactly_one(action, "target_group_arn", "forward"):
                yield Fault(fault.summary, "default_action")


KINDS: Final = (
    Kind(
        "aws_lb_listener",
        _create,
        _read,
        _delete,
        _update,
        Rules(
            defaults={
                "default_action.redirect.host": "#{host}",
                "default_action.redirect.path": "/#{path}",
                "default_action.redirect.port": "#{port}",
                "default_action.redirect.protocol": "#{protocol}",
                "default_action.redirect.query": "#{query}",
            },
            force_new=frozenset({"load_balancer_arn", "region"}),
            computed_blocks=frozenset({"default_action.forward.stickiness"}),
        ),
        _faults,
    ),
)
