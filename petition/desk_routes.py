"""Every address of the desk, and what it asks of whoever comes: one table, and nothing below /organizer/ without it."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from petition import web
from petition.desk import ROOT, Need, OpenView, View, guarded
from petition.organizers import views as entering


@dataclass(frozen=True, slots=True)
class At:
    """One method of one address. A path with ``{slug}`` is about that letter."""

    method: str
    path: str
    view: View | OpenView  # an ``OpenView`` where ``need`` is STRANGER
    need: Need


DESK: list[At] = [
    At("GET", "/organizer/", entering.home, Need.ORGANIZER),
    At("GET", "/organizer/enter", entering.ask, Need.STRANGER),
    At("POST", "/organizer/enter", entering.send, Need.STRANGER),
    At("GET", "/organizer/enter/{token}", entering.show_link, Need.STRANGER),
    At("POST", "/organizer/enter/{token}", entering.enter, Need.STRANGER),
    At("POST", "/organizer/leave", entering.leave, Need.ENTERED),
    At("POST", "/organizer/language", entering.language, Need.ENTERED),
    At("GET", "/organizer/{slug}/", entering.overview, Need.VIEWER),
]


def routes(table: Sequence[At] = DESK) -> list[BaseRoute]:
    """Return the framework's routes of ``table``, each view behind the door, as one entry for the application."""
    inner = [
        Route(at.path.removeprefix(ROOT.rstrip("/")), guarded(at.view, at.need), methods=[at.method]) for at in table
    ]
    return [
        Route(ROOT.rstrip("/"), _to_desk),
        Mount(ROOT.rstrip("/"), app=Router(routes=inner, redirect_slashes=False)),
    ]


async def _to_desk(_request: Request) -> Response:
    return web.see_other(ROOT)
