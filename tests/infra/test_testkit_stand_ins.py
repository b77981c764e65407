"""What is said of the stand-ins is true of them today: who keeps what, and what nobody keeps."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from tests.support.ministack import unique
from tests.support.terraform_configs import config_of

from testkit.aws import Aws
from testkit.backends import SERVICES, endpoints
from testkit.lost import LOST
from testkit.resources import Resources
from testkit.schema import Schema

KEY: Final = [{"AttributeName": "pk", "KeyType": "HASH"}]
ATTRIBUTE: Final = [{"AttributeName": "pk", "AttributeType": "S"}]
WARM: Final = {"ReadUnitsPerSecond": 13_000, "WriteUnitsPerSecond": 5_000}


@pytest.fixture
def aws(servers: Mapping[str, str]) -> Aws:
    return Aws(endpoints(servers))


def new_table(aws: Aws, **settings: Any) -> str:
    name = unique("table")
    aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=KEY,
        AttributeDefinitions=ATTRIBUTE,
        BillingMode="PAY_PER_REQUEST",
        **settings,
    )
    return name


def new_role(aws: Aws) -> str:
    trust = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}'
    answer = aws.client("iam").create_role(RoleName=unique("role"), AssumeRolePolicyDocument=trust)
    return str(answer["Role"]["Arn"])


def keeps_table_class(aws: Aws) -> bool:
    name = new_table(aws, TableClass="STANDARD_INFREQUENT_ACCESS")
    table = aws.client("dynamodb").describe_table(TableName=name)["Table"]
    return bool(table.get("TableClassSummary", {}).get("TableClass") == "STANDARD_INFREQUENT_ACCESS")


def takes_composite_alarms(aws: Aws) -> bool:
    client, child = aws.client("cloudwatch"), unique("child")
    client.put_metric_alarm(
        AlarmName=child,
        Namespace="n",
        MetricName="m",
        Period=60,
        Statistic="Sum",
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    client.put_composite_alarm(AlarmName=unique("any"), AlarmRule=f"ALARM({child})")
    return True


def keeps_deployment(aws: Aws) -> bool:
    client, name = aws.client("ecs"), unique("service")
    client.create_cluster(clusterName=name)
    client.register_task_definition(
        family=name, containerDefinitions=[{"name": "c", "image": "i", "memory": 64}]
    )
    how = {"maximumPercent": 150, "minimumHealthyPercent": 50}
    client.create_service(cluster=name, serviceName=name, taskDefinition=name, deploymentConfiguration=how)
    service = client.describe_services(cluster=name, services=[name])["services"][0]
    return bool(service.get("deploymentConfiguration", {}).get("maximumPercent") == 150)


def scales(aws: Aws) -> bool:
    ecs, name = aws.client("ecs"), unique("scaled")
    ecs.create_cluster(clusterName=name)
    ecs.register_task_definition(
        family=name, containerDefinitions=[{"name": "c", "image": "i", "memory": 64}]
    )
    ecs.create_service(cluster=name, serviceName=name, taskDefinition=name)
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": f"service/{name}/{name}",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    client = aws.client("application-autoscaling")
    client.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    return bool(client.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"])


def keeps_logging_of_functions(aws: Aws) -> bool:
    client, name = aws.client("lambda"), unique("function")
    client.create_function(
        FunctionName=name,
        Role=new_role(aws),
        PackageType="Image",
        Code={"ImageUri": f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com/a:1"},
        LoggingConfig={"LogFormat": "JSON"},
    )
    configuration = client.get_function(FunctionName=name)["Configuration"]
    return bool(configuration.get("LoggingConfig", {}).get("LogFormat") == "JSON")


def changes_metric_filters(aws: Aws) -> bool:
    client, name = aws.client("logs"), unique("group")
    client.create_log_group(logGroupName=name)
    for value in ("1", "2"):
        metric = {"metricName": "m", "metricNamespace": "n", "metricValue": value}
        client.put_metric_filter(
            logGroupName=name, filterName="f", filterPattern="x", metricTransformations=[metric]
        )
    filters = client.describe_metric_filters(logGroupName=name)["metricFilters"]
    return [metric_filter["metricTransformations"][0]["metricValue"] for metric_filter in filters] == ["2"]


def keeps_who_may_redrive(aws: Aws) -> bool:
    policy = '{"redrivePermission":"denyAll"}'
    attributes = {"RedriveAllowPolicy": policy}
    url = aws.client("sqs").create_queue(QueueName=unique("queue"), Attributes=attributes)["QueueUrl"]
    answer = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return bool(answer.get("RedriveAllowPolicy") == policy)


PROBES: Final[dict[str, Callable[[Aws], bool]]] = {
    "cloudwatch:composite": takes_composite_alarms,
    "dynamodb": keeps_table_class,
    "ecs": keeps_deployment,
    "ecs:scaled": scales,
    "lambda": keeps_logging_of_functions,
    "logs": changes_metric_filters,
    "sqs": keeps_who_may_redrive,
}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_the_server_of_a_service_does_what_the_other_does_not(
    servers: Mapping[str, str], service: str
) -> None:
    chosen, _reason = SERVICES[service]
    [other] = servers.keys() - {chosen}
    assert does(PROBES[service], servers[chosen])
    assert not does(PROBES[service], servers[other])


def does(probe: Callable[[Aws], bool], url: str) -> bool:
    try:
        return probe(Aws({"*": url}))
    except ClientError:
        return False


def keeps_recovery_period(aws: Aws) -> bool:
    client, name = aws.client("dynamodb"), new_table(aws)
    recovery = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7}
    client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    return "RecoveryPeriodInDays" in backups["PointInTimeRecoveryDescription"]


def keeps_warm_throughput(aws: Aws) -> bool:
    name = new_table(aws, WarmThroughput=WARM)
    warm = aws.client("dynamodb").describe_table(TableName=name)["Table"]["WarmThroughput"]
    return bool(warm["WriteUnitsPerSecond"] == WARM["WriteUnitsPerSecond"])


def keeps_rule_description(direction: str) -> Callable[[Aws], bool]:
    def probe(aws: Aws) -> bool:
        client = aws.client("ec2")
        vpc = client.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        group = client.create_security_group(GroupName=unique("g"), Description="d", VpcId=vpc)["GroupId"]
        source = {"GroupId": group, "UserId": aws.account, "Description": "why"}
        permission = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "UserIdGroupPairs": [source]}
        authorize = getattr(client, f"authorize_security_group_{direction}")
        rule = authorize(GroupId=group, IpPermissions=[permission])["SecurityGroupRules"][0]
        identifier = rule["SecurityGroupRuleId"]
        listed = client.describe_security_group_rules(SecurityGroupRuleIds=[identifier])
        return bool(listed["SecurityGroupRules"][0].get("Description") == "why")

    return probe


def lists_tags_of_scaling(aws: Aws) -> bool:
    arn = f"arn:aws:application-autoscaling:{aws.region}:{aws.account}:scalable-target/x"
    try:
        return bool(aws.client("application-autoscaling").list_tags_for_resource(ResourceARN=arn)["Tags"])
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 500, "moto has no such call"
        return False


LOSSES: Final[dict[tuple[str, str], Callable[[Aws], bool]]] = {
    ("aws_appautoscaling_target", "tags"): lists_tags_of_scaling,
    ("aws_appautoscaling_target", "tags_all"): lists_tags_of_scaling,
    ("aws_dynamodb_table", "point_in_time_recovery.recovery_period_in_days"): keeps_recovery_period,
    ("aws_dynamodb_table", "warm_throughput"): keeps_warm_throughput,
    ("aws_vpc_security_group_egress_rule", "description"): keeps_rule_description("egress"),
    ("aws_vpc_security_group_ingress_rule", "description"): keeps_rule_description("ingress"),
}


@pytest.mark.parametrize(("kind", "path"), [(kind, path) for kind in LOST for path in LOST[kind]])
def test_what_is_said_to_be_lost_is_lost(aws: Aws, kind: str, path: str) -> None:
    assert not LOSSES[kind, path](aws)


def queue(schema: Schema, **values: Any) -> dict[str, Any]:
    return config_of(schema, "aws_sqs_queue", name=unique("queue"), **values)


def test_what_somebody_else_changed_is_a_difference(aws: Aws, schema: Schema) -> None:
    resources, config = Resources(schema, aws), queue(schema, visibility_timeout_seconds=300)
    state = resources.apply(
        "aws_sqs_queue", None, resources.plan("aws_sqs_queue", config, None).planned
    ).state
    assert state
    assert resources.plan("aws_sqs_queue", config, resources.read("aws_sqs_queue", state)).planned == state

    changed = {"VisibilityTimeout": "30"}
    aws.client("sqs").set_queue_attributes(QueueUrl=state["id"], Attributes=changed)
    now = resources.read("aws_sqs_queue", state)
    assert now
    assert now["visibility_timeout_seconds"] == 30
    assert resources.plan("aws_sqs_queue", config, now).planned != now


def test_what_somebody_else_deleted_is_gone(aws: Aws, schema: Schema) -> None:
    resources, config = Resources(schema, aws), queue(schema)
    state = resources.apply(
        "aws_sqs_queue", None, resources.plan("aws_sqs_queue", config, None).planned
    ).state
    assert state
    aws.client("sqs").delete_queue(QueueUrl=state["id"])
    assert resources.read("aws_sqs_queue", state) is None


def table(schema: Schema, **values: Any) -> dict[str, Any]:
    pk = {"name": "pk", "type": "S"}
    settings: dict[str, Any] = {"billing_mode": "PAY_PER_REQUEST", "hash_key": "pk", "attribute": [pk]}
    return config_of(schema, "aws_dynamodb_table", **({"name": unique("table")} | settings | values))


def test_what_could_not_be_made_is_not_in_the_state(aws: Aws, schema: Schema) -> None:
    resources, config = Resources(schema, aws), table(schema, name="ab")
    planned = resources.plan("aws_dynamodb_table", config, None).planned
    applied = resources.apply("aws_dynamodb_table", None, planned)
    assert applied.state is None
    assert isinstance(applied.error, ClientError)


def test_what_could_not_be_changed_or_deleted_stays_in_the_state(aws: Aws, schema: Schema) -> None:
    kind = "aws_dynamodb_table"
    resources, config = Resources(schema, aws), table(schema, deletion_protection_enabled=True)
    state = resources.apply(kind, None, resources.plan(kind, config, None).planned).state
    replica = {"region_name": aws.region, "propagate_tags": False}  # a table is no replica of itself
    changed = table(schema, **{**config, "replica": [replica]})
    refused = resources.apply(kind, state, resources.plan(kind, changed, state).planned)
    assert (refused.state, isinstance(refused.error, ClientError)) == (state, True)
    kept = resources.apply(kind, state, None)
    assert (kept.state, isinstance(kept.error, ClientError)) == (state, True)


def test_tags_of_the_provider_are_no_tags_of_the_resource_unless_it_names_them_too(
    aws: Aws, schema: Schema
) -> None:
    block = {"region": None, "default_tags": [{"tags": {"Service": "s", "Env": "dev"}}]}
    resources = Resources(schema, aws).configured(block)
    config = queue(schema, tags={"Env": "dev", "Queue": "q"})
    planned = resources.plan("aws_sqs_queue", config, None).planned
    state = resources.apply("aws_sqs_queue", None, planned).state
    assert state
    assert state["tags_all"] == {"Service": "s", "Env": "dev", "Queue": "q"}
    assert state["tags"] == {"Env": "dev", "Queue": "q"}


def test_a_name_may_be_left_to_the_provider(aws: Aws, schema: Schema) -> None:
    resources = Resources(schema, aws)
    config = config_of(schema, "aws_sqs_queue", name_prefix="mine-")
    planned = resources.plan("aws_sqs_queue", config, None).planned
    state = resources.apply("aws_sqs_queue", None, planned).state
    assert state
    assert state["name"].startswith("mine-")
    assert state["name_prefix"] == "mine-"


def test_a_resource_may_be_in_another_region(aws: Aws, schema: Schema) -> None:
    resources = Resources(schema, aws)
    config = config_of(schema, "aws_sns_topic", name=unique("topic"), region="us-east-1")
    planned = resources.plan("aws_sns_topic", config, None).planned
    state = resources.apply("aws_sns_topic", None, planned).state
    assert state
    assert state["arn"].startswith("arn:aws:sns:us-east-1:")
    assert resources.read("aws_sns_topic", state) == state
