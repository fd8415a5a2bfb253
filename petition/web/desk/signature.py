"""One signature at the desk: its data, its history, and every act on it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from petition.core import audit_log
from petition.core.audit_log import Actor
from petition.core.database import Connection, Record
from petition.core.encryption import LetterKeys
from petition.core.errors import NotFound, Refused
from petition.core.form_values import id_of
from petition.core.ids import LogId, MessageId, NoteId, OrganizationId, SignatureId
from petition.letters.keys import keys_for
from petition.moderation import (
    decisions,
    domain_checks,
    filters,
    labels,
    log_queries,
    message_threads,
    messages,
    notes,
    organization_queries,
    organizations,
    proof_model,
    queue,
    queue_queries,
    second_mailbox,
    similar,
    vouching,
)
from petition.moderation.model import Action, ActOutcome, LogLine, QueueItem
from petition.signatures.model import Kind
from petition.web import http
from petition.web.desk import names_read
from petition.web.desk.forms import NO_FIELDS, Errors, Form, form_view
from petition.web.desk.page import desk_page
from petition.web.desk.queue_links import act_notice, outcome_query
from petition.web.desk.visit import DeskVisit
from petition.web.services import Services


@dataclass(frozen=True, slots=True)
class _Target:
    """The signature in the address, and a connection to read and change it."""

    conn: Connection
    services: Services
    actor: Actor
    signature_id: SignatureId

    async def keys(self) -> LetterKeys:
        return await keys_for(self.conn, self.actor.letter_id, self.services.wrapper)

    async def row(self) -> Record:
        """Return the signature. Raises ``NotFound``."""
        row = await queue_queries.one(self.conn, self.actor.letter_id, self.signature_id)
        if row is None:
            raise NotFound("there is no such signature")
        return row


Act = Callable[[_Target, Form], Awaitable[ActOutcome | None]]


def _signature_id(visit: DeskVisit) -> SignatureId:
    return visit.path_id("signature", SignatureId)


async def show(visit: DeskVisit, form: Form = NO_FIELDS, errors: Errors = NO_FIELDS) -> Response:
    signature_id, search = _signature_id(visit), visit.query.get("like", "")[: filters.MAX_QUERY]
    other_id = id_of(visit.query.get("with", ""), SignatureId)

    async def load(conn: Connection) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        context = await _read(_Target(conn, visit.services, visit.actor, signature_id), search, other_id)
        return context, await act_notice(visit, conn, visit.query)

    context, notice = await visit.read(load)
    similar_ones = [*context["similar"], *context["found"]]
    await names_read.note(
        visit,
        [context["line"], context["other"]],
        notice["named"].values(),
        waiting=[one.signature_id for one in similar_ones if one.organization_id is None],
    )
    return desk_page(
        visit,
        "desk/moderation/signature.html",
        errors=errors,
        words=labels.WORDS,
        form=form,
        act_done=visit.query.get("did"),
        search=search,
        txt_name=proof_model.TXT_NAME,
        proof_file=proof_model.file_name(visit.letter.slug),
        letter_address=f"{visit.services.settings.base_url}/{visit.letter.slug}",
        can_look_up=visit.services.domain_proofs.is_possible,
        **context,
        **notice,
    )


async def _read(target: _Target, search: str, other_id: SignatureId | None) -> Mapping[str, Any]:
    conn, letter_id, signature_id = target.conn, target.actor.letter_id, target.signature_id
    row, keys = await target.row(), await target.keys()
    organization_id = row["organization"]
    history: dict[LogId, LogLine] = {}
    for object_id in {signature_id, organization_id} - {None}:
        history |= {line.id: line for line in await log_queries.of_signature(conn, letter_id, object_id)}
    line = queue.item_in(row, keys)
    is_organization = line.kind is Kind.ORGANIZATION
    lines = [history[log_id] for log_id in sorted(history, reverse=True)]
    return {
        "line": line,
        "row": row,
        "history": lines,
        "thread": await message_threads.load(conn, letter_id, keys, signature_id),
        "ready_sentences": message_threads.READY_SENTENCES,
        "notes": await notes.load(conn, letter_id, keys, signature_id),
        "reports": [
            (report, notes.revealed(keys, report["note"]))
            for report in await queue_queries.reports(conn, letter_id, signature_id)
        ],
        "similar": await similar.load(conn, letter_id, keys, line.names, signature_id, organization_id)
        if is_organization
        else [],
        "found": await similar.find(conn, letter_id, keys, search, signature_id, organization_id)
        if is_organization and search
        else [],
        "vouchers": await vouching.of_signature(conn, letter_id, signature_id),
        "other": await _compared(target, keys, other_id) if is_organization and other_id else None,
    }


async def _compared(target: _Target, keys: LetterKeys, other_id: SignatureId) -> QueueItem | None:
    row = await queue_queries.one(target.conn, target.actor.letter_id, other_id)
    item = queue.item_in(row, keys) if row else None
    return item if item and item.kind is Kind.ORGANIZATION and item.id != target.signature_id else None


@form_view(show)
async def act(visit: DeskVisit, form: Form) -> Response:
    """Carry out the act whose button was pressed."""
    if form.get("act") == "domain":
        return await _check_domain(visit)
    signature_id, carry_out = _signature_id(visit), ACTS.get(form.get("act", ""))
    if carry_out is None:
        raise Refused(filters.NO_ACTION)
    async with visit.database.transaction() as conn:
        outcome = await carry_out(_Target(conn, visit.services, visit.actor, signature_id), form)
    query = outcome_query("", outcome) if outcome else urlencode({"did": form["act"]})
    return http.redirect(visit.letter_path(f"signatures/{signature_id}?{query}"))


async def _check_domain(visit: DeskVisit) -> Response:
    """Look whether the organization's domain names the letter; no transaction is open meanwhile. Raises ``Refused``."""
    signature_id, services = _signature_id(visit), visit.services
    async with visit.database.connection() as conn:
        host = domain_checks.host_to_ask(await _website(_Target(conn, services, visit.actor, signature_id)))
    if not services.domain_proofs.is_possible:
        raise Refused(domain_checks.NOT_POSSIBLE, "domain")
    settings, slug = services.settings, visit.letter.slug
    origins = [settings.base_url, *([settings.onion_url] if settings.onion_url else [])]
    addresses = [
        f"{origin}/{path}{slug}" for origin in origins for path in ("", *(f"{lang}/" for lang in visit.languages))
    ]
    proof = await services.domain_proofs.look_up(host, slug, addresses)
    async with visit.database.transaction() as conn:
        target = _Target(conn, services, visit.actor, signature_id)
        if domain_checks.host_to_ask(await _website(target)) != host:
            raise Refused(audit_log.TOO_LATE)
        await domain_checks.store(conn, visit.actor, signature_id, proof)
    return http.redirect(visit.letter_path(f"signatures/{signature_id}?did=domain"))


async def _website(target: _Target) -> str | None:
    return queue.names_in(await target.row(), await target.keys()).website


async def _vouch(target: _Target, form: Form) -> ActOutcome | None:
    await target.row()
    has_consented = form.get("vouch_consent") == "yes"
    await vouching.vouch(
        target.conn, target.actor, target.signature_id, form.get("vouch_name", ""), has_consented=has_consented
    )
    return None


async def _take_vouch_back(target: _Target, _form: Form) -> ActOutcome | None:
    await target.row()
    await vouching.take_back(target.conn, target.actor, target.signature_id)
    return None


async def _decide(target: _Target, form: Form) -> ActOutcome | None:
    action, reason = filters.action_of(form)
    await target.row()
    seen = {target.signature_id: filters.last_seen_act(form.get("seen", "0"))}
    return await decisions.decide(target.conn, target.actor, await target.keys(), action, seen, reason)


async def _correct_names(target: _Target, form: Form) -> ActOutcome | None:
    names, signature_id = organizations.parse(form), target.signature_id
    row = await target.row()
    organization_id = row["organization"]
    if organization_id is not None:
        log_id = await organizations.correct(target.conn, target.actor, await target.keys(), organization_id, names)
        return ActOutcome((signature_id,), log_id=log_id)
    held_log_id = await organizations.correct_held(target.conn, target.actor, await target.keys(), signature_id, names)
    changed = () if held_log_id is None else (signature_id,)
    return ActOutcome(changed, () if changed else (signature_id,), held_log_id)


async def _merge(target: _Target, form: Form) -> ActOutcome | None:
    row, into_id = await target.row(), id_of(form.get("into", ""), OrganizationId)
    if row["organization"] is None or into_id is None:
        raise Refused(filters.NOTHING_SELECTED, "into")
    log_id = await organizations.merge(target.conn, target.actor, await target.keys(), row["organization"], into_id)
    return ActOutcome((target.signature_id,), log_id=log_id)


async def _adopt(target: _Target, form: Form) -> ActOutcome | None:
    """Give a held signature the names of an entry, so that approving it adds it there."""
    into_id = id_of(form.get("into", ""), OrganizationId)
    row = await organization_queries.one(target.conn, target.actor.letter_id, into_id) if into_id else None
    if row is None:
        raise Refused(filters.NOTHING_SELECTED, "into")
    await target.row()
    names, signature_id = organizations.EntryNames.of(row), target.signature_id
    log_id = await organizations.correct_held(target.conn, target.actor, await target.keys(), signature_id, names)
    changed = () if log_id is None else (signature_id,)
    return ActOutcome(changed, () if changed else (signature_id,), log_id)


async def _note_talk(target: _Target, form: Form) -> ActOutcome | None:
    """Mark that an organizer spoke to the organization; what was said is a note."""
    await target.row()
    if form.get("talk", "").strip():
        await notes.add(target.conn, target.actor, await target.keys(), target.signature_id, form["talk"])
    await organizations.note_talk(target.conn, target.actor, target.signature_id, is_noted=True)
    return None


async def _drop_talk(target: _Target, _form: Form) -> ActOutcome | None:
    await target.row()
    await organizations.note_talk(target.conn, target.actor, target.signature_id, is_noted=False)
    return None


async def _add_note(target: _Target, form: Form) -> ActOutcome | None:
    await target.row()
    await notes.add(target.conn, target.actor, await target.keys(), target.signature_id, form.get("text", ""))
    return None


async def _delete_note(target: _Target, form: Form) -> ActOutcome | None:
    await target.row()
    note_id = id_of(form.get("note", ""), NoteId) or NoteId(0)
    await notes.delete(target.conn, target.actor, target.signature_id, note_id)
    return None


async def _send_message(target: _Target, form: Form) -> ActOutcome | None:
    text = form.get("message", "")
    await messages.send(target.conn, target.actor, await target.keys(), target.signature_id, text)
    return None


async def _delete_message(target: _Target, form: Form) -> ActOutcome | None:
    await target.row()
    message_id = id_of(form.get("message", ""), MessageId) or MessageId(0)
    await message_threads.delete(target.conn, target.actor, target.signature_id, message_id)
    return None


async def _mark_messages_read(target: _Target, _form: Form) -> ActOutcome | None:
    await target.row()
    await message_threads.mark_read(target.conn, target.actor, target.signature_id)
    return None


async def _ask_second(target: _Target, form: Form) -> ActOutcome | None:
    row, keys, address = await target.row(), await target.keys(), form.get("second", "")
    website = queue.names_in(row, keys).website
    await second_mailbox.ask(
        target.conn,
        target.actor,
        keys,
        target.signature_id,
        sealer=target.services.sealer,
        website=website,
        typed=address,
        keeper=target.services.keeper,
    )
    return None


ACTS: Mapping[str, Act] = {
    **{action.value: _decide for action in Action},
    "names": _correct_names,
    "merge": _merge,
    "adopt": _adopt,
    "talk": _note_talk,
    "untalk": _drop_talk,
    "note": _add_note,
    "drop_note": _delete_note,
    "message": _send_message,
    "drop_message": _delete_message,
    "read_messages": _mark_messages_read,
    "second": _ask_second,
    "vouch": _vouch,
    "unvouch": _take_vouch_back,
}
