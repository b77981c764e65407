"""Containers: clusters, task definitions, services."""

import json
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import params
from testkit.choices import at_most_one
from testkit.fields import Fields, block, blocks, lower_camel, one, unordered
from testkit.kind import Fault, Kind, Rules
from testkit.tagging import ECS
from testkit.tasks import fargate_faults, same_containers
from testkit.values import State, given, only

_GONE: Final = frozenset({"INACTIVE", "DRAINING"})


def _lower(*plain: str, **named: Any) -> Fields:
    return Fields(*plain, spelling=lower_camel, **named)


_CLUSTER: Final = _lower(
    name="clusterName",
    setting=blocks(_lower("name", "value"), "settings"),
    service_connect_defaults=block(_lower("namespace")),
    configuration=block(
        _lower(
            execute_command_configuration=block(
                _lower(
                    "kms_key_id",
                    "logging",
                    log_configuration=block(
                        _lower("cloud_watch_encryption_enabled", "cloud_watch_log_group_name")
                    ),
                )
            )
        )
    ),
)


def _create_cluster(aws: Aws, cluster: State) -> State:
    tags = params(tags=ECS.written(cluster["tags_all"]))
    answer = aws.client("ecs").create_cluster(**_CLUSTER.to_aws(cluster), **tags)
    return {"id": answer["cluster"]["clusterArn"]}


def _read_cluster(aws: Aws, state: State) -> State | None:
    include = ["CONFIGURATIONS", "SETTINGS", "TAGS"]
    listed = aws.client("ecs").describe_clusters(clusters=[state["id"]], include=include)["clusters"]
    if not listed or listed[0]["status"] == "INACTIVE":
        return None
    arn = listed[0]["clusterArn"]
    return _CLUSTER.to_state(listed[0]) | {"id": arn, "arn": arn, "tags_all": ECS.read(aws, arn)}


def _update_cluster(aws: Aws, prior: State, planned: State) -> None:
    settings = _CLUSTER.to_aws(planned)
    if settings != _CLUSTER.to_aws(prior):
        aws.client("ecs").update_cluster(cluster=settings.pop("clusterName"), **settings)
    ECS.update(aws, prior["arn"], prior, planned)


def _delete_cluster(aws: Aws, state: State) -> None:
    aws.client("ecs").delete_cluster(cluster=state["id"])


_TASK: Final = _lower(
    "cpu",
    "enable_fault_injection",
    "execution_role_arn",
    "family",
    "ipc_mode",
    "memory",
    "network_mode",
    "pid_mode",
    "task_role_arn",
    requires_compatibilities=unordered(),
    ephemeral_storage=block(_lower(size_in_gib="sizeInGiB")),
    runtime_platform=block(_lower("cpu_architecture", "operating_system_family")),
    placement_constraints=blocks(_lower("expression", "type")),
)


def _register(aws: Aws, task: State) -> State:
    volumes = [params(name=v["name"], host=params(sourcePath=v["host_path"])) for v in task["volume"]]
    answer = aws.client("ecs").register_task_definition(
        **_TASK.to_aws(task),
        containerDefinitions=json.loads(task["container_definitions"]),
        **params(volumes=volumes, tags=ECS.written(task["tags_all"])),
    )
    return {"id": task["family"], "arn": answer["taskDefinition"]["taskDefinitionArn"]}


def _read_task(aws: Aws, state: State) -> State | None:
    client = aws.client("ecs")
    try:
        task = client.describe_task_definition(taskDefinition=state["arn"])["taskDefinition"]
    except client.exceptions.ClientException:
        return None
    if task.get("status") == "INACTIVE":
        return None
    arn = task["taskDefinitionArn"]
    written = json.dumps(task["containerDefinitions"], separators=(",", ":"), sort_keys=True)
    before = state.get("container_definitions")
    same = isinstance(before, str) and same_containers(before, written)
    return _TASK.to_state(task) | {
        "id": task["family"],
        "arn": arn,
        "arn_without_revision": arn.rpartition(":")[0],
        "container_definitions": before if same else written,
        "revision": task["revision"],
        "enable_fault_injection": task.get("enableFaultInjection", False),
        "volume": [_read_volume(volume) for volume in task.get("volumes", [])],
        "tags_all": ECS.read(aws, arn),
    }


def _read_volume(volume: dict[str, Any]) -> State:
    host = volume.get("host", {}).get("sourcePath", "")
    return {"name": volume["name"], "host_path": host, "configure_at_launch": False}


def _update_task(aws: Aws, prior: State, planned: State) -> None:
    ECS.update(aws, prior["arn"], prior, planned)


def _deregister(aws: Aws, state: State) -> None:
    if not state["skip_destroy"]:
        aws.client("ecs").deregister_task_definition(taskDefinition=state["arn"])


def _imported_task(identifier: str) -> State:
    return {"id": identifier, "arn": identifier}


def _imported_service(identifier: str) -> State:
    cluster, _, name = identifier.partition("/")
    return {"id": name, "cluster": cluster}


def _task_faults(task: State) -> Iterable[Fault]:
    return fargate_faults(task)


_SERVICE: Final = _lower(
    "availability_zone_rebalancing",
    "desired_count",
    "enable_execute_command",
    "health_check_grace_period_seconds",
    "launch_type",
    "platform_version",
    "propagate_tags",
    "scheduling_strategy",
    "task_definition",
    enable_ecs_managed_tags="enableECSManagedTags",
    name="serviceName",
    capacity_provider_strategy=blocks(_lower("base", "capacity_provider", "weight")),
    deployment_controller=block(_lower("type")),
    load_balancer=blocks(
        _lower("container_name", "container_port", "target_group_arn", elb_name="loadBalancerName"),
        "loadBalancers",
    ),
    ordered_placement_strategy=blocks(_lower("field", "type"), "placementStrategy"),
    placement_constraints=blocks(_lower("expression", "type")),
    service_registries=blocks(_lower("container_name", "container_port", "port", "registry_arn")),
)
_VPC: Final = _lower(subnets=unordered(), security_groups=unordered())
_DEPLOYMENT: Final = _lower(
    deployment_maximum_percent="maximumPercent",
    deployment_minimum_healthy_percent="minimumHealthyPercent",
    deployment_circuit_breaker=one(enable="enable", rollback="rollback", name="deploymentCircuitBreaker"),
    alarms=one(alarm_names="alarmNames", enable="enable", rollback="rollback", name="alarms"),
)
_FIXED: Final = frozenset({"serviceName", "launchType", "schedulingStrategy", "deploymentController"})


def _settings(service: State) -> dict[str, Any]:
    settings = _SERVICE.to_aws(service)
    network = only(service["network_configuration"])
    if network:
        public = {"assignPublicIp": "ENABLED" if network["assign_public_ip"] else "DISABLED"}
        settings["networkConfiguration"] = {"awsvpcConfiguration": _VPC.to_aws(network) | public}
    if given(service["cluster"]):
        settings["cluster"] = service["cluster"]
    how = only(service["deployment_configuration"]) or {}
    strategy = params(
        strategy=how.get("strategy"), bakeTimeInMinutes=_number(how.get("bake_time_in_minutes"))
    )
    return settings | {"deploymentConfiguration": _DEPLOYMENT.to_aws(service) | strategy}


def _number(text: Any) -> int | None:
    return int(text) if given(text) else None


def _create_service(aws: Aws, service: State) -> State:
    tags = params(tags=ECS.written(service["tags_all"]))
    answer = aws.client("ecs").create_service(**_settings(service), **tags)
    return {"id": answer["service"]["serviceArn"]}


def _read_service(aws: Aws, state: State) -> State | None:
    cluster = params(cluster=state.get("cluster"))
    listed = aws.client("ecs").describe_services(services=[state["id"]], **cluster)["services"]
    if not listed or listed[0]["status"] in _GONE:
        return None
    service = listed[0]
    arn = service["serviceArn"]
    deployment = service.get("deploymentConfiguration", {})
    strategy = deployment.get("strategy", "ROLLING")
    minutes = str(deployment.get("bakeTimeInMinutes", 0))
    network = service.get("networkConfiguration", {}).get("awsvpcConfiguration")
    public = {"assign_public_ip": (network or {}).get("assignPublicIp") == "ENABLED"}
    return {
        **_SERVICE.to_state(service),
        **_DEPLOYMENT.to_state(deployment),
        "id": arn,
        "arn": arn,
        "cluster": _as_written(state.get("cluster"), service["clusterArn"]),
        "task_definition": _as_written(state.get("task_definition"), service["taskDefinition"]),
        "network_configuration": [_VPC.to_state(network) | public] if network else [],
        "deployment_configuration": [{"strategy": strategy, "bake_time_in_minutes": minutes}],
        "tags_all": ECS.read(aws, arn),
    }


def _as_written(before: Any, arn: str) -> str:
    """Answer a name where the configuration has a name, an ARN where it has an ARN."""
    name = arn.rpartition("/")[2]
    return name if before in {name, name.partition(":")[0]} else arn


def _update_service(aws: Aws, prior: State, planned: State) -> None:
    old, new = _settings(prior), _settings(planned)
    if old != new:
        changed = {name: value for name, value in new.items() if name not in _FIXED}
        aws.client("ecs").update_service(service=planned["name"], **changed)
    ECS.update(aws, prior["arn"], prior, planned)


def _delete_service(aws: Aws, state: State) -> None:
    aws.client("ecs").delete_service(cluster=state["cluster"], service=state["name"], force=True)


def _service_faults(service: State) -> Iterable[Fault]:
    low, high = service["deployment_minimum_healthy_percent"], service["deployment_maximum_percent"]
    if isinstance(low, int) and isinstance(high, int) and high <= low:
        yield Fault("deployment_maximum_percent must be more than the minimum", "deployment_maximum_percent")
    if service["health_check_grace_period_seconds"] and not service["load_balancer"]:
        yield Fault(
            "a grace period is for a service with a load balancer", "health_check_grace_period_seconds"
        )
    if service["launch_type"] == "FARGATE" and not service["network_configuration"]:
        yield Fault("a service on Fargate needs network_configuration", "network_configuration")
    yield from at_most_one(service, "launch_type", "capacity_provider_strategy")


KINDS: Final = (
    Kind(
        "aws_ecs_cluster",
        _create_cluster,
        _read_cluster,
        _delete_cluster,
        _update_cluster,
        Rules(force_new=frozenset({"name", "region"}), computed_blocks=frozenset({"setting"})),
    ),
    Kind(
        "aws_ecs_task_definition",
        _register,
        _read_task,
        _deregister,
        _update_task,
        Rules(
            defaults={"skip_destroy": False, "track_latest": False},
            force_new=frozenset(
                {
                    "container_definitions",
                    "cpu",
                    "enable_fault_injection",
                    "ephemeral_storage",
                    "execution_role_arn",
                    "family",
                    "ipc_mode",
                    "memory",
                    "network_mode",
                    "pid_mode",
                    "placement_constraints",
                    "region",
                    "requires_compatibilities",
                    "runtime_platform",
                    "task_role_arn",
                    "volume",
                }
            ),
            json_texts=frozenset({"container_definitions"}),
            kept=frozenset({"skip_destroy", "track_latest"}),
            identity={"volume": "name"},
        ),
        _task_faults,
        _imported_task,
    ),
    Kind(
        "aws_ecs_service",
        _create_service,
        _read_service,
        _delete_service,
        _update_service,
        Rules(
            defaults={
                "deployment_controller.type": "ECS",
                "deployment_maximum_percent": 200,
                "deployment_minimum_healthy_percent": 100,
                "desired_count": 0,
                "enable_ecs_managed_tags": False,
                "enable_execute_command": False,
                "network_configuration.assign_public_ip": False,
                "scheduling_strategy": "REPLICA",
                "wait_for_steady_state": False,
            },
            force_new=frozenset({"cluster", "launch_type", "name", "region", "scheduling_strategy"}),
            computed_blocks=frozenset(
                {"deployment_circuit_breaker", "deployment_configuration", "deployment_controller"}
            ),
            kept=frozenset(
                {
                    "force_delete",
                    "force_new_deployment",
                    "sigint_rollback",
                    "triggers",
                    "wait_for_steady_state",
                }
            ),
        ),
        _service_faults,
        _imported_service,
    ),
)
