"""Addresses and forms of the desk, parsed into filters and actions."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeVar

from petition.core.errors import Refused
from petition.core.form_values import id_of
from petition.core.i18n import N_
from petition.core.ids import LogId, SignatureId
from petition.moderation.model import ANY, Action, Filter, ReportReason, Source, Wait
from petition.signatures import names
from petition.signatures.flags import Flag
from petition.signatures.model import Kind, Reason, SignatureState

NO_REASON = N_("Choose a reason.")
NO_ACTION = N_("Choose what to do.")
NOTHING_SELECTED = N_("Nothing is ticked.")
UNKNOWN_FILTER = N_("This filter is not understood")
MAX_QUERY = 100  # characters
PICK = "s"  # a checkbox of the queue is s<id> = the last act seen on the signature
MAX_PICKED = 100
_PARTNER = re.compile(r"[a-z0-9][a-z0-9-]{1,31}")  # as in the table's constraint
UNKNOWN_ACT = LogId(-2)


MAX_WORDS = 5  # of a search; more would be left out, and a bulk act would match more than was typed


class UnknownFilter(Refused):
    """Query parameters that are no filter, or whose value is none. ``items`` are (name, value), as typed."""

    def __init__(self, items: Sequence[tuple[str, str]]) -> None:
        super().__init__(UNKNOWN_FILTER)
        self.items = tuple((name[:MAX_QUERY], value[:MAX_QUERY]) for name, value in items)


def filter_of(params: Mapping[str, str], others: Collection[str] = ()) -> Filter:
    """Return the filter in query parameters; empty values are no condition, ``others`` are parameters of the page.

    Raises ``UnknownFilter`` for anything else: a condition that is left out would widen what a bulk act changes.
    """
    values: dict[str, object] = {}
    unknown = []
    for name, text in params.items():
        value = text.replace("\0", "").strip()
        if name in others or not value:
            unknown += [(name, text)] if name not in others and name not in _READERS else []
        elif (parsed := _READERS[name](value) if name in _READERS else None) is None:
            unknown.append((name, text))
        else:
            values[name] = parsed
    if unknown:
        raise UnknownFilter(unknown)
    return Filter(**values)  # type: ignore[arg-type]  # each reader returns its field's type


def single_values(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return parameters by name. Raises ``UnknownFilter`` if one has two values: only one could be heeded."""
    values: dict[str, str] = {}
    for name, value in items:
        if values.setdefault(name, value) != value:
            raise UnknownFilter([(name, values[name]), (name, value)])
    return values


Choice = TypeVar("Choice", bound=StrEnum)


def _member(choices: type[Choice], value: str | None) -> Choice | None:
    try:
        return choices(value) if value else None
    except ValueError:
        return None


def _letters(text: str, lengths: Collection[int]) -> str | None:
    return text if text.isascii() and text.isalpha() and len(text) in lengths else None


def _search(text: str) -> str | None:
    return text if len(text) <= MAX_QUERY and len(names.words(names.fold(text))) <= MAX_WORDS else None


_READERS: Mapping[str, Callable[[str], object | None]] = {
    "wait": lambda text: _member(Wait, text),
    "state": lambda text: _member(SignatureState, text),
    "kind": lambda text: _member(Kind, text),
    "lang": lambda text: _letters(text.lower(), (1, 2, 3)),
    "country": lambda text: _letters(text.upper(), (2,)),
    "source": lambda text: _member(Source, text),
    "flag": lambda text: text if text in {ANY, *Flag} else None,
    "group": lambda text: id_of(text, int),
    "partner": lambda text: text if _PARTNER.fullmatch(text) else None,
    "q": _search,
}


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
