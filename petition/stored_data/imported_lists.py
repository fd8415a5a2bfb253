"""Tables about lists of signatories that are imported."""

from petition.core.i18n import N_
from petition.stored_data import words
from petition.stored_data.model import Form, Reader, Subject, Table, Until, clear, content, personal

_ABOUT = Subject.SIGNATORIES

TABLES = (
    Table(
        "intake",
        N_("imports of lists"),
        words.TO_IMPORT,
        words.WITH_LETTER,
        (Reader.ORGANIZERS,),
        _ABOUT,
        (
            clear(
                "letter number organizer state format encoding delimiter plan progress total problems report failure"
                " changed created_at ended_at notes",
                words.NUMBERS,
            ),
            personal("about file", N_("name of the file, its header and first rows"), Form.ENCRYPTED),
        ),
    ),
    Table(
        "intake_part",
        N_("files that are being imported"),
        words.TO_IMPORT,
        Until(N_("the end of the import, at most 24 hours")),
        (Reader.ORGANIZERS,),
        _ABOUT,
        (clear("letter number part", words.NUMBERS), personal("bytes", N_("the file"), Form.ENCRYPTED)),
    ),
    Table(
        "intake_problem",
        N_("rows that could not be imported"),
        words.TO_IMPORT,
        Until(N_("%(period)s after the import"), words.UNDONE),
        (Reader.ORGANIZERS,),
        _ABOUT,
        (
            clear("letter number line field reason", words.NUMBERS),
            personal("cells", N_("the row"), Form.ENCRYPTED),
        ),
    ),
    Table(
        "import_row",
        N_("which rows of lists were imported"),
        words.TO_IMPORT,
        words.WITH_LETTER,
        (Reader.PROGRAM,),
        _ABOUT,
        (clear("letter number", words.NUMBERS), personal("import_key", N_("fingerprint of the row"), Form.DIGEST)),
    ),
    Table(
        "import_mapping",
        N_("what the columns of a list mean"),
        words.TO_IMPORT,
        Until(N_("an organizer deletes it")),
        (Reader.ORGANIZERS,),
        Subject.LETTERS,
        (
            clear("letter id name organizer saved_at header_digest", words.NUMBERS),
            personal("fields", N_("header and values"), Form.ENCRYPTED),
        ),
    ),
    Table(
        "undone",
        N_("rows that undoing an import removed"),
        words.TO_IMPORT,
        Until(N_("%(period)s have passed"), words.UNDONE),
        (Reader.ORGANIZERS,),
        _ABOUT,
        (
            clear("letter number signature at", words.NUMBERS),
            personal(
                "sealed",
                N_("the row"),
                Form.ENCRYPTED,
                content("name affiliation city", "person", "public organizers", "undone"),
            ),
            personal("fields organization", N_("the row, until the worker has encrypted it within a minute")),
        ),
    ),
)
