"""Why a guarded call did not go through; whoever guards a call maps these to the domain's errors.

ResilienceError
├── NotTriedError              refused before anything was tried
│   ├── CallNotPermittedError      the circuit breaker is open
│   ├── BulkheadFullError          too many calls are under way
│   └── DeadlinePassedError        the caller's time was up before the call began
└── TimeLimitExceededError     stopped waiting: the call may have taken effect, or may yet
"""


class ResilienceError(Exception):
    """The root; `name` is the dependency that is guarded."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class NotTriedError(ResilienceError):
    """The dependency was not called, so nothing has changed there and trying again is safe."""

    def __init__(self, name: str, message: str, retry_after_seconds: float) -> None:
        super().__init__(name, message)
        self.retry_after_seconds = retry_after_seconds
        """From when on another try makes sense; above 0, not rounded, without jitter."""


class CallNotPermittedError(NotTriedError):
    """The circuit breaker does not permit calls."""


class BulkheadFullError(NotTriedError):
    """As many calls as allowed are under way, and none ended in the time there was to wait."""


class DeadlinePassedError(NotTriedError):
    """No time was left to make the call in."""


class TimeLimitExceededError(ResilienceError):
    """The call took longer than it may and was cancelled; what it did there is unknown."""

    def __init__(self, name: str, limit_seconds: float) -> None:
        super().__init__(name, f"no answer in {limit_seconds:.3f} s")
        self.limit_seconds = limit_seconds
