"""How many copies of a service run, and by which measure."""

from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import params
from testkit.fields import Fields, block, blocks, number, one
from testkit.kind import Fault, Kind, Rules
from testkit.tagging import AUTOSCALING
from testkit.values import State

_IDENTITY: Final = Fields("resource_id", "scalable_dimension", "service_namespace")
_TARGET: Final = Fields(
    "max_capacity",
    "min_capacity",
    "resource_id",
    "role_arn",
    "scalable_dimension",
    "service_namespace",
    suspended_state=one(
        "dynamic_scaling_in_suspended", "dynamic_scaling_out_suspended", "scheduled_scaling_suspended"
    ),
)
_SERVICE: Final = "application-autoscaling"


def _place_service(aws: Aws, resource: str) -> None:
    """Let the server of scaling know a service that is on another one; it scales no other."""
    _, cluster, name = resource.split("/")
    found = aws.client("ecs").describe_services(cluster=cluster, services=[name])["services"]
    there = aws.client("ecs", "scaled")
    there.create_cluster(clusterName=cluster)
    placed = there.describe_services(cluster=cluster, services=[name])["services"]
    if found and not placed:
        task = [{"name": "is-on-another-server", "image": "none", "memory": 4}]
        there.register_task_definition(family=name, containerDefinitions=task)
        there.create_service(cluster=cluster, serviceName=name, taskDefinition=name, desiredCount=0)


def _register(aws: Aws, target: State) -> State:
    if target["service_namespace"] == "ecs":
        _place_service(aws, target["resource_id"])
    tags = params(Tags=AUTOSCALING.written(target["tags_all"]))
    aws.client(_SERVICE).register_scalable_target(**_TARGET.to_aws(target), **tags)
    return {"id": target["resource_id"]}


def _read_target(aws: Aws, state: State) -> State | None:
    listed = aws.client(_SERVICE).describe_scalable_targets(
        ServiceNamespace=state["service_namespace"],
        ResourceIds=[state["resource_id"]],
        ScalableDimension=state["scalable_dimension"],
    )["ScalableTargets"]
    if not listed:
        return None
    arn = listed[0].get("ScalableTargetARN", "")
    suspended = listed[0].get("SuspendedState") or {}
    read = _TARGET.to_state(listed[0])
    if not any(suspended.values()) and not state.get("suspended_state"):
        read["suspended_state"] = []
    return read | {"arn": arn}


def _update_target(aws: Aws, prior: State, planned: State) -> None:
    aws.client(_SERVICE).register_scalable_target(**_TARGET.to_aws(planned))
    if prior["arn"]:
        AUTOSCALING.update(aws, prior["arn"], prior, planned)


def _deregister(aws: Aws, state: State) -> None:
    aws.client(_SERVICE).deregister_scalable_target(**_IDENTITY.to_aws(state))


def _target_faults(target: State) -> Iterable[Fault]:
    low, high = target["min_capacity"], target["max_capacity"]
    if isinstance(low, int) and isinstance(high, int) and low > high:
        yield Fault("min_capacity can not be more than max_capacity", "min_capacity")


def _imported_target(identifier: str) -> State:
    namespace, *resource, dimension = identifier.split("/")
    return {
        "id": "/".join(resource),
        "service_namespace": namespace,
        "resource_id": "/".join(resource),
        "scalable_dimension": dimension,
    }


_DIMENSIONS: Final = blocks(Fields("name", "value"), "Dimensions")
_STAT: Final = Fields(
    "stat", "unit", metric=block(Fields("metric_name", "namespace", dimensions=_DIMENSIONS))
)
_TRACKING: Final = Fields(
    "disable_scale_in",
    "scale_in_cooldown",
    "scale_out_cooldown",
    "target_value",
    predefined_metric_specification=one("predefined_metric_type", "resource_label"),
    customized_metric_specification=block(
        Fields(
            "metric_name",
            "namespace",
            "statistic",
            "unit",
            dimensions=_DIMENSIONS,
            metrics=blocks(Fields("expression", "id", "label", "return_data", metric_stat=block(_STAT))),
        )
    ),
)
_STEP: Final = Fields(
    "adjustment_type",
    "cooldown",
    "metric_aggregation_type",
    "min_adjustment_magnitude",
    step_adjustment=blocks(
        Fields(
            "scaling_adjustment",
            metric_interval_lower_bound=number(),
            metric_interval_upper_bound=number(),
        ),
        "StepAdjustments",
    ),
)
_POLICY: Final = Fields(
    "policy_type",
    "resource_id",
    "scalable_dimension",
    "service_namespace",
    name="PolicyName",
    step_scaling_policy_configuration=block(_STEP),
    target_tracking_scaling_policy_configuration=block(_TRACKING),
)


def _imported_policy(identifier: str) -> State:
    target, _, name = identifier.rpartition("/")
    return _imported_target(target) | {"id": name, "name": name}


def _put_policy(aws: Aws, policy: State) -> State:
    aws.client(_SERVICE).put_scaling_policy(**_POLICY.to_aws(policy))
    return {"id": policy["name"]}


def _read_policy(aws: Aws, state: State) -> State | None:
    listed = aws.client(_SERVICE).describe_scaling_policies(
        PolicyNames=[state["name"]],
        ServiceNamespace=state["service_namespace"],
        ResourceId=state["resource_id"],
        ScalableDimension=state["scalable_dimension"],
    )["ScalingPolicies"]
    policies = [policy for policy in listed if policy["PolicyName"] == state["name"]]  # moto answers all
    if not policies:
        return None
    policy = policies[0]
    alarms = [alarm["AlarmARN"] for alarm in policy.get("Alarms", [])]
    return _POLICY.to_state(policy) | {"arn": policy["PolicyARN"], "alarm_arns": alarms}


def _update_policy(aws: Aws, _prior: State, planned: State) -> None:
    _put_policy(aws, planned)


def _delete_policy(aws: Aws, state: State) -> None:
    aws.client(_SERVICE).delete_scaling_policy(PolicyName=state["name"], **_IDENTITY.to_aws(state))


def _policy_faults(policy: State) -> Iterable[Fault]:
    needed = {
        "StepScaling": "step_scaling_policy_configuration",
        "TargetTrackingScaling": "target_tracking_scaling_policy_configuration",
        "PredictiveScaling": "predictive_scaling_policy_configuration",
    }
    kind: Any = policy["policy_type"] or "StepScaling"
    if isinstance(kind, str) and kind not in needed:
        yield Fault(f"there is no policy_type {kind!r}", "policy_type")
    elif isinstance(kind, str) and not policy[needed[kind]]:
        yield Fault(f"a policy of type {kind} needs {needed[kind]}", "policy_type")
    for tracking in policy["target_tracking_scaling_policy_configuration"] or []:
        ways = ("predefined_metric_specification", "customized_metric_specification")
        if sum(bool(tracking[name]) for name in ways) != 1:
            yield Fault(f"exactly one of {', '.join(ways)} must be set", "policy_type")


KINDS: Final = (
    Kind(
        "aws_appautoscaling_target",
        _register,
        _read_target,
        _deregister,
        _update_target,
        Rules(
            force_new=frozenset({"region", "resource_id", "scalable_dimension", "service_namespace"}),
            computed_blocks=frozenset({"suspended_state"}),
        ),
        _target_faults,
        _imported_target,
    ),
    Kind(
        "aws_appautoscaling_policy",
        _put_policy,
        _read_policy,
        _delete_policy,
        _update_policy,
        Rules(
            defaults={
                "policy_type": "StepScaling",
                "target_tracking_scaling_policy_configuration.disable_scale_in": False,
            },
            force_new=frozenset(
                {"name", "policy_type", "region", "resource_id", "scalable_dimension", "service_namespace"}
            ),
        ),
        _policy_faults,
        _imported_policy,
    ),
)
