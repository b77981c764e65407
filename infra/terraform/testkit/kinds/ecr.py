"""Image repositories and how long their images live."""

import json
from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.fields import Fields, blocks, lower_camel
from testkit.kind import Fault, Kind, Rules
from testkit.tagging import ECR
from testkit.values import State, only

_MISSING: Final = ("RepositoryNotFoundException", "LifecyclePolicyNotFoundException")
_REPOSITORY: Final = Fields(
    "image_tag_mutability",
    spelling=lower_camel,
    name="repositoryName",
    image_tag_mutability_exclusion_filter=blocks(
        Fields("filter", "filter_type", spelling=lower_camel), "imageTagMutabilityExclusionFilters"
    ),
)
_SCANNING: Final = Fields(scan_on_push="scanOnPush")
_ENCRYPTION: Final = Fields(encryption_type="encryptionType", kms_key="kmsKey")


def _create(aws: Aws, repository: State) -> State:
    scanning, encryption = (
        only(repository["image_scanning_configuration"]),
        only(repository["encryption_configuration"]),
    )
    aws.client("ecr").create_repository(
        **_REPOSITORY.to_aws(repository),
        **params(
            imageScanningConfiguration=scanning and _SCANNING.to_aws(scanning),
            encryptionConfiguration=encryption and _ENCRYPTION.to_aws(encryption),
            tags=ECR.written(repository["tags_all"]),
        ),
    )
    return {"id": repository["name"]}


def _read(aws: Aws, state: State) -> State | None:
    client, name = aws.client("ecr"), state["id"]
    answer = found(client.describe_repositories, *_MISSING, repositoryNames=[name])
    if answer is None:
        return None
    repository = answer["repositories"][0]
    arn = repository["repositoryArn"]
    return _REPOSITORY.to_state(repository) | {
        "arn": arn,
        "registry_id": repository["registryId"],
        "repository_url": repository["repositoryUri"],
        "image_scanning_configuration": _block(_SCANNING, repository.get("imageScanningConfiguration")),
        "encryption_configuration": _block(_ENCRYPTION, repository.get("encryptionConfiguration")),
        "tags_all": ECR.read(aws, arn),
    }


def _block(fields: Fields, answer: dict[str, Any] | None) -> list[State]:
    return [fields.to_state(answer)] if answer else []


def _update(aws: Aws, prior: State, planned: State) -> None:
    client, name = aws.client("ecr"), planned["name"]
    if prior["image_tag_mutability"] != planned["image_tag_mutability"]:
        client.put_image_tag_mutability(
            repositoryName=name, imageTagMutability=planned["image_tag_mutability"]
        )
    scanning = only(planned["image_scanning_configuration"])
    if scanning and prior["image_scanning_configuration"] != planned["image_scanning_configuration"]:
        client.put_image_scanning_configuration(
            repositoryName=name, imageScanningConfiguration=_SCANNING.to_aws(scanning)
        )
    ECR.update(aws, prior["arn"], prior, planned)


def _delete(aws: Aws, state: State) -> None:
    force = params(force=state["force_delete"])
    aws.client("ecr").delete_repository(repositoryName=state["id"], **force)


def _put_policy(aws: Aws, policy: State) -> State:
    name = policy["repository"]
    aws.client("ecr").put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=policy["policy"])
    return {"id": name}


def _read_policy(aws: Aws, state: State) -> State | None:
    answer = found(aws.client("ecr").get_lifecycle_policy, *_MISSING, repositoryName=state["id"])
    if answer is None:
        return None
    registry = answer.get("registryId", aws.account)
    return {"repository": state["id"], "registry_id": registry, "policy": answer["lifecyclePolicyText"]}


def _delete_policy(aws: Aws, state: State) -> None:
    aws.client("ecr").delete_lifecycle_policy(repositoryName=state["id"])


def _policy_faults(config: State) -> Iterable[Fault]:
    if not isinstance(config["policy"], str):
        return
    try:
        rules = json.loads(config["policy"])["rules"]
        priorities = [rule["rulePriority"] for rule in rules]
        kinds = {rule["selection"]["tagStatus"] for rule in rules}
    except (ValueError, KeyError, TypeError):
        yield Fault("policy has no rules with rulePriority and selection.tagStatus", "policy")
        return
    if len(set(priorities)) != len(priorities):
        yield Fault("two rules have the same rulePriority", "policy")
    for kind in kinds - {"any", "tagged", "untagged"}:
        yield Fault(f"there is no tagStatus {kind!r}", "policy")


KINDS: Final = (
    Kind(
        "aws_ecr_repository",
        _create,
        _read,
        _delete,
        _update,
        Rules(
            defaults={
                "image_tag_mutability": "MUTABLE",
                "encryption_configuration.encryption_type": "AES256",
            },
            force_new=frozenset({"name", "encryption_configuration", "region"}),
            computed_blocks=frozenset({"encryption_configuration", "image_scanning_configuration"}),
            kept=frozenset({"force_delete"}),
        ),
    ),
    Kind(
        "aws_ecr_lifecycle_policy",
        _put_policy,
        _read_policy,
        _delete_policy,
        None,
        Rules(force_new=frozenset({"repository", "policy", "region"}), json_texts=frozenset({"policy"})),
        _policy_faults,
    ),
)
