"""The public form by which a reader reports an entry of the list."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from petition.core.database import Record
from petition.core.errors import NotFound, Refused
from petition.core.form_values import id_of
from petition.letters.published import PublishedLetter
from petition.moderation import labels, reports
from petition.moderation.reports import ReportOutcome
from petition.signatures import listing
from petition.signatures.model import Kind, Signatory
from petition.web.public import challenge
from petition.web.public.shown_form import ShownForm, typed_values
from petition.web.public.signatories import kind_of, query_of
from petition.web.public.visit import Visit

MAX_MATCHES = 50  # entries to choose from


async def find(visit: Visit) -> Response:
    """Ask which entry it is, and list those that match ``q``; each leads to the form."""
    published = await visit.published()
    if published.letter.conceals_names:
        raise HTTPException(404)
    params = visit.request.query_params
    if any("\0" in value for value in params.values()):
        raise HTTPException(400)
    kind, q = kind_of(params), params.get("q", "").strip()[: listing.MAX_QUERY]
    items: list[Signatory] = []
    if q:
        async with visit.services.throttle.read_slot(visit.network):
            items = await visit.read_names(lambda conn: listing.search(conn, published.letter.id, kind, q))
    return visit.page(
        "moderation/report_search.html",
        letter=published.letter,
        kind=kind,
        q=q,
        items=items[:MAX_MATCHES],
        here=f"/{visit.slug}/report?{query_of(kind, q)}",
    )


async def show(visit: Visit) -> Response:
    async with visit.services.throttle.read_slot(visit.network):
        published, entry = await _entry(visit)
    return _page(visit, published, entry, ShownForm(), sent="sent" in visit.request.query_params)


async def send(visit: Visit) -> Response:
    """Store a report. It changes nothing that readers see."""
    visit.allow_form()
    form = await visit.form()
    published, entry = await _entry(visit)
    challenge.check_writable(published)
    try:
        report = reports.parse(form)
    except Refused as refused:
        shown_form = visit.refused_form(typed_values(form), {refused.field: refused.message})
        await visit.turn()
        return _page(visit, published, entry, shown_form, status=422)
    passed = await challenge.require_challenge(visit, published, form)
    if isinstance(passed, Response):
        return passed
    services, network, letter = visit.services, visit.network, published.letter
    hour, _ = await services.day_keys.hours()
    hidden = hour.hidden("reports", network.narrowest, services.settings.limits.reports)
    limit = hidden.limits[0] if network.has_own_bucket else None
    async with visit.form_slot(), services.database.transaction() as conn:
        outcome = await reports.add(
            conn, letter.id, letter.keys, entry["id"], report, passed=passed, quota=hidden.quota, limit=limit
        )
    match outcome:
        case ReportOutcome.STORED:
            return visit.redirect(f"/{visit.slug}/{visit.form_path}?sent=1")
        case ReportOutcome.REFUSED:
            return challenge.too_many_requests(visit)
        case ReportOutcome.CHALLENGE_USED:
            return await challenge.one_more_step(visit, published, form)


async def _entry(visit: Visit) -> tuple[PublishedLetter, Record]:
    """Return the letter and the entry of the address. Raises 404, ``NotFound``, ``Gone`` or ``Unavailable``."""
    published, params = await visit.published(), visit.request.path_params
    number = id_of(params["entry"], int)
    if params["kind"] not in set(Kind) or number is None or published.letter.conceals_names:
        raise HTTPException(404)
    async with visit.services.database.connection() as conn:
        entry = await reports.entry(conn, published.letter.id, params["kind"], number)
    if entry is None:
        raise NotFound("there is no such entry")
    return published, entry


def _page(
    visit: Visit, published: PublishedLetter, entry: Record, form: ShownForm, *, sent: bool = False, status: int = 200
) -> Response:
    return visit.page(
        "moderation/report.html",
        status,
        letter=published.letter,
        entry=entry,
        form_path=visit.form_path,
        form=form,
        sent=sent,
        reasons=labels.WORDS["report_reasons"],
        is_organization=visit.request.path_params["kind"] == Kind.ORGANIZATION,
    )
