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
from petition.web.desk.guard import OpenView, View, guarded
from petition.web.desk.visit import ROOT, Need


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
    At("GET", "/organizer/second", factor.show, Need.ENTERED),
    At("POST", "/organizer/second", factor.prove, Need.ENTERED),
    At("POST", "/organizer/second/challenge", factor.challenge, Need.ENTERED),
    At("POST", "/organizer/second/passkey", factor.prove_by_passkey, Need.ENTERED),
    At("POST", "/organizer/second/passkey/new", factor.add_passkey, Need.ENTERED),
    At("GET", "/organizer/second/totp", factor.show_totp, Need.ENTERED),
    At("POST", "/organizer/second/totp", factor.finish_totp, Need.ENTERED),
    At("POST", "/organizer/second/totp/begin", factor.begin_totp, Need.ENTERED),
    At("GET", "/organizer/security", security.show, Need.ORGANIZER),
    At("POST", "/organizer/security/name", security.name, Need.ORGANIZER),
    At("POST", "/organizer/security/remove", security.remove, Need.ORGANIZER),
    At("POST", "/organizer/security/codes", security.codes, Need.ORGANIZER),
    At("POST", "/organizer/security/end", security.end, Need.ORGANIZER),
    At("GET", "/organizer/installation", installation.show, Need.ADMIN),
    At("POST", "/organizer/installation/invite", installation.invite, Need.ADMIN),
    At("POST", "/organizer/installation/cancel", installation.cancel, Need.ADMIN),
    At("POST", "/organizer/installation/admin", installation.admin, Need.ADMIN),
    At("POST", "/organizer/installation/remove", installation.remove, Need.ADMIN),
    At("POST", "/organizer/installation/own", installation.take_over, Need.ADMIN),
    At("GET", "/organizer/installation/switches", switches.show, Need.ADMIN),
    At("POST", "/organizer/installation/switches", switches.change, Need.ADMIN),
    At("GET", "/organizer/letters/new", new.show, Need.ORGANIZER),
    At("POST", "/organizer/letters/new", new.make, Need.ORGANIZER),
    At("GET", "/organizer/letters/slug", new.slug, Need.ORGANIZER),
    At("GET", "/organizer/{slug}/", entering.overview, Need.VIEWER),
    At("GET", "/organizer/{slug}/text", text.show, Need.EDITOR),
    At("POST", "/organizer/{slug}/text", text.save, Need.EDITOR),
    At("GET", "/organizer/{slug}/picture/{picture}", text.picture, Need.EDITOR),
    At("GET", "/organizer/{slug}/preview", preview.show, Need.EDITOR),
    At("POST", "/organizer/{slug}/preview/link", preview.link, Need.EDITOR),
    At("GET", "/organizer/{slug}/publish", publishing.show, Need.EDITOR),
    At("POST", "/organizer/{slug}/publish", publishing.publish, Need.EDITOR),
    At("GET", "/organizer/{slug}/partners", partners.show, Need.EDITOR),
    At("POST", "/organizer/{slug}/partners", partners.act, Need.EDITOR),
    At("GET", "/organizer/{slug}/members", members.show, Need.OWNER),
    At("POST", "/organizer/{slug}/members", members.change, Need.OWNER),
    At("POST", "/organizer/{slug}/members/invite", members.invite, Need.OWNER),
    At("POST", "/organizer/{slug}/members/cancel", members.cancel, Need.OWNER),
    At("POST", "/organizer/{slug}/members/restore", members.restore, Need.OWNER),
    At("GET", "/organizer/{slug}/state", state.show, Need.EDITOR),
    At("POST", "/organizer/{slug}/state", state.change, Need.EDITOR),
    At("POST", "/organizer/{slug}/state/gone", state.take_down, Need.OWNER),
    At("GET", "/organizer/{slug}/switches", switches.show, Need.EDITOR),
    At("POST", "/organizer/{slug}/switches", switches.change, Need.EDITOR),
    At("GET", "/organizer/{slug}/updates", updates.show_all, Need.EDITOR),
    At("POST", "/organizer/{slug}/updates", updates.add, Need.EDITOR),
    At("GET", "/organizer/{slug}/updates/{update}", updates.show, Need.EDITOR),
    At("POST", "/organizer/{slug}/updates/{update}", updates.change, Need.EDITOR),
    At("GET", "/organizer/{slug}/queue", queue.show, Need.MODERATOR),
    At("POST", "/organizer/{slug}/queue", queue.decide, Need.MODERATOR),
    At("POST", "/organizer/{slug}/undo", queue.undo_act, Need.MODERATOR),
    At("GET", "/organizer/{slug}/signatures/{signature}", signature.show, Need.MODERATOR),
    At("POST", "/organizer/{slug}/signatures/{signature}", signature.act, Need.MODERATOR),
    At("GET", "/organizer/{slug}/campaigns", campaigns.show_all, Need.MODERATOR),
    At("POST", "/organizer/{slug}/campaigns", campaigns.make, Need.MODERATOR),
    At("GET", "/organizer/{slug}/campaigns/{campaign}", campaigns.show, Need.MODERATOR),
    At("POST", "/organizer/{slug}/campaigns/{campaign}", campaigns.move, Need.MODERATOR),
    At("GET", "/organizer/{slug}/log", log.show, Need.MODERATOR),
    At("GET", "/organizer/{slug}/log.csv", log.export, Need.MODERATOR),
    At("GET", "/organizer/{slug}/statistics", statistics.show, Need.VIEWER),
    At("GET", "/organizer/{slug}/statistics/{what}.csv", statistics.export, Need.VIEWER),
    At("GET", "/organizer/{slug}/import", imports.show_all, Need.EDITOR),
    At("POST", "/organizer/{slug}/import", imports.upload, Need.EDITOR),
    At("GET", "/organizer/{slug}/import/{number}", imports.show, Need.EDITOR),
    At("POST", "/organizer/{slug}/import/{number}", imports.move, Need.EDITOR),
    At("GET", "/organizer/{slug}/import/{number}/problems.csv", imports.problems, Need.EDITOR),
    At("GET", "/organizer/{slug}/export", export.show, Need.MODERATOR),
    At("POST", "/organizer/{slug}/export", export.take, Need.MODERATOR),
    At("GET", "/organizer/{slug}/addresses", addresses.show, Need.OWNER),
    At("POST", "/organizer/{slug}/addresses", addresses.act, Need.OWNER),
    At("POST", "/organizer/{slug}/addresses/{job}", addresses.take, Need.OWNER),
    At("POST", "/organizer/{slug}/tally", tally.act, Need.EDITOR),
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
    return http.see_other(ROOT)
