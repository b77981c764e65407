"""Certificates that AWS makes and renews."""

from collections.abc import Iterable
from typing import Any, Final

from testkit.aws import Aws
from testkit.calls import found, params
from testkit.choices import at_least_one
from testkit.fields import Fields, unordered
from testkit.kind import Fault, Kind, Rules
from testkit.tagging import ACM
from testkit.values import State

_REQUEST: Final = Fields(
    "domain_name", "key_algorithm", "validation_method", subject_alternative_names=unordered()
)
_RECORD: Final = Fields(name="Name", type="Type", value="Value")


def _request(aws: Aws, certificate: State) -> State:
    tags = params(Tags=ACM.written(certificate["tags_all"]))
    answer = aws.client("acm").request_certificate(**_REQUEST.to_aws(certificate), **tags)
    return {"id": answer["CertificateArn"]}


def _read(aws: Aws, state: State) -> State | None:
    arn = state["id"]
    answer = found(aws.client("acm").describe_certificate, "ResourceNotFoundException", CertificateArn=arn)
    if answer is None:
        return None
    certificate = answer["Certificate"]
    validations = certificate.get("DomainValidationOptions", [])
    return {
        "arn": arn,
        "domain_name": certificate["DomainName"],
        "key_algorithm": certificate["KeyAlgorithm"].replace("-", "_"),
        "subject_alternative_names": sorted(certificate["SubjectAlternativeNames"]),
        "validation_method": validations[0]["ValidationMethod"] if validations else "NONE",
        "domain_validation_options": [_record(validation) for validation in validations],
        "status": certificate["Status"],
        "type": certificate["Type"],
        "not_after": str(certificate.get("NotAfter", "")),
        "not_before": str(certificate.get("NotBefore", "")),
        "pending_renewal": False,
        "renewal_eligibility": certificate.get("RenewalEligibility", "INELIGIBLE"),
        "renewal_summary": [],
        "validation_emails": [],
        "tags_all": ACM.read(aws, arn),
    }


def _record(validation: dict[str, Any]) -> State:
    record = _RECORD.to_state(validation.get("ResourceRecord", {}))
    prefixed = {f"resource_record_{name}": value for name, value in record.items()}
    return prefixed | {"domain_name": validation["DomainName"]}


def _update(aws: Aws, prior: State, planned: State) -> None:
    ACM.update(aws, prior["id"], prior, planned)


def _delete(aws: Aws, state: State) -> None:
    aws.client("acm").delete_certificate(CertificateArn=state["id"])


def _faults(certificate: State) -> Iterable[Fault]:
    yield from at_least_one(certificate, "domain_name", "private_key")


KINDS: Final = (
    Kind(
        "aws_acm_certificate",
        _request,
        _read,
        _delete,
        _update,
        Rules(
            force_new=frozenset(
                {"domain_name", "key_algorithm", "region", "subject_alternative_names", "validation_method"}
            )
        ),
        _faults,
    ),
)
