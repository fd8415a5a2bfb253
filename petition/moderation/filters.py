"""What stands in an address or was sent by a form of the desk, as values that may be trusted."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from petition.core.errors import Refused
from petition.core.form_values import id_of
from petition.core.i18n import N_
from petition.core.ids import LogId, SignatureId
from petition.moderation.model import ANY, Action, Filter, ReportReason, Source
from petition.signatures.flags import Flag
from petition.signatures.model import Kind, Reason, SignatureState

WHY = N_("Choose a reason.")
WHAT = N_("Choose what to do.")
NOBODY = N_("Nothing is ticked.")
MAX_QUERY = 100  # characters
PICK = "s"  # a checkbox of the queue: s<id> = the act that was seen last
MAX_PICKED = 100
_PARTNER = re.compile(r"[a-z0-9][a-z0-9-]{1,31}")  # as the table has it
NO_ACT = LogId(-2)


def filter_of(given: Mapping[str, str]) -> Filter:
    """Return what an address asks for. Values that mean nothing ask for nothing."""
    country, lang = given.get("country", "").upper(), given.get("lang", "").lower()
    return Filter(
        state=_one_of(SignatureState, given.get("state")),
        kind=_one_of(Kind, given.get("kind")),
        lang=lang if lang.isascii() and lang.isalpha() and len(lang) <= 3 else "",
        country=country if country.isascii() and country.isalpha() and len(country) == 2 else "",
        source=_one_of(Source, given.get("source")),
        flag=flag if (flag := given.get("flag", "")) in {ANY, *Flag} else "",
        group=id_of(given.get("group", ""), int),
        partner=partner if _PARTNER.fullmatch(partner := given.get("partner", "")) else "",
        q=given.get("q", "").replace("\0", "").strip()[:MAX_QUERY],
    )


Choice = TypeVar("Choice", bound=StrEnum)


def _one_of(kinds: type[Choice], value: str | None) -> Choice | None:
    try:
        return kinds(value) if value else None
    except ValueError:
        return None


def last_seen_act(text: str) -> LogId:
    """Return the act that was seen last on a signature, 0 for none. What is no number is no act that there can be."""
    return LogId(0) if text == "0" else id_of(text, LogId) or NO_ACT


def last_seen_acts(form: Mapping[str, str]) -> dict[SignatureId, LogId]:
    """Return the signatures that are chosen, each with the act that was seen last on it. Raises ``Refused``."""
    found = {
        signature_id: last_seen_act(value)
        for name, value in form.items()
        if name.startswith(PICK) and (signature_id := id_of(name[1:], SignatureId)) is not None
    }
    if not found:
        raise Refused(NOBODY, "picked")
    return dict(list(found.items())[:MAX_PICKED])


def action_of(form: Mapping[str, str]) -> tuple[Action, Reason | None]:
    """Return what is to be done, and why if it is to remove. Raises ``Refused``."""
    act = _one_of(Action, form.get("act"))
    if act is None:
        raise Refused(WHAT, "act")
    reason = _one_of(Reason, form.get("reason")) if act is Action.REMOVE else None
    if act is Action.REMOVE and reason is None:
        raise Refused(WHY, "reason")
    return act, reason


def report_reason_of(form: Mapping[str, str]) -> ReportReason:
    """Return why a reader reports an entry. Raises ``Refused``."""
    found = _one_of(ReportReason, form.get("reason"))
    if found is None:
        raise Refused(WHY, "reason")
    return found
