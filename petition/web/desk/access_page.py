"""The journal of access: counting at the desk, and the pages for a letter's owners and for admins.

What the worker decrypted stands below it.
"""

import contextlib
from collections.abc import Mapping, Sequence

from starlette.responses import Response

from petition.core import access_journal, decryptions
from petition.core.access_journal import JournalKind
from petition.core.database import Record
from petition.core.decryptions import DecryptionPurpose
from petition.core.errors import Unavailable
from petition.core.i18n import N_
from petition.web.desk.page import desk_page
from petition.web.desk.visit import DeskVisit, OpenVisit

LABELS: Mapping[JournalKind, str] = {
    JournalKind.NAMES_READ: N_("signatures read at the desk"),
    JournalKind.NAMES_EXPORTED: N_("rows exported"),
    JournalKind.BY_APP: N_("verified by a code from an app"),
    JournalKind.BY_PASSKEY: N_("verified by a passkey"),
    JournalKind.BY_RECOVERY: N_("verified by a recovery code"),
    JournalKind.WRONG_FACTOR: N_("second factor wrong"),
    JournalKind.OLD_LINK: N_("sign-in link that no longer worked"),
    JournalKind.WRONG_CODE: N_("code of a sign-in link wrong"),
    JournalKind.OTHER_SITE: N_("refused: form sent by another site"),
    JournalKind.NO_LETTER: N_("refused: letter of others, or none"),
    JournalKind.NO_ROLE: N_("refused: the role does not allow it"),
    JournalKind.OVER_LIMIT: N_("refused: too many attempts"),
}

PURPOSES: Mapping[DecryptionPurpose, str] = {
    DecryptionPurpose.CONFIRMATION: N_("mails that answer a signed form"),
    DecryptionPurpose.REMINDER: N_("reminders to confirm"),
    DecryptionPurpose.LOST_LINK: N_("lost links"),
    DecryptionPurpose.SIGNATORY_MAIL: N_("organizers’ decisions and messages to signatories"),
    DecryptionPurpose.UPDATE: N_("updates"),
    DecryptionPurpose.ADDRESS_LIST: N_("export of addresses"),
    DecryptionPurpose.AUDIT: N_("questions of an auditor"),
    DecryptionPurpose.SUPPRESSION: N_("search for addresses that want no more mail, to delete them"),
    DecryptionPurpose.MAIL_IN: N_("signing by mail"),
    DecryptionPurpose.ADDRESSEE: N_("mails to addressees"),
    DecryptionPurpose.ORGANIZER: N_("mails to organizers"),
    DecryptionPurpose.IMPORT: N_("imports"),
    DecryptionPurpose.MODERATION: N_("bulk acts"),
    DecryptionPurpose.REPEATED_NAMES: N_("search for repeated names"),
    DecryptionPurpose.SEALED_NAMES: N_("sealed names, to show them"),
    DecryptionPurpose.KEY_CHECK: N_("check of the key, at start"),
    DecryptionPurpose.OTHER: N_("without a purpose: an error in the program"),
}


async def note(visit: OpenVisit, kind: JournalKind, uses: int = 1) -> None:
    """Count in a transaction of its own; what is being done goes on without it if the database is away."""
    if uses <= 0:
        return
    organizer_id = visit.organizer.id if isinstance(visit, DeskVisit) else None
    letter = visit.letter_or_none if isinstance(visit, DeskVisit) else None
    with contextlib.suppress(Unavailable):
        async with visit.database.transaction() as conn:
            await access_journal.add(conn, kind, organizer_id, letter.id if letter else None, uses)


async def show(visit: DeskVisit) -> Response:
    """Show who looked at the letter's names, its members' sign-ins, and what failed."""
    async with visit.database.connection() as conn:
        rows = await access_journal.of_letter(conn, visit.letter.id)
        decrypted = await decryptions.of_letter(conn, visit.letter.id)
    return _page(visit, rows, decrypted)


async def show_installation(visit: DeskVisit) -> Response:
    """Show the same of all letters, with what strangers failed at."""
    async with visit.database.connection() as conn:
        rows = await access_journal.of_installation(conn)
        decrypted = await decryptions.of_installation(conn)
    return _page(visit, rows, decrypted)


def _page(visit: DeskVisit, rows: Sequence[Record], decrypted: Sequence[Record]) -> Response:
    return desk_page(
        visit,
        "desk/access.html",
        rows=rows,
        labels=LABELS,
        decrypted=decrypted,
        purposes=PURPOSES,
        days=access_journal.DAYS,
        max_rows=access_journal.MAX_ROWS,
    )
