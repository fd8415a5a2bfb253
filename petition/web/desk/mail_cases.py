"""The mails by who gets them, and the cases in which one says something else: what changes of its sample values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from petition.core.i18n import N_
from petition.core.letter_facts import SignatoryNames
from petition.signatures.model import REASONS

SIGNATORIES = (
    *("confirm", "reminder", "already_signed", "find_signed", "find_confirm", "decision", "removed", "message"),
    *("second", "update", "audit"),
)
AUDIENCES: Mapping[str, tuple[str, ...]] = {
    N_("To those who sign"): SIGNATORIES,
    N_("To those who read and sign by e-mail"): ("mail_in_letter", "mail_in_problem", "mail_in_signed"),
    N_("To addressees"): ("addressee",),
    N_("To organizers"): (
        *("waiting", "desk_act", "mailing_paused", "import_started", "address_key", "invitation", "entry"),
        *("factor_reset", "factor_reset_done"),
    ),
    N_("To admins"): ("relay_test",),
}


@dataclass(frozen=True, slots=True)
class MailCase:
    """One case of a mail; ``key`` stands in the address."""

    key: str
    label: str
    values: Mapping[str, object] = field(default_factory=dict)
    row: Mapping[str, object] = field(default_factory=dict)  # of what waits on each letter


_NOTHING_WAITS = {"has_work": False, "relays": 0}
_ONLY_A_GOAL = {"held": 0, "reported": 0, "flagged": 0, "imports": 0, "answers": 0}

CASES: Mapping[str, tuple[MailCase, ...]] = {
    "confirm": (MailCase("person", N_("a person"), {"kind": "person", "names": SignatoryNames("Alice Example")}),),
    "decision": (
        MailCase("approved", N_("approved"), {"state": "confirmed"}),
        MailCase("held", N_("waits again"), {"state": "held"}),
        MailCase("reason", N_("with a reason"), {"why": next(iter(REASONS.values()))}),
    ),
    "removed": (MailCase("no-link", N_("without a page of one’s own"), {"link": None}),),
    "message": (MailCase("no-reply", N_("cannot be answered"), {"reply": None}),),
    "update": (MailCase("test", N_("a test"), {"is_test": True}),),
    "mail_in_letter": (MailCase("closed", N_("cannot be signed by e-mail"), {"can_sign": False}),),
    "mail_in_signed": (MailCase("counted", N_("counted at once"), {"held": False}),),
    "addressee": (MailCase("reminder", N_("a reminder"), {"is_reminder": True}),),
    "waiting": (
        MailCase("goal", N_("a goal has been reached"), _NOTHING_WAITS, _ONLY_A_GOAL),
        MailCase("relay", N_("a relay takes no mail"), {**_NOTHING_WAITS, "relays": 1, "letters": ()}),
    ),
    "desk_act": (
        MailCase("names_shown", N_("names shown again"), {"act": "names_shown"}),
        MailCase("take_down", N_("taken down"), {"act": "take_down", "has_page": False}),
        MailCase("take_over", N_("taken over by an admin"), {"act": "take_over"}),
        MailCase("audit_announced", N_("audit announced"), {"act": "audit_announced"}),
        MailCase("owner_invited", N_("owner invited"), {"act": "owner_invited"}),
        MailCase("owner_added", N_("owner added"), {"act": "owner_added"}),
        MailCase("owner_removed", N_("owner removed"), {"act": "owner_removed"}),
        MailCase("admin_added", N_("admin added"), {"act": "admin_added", "about": None, "has_page": False}),
        MailCase("admin_removed", N_("admin removed"), {"act": "admin_removed", "about": None, "has_page": False}),
    ),
    "import_started": (MailCase("again", N_("restored"), {"is_again": True}),),
    "factor_reset": (MailCase("own", N_("to the account’s owner"), {"is_own": True}),),
}
NEUTRAL = MailCase("neutral", N_("on a sensitive letter"), {"about": None, "names": SignatoryNames()})


def cases_of(name: str) -> Iterator[MailCase]:
    """Yield the other cases of a mail."""
    yield from CASES.get(name, ())
    if name in SIGNATORIES and name != "update":
        yield NEUTRAL
