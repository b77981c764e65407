"""The part of the tree that is about gRPC: the server, the inventory, the payment service."""

from collections.abc import Iterator

from reservation_api.config.guards import INVENTORY_GUARD, TRUE, guard_of, time_limit_of
from reservation_api.config.tree import GrpcConfig, InventoryConfig, PaymentConfig
from reservation_api.config.values import Values

_PAYMENT = "APP_PAYMENT_TIMELIMITER_"


def grpc_of(values: Values) -> GrpcConfig | None:
    """Return the gRPC server, if there is to be one; a default gives way to HTTP."""
    port, is_asked_for = values.get("GRPC_PORT"), values.has("GRPC_PORT")
    if port is None or (port == values.get("APP_HTTP_PORT") and not is_asked_for):
        return None
    return GrpcConfig(port, values.get("APP_GRPC_TRUSTED") == TRUE, is_asked_for)


def inventory_of(values: Values) -> InventoryConfig | None:
    """Return the inventory service, if there is one."""
    address = values.get("INVENTORY_GRPC_ADDRESS")
    if address is None:
        return None
    return InventoryConfig(address, time_limit_of(values, INVENTORY_GUARD), guard_of(values, INVENTORY_GUARD))


def payment_of(values: Values) -> PaymentConfig | None:
    """Return the payment service, if there is one."""
    address = values.get("PAYMENT_GRPC_ADDRESS")
    if address is None:
        return None
    milliseconds = values.get("APP_PAYMENT_TIMELIMITER_TIMEOUT_DURATION_MILLISECONDS")
    return PaymentConfig(address, milliseconds / 1000)


def peer_faults(values: Values) -> Iterator[str]:
    """Find settings of peers that are not there, and a breaker that outlasts what it must not."""
    for prefix, address in (
        (INVENTORY_GUARD.prefix, "INVENTORY_GRPC_ADDRESS"),
        (_PAYMENT, "PAYMENT_GRPC_ADDRESS"),
    ):
        begun = sorted(name for name in values.names_set if name.startswith(prefix))
        if begun and not values.has(address):
            yield f"{', '.join(begun)} needs {address} too"
    port = values.get("GRPC_PORT")
    if values.has("APP_GRPC_TRUSTED") and not values.has("GRPC_PORT") and port is None:
        yield "APP_GRPC_TRUSTED needs GRPC_PORT too"
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


def peer_notes(values: Values) -> Iterator[str]:
    """Tell what an operator should have meant."""
    if values.get("APP_GRPC_TRUSTED") == TRUE:
        yield (
            f"whoever reaches port {values.get('GRPC_PORT')} (gRPC) is believed about who the user is:"
            " APP_GRPC_TRUSTED is for networks that only gateways are on"
        )
