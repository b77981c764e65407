"""How fast this machine is beside the one of the design's figures: what the same work costs here and there.

The aims are in microseconds of that machine. Three pieces of work that are not ours were measured on both;
each says how many times slower this one is. The least of them is used: it flatters us least.
"""

from dataclasses import dataclass

from bench.sections.floor import Floor
from bench.sections.peers import PEER, Peers

NGINX_THERE, GRANIAN_THERE, PEER_THERE = 6.8, 21.0, 950.0
"""CPU us of an answer, saturated: nginx, Granian's hello world, a hold on FastAPI and aioboto3 (0.9 to 1 ms).
AMD EPYC (Zen 5), 2 vCPU, CPython 3.13, nginx 1.22.1, November 2026."""


@dataclass(frozen=True, slots=True)
class Yardstick:
    """A piece of work: CPU us there and here."""

    name: str
    there: float
    here: float

    @property
    def factor(self) -> float:
        """Return how many times slower this machine is."""
        return self.here / self.there


def yardsticks(floor: Floor | None, peers: Peers | None) -> list[Yardstick]:
    """Return what was measured here."""
    found = []
    if floor is not None and floor.nginx is not None:
        found.append(Yardstick("nginx, a fixed answer", NGINX_THERE, floor.nginx.microseconds))
    if floor is not None:
        found.append(Yardstick("Granian, a fixed answer", GRANIAN_THERE, floor.granian.microseconds))
    if peers is not None:
        here = peers.costs[PEER]["hold"].median
        found.append(Yardstick("FastAPI + aioboto3, a hold", PEER_THERE, here))
    return found


def slowness(found: list[Yardstick]) -> float | None:
    """Return the least factor; None if nothing was measured."""
    return min((one.factor for one in found), default=None)
