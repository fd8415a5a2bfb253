"""The acts of signatories on their own signature: read it, change who sees the name, correct it, withdraw, delete.

Each act is one transaction.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime

from petition.core.database import Connection, Database, Record
from petition.core.encryption import LetterKeys, Sealer
from petition.core.errors import KeyDestroyed, NotFound, Refused
from petition.core.i18n import N_
from petition.core.ids import SignatureId
from petition.count_log.entries import Exit
from petition.letters.model import Letter
from petition.letters.parties import Party
from petition.signatures import counting, countries, names, sealed_names, search_words
from petition.signatures import self_service_queries as queries
from petition.signatures.counting import CountChange, EntryChange
from petition.signatures.forms import CHOOSE_VISIBILITY, country_of, optional_text
from petition.signatures.model import AFFILIATION, Kind, Reason, SignatureState, Visibility

NAME_NEEDED = N_("We never stored your name. To show it, enter it here.")
NOT_NOW = N_("This signature can no longer be changed.")
NAMES_GONE = N_("The names of this letter have been deleted, as it had promised. None can be stored any more.")
NOT_LATER = N_("This needs a mailbox at the organization: withdraw your signature, then sign again with that mailbox.")
NO_NAME = N_("We do not store your name, so there is nothing to correct.")

DETAILS = {Kind.PERSON: ("affiliation", "city"), Kind.ORGANIZATION: ("position",)}
CORRECTABLE = ("affiliation", "city", "position", "country")
HIDEABLE = ("name", "affiliation", "city", "position")


@dataclass(frozen=True, slots=True)
class SignatureDetails:
    """All that is stored of a signature, for its signatory. ``as_json`` publishes the names of these fields."""

    kind: Kind
    state: SignatureState
    visibility: Visibility
    name: str | None
    affiliation: str | None
    city: str | None
    country: str | None
    position: str | None
    organization_en: str | None
    organization_ru: str | None
    website: str | None
    address_kept_for: tuple[str, ...]  # "updates": until they are stopped; "representative"; "audit"
    representatives_kept_until: datetime | None  # None: until the organizers have decided, and 30 days more
    imported: bool
    version: int | None
    consent: int | None  # the version of the consent's text
    read_lang: str | None
    mail_lang: str | None
    signals: Mapping[str, object]  # for moderators, worked out when signing
    flags: tuple[str, ...]  # why moderators should look
    signed_at: datetime | None
    listed_at: datetime
    removed_for: Reason | None
    visible_until: date | None  # from that day on (UTC) the name is hidden
    hide_as: Visibility | None  # its visibility then
    employer: Mapping[str, str] | None = None  # its names: shown is an employee of it, and no name is stored
    is_sealed: bool = False  # names are stored, and no one can read them until they are shown with all others

    @property
    def employer_party(self) -> Party | None:
        return Party(self.employer) if self.employer else None

    @property
    def fields(self) -> dict[str, str]:
        """Return the stored names and details that are not empty; the country as a code."""
        keys = ("name", "affiliation", "city", "country", "position", "organization_en", "organization_ru", "website")
        return {key: value for key in keys if (value := getattr(self, key))}

    def as_json(self) -> dict[str, object]:
        """Return everything, for the signatory to download; times as ISO 8601 in UTC."""
        stored = asdict(self) | ({"visibility": AFFILIATION} if self.employer else {})
        return {
            key: value.isoformat().replace("+00:00", "Z") if isinstance(value, date) else value
            for key, value in stored.items()
        }


async def load(database: Database, letter: Letter, signature_id: SignatureId) -> SignatureDetails:
    """Return what is stored. Raises ``NotFound``."""
    async with database.connection() as conn:
        row = await queries.load(conn, letter.id, signature_id)
    if row is None:
        raise NotFound("there is no such signature")
    return _details_in(row, letter.keys)


def _details_in(row: Record, keys: LetterKeys) -> SignatureDetails:
    hidden = _revealed(row, keys)
    return SignatureDetails(
        kind=Kind(row["kind"]),
        state=SignatureState(row["state"]),
        visibility=Visibility(row["visibility"]),
        name=row["name"] or hidden.get("name"),
        affiliation=row["affiliation"] or hidden.get("affiliation"),
        city=row["city"] or hidden.get("city"),
        country=row["country"],
        position=row["position"] or hidden.get("position"),
        organization_en=row["name_en"] or hidden.get("organization_en"),
        organization_ru=row["name_ru"] or hidden.get("organization_ru"),
        website=row["website"] or hidden.get("website"),
        address_kept_for=tuple(row["purposes"]),
        representatives_kept_until=row["kept_until"],
        imported=row["import"] is not None,
        version=row["version"],
        consent=row["consent"],
        read_lang=row["read_lang"],
        mail_lang=row["mail_lang"],
        signals=row["signals"] or {},
        flags=tuple(row["flags"]),
        signed_at=row["signed_at"],
        listed_at=row["listed_at"],
        removed_for=Reason(row["removed_for"]) if row["removed_for"] in set(Reason) else None,
        is_sealed=row["sealed"] is not None,
        employer=row["employer_names"],
        visible_until=row["visible_until"],
        hide_as=Visibility(row["hide_as"]) if row["hide_as"] else None,
    )


def _revealed(row: Record, keys: LetterKeys) -> dict[str, str]:
    if row["private"] is None:
        return {}
    try:
        return keys.reveal(row["private"])
    except KeyDestroyed:
        return {}


async def change_visibility(
    database: Database,
    letter: Letter,
    signature_id: SignatureId,
    visibility: str,
    name: str,
    sealer: Sealer | None = None,
) -> None:
    """Change who may see the name; ``name`` is needed when none is stored. Raises ``Refused``, ``NotFound``."""
    async with database.transaction() as conn:
        row = await lock(conn, letter, signature_id)
        if visibility == AFFILIATION:
            if row["employer"] is None:  # the address that would prove it is gone
                raise Refused(NOT_LATER if letter.offered_employers else CHOOSE_VISIBILITY, "visibility")
            return
        try:
            after = Visibility(visibility)
        except ValueError:
            raise Refused(CHOOSE_VISIBILITY, "visibility") from None
        if after is Visibility.COUNTED and row["kind"] == Kind.ORGANIZATION:
            raise Refused(CHOOSE_VISIBILITY, "visibility")
        fields, sealed = fields_of(row, letter.keys), row["sealed"]
        if after is not Visibility.COUNTED and sealed is None and not fields.get("name"):
            fields["name"] = _clean_name(name, NAME_NEEDED)
            if letter.seals_names:
                fields, sealed = sealed_names.split(sealer, fields)
        await store(conn, letter, row, fields, after, sealed)


async def correct(
    database: Database,
    letter: Letter,
    signature_id: SignatureId,
    name: str,
    details: Mapping[str, str] | None = None,
    languages: tuple[str, ...] = countries.DEFAULT_LANGUAGES,
    sealer: Sealer | None = None,
) -> tuple[str, ...]:
    """Correct the name, and those ``details`` (of ``CORRECTABLE``) that are there; an empty one is erased.

    A detail that cannot be read stays as it was: return those. What is sealed is replaced as a whole. Countries are
    known by their names in ``languages``.
    Raises ``Refused``, ``NotFound``.
    """
    async with database.transaction() as conn:
        row = await lock(conn, letter, signature_id)
        if row["visibility"] == Visibility.COUNTED:
            raise Refused(NO_NAME)
        fields = fields_of(row, letter.keys) | {"name": _clean_name(name, names.MISSING_PERSON)}
        corrected = _read_details(Kind(row["kind"]), details or {}, languages)
        usable = {key: text for key, text in corrected.items() if text is not None}
        if "country" in usable:
            code = usable.pop("country")
            await queries.set_country(conn, letter.id, signature_id, code or None)
            fields |= {"country": code} if "country" in fields else {}
        fields, sealed = fields | usable, None
        if letter.seals_names or row["sealed"] is not None:
            fields, sealed = sealed_names.split(sealer, fields)
        await store(conn, letter, row, fields, Visibility(row["visibility"]), sealed)
        return tuple(key for key, text in corrected.items() if text is None)


async def withdraw(database: Database, letter: Letter, signature_id: SignatureId) -> None:
    """Erase everything personal and count one less; the mailbox may sign again. A second time changes nothing.

    Raises ``Refused``, ``NotFound``.
    """
    async with database.transaction() as conn:
        # lock order: see docs/decisions/lock-order.md
        await queries.delete_pending(conn, letter.id, signature_id)
        row = await queries.load(conn, letter.id, signature_id, lock=True)
        if row is None:
            raise NotFound("there is no such signature")
        if row["state"] == SignatureState.REMOVED:
            raise Refused(NOT_NOW)
        await _lock_organization(conn, row)
        if await queries.withdraw(conn, letter.id, signature_id):
            await _erase(conn, row)
            await _count_less(conn, row)


async def delete(database: Database, letter: Letter, signature_id: SignatureId) -> None:
    """Delete the row as well, or a pending one. The mailbox of a removed signature stays barred."""
    async with database.transaction() as conn:
        # lock order: see docs/decisions/lock-order.md
        await queries.delete_pending(conn, letter.id, signature_id)
        row = await queries.load(conn, letter.id, signature_id, lock=True)
        if row is None:
            return
        await _lock_organization(conn, row)
        if row["state"] == SignatureState.REMOVED and row["digest"] is not None:
            await queries.make_bar_permanent(conn, letter.id, row["digest"])
        await queries.delete(conn, letter.id, signature_id)
        await _erase(conn, row)
        await _count_less(conn, row)


async def lock(conn: Connection, letter: Letter, signature_id: SignatureId) -> Record:
    """Return the row of a signature that counts or waits, locked. Raises ``Refused``, ``NotFound``."""
    row = await queries.load(conn, letter.id, signature_id, lock=True)
    if row is None:
        raise NotFound("there is no such signature")
    if row["state"] not in {SignatureState.CONFIRMED, SignatureState.HELD}:
        raise Refused(NOT_NOW)
    if row["names_have_ended"]:
        raise Refused(NAMES_GONE)
    return row


def fields_of(row: Record, keys: LetterKeys) -> dict[str, str]:
    """Return the stored fields, encrypted or not. Raises ``Refused`` if they cannot be read any more."""
    if row["private"] is not None:
        try:
            return keys.reveal(row["private"])
        except KeyDestroyed:
            raise Refused(NOT_NOW) from None
    return {key: row[key] for key in HIDEABLE if row[key]}


def _clean_name(name: str, message_if_missing: str) -> str:
    name = names.clean(name)
    if not name:
        raise Refused(message_if_missing, "name")
    if problem := names.problem_of_person(name):
        raise Refused(problem, "name")
    return name


def _read_details(kind: Kind, details: Mapping[str, str], languages: tuple[str, ...]) -> dict[str, str | None]:
    """Return the details of a kind, the country as a code; None for one that cannot be read."""
    texts = {key: optional_text(details[key]) for key in DETAILS[kind] if key in details}
    read = {key: text if names.problem_of_detail(text) is None else None for key, text in texts.items()}
    if "country" in details:
        read["country"] = country_of(details["country"], languages)
    return read


async def store(
    conn: Connection,
    letter: Letter,
    row: Record,
    fields: dict[str, str],
    visibility: Visibility,
    sealed: bytes | None = None,
    employer_id: int | None = None,
) -> None:
    """Store the fields as ``visibility`` allows; update the search words and the count.

    ``sealed`` are the fields that only the worker can open; ``employer_id`` is of a later form of an employee.
    """
    # lock order: see docs/decisions/lock-order.md
    if visibility is Visibility.COUNTED:
        sealed = None
    columns = columns_of(letter.keys, row, fields, visibility, is_sealed=sealed is not None)
    await queries.store_names(conn, letter.id, row["id"], visibility.value, columns, sealed, employer_id)
    if row["state"] != SignatureState.CONFIRMED:
        return
    purge = counting.is_named_on_pages(row)
    if row["kind"] != Kind.PERSON:  # a representative, who is not in the count
        await counting.apply(conn, letter.id, CountChange(), purge=purge)
        return
    name_key = columns[4]
    if row["name_key"]:
        await search_words.remove_unused(conn, letter.id, Kind.PERSON, names.words(row["name_key"]))
    if isinstance(name_key, str):
        await search_words.add(conn, [(letter.id, Kind.PERSON, word) for word in names.words(name_key)])
    # The count may stay the same (one name hides while another appears), but the letter's cached page has the name.
    revision = letter.names_in_search and visibility is Visibility.PUBLIC
    change = CountChange.of_visibility(row["visibility"], visibility)
    if visibility is Visibility.COUNTED:
        change += CountChange.without_partner(row)
    revision = revision or bool(change.partners)
    await counting.apply(conn, letter.id, change, revision=revision, purge=purge)


def columns_of(
    keys: LetterKeys, row: Record, fields: dict[str, str], visibility: Visibility, *, is_sealed: bool = False
) -> tuple[str | bytes | None, ...]:
    """Return name, affiliation, city, position, name_key, private of a signature with ``kind`` and ``state``.

    ``is_sealed``: only an organization that waits has other fields than those that are sealed.
    """
    has_no_names = is_sealed and not (row["state"] == SignatureState.HELD and row["kind"] == Kind.ORGANIZATION)
    if visibility is Visibility.COUNTED or has_no_names:
        return None, None, None, None, None, None
    if row["state"] == SignatureState.HELD:
        return None, None, None, None, None, keys.hide(fields | {"visibility": visibility.value})
    stored = {key: fields[key] for key in HIDEABLE if fields.get(key)}
    if visibility is Visibility.ORGANIZERS:
        return None, None, None, None, None, keys.hide(stored)
    name_key = names.fold(stored["name"]) if row["kind"] == Kind.PERSON else None
    return stored.get("name"), stored.get("affiliation"), stored.get("city"), stored.get("position"), name_key, None


async def _lock_organization(conn: Connection, row: Record) -> None:
    """Lock a representative's organization, before its signature is changed: an import that holds the organization
    waits for a changed signature of the same mailbox, and passes one that is only locked."""
    if row["organization"] is not None:
        await queries.lock_organization(conn, row["letter"], row["organization"])


async def _erase(conn: Connection, row: Record) -> None:
    """Delete what other tables store: the address, notes and reports, the search words of the name."""
    await queries.delete_attached(conn, row["letter"], row["id"])
    if row["kind"] == Kind.PERSON and row["name_key"]:
        await search_words.remove_unused(conn, row["letter"], Kind.PERSON, names.words(row["name_key"]))


async def _count_less(conn: Connection, row: Record) -> None:
    if row["state"] != SignatureState.CONFIRMED:
        return
    imported = row["import"] is not None
    change = CountChange.of_signature(row, row["visibility"], import_number=row["import"], sign=-1)
    if row["kind"] == Kind.PERSON:
        # Another name may come at the same moment, so that the count stays the same.
        await counting.apply(conn, row["letter"], change, purge=counting.is_named_on_pages(row))
    elif row["organization"] is not None:
        entry = await _entry_less(conn, row, imported=imported)
        change += CountChange.of_entries(entry, exit=Exit.WITHDRAWN)
        # The count may stay the same, while the partner's or the list changes.
        purge = bool(entry.organizations) or counting.is_named_on_pages(row)
        await counting.apply(conn, row["letter"], change, revision=bool(change.partners), purge=purge)


async def _entry_less(conn: Connection, row: Record, *, imported: bool) -> EntryChange:
    """Return what a representative's leaving does to the entry; delete it when no signature points to it."""
    letter_id, organization_id = row["letter"], row["organization"]
    name_key = await queries.lock_organization(conn, letter_id, organization_id)
    now = await queries.count_of_organization(conn, letter_id, organization_id)
    if not now["signatures"]:
        await queries.delete_organization(conn, letter_id, organization_id)
        await search_words.remove_unused(conn, letter_id, Kind.ORGANIZATION, names.words(name_key))
    is_imported = bool(now["imported"])
    before = {organization_id: imported or is_imported}
    return EntryChange(before, {organization_id: is_imported} if now["confirmed"] else {})
