"""What the pages of moderation share: words for what the code only numbers, and what became of the last act."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from petition.database import Connection
from petition.desk import Desk
from petition.i18n import N_
from petition.moderation import forms, log_queries
from petition.moderation.model import COMPLAINTS, UNDO, Act, By, LogLine, Outcome
from petition.signatures.flags import Flag
from petition.signatures.model import REASONS, SignatureState

FLAGS: Mapping[Flag, str] = {
    Flag.REPORTED: N_("reported"),
    Flag.BURST: N_("burst"),
    Flag.REPEATED: N_("repeated name"),
    Flag.LINK: N_("link"),
    Flag.OBSCENE: N_("abuse"),
    Flag.DISGUISED: N_("disguised"),
    Flag.THROWAWAY: N_("throw-away address"),
    Flag.OTHER_DOMAIN: N_("other domain"),
}
STATES: Mapping[SignatureState, str] = {
    SignatureState.HELD: N_("waits"),
    SignatureState.CONFIRMED: N_("counts"),
    SignatureState.REMOVED: N_("removed"),
    SignatureState.WITHDRAWN: N_("withdrawn"),
}
ACTS: Mapping[str, str] = {
    Act.APPROVE.logged: N_("approved"),
    Act.REMOVE.logged: N_("removed"),
    Act.BACK.logged: N_("brought back"),
    UNDO: N_("undone"),
    "organization.names": N_("names corrected"),
    "organization.merge": N_("merged"),
    "organization.undo": N_("undone"),
    "note.add": N_("note written"),
    "note.drop": N_("note deleted"),
    "message.send": N_("message sent"),
    "message.second": N_("second confirmation asked for"),
    "message.confirmed": N_("confirmed at the second address"),
    "import.upload": N_("file uploaded for an import"),
    "import.start": N_("import started"),
    "import.cancel": N_("import cancelled"),
    "import.done": N_("imported"),
    "import.undo": N_("undoing an import begun"),
    "import.take_back": N_("taken back with an import"),
    "import.undone": N_("import undone"),
    "import.redo": N_("bringing an import back begun"),
    "import.redone": N_("import brought back"),
    "tally.add": N_("signatures on paper added"),
    "tally.correct": N_("signatures on paper corrected"),
    "tally.undo": N_("signatures on paper taken back"),
    "tally.redo": N_("signatures on paper brought back"),
    "export.list": N_("export begun"),
    "export.end": N_("export ended"),
    "address.key": N_("key for addresses registered"),
    "address.revoke": N_("key for addresses revoked"),
    "address.ask": N_("list of addresses asked for"),
    "address.made": N_("list of addresses made"),
    "address.take": N_("list of addresses downloaded"),
    "letter.make": N_("letter begun"),
    "letter.import": N_("draft taken in from a folder"),
    "letter.write": N_("draft written"),
    "letter.frame": N_("what surrounds the text published"),
    "letter.publish": N_("text published"),
    "preview.make": N_("preview link made"),
    "preview.drop": N_("preview link revoked"),
    "partner.add": N_("partner registered"),
    "partner.change": N_("partner changed"),
    "partner.retire": N_("partner retired"),
    "partner.restore": N_("partner brought back"),
    "campaign.start": N_("campaign started"),
    "campaign.pause": N_("campaign paused"),
    "campaign.resume": N_("campaign resumed"),
    "campaign.cancel": N_("campaign cancelled"),
    "campaign.revert": N_("campaign being reverted"),
    "letter.close": N_("letter closed"),
    "letter.reopen": N_("letter opened again"),
    "letter.archive": N_("letter archived"),
    "letter.unarchive": N_("letter taken out of the archive"),
    "switch.stop": N_("switch: signing stopped"),
    "switch.hold": N_("switch: everything held"),
    "switch.captcha": N_("switch: captcha"),
    "switch.hide_list": N_("switch: list hidden"),
    "switch.banner": N_("switch: banner"),
    "switch.read_only": N_("switch: read-only"),
    "update.add": N_("update written"),
    "update.published": N_("update published"),
    "update.edit": N_("update changed"),
    "update.removed": N_("update removed"),
    "update.back": N_("update brought back"),
}
WORDS: Mapping[str, Mapping[str, str]] = {
    "flags": {flag.value: text for flag, text in FLAGS.items()},
    "states": {state.value: text for state, text in STATES.items()},
    "reasons": {reason.value: text for reason, text in REASONS.items()},
    "acts": ACTS,
    "complaints": {complaint.value: text for complaint, text in COMPLAINTS.items()},
}


def by(who: Desk) -> By:
    """Return who acts, for the log."""
    return By(who.organizer.id, who.this.id)


def address(who: Desk, path: str) -> str:
    """Return an address below the letter's."""
    return f"/organizer/{who.this.slug}/{path}"


def back_of(form: Mapping[str, str]) -> str:
    """Return the query that leads back to the page a form stood on: a filter and a place, nothing else."""
    given = dict(parse_qsl(form.get("back", "")))
    fields = forms.filter_of(given).as_fields()
    return urlencode(fields | ({"after": given["after"][:40]} if "after" in given else {}))


def told(back: str, outcome: Outcome) -> str:
    """Return ``back`` with what the next page is to tell of an act."""
    more = {"done": str(outcome.log)} if outcome.log else {}
    if outcome.missed:
        more |= {"missed": str(len(outcome.missed)), "other": str(outcome.missed[0])}
    return "&".join(filter(None, (back, urlencode(more))))


async def news(conn: Connection, letter: int, given: Mapping[str, str]) -> dict[str, object]:
    """Return what an address says of the act before: the log's row, how many were missed, who was first with one."""
    done, other = forms.id_of(given.get("done", "")), forms.id_of(given.get("other", ""))
    lines = await log_queries.of_signature(conn, letter, other) if other else []
    first: LogLine | None = lines[0] if lines else None
    return {
        "done": await log_queries.one(conn, letter, done) if done else None,
        "other": first,
        "missed": forms.id_of(given.get("missed", "")) or 0,
    }
