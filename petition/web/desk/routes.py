"""Every address of the desk, and what it asks of whoever comes: one table, and nothing below /organizer/ without it."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from petition.web import http
from petition.web.desk import address_lists as addresses
from petition.web.desk import bulk_acts as campaigns
from petition.web.desk import draft_preview as preview
from petition.web.desk import draft_text as text
from petition.web.desk import exports as export
from petition.web.desk import (
    imports,
    installation,
    log,
    members,
    partners,
    publishing,
    queue,
    security,
    signature,
    statistics,
    switches,
    updates,
)
from petition.web.desk import letter_state as state
from petition.web.desk import new_letter as new
from petition.web.desk import paper_tallies as tally
from petition.web.desk import second_factor as factor
from petition.web.desk import signing_in as entering
from petition.web.desk.guard import OpenView, View, require
from petition.web.desk.visit import ROOT, Access


@dataclass(frozen=True, slots=True)
class DeskRoute:
    """One method of one address. A path with ``{slug}`` is about that letter."""

    method: str
    path: str
    view: View | OpenView  # an ``OpenView`` where ``need`` is STRANGER
    need: Access


DESK: list[DeskRoute] = [
    DeskRoute("GET", "/organizer/", entering.home, Access.ORGANIZER),
    DeskRoute("GET", "/organizer/enter", entering.ask, Access.STRANGER),
    DeskRoute("POST", "/organizer/enter", entering.send, Access.STRANGER),
    DeskRoute("GET", "/organizer/enter/{token}", entering.show_link, Access.STRANGER),
    DeskRoute("POST", "/organizer/enter/{token}", entering.enter, Access.STRANGER),
    DeskRoute("POST", "/organizer/leave", entering.leave, Access.SIGNED_IN),
    DeskRoute("POST", "/organizer/language", entering.language, Access.SIGNED_IN),
    DeskRoute("GET", "/organizer/second", factor.show, Access.SIGNED_IN),
    DeskRoute("POST", "/organizer/second", factor.prove, Access.SIGNED_IN),
    DeskRoute("POST", "/organizer/second/challenge", factor.challenge, Access.SIGNED_IN),
    DeskRoute("POST", "/organizer/second/passkey", factor.prove_by_passkey, Access.SIGNED_IN),
    DeskRoute("POST", "/organizer/second/passkey/new", factor.add_passkey, Access.SIGNED_IN),
    DeskRoute("GET", "/organizer/second/totp", factor.show_totp, Access.SIGNED_IN),
    DeskRoute("POST", "/organizer/second/totp", factor.finish_totp, Access.SIGNED_IN),
    DeskRoute("POST", "/organizer/second/totp/begin", factor.begin_totp, Access.SIGNED_IN),
    DeskRoute("GET", "/organizer/security", security.show, Access.ORGANIZER),
    DeskRoute("POST", "/organizer/security/name", security.name, Access.ORGANIZER),
    DeskRoute("POST", "/organizer/security/remove", security.remove, Access.ORGANIZER),
    DeskRoute("POST", "/organizer/security/codes", security.codes, Access.ORGANIZER),
    DeskRoute("POST", "/organizer/security/end", security.end, Access.ORGANIZER),
    DeskRoute("GET", "/organizer/installation", installation.show, Access.ADMIN),
    DeskRoute("POST", "/organizer/installation/invite", installation.invite, Access.ADMIN),
    DeskRoute("POST", "/organizer/installation/cancel", installation.cancel, Access.ADMIN),
    DeskRoute("POST", "/organizer/installation/admin", installation.admin, Access.ADMIN),
    DeskRoute("POST", "/organizer/installation/remove", installation.remove, Access.ADMIN),
    DeskRoute("POST", "/organizer/installation/own", installation.take_over, Access.ADMIN),
    DeskRoute("GET", "/organizer/installation/switches", switches.show, Access.ADMIN),
    DeskRoute("POST", "/organizer/installation/switches", switches.change, Access.ADMIN),
    DeskRoute("GET", "/organizer/letters/new", new.show, Access.ORGANIZER),
    DeskRoute("POST", "/organizer/letters/new", new.make, Access.ORGANIZER),
    DeskRoute("GET", "/organizer/letters/slug", new.slug, Access.ORGANIZER),
    DeskRoute("GET", "/organizer/{slug}/", entering.overview, Access.VIEWER),
    DeskRoute("GET", "/organizer/{slug}/text", text.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/text", text.save, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/picture/{picture}", text.picture, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/preview", preview.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/preview/link", preview.link, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/publish", publishing.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/publish", publishing.publish, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/partners", partners.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/partners", partners.act, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/members", members.show, Access.OWNER),
    DeskRoute("POST", "/organizer/{slug}/members", members.change, Access.OWNER),
    DeskRoute("POST", "/organizer/{slug}/members/invite", members.invite, Access.OWNER),
    DeskRoute("POST", "/organizer/{slug}/members/cancel", members.cancel, Access.OWNER),
    DeskRoute("POST", "/organizer/{slug}/members/restore", members.restore, Access.OWNER),
    DeskRoute("GET", "/organizer/{slug}/state", state.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/state", state.change, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/state/gone", state.take_down, Access.OWNER),
    DeskRoute("GET", "/organizer/{slug}/switches", switches.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/switches", switches.change, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/updates", updates.show_all, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/updates", updates.add, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/updates/{update}", updates.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/updates/{update}", updates.change, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/queue", queue.show, Access.MODERATOR),
    DeskRoute("POST", "/organizer/{slug}/queue", queue.decide, Access.MODERATOR),
    DeskRoute("POST", "/organizer/{slug}/undo", queue.undo_act, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/signatures/{signature}", signature.show, Access.MODERATOR),
    DeskRoute("POST", "/organizer/{slug}/signatures/{signature}", signature.act, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/campaigns", campaigns.show_all, Access.MODERATOR),
    DeskRoute("POST", "/organizer/{slug}/campaigns", campaigns.make, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/campaigns/{campaign}", campaigns.show, Access.MODERATOR),
    DeskRoute("POST", "/organizer/{slug}/campaigns/{campaign}", campaigns.move, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/log", log.show, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/log.csv", log.export, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/statistics", statistics.show, Access.VIEWER),
    DeskRoute("GET", "/organizer/{slug}/statistics/{what}.csv", statistics.export, Access.VIEWER),
    DeskRoute("GET", "/organizer/{slug}/import", imports.show_all, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/import", imports.upload, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/import/{number}", imports.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/import/{number}", imports.move, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/import/{number}/problems.csv", imports.problems, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/export", export.show, Access.MODERATOR),
    DeskRoute("POST", "/organizer/{slug}/export", export.take, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/addresses", addresses.show, Access.OWNER),
    DeskRoute("POST", "/organizer/{slug}/addresses", addresses.act, Access.OWNER),
    DeskRoute("POST", "/organizer/{slug}/addresses/{job}", addresses.take, Access.OWNER),
    DeskRoute("POST", "/organizer/{slug}/tally", tally.act, Access.EDITOR),
]


def routes(table: Sequence[DeskRoute] = DESK) -> list[BaseRoute]:
    """Return the framework's routes of ``table``, each view behind the door, as one entry for the application."""
    inner = [
        Route(at.path.removeprefix(ROOT.rstrip("/")), require(at.view, at.need), methods=[at.method]) for at in table
    ]
    return [
        Route(ROOT.rstrip("/"), _to_desk),
        Mount(ROOT.rstrip("/"), app=Router(routes=inner, redirect_slashes=False)),
    ]


async def _to_desk(_request: Request) -> Response:
    return http.redirect(ROOT)
