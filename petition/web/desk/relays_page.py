"""The relays, for admins: how each is doing, what waits, and a test mail to oneself.

The web has no relays and sends nothing: the page shows what the workers noted, and a worker sends the test mail.
"""

from collections.abc import Mapping

from starlette.responses import Response

from petition.core import audit_log, relay_report
from petition.core.errors import Refused
from petition.core.i18n import N_
from petition.incoming_mail import bounce_queries
from petition.incoming_mail.reports import NO_TOKEN, OLD_TOKEN, ReportKind
from petition.web import http
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.visit import ROOT, DeskVisit

RELAYS = f"{ROOT}installation/relays"
BOUNCE_DAYS = 7
NO_TEST = N_("No test mail was asked for: the relay is gone, or you have asked for too many within an hour.")

# What came back, by the kind it is counted as, in the order of the page.
BOUNCES: Mapping[str, str] = {
    ReportKind.HARD: N_("mailbox does not exist"),
    ReportKind.SOFT: N_("not delivered, mailbox may exist"),
    ReportKind.RELAY: N_("refused on the way: filter, policy or sender"),
    ReportKind.DELAYED: N_("delayed"),
    ReportKind.COMPLAINT: N_("complaints of readers"),
    ReportKind.OTHER_FEEDBACK: N_("other reports of providers"),
    ReportKind.DELIVERED: N_("delivery reports"),
    ReportKind.NO_REPORT: N_("automatic answers and other mail"),
    ReportKind.UNREADABLE: N_("unreadable"),
    NO_TOKEN: N_("not about a mail of ours"),
    OLD_TOKEN: N_("about a mail older than 30 days"),
}


async def show(visit: DeskVisit, _form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    async with visit.database.connection() as conn:
        relays = await relay_report.load(conn)
        queue = await relay_report.queue(conn)
        tests = await relay_report.tests(conn, visit.organizer.id)
        bounces = {row["kind"]: row["number"] for row in await bounce_queries.counts(conn, BOUNCE_DAYS)}
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
        bounces=[(words, bounces[kind]) for kind, words in BOUNCES.items() if bounces.get(kind)],
        bounce_domain=visit.services.settings.bounce_domain,
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
