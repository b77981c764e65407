"""What the stand-ins are known to lose; it is read back as planned, for want of anything to read.

Everything else that is read differently from how it was planned shows as drift. A test sets each of these
attributes and sees it lost; one that a stand-in learns to keep has to go from here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_DROPPED: Final = "moto drops it when the source is a security group or a prefix list"
LOST: Final[Mapping[str, Mapping[str, str]]] = {
    "aws_appautoscaling_target": {
        "tags": "moto takes tags and lists none",
        "tags_all": "moto takes tags and lists none",
    },
    "aws_dynamodb_table": {
        "point_in_time_recovery.recovery_period_in_days": "ministack answers without it",
        "warm_throughput": "ministack answers 0 units; of an index it answers what was asked for",
    },
    "aws_vpc_security_group_egress_rule": {"description": _DROPPED},
    "aws_vpc_security_group_ingress_rule": {"description": _DROPPED},
}
"""Resource type, path of the attribute, what the stand-in does instead."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def lost_by_the_stand_in(kind: str) -> Mapping[str, str]:
    """Return what is lost of a kind, by path, with what happens instead."""
    return LOST.get(kind, _NOTHING)
