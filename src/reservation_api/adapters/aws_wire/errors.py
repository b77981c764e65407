"""What can come of a call, other than its answer.

AwsCallError                 message: operation and cause, never a credential
├── AwsRefusedError          the service answered with an error: `status`, `code`, `body`
│   └── AwsThrottledError    it asked for less, and did nothing
└── AwsUnansweredError       no answer
    ├── AwsNotSentError      the request never left: nothing was done
    └── AwsOutcomeUnknownError   it may have been sent, and done
"""

from collections.abc import Mapping
from typing import Any, Protocol


class AwsCallError(Exception):
    """A call without an answer that can be used."""


class AwsRefusedError(AwsCallError):
    """The service's own error, after as many tries as the call was worth."""

    def __init__(self, operation: str, status: int, code: str, body: Mapping[str, Any]) -> None:
        self.operation = operation
        self.status = status
        """HTTP status."""
        self.code = code
        """The error's name without its namespace, such as ConditionalCheckFailedException."""
        self.body = body
        """The decoded body; `CancellationReasons` and `Item` stand in it."""
        self.message = str(body.get("message") or body.get("Message") or "")
        super().__init__(f"{operation}: {code}: {self.message}")


class AwsThrottledError(AwsRefusedError):
    """Throttled until the tries or the retry budget were used up; nothing was done."""


class AwsUnansweredError(AwsCallError):
    """No answer came."""


class AwsNotSentError(AwsUnansweredError):
    """No connection, no credentials, or no time left: nothing was done."""


class AwsOutcomeUnknownError(AwsUnansweredError):
    """A time-out, a broken connection, or an internal error of the service: done, or not."""


class AwsCaller(Protocol):
    """One AWS service, as adapters see it."""

    async def call(self, operation: str, request: Mapping[str, Any], *, repeatable: bool) -> Any:
        """Make one call and return the decoded answer.

        Throttled calls, and calls that were not sent, are tried again within the time limit and the retry
        budget; calls of unknown outcome only if `repeatable`: doing them twice is as good as doing them once.

        Raises AwsRefusedError, AwsThrottledError, AwsNotSentError, AwsOutcomeUnknownError.
        """
        ...
