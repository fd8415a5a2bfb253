"""What a request may read from a replica, and how new that must be.

Signatories see what they did by their network, for a minute and in this process's memory (``RecentActs``): public pages
set no cookie. Organizers' browsers carry the position of their last act in a cookie of the desk.
"""

from typing import TypeVar

from starlette.requests import Request

from petition.core.reading import Freshness
from petition.core.replicas import Load
from petition.web import http

T = TypeVar("T")


def freshness_of(request: Request) -> Freshness:
    """Return what this request asks of its readings, the same object each time."""
    state = request.scope["state"]
    freshness: Freshness | None = state.get("freshness")
    if freshness is None:
        acts = http.services_of(request).reading.acts
        freshness = state["freshness"] = Freshness(acts.of(http.network_of(request).narrowest))
    return freshness


async def read_names(request: Request, slug: str, load: Load[T]) -> T:
    """Read what shows names for this request alone: no name that is known to be hidden, and the reader's own."""
    reading = http.services_of(request).reading
    return await _read(request, load, reading.hidden_names.of(slug))


async def read_page(request: Request, group: str, load: Load[T]) -> T:
    """Read what a cached page of ``group`` shows: all that has changed before, or the older page would stay cached."""
    reading = http.services_of(request).reading
    return await _read(request, load, max(reading.changes.of(group), reading.hidden_names.of(group)))


async def _read(request: Request, load: Load[T], position: int) -> T:
    freshness = freshness_of(request)
    own = Freshness(max(freshness.position, position))
    try:
        return await http.services_of(request).reading.read(load, own)
    finally:
        if own.age is not None:
            freshness.note(own.age)


async def note_act(request: Request, group: str) -> None:
    """Have this client's next readings contain what was committed in this request, and pages of ``group`` too."""
    reading = http.services_of(request).reading
    if reading.replicas:
        reading.changes.add(group)
        reading.acts.add(http.network_of(request).narrowest, await reading.position())
