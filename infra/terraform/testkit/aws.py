"""Clients of the stand-ins that refuse what AWS would refuse by the models of its own services."""

import functools
import json
import os
import threading
from collections.abc import Mapping
from typing import Any, Final

from testkit.backends import ACCOUNT, REGION
from testkit.shapes import refuse_bad_values

ENDPOINTS: Final = "TESTKIT_ENDPOINTS"
"""The environment variable that tells a provider where the stand-ins are: {"*": "http://…", "sqs": …}."""
_one_at_a_time: Final = threading.Lock()
"""A session makes one client at a time."""


class Aws:
    """Clients by service, all of one region and account."""

    def __init__(self, endpoints: Mapping[str, str], region: str = REGION) -> None:
        self.region = region
        self.account = ACCOUNT
        self._endpoints = endpoints
        self._clients: dict[str, Any] = {}

    @classmethod
    def of_the_environment(cls) -> "Aws":
        """Use the servers that the testkit started for this process."""
        return cls(json.loads(os.environ.get(ENDPOINTS, "{}")))

    def at(self, region: str | None) -> "Aws":
        """Return clients of another region."""
        return self if region in {None, self.region} else Aws(self._endpoints, region or REGION)

    def client(self, service: str, part: str = "") -> Any:
        """Return the client of a service, or of a part of it that is elsewhere; the first call makes it."""
        name = f"{service}:{part}" if part else service
        with _one_at_a_time:
            if name not in self._clients:
                self._clients[name] = self._made(service, self._endpoints.get(name) or self._endpoints["*"])
            return self._clients[name]

    def _made(self, service: str, endpoint: str) -> Any:
        from botocore.config import Config  # noqa: PLC0415 (slow to import, and modules' own tests need none)

        client = _session().create_client(
            service,
            endpoint_url=endpoint,
            region_name=self.region,
            aws_access_key_id=self.account,
            aws_secret_access_key="testkit",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60),
        )
        client.meta.events.register("provide-client-params", refuse_bad_values)
        return client


@functools.cache
def _session() -> Any:
    """Return what clients are made by; each of its own would read the list of all endpoints anew."""
    from botocore.session import Session  # noqa: PLC0415

    return Session()
