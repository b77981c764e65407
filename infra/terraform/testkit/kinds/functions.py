"""Lambda: functions, who may call them, and the queues that they read."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.choices import exactly_one, within
from testkit.fields import Fields, one, unordered
from testkit.kind import Fault, Kind, Rules
from testkit.tagging import LAMBDA
from testkit.values import State, given

_MISSING: Final = "ResourceNotFoundException"
_UNRESERVED: Final = -1

_CONFIGURATION: Final = Fields(
    "architectures",
    "description",
    "function_name",
    "handler",
    "layers",
    "memory_size",
    "package_type",
    "role",
    "runtime",
    "timeout",
    kms_key_arn="KMSKeyArn",
    dead_letter_config=one("target_arn"),
    environment=one("variables"),
    ephemeral_storage=one("size"),
    image_config=one("command", "entry_point", "working_directory"),
    logging_config=one("application_log_level", "log_format", "log_group", "system_log_level"),
    snap_start=one("apply_on", "optimization_status"),
    tracing_config=one("mode"),
    vpc_config=one(
        "ipv6_allowed_for_dual_stack",
        "vpc_id",
        security_group_ids=unordered(),
        subnet_ids=unordered(),
    ),
)
_CODE: Final = Fields("s3_bucket", "s3_key", "s3_object_version", image_uri="ImageUri")
_CODE_NAMES: Final = ("filename", "s3_bucket", "s3_key", "s3_object_version", "image_uri", "source_code_hash")
_FIXED: Final = frozenset({"PackageType", "Architectures"})


def _code(function: State) -> dict[str, Any]:
    if given(function["filename"]):
        return {"ZipFile": Path(function["filename"]).read_bytes()}
    return _CODE.to_aws(function)


def _settings(function: State) -> dict[str, Any]:
    settings = _CONFIGURATION.to_aws(function)
    settings.get("VpcConfig", {}).pop("VpcId", None)
    settings.get("SnapStart", {}).pop("OptimizationStatus", None)
    return settings


def _create(aws: Aws, function: State) -> State:
    client, name = aws.client("lambda"), function["function_name"]
    client.create_function(
        **_settings(function),
        Code=_code(function),
        Publish=bool(function["publish"]),
        **params(Tags=LAMBDA.written(function["tags_all"])),
    )
    _reserve(aws, function)
    return {"id": name}


def _reserve(aws: Aws, function: State) -> None:
    reserved, name = function["reserved_concurrent_executions"], function["function_name"]
    if reserved != _UNRESERVED:
        aws.client("lambda").put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=reserved
        )


def _read(aws: Aws, state: State) -> State | None:
    client, name = aws.client("lambda"), state["id"]
    answer = found(client.get_function, _MISSING, FunctionName=name)
    if answer is None:
        return None
    function = answer["Configuration"]
    arn = function["FunctionArn"].removesuffix(":$LATEST")
    reserved = answer.get("Concurrency", {}).get("ReservedConcurrentExecutions", _UNRESERVED)
    layers = [layer["Arn"] for layer in function.get("Layers", [])]
    read = _CONFIGURATION.to_state(function | {"Layers": layers})
    if read["snap_start"] and read["snap_start"][0]["apply_on"] == "None":
        read["snap_start"] = []
    if read["vpc_config"] and not read["vpc_config"][0]["subnet_ids"]:
        read["vpc_config"] = []
    return read | {
        "arn": arn,
        "code_sha256": function["CodeSha256"],
        "invoke_arn": _invocation(aws, arn),
        "response_streaming_invoke_arn": _invocation(aws, arn) + "-with-response-stream",
        "last_modified": function["LastModified"],
        "qualified_arn": f"{arn}:{function['Version']}",
        "qualified_invoke_arn": _invocation(aws, f"{arn}:{function['Version']}"),
        "reserved_concurrent_executions": reserved,
        "source_code_size": function["CodeSize"],
        "version": function["Version"],
        "image_uri": answer.get("Code", {}).get("ImageUri", ""),
        "source_code_hash": _hash_in_state(state, function["CodeSha256"]),
        "tags_all": LAMBDA.read(aws, arn),
    }


def _hash_in_state(state: State, in_aws: str) -> str:
    """Answer the hash that the configuration set, whatever it is a hash of; else the one of AWS."""
    before = state.get("source_code_hash")
    return str(before) if given(before) else in_aws


def _invocation(aws: Aws, arn: str) -> str:
    return f"arn:aws:apigateway:{aws.region}:lambda:path/2015-03-31/functions/{arn}/invocations"


def _update(aws: Aws, prior: State, planned: State) -> None:
    client, name = aws.client("lambda"), planned["function_name"]
    old, new = _settings(prior), _settings(planned)
    if old != new:
        emptied = {name: _nothing(old[name]) for name in old.keys() - new.keys()}
        changed = {k: v for k, v in (new | emptied).items() if k not in _FIXED}
        client.update_function_configuration(**changed)
    if any(prior[name] != planned[name] for name in _CODE_NAMES):
        client.update_function_code(FunctionName=name, Publish=bool(planned["publish"]), **_code(planned))
    if prior["reserved_concurrent_executions"] != planned["reserved_concurrent_executions"]:
        if planned["reserved_concurrent_executions"] == _UNRESERVED:
            client.delete_function_concurrency(FunctionName=name)
        _reserve(aws, planned)
    LAMBDA.update(aws, prior["arn"], prior, planned)


def _nothing(value: Any) -> Any:
    return type(value)()


def _delete(aws: Aws, state: State) -> None:
    if not state["skip_destroy"]:
        aws.client("lambda").delete_function(FunctionName=state["id"])


def _faults(function: State) -> Iterable[Fault]:
    yield from exactly_one(function, "filename", "image_uri", "s3_bucket")
    if function["package_type"] in {None, "Zip"}:
        for name in ("handler", "runtime"):
            if function[name] is None:
                yield Fault(f"a function from a zip file needs {name}", name)
    yield from within(function, "memory_size", 128, 32_768)
    yield from within(function, "timeout", 1, 900)


_PERMISSION: Final = Fields(
    "action",
    "event_source_token",
    "function_name",
    "function_url_auth_type",
    "principal",
    "qualifier",
    "source_account",
    "source_arn",
    "statement_id",
    principal_org_id="PrincipalOrgID",
)


def _permit(aws: Aws, permission: State) -> State:
    name = permission["statement_id"]
    if not given(name):
        digest = hashlib.sha256(repr(sorted(_PERMISSION.to_aws(permission).items())).encode()).hexdigest()
        name = f"terraform-{digest[:26]}"
    aws.client("lambda").add_permission(**{**_PERMISSION.to_aws(permission), "StatementId": name})
    return {"id": name, "statement_id": name}


def _read_permission(aws: Aws, state: State) -> State | None:
    qualifier = params(Qualifier=state["qualifier"])
    client = aws.client("lambda")
    answer = found(client.get_policy, _MISSING, FunctionName=state["function_name"], **qualifier)
    listed = json.loads(answer["Policy"])["Statement"] if answer else []
    statements = [statement for statement in listed if statement["Sid"] == state["id"]]
    if not statements:
        return None
    statement = statements[0]
    conditions = statement.get("Condition", {})
    equal, like = conditions.get("StringEquals", {}), conditions.get("ArnLike", {})
    principal = statement["Principal"]
    return {
        "statement_id": statement["Sid"],
        "action": statement["Action"],
        "function_name": state["function_name"],
        "qualifier": state["qualifier"],
        "principal": principal if isinstance(principal, str) else next(iter(principal.values())),
        "source_arn": like.get("AWS:SourceArn"),
        "source_account": equal.get("AWS:SourceAccount"),
        "principal_org_id": equal.get("aws:PrincipalOrgID"),
        "event_source_token": equal.get("lambda:EventSourceToken"),
        "function_url_auth_type": equal.get("lambda:FunctionUrlAuthType"),
    }


def _imported_permission(identifier: str) -> State:
    function, _, statement = identifier.rpartition("/")
    name, _, qualifier = function.partition(":")
    return {"id": statement, "function_name": name, "qualifier": qualifier or None}


def _forbid(aws: Aws, state: State) -> None:
    aws.client("lambda").remove_permission(
        FunctionName=state["function_name"],
        StatementId=state["id"],
        **params(Qualifier=state["qualifier"]),
    )


KINDS: Final = (
    Kind(
        "aws_lambda_function",
        _create,
        _read,
        _delete,
        _update,
        Rules(
            defaults={
                "memory_size": 128,
                "package_type": "Zip",
                "publish": False,
                "reserved_concurrent_executions": _UNRESERVED,
                "skip_destroy": False,
                "timeout": 3,
            },
            force_new=frozenset({"function_name", "package_type", "region"}),
            computed_blocks=frozenset({"ephemeral_storage", "logging_config", "tracing_config"}),
            kept=frozenset(
                {"filename", "publish", "s3_bucket", "s3_key", "s3_object_version", "skip_destroy"}
            ),
            renewed={"code_sha256": frozenset(_CODE_NAMES), "last_modified": frozenset(_CODE_NAMES)},
        ),
        _faults,
    ),
    Kind(
        "aws_lambda_permission",
        _permit,
        _read_permission,
        _forbid,
        None,
        Rules(
            force_new=frozenset(
                {
                    "action",
                    "event_source_token",
                    "function_name",
                    "function_url_auth_type",
                    "principal",
                    "principal_org_id",
                    "qualifier",
                    "region",
                    "source_account",
                    "source_arn",
                    "statement_id",
                }
            )
        ),
        imported=_imported_permission,
    ),
)
