"""Audits as they are published: what was announced, drawn and answered."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from petition.audits import randomness
from petition.audits.binomial import CONFIDENCE, upper_bound
from petition.audits.randomness import RandomSource
from petition.core.i18n import N_, Language

MIN_FRAME = 50  # people who agreed; fewer could be guessed
MIN_SAMPLE, MAX_SAMPLE = 20, 5000
MIN_ANSWERS = 10  # with fewer no answers are published: a denial among two would be one of two people's
NOTICE = timedelta(hours=24)  # between the announcement and the draw
MIN_NOTICE = timedelta(hours=12)  # between the published frame and the draw
MAX_NOTICE = timedelta(days=60)
DRAW_WITHIN = timedelta(days=14)  # after the randomness is there
ANSWER_DAYS = 14


class AuditState(StrEnum):
    PREPARING = "preparing"  # the worker makes the frame
    ANNOUNCED = "announced"
    DRAWING = "drawing"  # the value is there; the worker draws
    ASKING = "asking"
    DONE = "done"
    ABANDONED = "abandoned"

    @property
    def is_over(self) -> bool:
        return self in (AuditState.DONE, AuditState.ABANDONED)


class AbandonReason(StrEnum):
    OWNER = "owner"
    AUDITOR = "auditor"
    FEW = "few"
    LATE = "late"
    SENSITIVE = "sensitive"
    BURNT = "burnt"


ABANDONED_WHY = {
    AbandonReason.OWNER: N_("by an owner of the letter, before the draw"),
    AbandonReason.AUDITOR: N_("by the auditor, before the draw"),
    AbandonReason.FEW: N_("too few people had agreed to be asked"),
    AbandonReason.LATE: N_("nothing was drawn in time"),
    AbandonReason.SENSITIVE: N_("the letter has been marked as sensitive"),
    AbandonReason.BURNT: N_("the letter’s keys have been destroyed"),
}


@dataclass(frozen=True, slots=True)
class AuditResult:
    """How an audit ended. ``signed`` and ``denied`` are None if fewer than ``MIN_ANSWERS`` answered."""

    sample: int
    unreached: int
    signed: int | None
    denied: int | None
    ended_at: datetime

    @property
    def asked(self) -> int:
        return self.sample - self.unreached

    @property
    def answered(self) -> int | None:
        return None if self.signed is None or self.denied is None else self.signed + self.denied

    @property
    def silent(self) -> int | None:
        """Return how many were asked and have not answered."""
        return None if self.answered is None else self.asked - self.answered

    @property
    def bound(self) -> float | None:
        """Return the share that did not sign, at most, at 95 % (Clopper–Pearson), of those who answer."""
        return None if self.answered is None else upper_bound(self.denied or 0, self.answered)

    @property
    def worst_bound(self) -> float | None:
        """Return the same if no one who did not answer had signed."""
        return None if self.answered is None else upper_bound((self.denied or 0) + (self.silent or 0), self.asked)

    def worst_bound_text(self, language: Language) -> str:
        """Return ``worst_bound`` as a percentage in words, rounded up."""
        return language.decimal(rounded_up(self.worst_bound or 0))

    def sentence(self, language: Language) -> str:
        """Return the result as it may be quoted."""
        if self.answered is None:
            return language.gettext(_FEW) % {"asked": language.number(self.asked)}
        values = {
            "asked": language.number(self.asked),
            "answered": language.number(self.answered),
            "denied": language.number(self.denied or 0),
            "bound": language.decimal(rounded_up(self.bound or 0)),
            "confidence": language.decimal(CONFIDENCE * 100),
        }
        return language.gettext(_PARTLY if self.silent else _ALL) % values

    def as_json(self) -> dict[str, object]:
        return {
            "asked": self.asked,
            "answered": self.answered,
            "signed": self.signed,
            "denied": self.denied,
            "silent": self.silent,
            "unreached": self.unreached,
            "confidence": CONFIDENCE,
            "at_most": self.bound,
            "at_most_if_silent_denied": self.worst_bound,
            "ended_at": _time(self.ended_at),
        }


_ALL = N_("%(asked)s asked, %(denied)s denied: at most %(bound)s %% at %(confidence)s %%")
_PARTLY = N_(
    "%(asked)s asked, %(answered)s answered, %(denied)s denied: at most %(bound)s %% at %(confidence)s %% of those who "
    "answer"
)
_FEW = N_("%(asked)s asked; too few answered to say anything")


def rounded_up(share: float) -> float:
    """Return a share as a percentage, rounded up to a tenth: a bound is never said lower than it is."""
    return math.ceil(share * 1000 - 1e-9) / 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The entries that are drawn from, as they were published before the randomness existed."""

    origin: str
    size: int  # of the log
    root: bytes
    entries: int  # how many
    digest: bytes  # of the published text


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedAudit:
    """An audit of a letter as everyone may see it: nothing in it is about one person."""

    number: int
    state: AuditState
    reason: AbandonReason | None
    auditor: str
    sample: int
    source: RandomSource
    round: int | None
    description: str | None
    draw_at: datetime
    announced_at: datetime | None
    frame: Frame | None
    value: str | None
    drawn: Sequence[int] | None
    ends_at: datetime | None
    ended_at: datetime | None
    result: AuditResult | None

    @property
    def why_abandoned(self) -> str | None:
        """Return why, as a message for the catalogues."""
        return ABANDONED_WHY[self.reason] if self.reason else None

    @property
    def value_address(self) -> str | None:
        """Return where drand publishes the value."""
        return randomness.address_of(self.round) if self.round is not None else None

    def as_json(self, base_url: str, slug: str) -> dict[str, object]:
        """Return it with all that is needed to draw again."""
        return {
            **self.announcement(base_url, slug),
            "drawn": None if self.drawn is None else list(self.drawn),
            "result": self.result and self.result.as_json(),
        }

    def announcement(self, base_url: str, slug: str) -> dict[str, object]:
        """Return what was announced, and how far it is; times as ISO 8601 in UTC."""
        return {
            "number": self.number,
            "state": self.state.value,
            "abandoned": self.reason and self.reason.value,
            "auditor": self.auditor,
            "announced_at": _time(self.announced_at),
            "sample": self.sample,
            "draw": {
                "source": self.source.value,
                "chain": randomness.CHAIN if self.source is RandomSource.DRAND else None,
                "round": self.round,
                "description": self.description,
                "at": _time(self.draw_at),
                "value": self.value,
            },
            "frame": self._frame_as_json(base_url, slug),
            "answers_until": _time(self.ends_at),
            "ended_at": _time(self.ended_at),
        }

    def _frame_as_json(self, base_url: str, slug: str) -> dict[str, object] | None:
        if self.frame is None:
            return None
        return {
            "log": self.frame.origin,
            "log_size": self.frame.size,
            "root": base64.b64encode(self.frame.root).decode(),
            "entries": self.frame.entries,
            "sha256": self.frame.digest.hex(),
            "url": f"{base_url}/log/{slug}/audits/{self.number}",
        }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds").replace("+00:00", "Z")
