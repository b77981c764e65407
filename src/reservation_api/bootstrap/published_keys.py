"""Keys that an issuer publishes."""

from reservation_api.adapters.jwt.issuer_documents import IssuerAddress, IssuerDocuments
from reservation_api.adapters.jwt.issuer_keys import DiscoveredKeys
from reservation_api.ports.clock import Clock


def open_published_keys(issuer: str, clock: Clock) -> DiscoveredKeys:
    """Return the keys of the issuer at this address; raises ValueError if it is none."""
    return DiscoveredKeys(IssuerDocuments(IssuerAddress(issuer)), clock)
