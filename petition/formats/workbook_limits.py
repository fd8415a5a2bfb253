"""Limits of what is read from workbooks and archives, and the reasons why one is refused.

Imported by the program in ``xlsx_process``, so it imports nothing else of Petition.
"""

HOSTILE, LOCKED, NO_SHEET, NOT_A_WORKBOOK, TOO_LARGE = "hostile", "locked", "no sheet", "damaged", "large"
BINARY_BOOK, DOCUMENT, NUMBERS, SEVERAL, NO_TABLE = "xlsb", "document", "numbers", "several", "no table"

MAX_UNPACKED = 256 * 1024 * 1024  # bytes of all entries of the archive
MAX_MEMBER = 128 * 1024 * 1024  # bytes of the one file of an archive
MAX_RATIO = 300  # to 1, of an entry of more than a megabyte; real sheets have up to 60
MAX_ENTRIES = 1000
MAX_ROWS = 1_048_576  # Microsoft, "Excel specifications and limits"
MAX_CELLS = 200  # of a row; further ones are dropped
MAX_CELL = 32_767  # characters; same source
MAX_HEAD = 30  # rows of each sheet among which the header is looked for
MAX_HEAD_CELL = 120  # characters of a cell there
MAX_SHEETS = 50  # that are offered


class WorkbookRefused(Exception):
    """The file cannot be read; the argument is one of the reasons above."""
