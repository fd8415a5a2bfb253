"""Signatories as an export writes them."""

from collections.abc import Iterable
from dataclasses import asdict

from petition.exports import whole_letter, writers
from petition.exports.writers import Format
from petition.signatures import csv_format
from petition.signatures.csv_format import Entry


def csv_file(entries: Iterable[Entry]) -> str:
    """Return a file of ``entries``."""
    writer = writers.writer(Format.CSV, csv_format.COLUMNS)
    rows = [asdict(entry) | {"signed_at": writers.timestamp(entry.signed_at)} for entry in entries]
    content = writer.begin() + writer.rows([whole_letter.csv_row(row) for row in rows]) + writer.end()
    return content.decode()
