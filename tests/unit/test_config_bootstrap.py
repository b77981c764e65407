"""What a configuration becomes: whose tokens are good, and how the service says it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf.empty_pb2 import Empty
from tests.support.clock import FakeClock
from tests.support.tokens import ABSENT, ISSUER, jwks, make_claims, make_key, mint

from reservation_api.adapters.grpc_inventory.peer import PeerSettings
from reservation_api.adapters.resilience.retry_budget import RetryBudget
from reservation_api.adapters.resilience.settings import RetryBudgetSettings
from reservation_api.adapters.sqlite.venues import demo_plan, load_event
from reservation_api.application.command import Command
from reservation_api.application.confirm import Payment
from reservation_api.application.health import ComponentStatus
from reservation_api.application.hold import SeatsWanted
from reservation_api.bootstrap import Service, build, open_issuer
from reservation_api.bootstrap.grpc_peers import _BudgetedPeer
from reservation_api.config import ConfigError, load
from reservation_api.domain.errors import (
    InventoryUnavailableError,
    PaymentUnavailableError,
    StoreUnavailableError,
)
from reservation_api.domain.values import EventId, PaymentIntentId, UserId
from reservation_api.ports.identity import InvalidTokenError
from reservation_api.ports.outbox import OutboxStatus
from reservation_api.telemetry.metrics import CIRCUIT_BREAKER_STATE

ALICE = UserId("alice")


@asynccontextmanager
async def built(data_dir: Path, **environ: str) -> AsyncIterator[Service]:
    service = build(load({"APP_DATA_DIR": str(data_dir), **environ}), FakeClock())
    try:
        yield service
    finally:
        await service.close()


async def test_the_embedded_issuers_tokens_are_good_for_every_process_on_the_data(tmp_path: Path) -> None:
    async with built(tmp_path) as first, built(tmp_path) as second:
        assert first.issuer is not None
        token = first.issuer.issue(ALICE, (), 60, first.clock.now())
        assert (await second.tokens.verify(token)).subject == ALICE


@pytest.mark.parametrize("place", ["JWT_JWKS", "JWT_JWKS_FILE"])
async def test_tokens_of_an_issuer_whose_keys_are_given_are_good_and_no_others(
    tmp_path: Path, place: str
) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text(jwks(make_key()))
    given = keys.read_text() if place == "JWT_JWKS" else str(keys)
    claims = make_claims(FakeClock().now())

    async with built(tmp_path, **{"JWT_ISSUER_URI": ISSUER, place: given}) as service:
        assert service.issuer is None
        assert (await service.tokens.verify(mint(make_key(), claims))).subject == "user-1"
        with pytest.raises(InvalidTokenError):
            await service.tokens.verify(mint(make_key(), {**claims, "iss": "https://other.example"}))
        with pytest.raises(InvalidTokenError):
            await service.tokens.verify(
                open_issuer(load({"APP_DATA_DIR": str(tmp_path)})).issue("a", (), 60, datetime.now(UTC))
            )


async def test_audience_and_clock_skew_are_as_configured(tmp_path: Path) -> None:
    environ = {"JWT_ISSUER_URI": ISSUER, "JWT_JWKS": jwks(make_key()), "APP_JWT_CLOCK_SKEW_SECONDS": "0"}
    now = FakeClock().now()
    late = mint(make_key(), make_claims(now, exp=int(now.timestamp()), aud=ABSENT))
    async with built(tmp_path, **environ) as service:
        with pytest.raises(InvalidTokenError, match="expired"):
            await service.tokens.verify(late)
    async with built(tmp_path, **{**environ, "APP_JWT_CLOCK_SKEW_SECONDS": "5"}) as service:
        await service.tokens.verify(late)
    async with built(tmp_path, **environ, APP_JWT_AUDIENCE="others") as service:
        with pytest.raises(InvalidTokenError, match="audience"):
            await service.tokens.verify(mint(make_key(), make_claims(now)))


async def test_an_issuer_is_not_asked_for_keys_before_there_is_a_token(tmp_path: Path) -> None:
    async with built(tmp_path, JWT_ISSUER_URI="https://auth.invalid/realm") as service:
        assert service.issuer is None


@pytest.mark.parametrize(
    ("environ", "fault"),
    [
        ({"JWT_ISSUER_URI": ISSUER, "JWT_JWKS": '{"keys": []}'}, "no usable key"),
        ({"JWT_ISSUER_URI": ISSUER, "JWT_JWKS_FILE": "/nonexistent/jwks.json"}, "can not be read"),
    ],
)
async def test_keys_that_are_no_good_are_a_fault_of_the_configuration(
    tmp_path: Path, environ: dict[str, str], fault: str
) -> None:
    with pytest.raises(ConfigError, match=fault):
        async with built(tmp_path, **environ):
            pass


async def test_a_data_directory_that_can_not_be_is_an_error_of_the_store_or_the_key(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((StoreUnavailableError, ConfigError)):
        async with built(tmp_path / "file"):
            pass


async def test_holds_last_as_configured(tmp_path: Path) -> None:
    async with built(tmp_path, APP_HOLD_SECONDS="7", APP_HOLD_GRACE_SECONDS="8") as service:
        await load_event(service.database, demo_plan())
        answer = await service.use_cases.hold(
            Command(ALICE, "k", "hash", "trace"), SeatsWanted(EventId("evt_demo"), 1)
        )
        assert answer.reservation is not None
        assert answer.reservation.hold_expires_at == service.clock.now() + timedelta(seconds=7)


async def statuses_of(service: Service) -> dict[str, ComponentStatus]:
    components = await service.health.components()
    return {name: component.status for name, component in components.items()}


async def test_a_sound_service_is_up_in_every_part(tmp_path: Path) -> None:
    async with built(tmp_path) as service:
        assert await statuses_of(service) == dict.fromkeys(
            ["store", "inventory", "eventBus", "outbox", "diskSpace"], ComponentStatus.UP
        )


async def test_rows_that_wait_for_a_person_show_and_drain_nobody(tmp_path: Path) -> None:
    async with built(tmp_path) as service:
        await load_event(service.database, demo_plan())
        await service.use_cases.hold(
            Command(ALICE, "k", "hash", "trace"), SeatsWanted(EventId("evt_demo"), 1)
        )
        (entry,) = await service.outbox.list(OutboxStatus.PENDING, 10)
        waiting = (await service.health.components())["outbox"]
        assert waiting.status is ComponentStatus.UP
        assert waiting.details == {
            "failed": 0,
            "oldest_pending": "2026-11-23T12:00:00.000Z",
            "lag_seconds": 0.0,
        }

        await service.outbox.update(entry, replace(entry, status=OutboxStatus.FAILED))
        failed = (await service.health.components())["outbox"]
        assert failed.status is ComponentStatus.UNKNOWN
        assert failed.details == {"failed": 1, "oldest_pending": None, "lag_seconds": 0.0}


async def test_a_store_that_can_not_be_read_is_down(tmp_path: Path) -> None:
    async with built(tmp_path) as service:
        await service.database.write(lambda db: db.execute("DROP TABLE reservations"))
        assert (await service.health.components())["store"].status is ComponentStatus.DOWN


async def test_a_service_may_be_closed_twice(tmp_path: Path) -> None:
    async with built(tmp_path) as service:
        await service.close()


NOBODY = {"INVENTORY_GRPC_ADDRESS": "127.0.0.1:1", "PAYMENT_GRPC_ADDRESS": "127.0.0.1:1"}
"""No service of anybody's listens there: whoever connects is refused."""
FOUR_CALLS = {"APP_INVENTORY_CIRCUITBREAKER_MINIMUM_NUMBER_OF_CALLS": "4"}


async def fail_to_hold(service: Service, times: int) -> InventoryUnavailableError:
    for n in range(times):
        with pytest.raises(InventoryUnavailableError) as caught:
            await service.use_cases.hold(
                Command(ALICE, f"k{n}", "hash", "trace"), SeatsWanted(EventId("evt_demo"), 1)
            )
    return caught.value


async def test_without_an_inventory_service_there_is_no_breaker_to_show(tmp_path: Path) -> None:
    async with built(tmp_path) as service:
        assert "circuitBreakers" not in await service.health.components()
        assert CIRCUIT_BREAKER_STATE not in service.metrics.names()


async def test_an_inventory_service_that_is_out_opens_the_breaker_which_shows_and_drains_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with built(tmp_path, **NOBODY, **FOUR_CALLS) as service:
        sound = (await service.health.components())["circuitBreakers"]
        assert sound.status is ComponentStatus.UP
        assert sound.details["inventory"]["state"] == "CLOSED"
        closed = f'{CIRCUIT_BREAKER_STATE}{{name="inventory",state="closed"}}'
        assert f"{closed} 1.0" in service.metrics.exposition().decode()

        assert "gave no answer" in str(await fail_to_hold(service, 4))
        refused = await fail_to_hold(service, 1)
        assert "was not asked" in str(refused)
        assert 29 < refused.data["retry_after_seconds"] <= 30

        broken = (await service.health.components())["circuitBreakers"]
        assert broken.status is ComponentStatus.UNKNOWN
        assert broken.details["inventory"]["state"] == "OPEN"
        exposed = service.metrics.exposition().decode()
        assert f"{closed} 0.0" in exposed
        assert f'{CIRCUIT_BREAKER_STATE}{{name="inventory",state="open"}} 1.0' in exposed
        told = [(r.levelname, r.getMessage()) for r in caplog.records if "circuit breaker" in r.getMessage()]
        assert told == [("WARNING", "circuit breaker inventory: CLOSED to OPEN")]


async def test_second_tries_come_out_of_a_budget_that_calls_pay_for() -> None:
    budget = RetryBudget("peer", RetryBudgetSettings(token_ratio=0.5, min_retries_per_second=0))
    peer = _BudgetedPeer("127.0.0.1:1", PeerSettings(deadline_seconds=5.0), budget)
    for _ in range(4):
        with pytest.raises(grpc.aio.AioRpcError):
            await peer.call("/x", Empty(), Empty, repeatable=True)
    await peer.close()
    spent = budget.metrics()
    assert (spent.calls, spent.retries, spent.refused_retries) == (4, 2, 2)


async def test_a_payment_service_is_asked_when_there_is_one(tmp_path: Path) -> None:
    async with built(tmp_path, PAYMENT_GRPC_ADDRESS="127.0.0.1:1") as service:
        await load_event(service.database, demo_plan())
        held = await service.use_cases.hold(
            Command(ALICE, "k1", "hash", "trace"), SeatsWanted(EventId("evt_demo"), 1)
        )
        assert held.reservation is not None
        payment = Payment(held.reservation.reservation_id, PaymentIntentId("pi_1"))
        with pytest.raises(PaymentUnavailableError):
            await service.use_cases.confirm(Command(ALICE, "k2", "hash", "trace"), payment)


async def test_closing_a_service_closes_its_channels(tmp_path: Path) -> None:
    async with built(tmp_path, **NOBODY) as service:
        await service.close()
        with pytest.raises(InventoryUnavailableError) as caught:
            await service.inventory.status(EventId("evt_demo"))
        assert isinstance(caught.value.__cause__, grpc.aio.AioRpcError)
        assert caught.value.__cause__.details() == "the connections are closed"
