from pathlib import Path

import pytest
from tests.support.api import make_use_cases
from tests.support.clock import FakeClock
from tests.support.runtimes import sqlite_on_disk

from reservation_api.domain.errors import NotFoundError
from reservation_api.domain.reservation import NewHold, abandoned
from reservation_api.domain.values import EventId, RecordKey, ReservationId, UserId
from reservation_api.ports.store import InsertReservation


@pytest.mark.parametrize("reservation_id", ["rsv_none", "rsv_abandoned"])
async def test_what_no_subject_sees_has_no_owner(tmp_path: Path, reservation_id: str) -> None:
    clock = FakeClock()
    async with sqlite_on_disk(tmp_path) as open_process:
        ports = open_process(clock)
        hold = NewHold(ReservationId("rsv_abandoned"), EventId("evt_1"), UserId("user-1"), RecordKey("k"))
        await ports.store.transact([InsertReservation(abandoned(hold, clock.now()))])
        with pytest.raises(NotFoundError):
            await make_use_cases(ports, clock).queries.owner_of(ReservationId(reservation_id))
