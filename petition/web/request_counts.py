"""Counts requests by method, route and status, and how long they took: the pattern of an address, never the address.

A cached page is answered in 14 µs, so counting one takes half of one: what it counts in is remembered by its address.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.routing import BaseRoute, Mount, Route

from petition.core import metrics
from petition.core.metric_types import Total

METHODS = frozenset({"GET", "HEAD", "POST"})
MAX_ADDRESSES = 10_000  # remembered, of cached pages
NO_ROUTE = "none"  # refused by the gateway, or an address that is not there
LEFT = 499  # the client closed the connection before it had an answer


class RouteCounts:
    """The counts of one method and route."""

    __slots__ = ("_labels", "_seconds", "_statuses")

    def __init__(self, method: str, route: str) -> None:
        self._labels = method, route
        self._seconds = metrics.REQUEST_SECONDS.labels(method, route)
        self._statuses: dict[int, Total] = {}

    def count(self, status: int, seconds: float | None) -> None:
        """Count a request; None for one that was open for as long as its client liked."""
        total = self._statuses.get(status)
        if total is None:
            total = self._statuses[status] = metrics.REQUESTS.labels(*self._labels, str(status))
        total.inc()
        if seconds is not None:
            self._seconds.observe(seconds)


class RequestCounts:
    """The counts of an application with ``routes``."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._routes = [route for route in routes if isinstance(route, Route)]
        self._by_route: dict[tuple[str, str], RouteCounts] = {}
        self._by_address: dict[tuple[object, str], RouteCounts] = {}
        self._hits = metrics.PAGES.labels("hit")

    def count_hit(self, counts: RouteCounts, status: int, seconds: float) -> None:
        """Count an answer from the page cache among those of its address."""
        counts.count(status, seconds)
        self._hits.inc()

    def of_address(self, method: str | bytes, key: str) -> RouteCounts:
        """Return the counts of a page of the cache; ``key`` is its address with the query."""
        counts = self._by_address.get((method, key))
        return self._look_up(method, key) if counts is None else counts

    def count(self, scope: Mapping[str, Any], status: int, seconds: float | None) -> None:
        """Count an answer of the framework, which has noted its route in ``scope``."""
        self._of(scope["method"], route_of(scope)).count(status, seconds)

    def count_stream(self, route: str) -> None:
        """Count a stream that begins."""
        self._of("GET", route).count(200, None)

    def _look_up(self, method: str | bytes, key: str) -> RouteCounts:
        if len(self._by_address) >= MAX_ADDRESSES:
            self._by_address.clear()
        path = key.partition("?")[0]
        route = next((route.path for route in self._routes if route.path_regex.match(path)), NO_ROUTE)
        name = method if isinstance(method, str) else method.decode()
        counts = self._by_address[method, key] = self._of(name, route)
        return counts

    def _of(self, method: str, route: str) -> RouteCounts:
        name = method if method in METHODS else "other"
        counts = self._by_route.get((name, route))
        if counts is None:
            counts = self._by_route[name, route] = RouteCounts(name, route)
        return counts


def route_of(scope: Mapping[str, Any]) -> str:
    """Return the pattern of a request's route, never its path: that may contain a token."""
    route = scope.get("route")
    if isinstance(route, Mount):
        return str(route.path)
    return NO_ROUTE if route is None else f"{scope.get('root_path', '')}{route.path}"
