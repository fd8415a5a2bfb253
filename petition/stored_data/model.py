"""How a table of the database is described: what, why, until when, its readers, and the form of each column."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from petition.core.i18n import N_


class Form(StrEnum):
    """How a value is stored; the values are messages for the catalogues."""

    CLEAR = N_("as it is")
    ENCRYPTED = N_("encrypted; opened with the letter’s key")
    SEALED = N_("sealed; only the worker can open it")
    FOR_OTHERS = N_("only the key’s owner can open it; we do not have it")
    DIGEST = N_("fingerprint under a secret key")
    WRAPPED = N_("key, encrypted under the installation’s secret")


class Reader(StrEnum):
    """Who can read a value; the values are messages for the catalogues."""

    EVERYONE = N_("everyone")
    SIGNATORY = N_("the signatory")
    ORGANIZERS = N_("the letter’s organizers")
    OWNERS = N_("the letter’s owners")
    AUDITOR = N_("the letter’s auditor")
    ADMINS = N_("administrators")
    WORKER = N_("the program that sends e-mail")
    PROGRAM = N_("only the program")


class Subject(StrEnum):
    """What a table is about; the values are messages for the catalogues."""

    SIGNATORIES = N_("signatories")
    ORGANIZERS = N_("organizers")
    ADDRESSEES = N_("addressees")
    LETTERS = N_("letters")
    INSTALLATION = N_("the installation")


class TypedValue(StrEnum):
    """What a signatory types. The search for leaks (tests/leaks) finds it where ``StoredContent`` says, or fails."""

    NAME = "name"
    AFFILIATION = "affiliation"
    CITY = "city"
    POSITION = "position"
    ORGANIZATION = "organization"
    WEBSITE = "website"
    ADDRESS = "address"
    MESSAGE = "message"  # an answer to the organizers


@dataclass(frozen=True, slots=True)
class StoredContent:
    """Values that a column has, and of which signatures: words of ``SignatureCase``, none of which stand for all."""

    values: frozenset[TypedValue]
    kinds: frozenset[str] = frozenset()
    visibilities: frozenset[str] = frozenset()
    stages: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()  # that it has
    without: frozenset[str] = frozenset()  # that it does not have
    form: "Form | None" = None  # within the column's own


def content(
    values: str,
    kinds: str = "",
    visibilities: str = "",
    stages: str = "",
    *,
    marks: str = "",
    without: str = "",
    form: Form | None = None,
) -> StoredContent:
    """Return what a column has; each argument is words, a space apart."""
    typed = frozenset(TypedValue(value) for value in values.split())
    kind, visibility, stage, has, lacks = (
        frozenset(text.split()) for text in (kinds, visibilities, stages, marks, without)
    )
    return StoredContent(typed, kind, visibility, stage, has, lacks, form)


@dataclass(frozen=True, slots=True)
class RetentionPeriod:
    """A length of time that the page says and the retention job keeps."""

    number: int
    unit: str = "days"  # or "hours"

    @property
    def sql(self) -> str:
        return f"interval '{self.number} {self.unit}'"


@dataclass(frozen=True, slots=True)
class Until:
    """When a row ends: a message for the catalogues, in which ``%(period)s`` is the period."""

    text: str
    period: RetentionPeriod | None = None


@dataclass(frozen=True, slots=True)
class Expiry:
    """Rows of a table that the retention job deletes, or (with ``erased``) whose columns it sets to null."""

    key: str  # columns of the primary key
    condition: str  # SQL
    table: str = ""  # another one than that of the entry
    erased: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredColumns:
    """StoredColumns of one form and meaning; ``what`` is a message for the catalogues."""

    names: tuple[str, ...]
    what: str
    form: Form = Form.CLEAR
    is_personal: bool = False
    contents: tuple[StoredContent, ...] = ()
    readers: tuple[Reader, ...] = ()  # fewer than the table's


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the database."""

    name: str
    what: str
    why: str
    until: Until
    readers: tuple[Reader, ...]
    about: Subject
    columns: tuple[StoredColumns, ...]
    expiry: tuple[Expiry, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(name for group in self.columns for name in group.names)

    @property
    def is_personal(self) -> bool:
        return any(group.is_personal for group in self.columns)


def clear(names: str, what: str) -> StoredColumns:
    """Return columns that say nothing of a person."""
    return StoredColumns(tuple(names.split()), what)


def personal(
    names: str, what: str, form: Form = Form.CLEAR, *contents: StoredContent, readers: tuple[Reader, ...] = ()
) -> StoredColumns:
    """Return columns that are about a person; ``contents`` say what they have of what signatories type."""
    return StoredColumns(tuple(names.split()), what, form, is_personal=True, contents=contents, readers=readers)


def secret(names: str, what: str) -> StoredColumns:
    """Return keys."""
    return StoredColumns(tuple(names.split()), what, Form.WRAPPED)


def by_name(tables: Iterable[Sequence[Table]]) -> dict[str, Table]:
    """Return all tables by name. Raises ``ValueError`` if one is described twice."""
    entries = [table for part in tables for table in part]
    named = {table.name: table for table in entries}
    if len(named) < len(entries):
        raise ValueError("a table is described twice")
    return named
