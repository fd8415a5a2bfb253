"""No statement returns or changes another letter's rows, on plain tables and on partitioned ones."""

import re
from pathlib import Path

import pytest

import petition
from petition.core import resources

SOURCES = (Path(petition.__file__).parent, resources.folder("migrations"))
# Row addresses compared with something: they repeat between the partitions of a table.
COMPARED = re.compile(r"(?:\w+\.)?\bctid\s*(?:=|<|>|IN\b)|(?:=|<|>)\s*(?:\w+\.)?ctid\b", re.IGNORECASE)
OF_ONE_LETTER = re.compile(r"\bletter = \$\d+\s+AND\s+$")


def without_letter(text: str) -> list[str]:
    """Return each comparison of row addresses before which no letter stands."""
    return [
        found[0]
        for found in COMPARED.finditer(text)
        if not OF_ONE_LETTER.search(text, max(0, found.start() - 60), found.start())
    ]


@pytest.mark.parametrize(
    ("text", "is_bound"),
    [
        ("DELETE FROM note WHERE ctid = ANY (ARRAY(SELECT ctid FROM note WHERE letter = $1))", False),
        ("DELETE FROM note WHERE letter = $1 AND ctid = ANY (ARRAY(SELECT ctid FROM note WHERE letter = $1))", True),
        ("FROM best JOIN signature s ON s.ctid = best.place", False),
        ("FROM best JOIN signature s ON best.place = s.ctid AND s.letter = $1", False),
        ("FROM best JOIN signature s ON s.letter = $1 AND s.ctid = best.place", True),
        ("UPDATE note SET at = now() WHERE ctid IN (SELECT ctid FROM note WHERE letter = $1)", False),
    ],
)
def test_what_counts_as_bound(text: str, is_bound: bool) -> None:
    assert (without_letter(text) == []) is is_bound


def test_no_row_address_without_its_letter() -> None:
    files = [file for folder in SOURCES for suffix in ("*.py", "*.sql") for file in folder.rglob(suffix)]
    texts = {file.name: file.read_text(encoding="utf-8") for file in files}
    assert sum(bool(COMPARED.search(text)) for text in texts.values()) >= 2, "the expression finds none"
    assert {name: found for name, text in texts.items() if (found := without_letter(text))} == {}
