"""Tables: keys, indexes, recovery, encryption, expiry, replicas, warm throughput; and who may reach them."""

import json
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params, tag_changes, tag_list
from testkit.kind import Fault, Kind, Rules
from testkit.kinds.dynamodb_reading import read
from testkit.values import State, is_known, only

_MISSING: Final = ("ResourceNotFoundException", "PolicyNotFoundException")


def _key_schema(hash_key: str, range_key: str | None) -> list[dict[str, str]]:
    keys = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    return [*keys, {"AttributeName": range_key, "KeyType": "RANGE"}] if range_key else keys


def _index(index: State, billing_mode: str | None) -> dict[str, Any]:
    listed = [{"AttributeName": k["attribute_name"], "KeyType": k["key_type"]} for k in index["key_schema"]]
    return params(
        IndexName=index["name"],
        KeySchema=listed or _key_schema(index["hash_key"], index["range_key"]),
        Projection=params(
            ProjectionType=index["projection_type"],
            NonKeyAttributes=sorted(index["non_key_attributes"] or []),
        ),
        ProvisionedThroughput=_provisioned(index, billing_mode),
        WarmThroughput=_warm(index),
        OnDemandThroughput=_on_demand(index),
    )


def _local_index(table: State, index: State) -> dict[str, Any]:
    return {
        "IndexName": index["name"],
        "KeySchema": _key_schema(table["hash_key"], index["range_key"]),
        "Projection": params(
            ProjectionType=index["projection_type"], NonKeyAttributes=index["non_key_attributes"]
        ),
    }


def _provisioned(state: State, billing_mode: str | None) -> dict[str, Any] | None:
    if billing_mode == "PAY_PER_REQUEST":
        return None
    return {
        "ReadCapacityUnits": state["read_capacity"] or 0,
        "WriteCapacityUnits": state["write_capacity"] or 0,
    }


def _warm(state: State) -> dict[str, Any] | None:
    warm = only(state["warm_throughput"])
    return warm and params(
        ReadUnitsPerSecond=warm["read_units_per_second"], WriteUnitsPerSecond=warm["write_units_per_second"]
    )


def _on_demand(state: State) -> dict[str, Any] | None:
    limit = only(state["on_demand_throughput"])
    return limit and params(
        MaxReadRequestUnits=limit["max_read_request_units"],
        MaxWriteRequestUnits=limit["max_write_request_units"],
    )


def _encryption(state: State) -> dict[str, Any] | None:
    encryption = only(state["server_side_encryption"])
    if encryption is None:
        return None
    if not encryption["enabled"]:
        return {"Enabled": False}
    return params(Enabled=True, SSEType="KMS", KMSMasterKeyId=encryption["kms_key_arn"])


def _stream(state: State) -> dict[str, Any] | None:
    enabled = state["stream_enabled"]
    return params(StreamEnabled=enabled, StreamViewType=state["stream_view_type"]) if enabled else None


def _create(aws: Aws, table: State) -> State:
    client, name, mode = aws.client("dynamodb"), table["name"], table["billing_mode"]
    answer = client.create_table(
        **params(
            TableName=name,
            KeySchema=_key_schema(table["hash_key"], table["range_key"]),
            AttributeDefinitions=[
                {"AttributeName": a["name"], "AttributeType": a["type"]} for a in table["attribute"]
            ],
            BillingMode=mode,
            ProvisionedThroughput=_provisioned(table, mode),
            GlobalSecondaryIndexes=[_index(index, mode) for index in table["global_secondary_index"]],
            LocalSecondaryIndexes=[_local_index(table, index) for index in table["local_secondary_index"]],
            DeletionProtectionEnabled=table["deletion_protection_enabled"],
            SSESpecification=_encryption(table),
            StreamSpecification=_stream(table),
            TableClass=table["table_class"],
            WarmThroughput=_warm(table),
            OnDemandThroughput=_on_demand(table),
            Tags=tag_list(table["tags_all"]),
        )
    )
    if only(table["point_in_time_recovery"]):
        _set_recovery(aws, table)
    if (only(table["ttl"]) or {}).get("enabled"):
        _set_ttl(aws, table)
    for replica in table["replica"]:
        _make_replica(aws, table, answer["TableDescription"]["TableArn"], replica)
    return {"id": name}


def _set_recovery(aws: Aws, table: State) -> None:
    recovery = only(table["point_in_time_recovery"]) or {"enabled": False, "recovery_period_in_days": None}
    aws.client("dynamodb").update_continuous_backups(
        TableName=table["name"],
        PointInTimeRecoverySpecification=params(
            PointInTimeRecoveryEnabled=recovery["enabled"],
            RecoveryPeriodInDays=recovery["recovery_period_in_days"] if recovery["enabled"] else None,
        ),
    )


def _set_ttl(aws: Aws, table: State) -> None:
    ttl = only(table["ttl"])
    aws.client("dynamodb").update_time_to_live(
        TableName=table["name"],
        TimeToLiveSpecification={"Enabled": bool(ttl["enabled"]), "AttributeName": ttl["attribute_name"]},
    )


def _change_replica(aws: Aws, table: str, action: str, replica: State) -> None:
    key = params(KMSMasterKeyId=replica["kms_key_arn"]) if action == "Create" else {}
    update = {action: {"RegionName": replica["region_name"], **key}}
    aws.client("dynamodb").update_table(TableName=table, ReplicaUpdates=[update])


def _make_replica(aws: Aws, table: State, arn: str, replica: State) -> None:
    _change_replica(aws, table["name"], "Create", replica)
    _set_replica(aws, table, arn, replica)


def _set_replica(aws: Aws, table: State, arn: str, replica: State) -> None:
    """Set what a replica has of its own, by calls in its own region."""
    client, name = aws.at(replica["region_name"]).client("dynamodb"), table["name"]
    if isinstance(replica["deletion_protection_enabled"], bool):
        protected = replica["deletion_protection_enabled"]
        client.update_table(TableName=name, DeletionProtectionEnabled=protected)
    recovery = {"PointInTimeRecoveryEnabled": bool(replica["point_in_time_recovery"])}
    client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
    if replica["propagate_tags"] and table["tags_all"]:
        there = arn.replace(f":{aws.region}:", f":{replica['region_name']}:")
        client.tag_resource(ResourceArn=there, Tags=tag_list(table["tags_all"]))


def _settings(prior: State, planned: State) -> dict[str, Any]:
    """Return what one UpdateTable call has to change."""
    mode = planned["billing_mode"]
    causes: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
        (
            ("billing_mode", "read_capacity", "write_capacity"),
            params(BillingMode=mode, ProvisionedThroughput=_provisioned(planned, mode)),
        ),
        (
            ("deletion_protection_enabled",),
            {"DeletionProtectionEnabled": bool(planned["deletion_protection_enabled"])},
        ),
        (("server_side_encryption",), {"SSESpecification": _encryption(planned) or {"Enabled": False}}),
        (
            ("stream_enabled", "stream_view_type"),
            {"StreamSpecification": _stream(planned) or {"StreamEnabled": False}},
        ),
        (("table_class",), {"TableClass": planned["table_class"]}),
        (("warm_throughput",), params(WarmThroughput=_warm(planned))),
        (("on_demand_throughput",), params(OnDemandThroughput=_on_demand(planned))),
    )
    changed: dict[str, Any] = {}
    for names, settings in causes:
        if any(prior[name] != planned[name] for name in names):
            changed |= settings
    return changed


def _update(aws: Aws, prior: State, planned: State) -> None:
    client = aws.client("dynamodb")
    settings = _settings(prior, planned)
    if settings:
        client.update_table(TableName=planned["name"], **settings)
    if prior["global_secondary_index"] != planned["global_secondary_index"]:
        _update_indexes(client, prior, planned)
    if prior["point_in_time_recovery"] != planned["point_in_time_recovery"]:
        _set_recovery(aws, planned)
    if prior["ttl"] != planned["ttl"]:
        _update_ttl(aws, prior, planned)
    if prior["replica"] != planned["replica"]:
        _update_replicas(aws, prior, planned)
    _update_tags(client, prior, planned)


def _update_tags(client: Any, prior: State, planned: State) -> None:
    new, gone = tag_changes(prior["tags_all"], planned["tags_all"])
    if gone:
        client.untag_resource(ResourceArn=prior["arn"], TagKeys=gone)
    if new:
        client.tag_resource(ResourceArn=prior["arn"], Tags=tag_list(new))


def _update_ttl(aws: Aws, prior: State, planned: State) -> None:
    """Switch expiry on or off; AWS takes no new attribute without an hour in between, nor does this."""
    _set_ttl(aws, planned if planned["ttl"] else {**prior, "ttl": [{**only(prior["ttl"]), "enabled": False}]})


def _update_indexes(client: Any, prior: State, planned: State) -> None:
    """Delete and create indexes, one call each as AWS wants it; a changed one is deleted and made anew."""
    old = {index["name"]: index for index in prior["global_secondary_index"]}
    new = {index["name"]: index for index in planned["global_secondary_index"]}
    for name, index in old.items():
        if new.get(name) != index:
            client.update_table(
                TableName=planned["name"], GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": name}}]
            )
    definitions = [{"AttributeName": a["name"], "AttributeType": a["type"]} for a in planned["attribute"]]
    for name, index in new.items():
        if old.get(name) != index:
            client.update_table(
                TableName=planned["name"],
                AttributeDefinitions=definitions,
                GlobalSecondaryIndexUpdates=[{"Create": _index(index, planned["billing_mode"])}],
            )


def _update_replicas(aws: Aws, prior: State, planned: State) -> None:
    old = {replica["region_name"]: replica for replica in prior["replica"]}
    new = {replica["region_name"]: replica for replica in planned["replica"]}
    for region in old.keys() - new.keys():
        _change_replica(aws, planned["name"], "Delete", old[region])
    for region, replica in new.items():
        if region not in old:
            _make_replica(aws, planned, prior["arn"], replica)
        elif replica != old[region]:
            _set_replica(aws, planned, prior["arn"], replica)


def _delete(aws: Aws, state: State) -> None:
    for replica in state["replica"]:
        _change_replica(aws, state["id"], "Delete", replica)
    aws.client("dynamodb").delete_table(TableName=state["id"])


def _faults(config: State) -> Iterable[Fault]:
    """Find keys that are not declared, and declarations that no key uses: AWS refuses both."""
    for ttl in config["ttl"] or []:
        if ttl["enabled"] is True and ttl["attribute_name"] is None:
            yield Fault("ttl that is enabled needs attribute_name", "ttl")
    blocks = [*(config["global_secondary_index"] or []), *(config["local_secondary_index"] or [])]
    keys = [config["hash_key"], config["range_key"]]
    keys += [index.get(name) for index in blocks for name in ("hash_key", "range_key")]
    keys += [k["attribute_name"] for index in blocks for k in index.get("key_schema") or []]
    declared = [attribute["name"] for attribute in config["attribute"] or []]
    if not is_known([keys, declared]):
        return
    used = {key for key in keys if key}
    for name in sorted(used - set(declared)):
        yield Fault(f"all indexes must match a defined attribute: {name} is not declared", "attribute")
    for name in sorted(set(declared) - used):
        yield Fault(f"all attributes must be indexed: {name} is in no key", "attribute")


def _put_policy(aws: Aws, state: State) -> State:
    json.loads(state["policy"])
    aws.client("dynamodb").put_resource_policy(ResourceArn=state["resource_arn"], Policy=state["policy"])
    return {"id": state["resource_arn"]}


def _read_policy(aws: Aws, state: State) -> State | None:
    arn = state["id"]
    answer = found(aws.client("dynamodb").get_resource_policy, *_MISSING, ResourceArn=arn)
    if answer is None:
        return None
    return {"resource_arn": arn, "policy": answer["Policy"], "revision_id": answer.get("RevisionId")}


def _update_policy(aws: Aws, _prior: State, planned: State) -> None:
    _put_policy(aws, planned)


def _delete_policy(aws: Aws, state: State) -> None:
    aws.client("dynamodb").delete_resource_policy(ResourceArn=state["id"])


KINDS: Final = (
    Kind(
        "aws_dynamodb_table",
        _create,
        read,
        _delete,
        _update,
        Rules(
            defaults={
                "billing_mode": "PROVISIONED",
                "replica.consistency_mode": "EVENTUAL",
                "replica.point_in_time_recovery": False,
                "replica.propagate_tags": False,
                "table_class": "STANDARD",
            },
            force_new=frozenset({"name", "region", "hash_key", "range_key", "local_secondary_index"}),
            computed_blocks=frozenset(
                {
                    "global_secondary_index.warm_throughput",
                    "point_in_time_recovery",
                    "ttl",
                    "warm_throughput",
                }
            ),
            identity={"global_secondary_index": "name", "replica": "region_name"},
            kept=frozenset({"replica.propagate_tags"}),
        ),
        _faults,
    ),
    Kind(
        "aws_dynamodb_resource_policy",
        _put_policy,
        _read_policy,
        _delete_policy,
        _update_policy,
        Rules(force_new=frozenset({"resource_arn", "region"}), json_texts=frozenset({"policy"})),
    ),
)
