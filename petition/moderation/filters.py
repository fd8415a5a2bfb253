"""Addresses and forms of the desk, parsed into filters and actions."""

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

NO_REASON = N_("Choose a reason.")
NO_ACTION = N_("Choose what to do.")
NOTHING_SELECTED = N_("Nothing is ticked.")
MAX_QUERY = 100  # characters
PICK = "s"  # a checkbox of the queue is s<id> = the last act seen on the signature
MAX_PICKED = 100
_PARTNER = re.compile(r"[a-z0-9][a-z0-9-]{1,31}")  # as in the table's constraint
UNKNOWN_ACT = LogId(-2)


def filter_of(params: Mapping[str, str]) -> Filter:
    """Return the filter in query parameters; invalid values are no condition."""
    country, lang = params.get("country", "").upper(), params.get("lang", "").lower()
    return Filter(
        state=_member(SignatureState, params.get("state")),
        kind=_member(Kind, params.get("kind")),
        lang=lang if lang.isascii() and lang.isalpha() and len(lang) <= 3 else "",
        country=country if country.isascii() and country.isalpha() and len(country) == 2 else "",
        source=_member(Source, params.get("source")),
        flag=flag if (flag := params.get("flag", "")) in {ANY, *Flag} else "",
        group=id_of(params.get("group", ""), int),
        partner=partner if _PARTNER.fullmatch(partner := params.get("partner", "")) else "",
        q=params.get("q", "").replace("\0", "").strip()[:MAX_QUERY],
    )


Choice = TypeVar("Choice", bound=StrEnum)


def _member(choices: type[Choice], value: str | None) -> Choice | None:
    try:
        return choices(value) if value else None
    except ValueError:
        return None


def last_seen_act(text: str) -> LogId:
    """Return the last act seen on a signature, 0 for none, ``UNKNOWN_ACT`` if the text is no number."""
    return LogId(0) if text == "0" else id_of(text, LogId) or UNKNOWN_ACT


def last_seen_acts(form: Mapping[str, str]) -> dict[SignatureId, LogId]:
    """Return the selected signatures, each with the last act seen on it. Raises ``Refused``."""
    acts = {
        signature_id: last_seen_act(value)
        for name, value in form.items()
        if name.startswith(PICK) and (signature_id := id_of(name[1:], SignatureId)) is not None
    }
    if not acts:
        raise Refused(NOTHING_SELECTED, "picked")
    return dict(list(acts.items())[:MAX_PICKED])


def action_of(form: Mapping[str, str]) -> tuple[Action, Reason | None]:
    """Return the action, and the reason if it removes. Raises ``Refused``."""
    action = _member(Action, form.get("act"))
    if action is None:
        raise Refused(NO_ACTION, "act")
    reason = _member(Reason, form.get("reason")) if action is Action.REMOVE else None
    if action is Action.REMOVE and reason is None:
        raise Refused(NO_REASON, "reason")
    return action, reason


def report_reason_of(form: Mapping[str, str]) -> ReportReason:
    """Return why a reader reports an entry. Raises ``Refused``."""
    reason = _member(ReportReason, form.get("reason"))
    if reason is None:
        raise Refused(NO_REASON, "reason")
    return reason
