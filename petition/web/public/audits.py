"""An auditor's question behind the mailed link, and the files by which anyone draws again."""

from starlette.responses import JSONResponse, Response

from petition.audits import published, queries, questions
from petition.core.errors import NotFound
from petition.core.form_values import MAX_INTEGER, id_of
from petition.core.i18n import N_
from petition.web.public import challenge
from petition.web.public.count_log import FOREVER, FRESH, TEXT
from petition.web.public.visit import Visit

ANSWERS = {"yes": questions.SIGNED, "no": questions.DENIED}
OVER = N_("This audit is over")
OVER_WHY = N_("Answers are no longer taken. What was answered is counted, without whose answer it was.")


async def show(visit: Visit) -> Response:
    """Ask, or show the answer so far. Mail scanners open links, so this changes nothing."""
    letter_id, question_id = visit.services.tokens.read_audit(visit.token)
    letter = (await visit.services.letters.by_id(letter_id)).letter
    async with visit.services.database.connection() as conn:
        row = await queries.question(conn, letter_id, question_id)
    if row is None:
        return visit.message_page(410, OVER, OVER_WHY, letter=letter, can_sign=False)
    return visit.page(
        "letters/audit_question.html",
        letter=letter,
        token=visit.token,
        answer=row["answer"],
        auditor=row["auditor"],
        until=row["ends_at"],
        says_no=visit.request.query_params.get("say") == "no",
    )


async def answer(visit: Visit) -> Response:
    """Store the answer; it can be changed until the audit ends."""
    visit.allow_form()
    letter_id, question_id = visit.services.tokens.read_audit(visit.token)
    published_letter = await visit.services.letters.by_id(letter_id)
    challenge.check_writable(published_letter)
    form = await visit.form()
    text = ANSWERS.get(form.get("answer", ""))
    slug = published_letter.letter.slug
    if text is not None:
        async with visit.services.database.transaction() as conn:
            await questions.answer(conn, letter_id, question_id, text)
    return visit.redirect(f"/{slug}/audit/{visit.token}")


async def index(visit: Visit) -> Response:
    """Answer with all audits of the letter as JSON: what was announced, drawn and answered."""
    letter = (await visit.published()).letter
    async with visit.services.throttle.read_slot(visit.network), visit.services.database.connection() as conn:
        audits = await published.load_announced(conn, letter.id)
    base_url = visit.services.settings.base_url
    items = [audit.as_json(base_url, letter.slug) for audit in audits]
    return JSONResponse({"letter": letter.slug, "audits": items}, headers=FRESH)


async def frame(visit: Visit) -> Response:
    """Answer with the entries that an audit draws from, as the text whose digest was announced."""
    letter = (await visit.published()).letter
    number = id_of(visit.request.path_params["audit"], int, MAX_INTEGER)
    async with visit.services.throttle.read_slot(visit.network), visit.services.database.connection() as conn:
        text = await queries.frame_text(conn, letter.id, number or 0)
    if text is None:
        raise NotFound("there is no such audit")
    return Response(text, headers=FOREVER, media_type=TEXT)
