"""From method and path to a route: one look into a dict, or one split and another look."""

from collections.abc import Iterable
from typing import Generic, TypeVar

from reservation_api.entrypoints.http.refusals import MethodNotAllowedError, NoSuchPathError

T = TypeVar("T")

_PARAMETER_INDEX = 3
"""`/v1/reservations/{reservation_id}/confirm`: in every template the third segment is the parameter."""


class Router(Generic[T]):
    """Paths without a parameter, and paths with one as their third segment."""

    def __init__(self, routes: Iterable[tuple[str, str, T]]) -> None:
        """Take (method, template, route); raises ValueError for a template of another shape."""
        self._static: dict[str, dict[str, T]] = {}
        self._templates: dict[tuple[str, ...], dict[str, T]] = {}
        for method, template, route in routes:
            self._add(method, template, route)

    def find(self, method: str, path: str) -> tuple[T, str]:
        """Return the route and the parameter; raises NoSuchPathError, MethodNotAllowedError."""
        parameter = ""
        methods = self._static.get(path)
        if methods is None:
            parts = path.split("/")
            if len(parts) > _PARAMETER_INDEX:
                parameter = parts.pop(_PARAMETER_INDEX)
                methods = self._templates.get(tuple(parts))
        if methods is None:
            raise NoSuchPathError("no such resource")
        route = methods.get(method)
        if route is None:
            raise MethodNotAllowedError(f"{method[:20]} is not allowed here", ", ".join(methods))
        return route, parameter

    def _add(self, method: str, template: str, route: T) -> None:
        parts = template.split("/")
        if "{" not in template:
            methods = self._static.setdefault(template, {})
        elif len(parts) > _PARAMETER_INDEX and parts.pop(_PARAMETER_INDEX)[:1] == "{":
            methods = self._templates.setdefault(tuple(parts), {})
        else:
            raise ValueError(f"the parameter is not the third segment: {template}")
        methods[method] = route
        if method == "GET":
            methods["HEAD"] = route
