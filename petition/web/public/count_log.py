"""A letter's count log as its files (c2sp.org/tlog-tiles), and the page that looks a receipt up in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.responses import Response

from petition.core.database import Connection
from petition.core.errors import NotFound
from petition.core.i18n import N_
from petition.core.ids import LetterId
from petition.count_log import reading, receipts, witnesses
from petition.count_log.entries import Exit, token_of
from petition.count_log.reading import LogHead, PlacedEntry
from petition.count_log.receipts import BadReceipt
from petition.count_log.tiles import TilePath
from petition.count_log.witnesses import SeenCosignature
from petition.letters.model import Letter
from petition.web.public.shown_form import ShownForm
from petition.web.public.visit import Visit

NOT_A_RECEIPT = N_("A receipt has 26 letters and digits. Copy it once more.")
TEXT, BYTES = "text/plain; charset=utf-8", "application/octet-stream"
# Other sites may read a log: it is public, and the same for all.
PUBLIC = {"access-control-allow-origin": "*", "x-content-type-options": "nosniff", "x-robots-tag": "noindex"}
FRESH = PUBLIC | {"cache-control": "public, max-age=5"}
FOREVER = PUBLIC | {"cache-control": "public, max-age=31536000, immutable"}

# Why an entry ends, as the page says it.
EXITS = {
    Exit.WITHDRAWN: N_("withdrawn by the signatory"),
    Exit.REMOVED: N_("removed by the organizers"),
    Exit.REMOVED_AS_FAKE: N_("removed by the organizers: made up"),
    Exit.REMOVED_AS_DUPLICATE: N_("removed by the organizers: duplicate"),
    Exit.REMOVED_AS_ABUSE: N_("removed by the organizers: abusive or an advertisement"),
    Exit.REMOVED_AS_NOT_AUTHORIZED: N_("removed by the organizers: not authorized to sign for the organization"),
    Exit.REMOVED_AT_REQUEST: N_("removed by the organizers: at the signatory’s request"),
    Exit.REVIEWED: N_("waiting for approval again"),
    Exit.UNDONE: N_("the list was taken back"),
    Exit.CORRECTED: N_("the number was corrected"),
    Exit.REGROUPED: N_("joined with another entry of the organization"),
}


async def checkpoint(visit: Visit) -> Response:
    """Answer with the newest signed checkpoint."""
    return Response((await _log(visit)).cosigned, headers=FRESH, media_type=TEXT)


async def tile(visit: Visit) -> Response:
    """Answer with a tile, or a bundle of entries, as it will always be."""
    try:
        path = TilePath.parse(f"tile/{visit.request.path_params['path']}")
    except ValueError:
        raise NotFound("a log has no such file") from None
    log = await _log(visit)
    async with visit.services.throttle.read_slot(visit.network), visit.services.database.connection() as conn:
        content = await reading.file(conn, log, path)
    if content is None:
        raise NotFound("the log has no such file yet")
    return Response(content, headers=FOREVER, media_type=BYTES)


async def stamped(visit: Visit) -> Response:
    """Answer with the newest checkpoint that an ``authority`` has stamped with the time."""
    return Response((await _stamp(visit))[0], headers=FRESH, media_type=TEXT)


async def stamp(visit: Visit) -> Response:
    """Answer with the authority's stamp of that checkpoint, as RFC 3161 has it."""
    return Response((await _stamp(visit))[1], headers=FRESH, media_type="application/timestamp-reply")


async def _stamp(visit: Visit) -> tuple[str, bytes]:
    letter = (await visit.published()).letter
    authority = visit.request.query_params.get("authority")
    async with visit.services.throttle.read_slot(visit.network), visit.services.database.connection() as conn:
        stamped = await reading.newest_stamp(conn, letter.id, authority)
    if stamped is None:
        raise NotFound("no authority has stamped a checkpoint")
    return stamped


async def _log(visit: Visit) -> LogHead:
    letter = (await visit.published()).letter
    async with visit.services.database.connection() as conn:
        log = await reading.head(conn, letter.id)
    if log is None:
        raise NotFound("the log has not begun yet")
    return log


async def show(visit: Visit) -> Response:
    """Ask for a receipt."""
    letter = (await visit.published()).letter
    async with visit.services.throttle.read_slot(visit.network), visit.services.database.connection() as conn:
        state = await _state(conn, letter.id)
    return _page(visit, letter, state, ShownForm())


async def look_up(visit: Visit) -> Response:
    """Say whether a receipt's entry is in the log and counts; with ``proof`` answer with the proof, to be saved."""
    visit.allow_form()
    form = await visit.form()
    letter = (await visit.published()).letter
    async with visit.form_slot(), visit.services.database.connection() as conn:
        state = await _state(conn, letter.id)
        log = state.log
        try:
            receipt = receipts.parse(form.get("receipt", ""))
        except BadReceipt:
            shown_form = visit.refused_form({"receipt": form.get("receipt", "")}, {"receipt": NOT_A_RECEIPT})
            return _page(visit, letter, state, shown_form, status=422)
        placed = [] if log is None else await reading.find(conn, log, token_of(receipt))
        if log is not None and placed and "proof" in form:
            proof = await reading.prove(conn, log, placed[-1])
            return _file(bytes(proof), f"{letter.slug}-{placed[-1].number}.tlog-proof")
    return _page(visit, letter, state, ShownForm({"receipt": receipts.as_text(receipt)}), placed)


@dataclass(frozen=True, slots=True)
class _LogState:
    """What the page says of the log: who cosigned it, and whether the count that is shown is not the log's."""

    log: LogHead | None
    cosignatures: tuple[SeenCosignature, ...] = ()
    has_problem: bool = False


async def _state(conn: Connection, letter_id: LetterId) -> _LogState:
    log = await reading.head(conn, letter_id)
    seen = await witnesses.witnessed(conn, letter_id)
    if log is None or seen is None:
        return _LogState(None)
    visible = await reading.shown_count(conn, letter_id)
    has_problem = visible is not None and visible.contradicts(log)
    return _LogState(log, seen.cosignatures, has_problem)


def _file(content: bytes, name: str) -> Response:
    headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{name}"'}
    return Response(content, headers=PUBLIC | headers, media_type=BYTES)


def _page(
    visit: Visit,
    letter: Letter,
    state: _LogState,
    form: ShownForm,
    placed: Sequence[PlacedEntry] | None = None,
    *,
    status: int = 200,
) -> Response:
    return visit.page(
        "signatures/verify.html",
        status,
        letter=letter,
        log=state.log,
        cosignatures=state.cosignatures,
        problem=state.has_problem,
        form=form,
        placed=placed,
        exits=EXITS,
        here=f"/{letter.slug}/verify",
    )
