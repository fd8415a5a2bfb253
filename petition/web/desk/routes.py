"""Every address of the desk, and the access it requires: nothing below /organizer/ without a row in this table."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from petition.web import http
from petition.web.desk import (
    access_page,
    address_lists,
    audits,
    bulk_acts,
    delivery,
    domains,
    draft_preview,
    draft_text,
    employers,
    exports,
    imports,
    installation,
    letter_state,
    log,
    mailings,
    mails_page,
    members,
    new_letter,
    package,
    paper_tallies,
    partners,
    publishing,
    queue,
    relays_page,
    second_factor,
    security,
    sensitivity,
    signature,
    signing_in,
    statistics,
    switches,
    today,
    updates,
    witnesses_page,
)
from petition.web.desk.guard import require
from petition.web.desk.step_up import FreshRule, always, ends_another_session, lifts_or_speaks, unless, when
from petition.web.desk.visit import ROOT, Access, OpenView, View


@dataclass(frozen=True, slots=True)
class DeskRoute:
    """One method of one address. A path with ``{slug}`` is about that letter."""

    method: str
    path: str
    view: View | OpenView  # an ``OpenView`` where ``access`` is STRANGER
    access: Access
    fresh: FreshRule | None = None  # which forms need a second factor proved a short time ago


DESK: list[DeskRoute] = [
    DeskRoute("GET", "/organizer/", signing_in.home, Access.ORGANIZER),
    DeskRoute("GET", "/organizer/enter", signing_in.ask, Access.STRANGER),
    DeskRoute("POST", "/organizer/enter", signing_in.send, Access.STRANGER),
    DeskRoute("GET", "/organizer/enter/{token}", signing_in.show_link, Access.STRANGER),
    DeskRoute("POST", "/organizer/enter/{token}", signing_in.enter, Access.STRANGER),
    DeskRoute("POST", "/organizer/leave", signing_in.leave, Access.SIGNED_IN),
    DeskRoute("POST", "/organizer/language", signing_in.language, Access.SIGNED_IN),
    DeskRoute("GET", "/organizer/second", second_factor.show, Access.SIGNED_IN),
    DeskRoute("POST", "/organizer/second", second_factor.prove, Access.SIGNED_IN),
    DeskRoute("POST", "/organizer/second/challenge", second_factor.challenge, Access.SIGNED_IN, when("for", "new")),
    DeskRoute("POST", "/organizer/second/passkey", second_factor.prove_by_passkey, Access.SIGNED_IN),
    DeskRoute("POST", "/organizer/second/passkey/new", second_factor.add_passkey, Access.SIGNED_IN, always),
    DeskRoute("GET", "/organizer/second/totp", second_factor.show_totp, Access.SIGNED_IN, always),
    DeskRoute("POST", "/organizer/second/totp", second_factor.finish_totp, Access.SIGNED_IN, always),
    DeskRoute("POST", "/organizer/second/totp/begin", second_factor.begin_totp, Access.SIGNED_IN, always),
    DeskRoute("GET", "/organizer/security", security.show, Access.ORGANIZER),
    DeskRoute("POST", "/organizer/security/name", security.name, Access.ORGANIZER, always),
    DeskRoute("POST", "/organizer/security/preferences", security.preferences, Access.ORGANIZER),
    DeskRoute("POST", "/organizer/security/remove", security.remove, Access.ORGANIZER, always),
    DeskRoute("POST", "/organizer/security/codes", security.codes, Access.ORGANIZER, always),
    DeskRoute("POST", "/organizer/security/reset", security.stop_reset, Access.ORGANIZER),
    DeskRoute("POST", "/organizer/security/end", security.end, Access.ORGANIZER, ends_another_session),
    DeskRoute("GET", "/organizer/installation", installation.show, Access.ADMIN),
    DeskRoute("POST", "/organizer/installation/invite", installation.invite, Access.ADMIN, always),
    DeskRoute("POST", "/organizer/installation/cancel", installation.cancel, Access.ADMIN),
    DeskRoute("POST", "/organizer/installation/admin", installation.admin, Access.ADMIN, always),
    DeskRoute("POST", "/organizer/installation/remove", installation.remove, Access.ADMIN, always),
    DeskRoute("POST", "/organizer/installation/own", installation.take_over, Access.ADMIN, always),
    DeskRoute("GET", "/organizer/installation/access", access_page.show_installation, Access.ADMIN),
    DeskRoute("GET", "/organizer/installation/relays", relays_page.show, Access.ADMIN),
    DeskRoute("POST", "/organizer/installation/relays", relays_page.test, Access.ADMIN),
    DeskRoute("GET", "/organizer/installation/switches", switches.show, Access.ADMIN),
    DeskRoute("POST", "/organizer/installation/switches", switches.change, Access.ADMIN, lifts_or_speaks),
    DeskRoute("GET", "/organizer/installation/mails", mails_page.show, Access.ORGANIZER),
    DeskRoute("GET", "/organizer/installation/mails/{mail}", mails_page.show_one, Access.ORGANIZER),
    DeskRoute("GET", "/organizer/letters/new", new_letter.show, Access.ORGANIZER),
    DeskRoute("POST", "/organizer/letters/new", new_letter.make, Access.ORGANIZER),
    DeskRoute("GET", "/organizer/letters/slug", new_letter.slug, Access.ORGANIZER),
    DeskRoute("GET", "/organizer/{slug}/", today.show, Access.VIEWER),
    DeskRoute("POST", "/organizer/{slug}/", today.act, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/text", draft_text.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/text", draft_text.save, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/sensitive", sensitivity.mark, Access.EDITOR, unless("sensitive", "yes")),
    DeskRoute("GET", "/organizer/{slug}/picture/{picture}", draft_text.picture, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/preview", draft_preview.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/preview/link", draft_preview.link, Access.EDITOR, unless("act", "drop")),
    DeskRoute("GET", "/organizer/{slug}/publish", publishing.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/publish", publishing.publish, Access.EDITOR, always),
    DeskRoute(
        "POST", "/organizer/{slug}/publish/schedule", publishing.schedule, Access.EDITOR, unless("act", "cancel")
    ),
    DeskRoute("POST", "/organizer/{slug}/publish/address", publishing.rename, Access.EDITOR, always),
    DeskRoute("POST", "/organizer/{slug}/copy", new_letter.copy, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/partners", partners.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/partners", partners.act, Access.EDITOR, unless("act", "retire")),
    DeskRoute("GET", "/organizer/{slug}/witnesses", witnesses_page.show, Access.OWNER),
    DeskRoute("POST", "/organizer/{slug}/witnesses", witnesses_page.act, Access.OWNER, unless("act", "retire")),
    DeskRoute("GET", "/organizer/{slug}/employers", employers.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/employers", employers.act, Access.EDITOR, unless("act", "stop")),
    DeskRoute("GET", "/organizer/{slug}/members", members.show, Access.OWNER),
    DeskRoute("POST", "/organizer/{slug}/members", members.change, Access.OWNER, always),
    DeskRoute("POST", "/organizer/{slug}/members/invite", members.invite, Access.OWNER, always),
    DeskRoute("POST", "/organizer/{slug}/members/cancel", members.cancel, Access.OWNER),
    DeskRoute("POST", "/organizer/{slug}/members/restore", members.restore, Access.OWNER, always),
    DeskRoute("POST", "/organizer/{slug}/members/reset", members.ask_for_reset, Access.OWNER, always),
    DeskRoute("POST", "/organizer/{slug}/members/reset/stop", members.stop_reset, Access.OWNER),
    DeskRoute("GET", "/organizer/{slug}/state", letter_state.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/state", letter_state.change, Access.EDITOR, when("move", "reopen")),
    DeskRoute("POST", "/organizer/{slug}/state/gone", letter_state.take_down, Access.OWNER, always),
    DeskRoute("GET", "/organizer/{slug}/switches", switches.show, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/switches", switches.change, Access.EDITOR, lifts_or_speaks),
    DeskRoute("GET", "/organizer/{slug}/updates", updates.show_all, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/updates", updates.add, Access.EDITOR, when("act", "publish", "schedule")),
    DeskRoute("GET", "/organizer/{slug}/updates/{update}", updates.show, Access.EDITOR),
    DeskRoute(
        "POST",
        "/organizer/{slug}/updates/{update}",
        updates.change,
        Access.EDITOR,
        updates.speaks,
    ),
    DeskRoute("GET", "/organizer/{slug}/delivery", delivery.show_all, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/delivery/package", package.make, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/delivery/package.pdf", package.document, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/delivery/names.csv", package.names, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/delivery/sheet.pdf", package.sheet, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/delivery/{addressee}", delivery.show, Access.EDITOR),
    DeskRoute(
        "POST",
        "/organizer/{slug}/delivery/{addressee}",
        delivery.act,
        Access.EDITOR,
        when("act", "contact", "mail", "remind", "publish", "link", "redo"),
    ),
    DeskRoute("POST", "/organizer/{slug}/delivery/{addressee}/event", delivery.record, Access.EDITOR, always),
    DeskRoute("GET", "/organizer/{slug}/delivery/file/{file}", delivery.file, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/updates/{update}/mail", mailings.show, Access.EDITOR),
    DeskRoute(
        "POST",
        "/organizer/{slug}/updates/{update}/mail",
        mailings.act,
        Access.EDITOR,
        when("act", "mail", "schedule", "resume", "resend"),
    ),
    DeskRoute("POST", "/organizer/{slug}/reminder", mailings.remind, Access.EDITOR, unless("reminder", "off")),
    DeskRoute("GET", "/organizer/{slug}/queue", queue.show, Access.MODERATOR),
    DeskRoute("POST", "/organizer/{slug}/queue", queue.decide, Access.MODERATOR),
    DeskRoute("POST", "/organizer/{slug}/undo", queue.undo_act, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/signatures/{signature}", signature.show, Access.MODERATOR),
    DeskRoute(
        "POST",
        "/organizer/{slug}/signatures/{signature}",
        signature.act,
        Access.MODERATOR,
        when("act", "message", "second", "drop_message", "drop_note", "vouch"),
    ),
    DeskRoute("GET", "/organizer/{slug}/domains", domains.show, Access.MODERATOR),
    DeskRoute("POST", "/organizer/{slug}/domains", domains.act, Access.MODERATOR, unless("act", "distrust")),
    DeskRoute("GET", "/organizer/{slug}/campaigns", bulk_acts.show_all, Access.MODERATOR),
    DeskRoute("POST", "/organizer/{slug}/campaigns", bulk_acts.make, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/campaigns/{campaign}", bulk_acts.show, Access.MODERATOR),
    DeskRoute(
        "POST",
        "/organizer/{slug}/campaigns/{campaign}",
        bulk_acts.move,
        Access.MODERATOR,
        when("step", "start", "resume", "revert"),
    ),
    DeskRoute("GET", "/organizer/{slug}/access", access_page.show, Access.OWNER),
    DeskRoute("GET", "/organizer/{slug}/log", log.show, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/log.csv", log.export, Access.MODERATOR),
    DeskRoute("GET", "/organizer/{slug}/statistics", statistics.show, Access.VIEWER),
    DeskRoute("GET", "/organizer/{slug}/statistics/{what}.csv", statistics.export, Access.VIEWER),
    DeskRoute("GET", "/organizer/{slug}/import", imports.show_all, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/import", imports.upload, Access.EDITOR),
    DeskRoute("POST", "/organizer/{slug}/import/mappings", imports.delete_mapping, Access.EDITOR),
    DeskRoute("GET", "/organizer/{slug}/import/{number}", imports.show, Access.EDITOR),
    DeskRoute(
        "POST", "/organizer/{slug}/import/{number}", imports.move, Access.EDITOR, when("step", "start", "undo", "redo")
    ),
    DeskRoute("GET", "/organizer/{slug}/import/{number}/problems.csv", imports.problems, Access.EDITOR, always),
    DeskRoute("GET", "/organizer/{slug}/export", exports.show, Access.MODERATOR),
    DeskRoute("POST", "/organizer/{slug}/export", exports.download, Access.MODERATOR, always),
    DeskRoute("GET", "/organizer/{slug}/addresses", address_lists.show, Access.OWNER),
    DeskRoute("POST", "/organizer/{slug}/addresses", address_lists.act, Access.OWNER, unless("step", "revoke")),
    DeskRoute("POST", "/organizer/{slug}/addresses/{job}", address_lists.download, Access.OWNER, always),
    DeskRoute("GET", "/organizer/{slug}/audits", audits.show, Access.AUDITS),
    DeskRoute("POST", "/organizer/{slug}/audits", audits.act, Access.OWNER, unless("act", "abandon")),
    DeskRoute("POST", "/organizer/{slug}/audits/{audit}", audits.carry_out, Access.AUDITOR, unless("act", "abandon")),
    DeskRoute("POST", "/organizer/{slug}/audits/{audit}/addresses", audits.download, Access.AUDITOR, always),
    DeskRoute("POST", "/organizer/{slug}/tally", paper_tallies.act, Access.EDITOR, unless("step", "undo")),
]


def routes(table: Sequence[DeskRoute] = DESK) -> list[BaseRoute]:
    """Return the framework's routes of ``table``, each view behind the guard, as one entry for the application."""
    root = ROOT.rstrip("/")
    inner = [
        Route(route.path.removeprefix(root), require(route.view, route.access, route.fresh), methods=[route.method])
        for route in table
    ]
    return [Route(root, _redirect_to_desk), Mount(root, app=Router(routes=inner, redirect_slashes=False))]


async def _redirect_to_desk(_request: Request) -> Response:
    return http.redirect(ROOT)
