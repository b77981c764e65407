"""`grpc.health.v1`: serving while this process accepts traffic, and at no other time."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc.aio
from grpc_health.v1 import health, health_pb2

from reservation_api.application.health import Health, Readiness

Context = grpc.aio.ServicerContext[Any, Any]


class ReadinessServicer:
    """Answers checks with the readiness of that moment; who watches hears of a change within a poll."""

    def __init__(self, health_of_process: Health, services: Sequence[str]) -> None:
        self._health = health_of_process
        self._services = ("", *services)
        self._servicer = health.aio.HealthServicer()
        self._told: int | None = None
        self._is_over = False

    async def follow(self) -> None:
        """Tell watchers if readiness has changed."""
        accepts = self._health.readiness is Readiness.ACCEPTING_TRAFFIC and not self._is_over
        answer = health_pb2.HealthCheckResponse
        status = answer.SERVING if accepts else answer.NOT_SERVING
        if status != self._told:
            self._told = status
            for service in self._services:
                await self._servicer.set(service, status)

    async def keep_following(self, poll_seconds: float) -> None:
        """Follow until cancelled: readiness is a value to look at, and does not say when it changes."""
        while True:
            await self.follow()
            await asyncio.sleep(poll_seconds)

    async def refuse(self) -> None:
        """Tell everybody that this process serves no more, whatever its readiness."""
        self._is_over = True
        await self.follow()

    async def Check(  # noqa: N802 (the contract's name)
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Answer once."""
        await self.follow()
        return await self._servicer.Check(request, context)

    async def List(  # noqa: N802 (the contract's name)
        self, _request: health_pb2.HealthListRequest, _context: Context
    ) -> health_pb2.HealthListResponse:
        """Answer for every service; they are as ready as their process."""
        await self.follow()
        answer = health_pb2.HealthCheckResponse(status=self._told)
        return health_pb2.HealthListResponse(statuses=dict.fromkeys(self._services, answer))

    async def Watch(  # noqa: N802 (the contract's name)
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> None:
        """Answer now and at every change."""
        await self._servicer.Watch(request, context)
