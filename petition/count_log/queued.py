"""What an act that counts leaves for the log: rows of ``count_log_queue``, which the worker takes into the log."""

from dataclasses import dataclass

from petition.count_log.entries import EntryKind, Exit


@dataclass(frozen=True, slots=True)
class QueuedEntry:
    """``number`` more of ``kind`` count or, if it is negative, fewer, for the reason ``exit``.

    ``subject`` is the id of the signature, organization, import or tally.
    """

    kind: EntryKind
    subject: int
    number: int = 1
    exit: Exit = Exit.NONE

    @property
    def columns(self) -> tuple[int, int, int, int]:
        """Return kind, subject, number, exit."""
        return self.kind, self.subject, self.number, self.exit


def queued(kind: EntryKind, subject: int, number: int, exit: Exit) -> tuple[QueuedEntry, ...]:
    """Return the entry for a change by ``number``, ``exit`` being why if it is negative; nothing for 0."""
    if not number:
        return ()
    return (QueuedEntry(kind, subject, number, exit if number < 0 else Exit.NONE),)


def of_organization(
    subject: int, *, before: bool | None, after: bool | None, exit: Exit = Exit.REGROUPED
) -> tuple[QueuedEntry, ...]:
    """Return the entries for an organization that is listed by a file (True), otherwise (False), or not (None)."""
    if before == after:
        return ()
    reason = exit if after is None else Exit.REGROUPED
    left = () if before is None else (QueuedEntry(_kind(before), subject, -1, reason),)
    joined = () if after is None else (QueuedEntry(_kind(after), subject),)
    return left + joined


def _kind(listed: bool) -> EntryKind:
    return EntryKind.LISTED_ORGANIZATION if listed else EntryKind.ORGANIZATION
