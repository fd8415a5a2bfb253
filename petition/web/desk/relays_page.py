"""The relays, for admins: how each is doing, what waits, and a test mail to oneself.

The web has no relays and sends nothing: the page shows what the workers noted, and a worker sends the test mail.
"""

from starlette.responses import Response

from petition.core import audit_log, relay_report
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import ROOT, DeskVisit

RELAYS = f"{ROOT}installation/relays"
NO_TEST = N_("No test mail was asked for: the relay is gone, or you have asked for too many within an hour.")


async def show(visit: DeskVisit, _form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    async with visit.database.connection() as conn:
        relays = await relay_report.load(conn)
        queue = await relay_report.queue(conn)
        tests = await relay_report.tests(conn, visit.organizer.id)
    return desk_page(
        visit,
        "desk/relays.html",
        errors=errors,
        relays=relays,
        queue=queue,
        tests=tests,
        troubles=relay_report.TROUBLES,
        reasons=relay_report.REASONS,
        max_counted=relay_report.MAX_COUNTED,
        is_testing=any(test["finished_at"] is None and not test["is_lost"] for test in tests.values()),
    )


@form_view(show)
async def test(visit: DeskVisit, form: Form) -> Response:
    """Ask for a test mail through one relay, to the organizer's own address."""
    relay = form.get("relay", "")
    async with visit.database.transaction() as conn:
        number = await relay_report.ask_for_test(conn, relay, visit.organizer.id)
        if number is None:
            raise Refused(NO_TEST)
        await audit_log.record(conn, visit.organizer.id, None, "relay.test", ids=[number], after=relay)
    return http.redirect(f"{RELAYS}#tested")
