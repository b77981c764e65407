"""The part of the tree that is about gRPC: the server, the inventory, the payment service."""

from collections.abc import Iterator

from reservation_api.config.guards import INVENTORY_GUARD, PAYMENT_GUARD, TRUE, guard_of, time_limit_of
from reservation_api.config.kinds import is_loopback, plain_text_host
from reservation_api.config.tree import PROD, GrpcConfig, GrpcTlsConfig, InventoryConfig, PaymentConfig
from reservation_api.config.values import Values

_INVENTORY_CA = "APP_INVENTORY_TLS_CA_FILE"
_PAYMENT_PREFIXES = tuple(
    f"{PAYMENT_GUARD.prefix}{family}_"
    for family in ("TIMELIMITER", "TLS", "CIRCUITBREAKER", "BULKHEAD", "RETRY")
)
_PAYMENT_CA = "APP_PAYMENT_TLS_CA_FILE"
_PEERS = (
    ("INVENTORY_GRPC_ADDRESS", INVENTORY_GUARD.prefix, _INVENTORY_CA),
    # APP_PAYMENT_VERIFIER is no setting of this peer: it is what there is without one.
    ("PAYMENT_GRPC_ADDRESS", _PAYMENT_PREFIXES, _PAYMENT_CA),
)
"""Each address, how the names of what goes with it begin, and the authority that only TLS asks for."""
_SERVER = "APP_GRPC_"
_SERVER_TLS = ("APP_GRPC_TLS_CERTIFICATE_FILE", "APP_GRPC_TLS_KEY_FILE")


def grpc_of(values: Values) -> GrpcConfig | None:
    """Return the gRPC server, if there is to be one; a default gives way to HTTP."""
    port, is_asked_for = values.get("GRPC_PORT"), values.has("GRPC_PORT")
    if port is None or (port == values.get("APP_HTTP_PORT") and not is_asked_for):
        return None
    return GrpcConfig(port, values.get("APP_GRPC_TRUSTED") == TRUE, is_asked_for, _tls_of(values))


def inventory_of(values: Values) -> InventoryConfig | None:
    """Return the inventory service, if there is one."""
    address = values.get("INVENTORY_GRPC_ADDRESS")
    if address is None:
        return None
    return InventoryConfig(
        address,
        time_limit_of(values, INVENTORY_GUARD),
        guard_of(values, INVENTORY_GUARD),
        values.get(_INVENTORY_CA),
    )


def payment_of(values: Values) -> PaymentConfig | None:
    """Return the payment service, if there is one."""
    address = values.get("PAYMENT_GRPC_ADDRESS")
    if address is None:
        return None
    return PaymentConfig(
        address,
        time_limit_of(values, PAYMENT_GUARD),
        guard_of(values, PAYMENT_GUARD),
        values.get(_PAYMENT_CA),
    )


def peer_faults(values: Values) -> Iterator[str]:
    """Find settings of peers that are not there, and a breaker that outlasts what it must not."""
    for address, prefix, ca_file in _PEERS:
        begun = sorted(name for name in values.names_set if name.startswith(prefix))
        if begun and not values.has(address):
            yield f"{', '.join(begun)} needs {address} too"
        if values.has(ca_file) and _plain_text_host(values, address) is not None:
            yield f"{ca_file} needs TLS, which {address} does not ask for: grpcs://host:port does"
    port = values.get("GRPC_PORT")
    begun = sorted(name for name in values.names_set if name.startswith(_SERVER))
    if begun and port is None and not values.has("GRPC_PORT"):
        yield f"{', '.join(begun)} needs GRPC_PORT too"
    missing = [name for name in _SERVER_TLS if not values.has(name)]
    if missing and any(name.startswith("APP_GRPC_TLS_") for name in begun):
        yield f"APP_GRPC_TLS_* needs {', '.join(missing)} too"
    if values.has("GRPC_PORT") and port is not None and port == values.get("APP_HTTP_PORT"):
        yield "GRPC_PORT and APP_HTTP_PORT are the same port"
    grace = values.get("APP_HOLD_GRACE_SECONDS")
    wait = values.get("APP_INVENTORY_CIRCUITBREAKER_WAIT_DURATION_IN_OPEN_STATE_SECONDS")
    if values.has("INVENTORY_GRPC_ADDRESS") and grace is not None and wait is not None and grace <= wait:
        yield (
            f"APP_HOLD_GRACE_SECONDS ({grace}) must be longer than"
            f" APP_INVENTORY_CIRCUITBREAKER_WAIT_DURATION_IN_OPEN_STATE_SECONDS ({wait:g}):"
            " seats must outlast an outage that a confirm waits for"
        )


def _tls_of(values: Values) -> GrpcTlsConfig | None:
    certificate, key = map(values.get, _SERVER_TLS)
    if certificate is None or key is None:
        return None
    return GrpcTlsConfig(certificate, key, values.get("APP_GRPC_TLS_CLIENT_CA_FILE"))


def _plain_text_host(values: Values, name: str) -> str | None:
    address = values.get(name)
    return None if address is None else plain_text_host(address)


def peer_notes(values: Values) -> Iterator[str]:
    """Tell what an operator should have meant."""
    if PROD in values.get("SPRING_PROFILES_ACTIVE"):
        for address, _, _ in _PEERS:
            host = _plain_text_host(values, address)
            if host is not None and not is_loopback(host):
                yield f"{address} is plain text, for a network of one's own only: grpcs://host:port is TLS"
    if values.get("APP_GRPC_TRUSTED") == TRUE:
        yield (
            f"whoever reaches port {values.get('GRPC_PORT')} (gRPC) is believed about who the user is:"
            " APP_GRPC_TRUSTED is for networks that only gateways are on"
        )
