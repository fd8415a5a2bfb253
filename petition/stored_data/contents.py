"""Which values of a signature are stored where, at each stage of its life and its letter's, as the table says.

The search for leaks (tests/leaks) compares this with everything that an installation writes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from petition.stored_data.model import Form, Reader, StoredColumns, StoredContent, Table, TypedValue

NAMING = frozenset({TypedValue.NAME, TypedValue.AFFILIATION, TypedValue.CITY, TypedValue.POSITION})
MAIL = frozenset({"outbox", "contact"})
ATTACHED = frozenset({"note", "message", "report", "typed", "past"})  # go with the names that they are about
SEALED_NAMES = "sealed_names"  # a mark: the letter's names wait until they are shown together
# Marks: news were asked for, or the lost link; a message of the organizers was answered.
UPDATES, LOST_LINK, ANSWERED = "updates", "lost_link", "answered"
DECIDED = "decided"  # a mark: the organizers decided less than ten minutes ago, and a mail about it waits


class SignatureStage(StrEnum):
    """Where a signature stands."""

    PENDING = "pending"
    HELD = "held"  # waits for approval
    REFUSED = "refused"  # removed before its approval
    CONFIRMED = "confirmed"
    REMOVED = "removed"
    WITHDRAWN = "withdrawn"
    DELETED = "deleted"  # by the signatory, or since it was never confirmed
    UPLOADED = "uploaded"  # in a list that is being imported
    UNDONE = "undone"  # the import was


class LetterStage(StrEnum):
    """Where its letter stands."""

    OPEN = "open"
    CLOSED = "closed"  # for a day at least: nothing can be confirmed any more
    DIGESTS_ENDED = "digests_ended"  # for 30 days: the digest key is destroyed
    NAMES_ENDED = "names_ended"
    BURNT = "burnt"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class SignatureCase:
    """One signature at one moment."""

    kind: str  # person, organization
    visibility: str  # public, organizers, counted
    stage: SignatureStage
    letter: LetterStage = LetterStage.OPEN
    marks: frozenset[str] = frozenset()


class StoredValue(NamedTuple):
    """A value in one group of a table's columns."""

    table: Table
    columns: StoredColumns
    form: Form
    value: TypedValue

    @property
    def readers(self) -> tuple[Reader, ...]:
        return self.columns.readers or self.table.readers


def stored(case: SignatureCase, tables: Iterable[Table]) -> Iterator[StoredValue]:
    """Yield what is stored of a signature, in which form; of what nothing can open any more nothing is."""
    for table in tables:
        for columns in table.columns:
            for content in columns.contents:
                form = content.form or columns.form
                if _fits(content, case):
                    for value in content.values:
                        if not _has_ended(table, form, value, case):
                            yield StoredValue(table, columns, form, value)


def _fits(content: StoredContent, case: SignatureCase) -> bool:
    pairs = (
        (content.kinds, case.kind), (content.visibilities, case.visibility), (content.stages, case.stage.value),
    )  # fmt: skip
    return (
        all(not allowed or value in allowed for allowed, value in pairs)
        and content.marks <= case.marks
        and not content.without & case.marks
    )


def _has_ended(table: Table, form: Form, value: TypedValue, case: SignatureCase) -> bool:
    match case.letter:
        case LetterStage.OPEN:
            return False
        case LetterStage.GONE:
            return True
        case _ if case.stage is SignatureStage.PENDING:
            return True
        case LetterStage.BURNT:
            return form is not Form.CLEAR
        case LetterStage.NAMES_ENDED:
            if table.name in MAIL:
                return False
            waits = case.stage in {SignatureStage.HELD, SignatureStage.REFUSED, SignatureStage.UPLOADED}
            has_gone = waits or case.stage is SignatureStage.UNDONE
            return has_gone or value in NAMING or table.name in ATTACHED
        case LetterStage.DIGESTS_ENDED:
            return form is Form.DIGEST
        case _:
            return False
