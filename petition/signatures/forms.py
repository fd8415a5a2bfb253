"""The form's input, turned into trusted values or into error messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from petition.core import email_addresses, mail_domains
from petition.core.email_addresses import BadAddress, Mailbox
from petition.core.i18n import N_
from petition.core.text_cleaning import has_direction_mark, has_hidden
from petition.formats.cells import is_placeholder
from petition.letters.parties import Employer
from petition.signatures import countries, names, signals
from petition.signatures.model import AFFILIATION, Kind, Visibility

CHOOSE_VISIBILITY = N_("Choose who may see the name.")
CHOOSE_KIND = N_("Choose whether you sign for yourself or for an organization.")
AGREE = N_("We need your consent: without it we may not keep anything.")
WEBSITE = N_("This is not a web address. It should look like https://example.org.")

NOT_AN_EMPLOYER = N_("To sign as an employee, enter your mailbox on a domain of one of these organizations.")
NOT_TAGGED = N_("Enter this address without “+” and what follows it.")

MAX_WEBSITE = 200  # characters

# All fields of each form, in the order of the form and of its errors.
FIELDS = {
    Kind.PERSON: ("kind", "visibility", "name", "email", "city", "affiliation", "country", "updates", "consent"),
    Kind.ORGANIZATION: (
        *("kind", "organization_en", "organization_ru", "website"),
        *("visibility", "name", "position", "email", "country", "updates", "consent"),
    ),
}
_KINDS, _OF_PERSONS = frozenset(Kind), tuple(Visibility)
BOXES = ("updates", "consent")
LEFT_OUT = "left_out"  # beside the fields of a pending signature: those that were left out, a space apart


@dataclass(slots=True)  # of each form: frozen, it takes four times as long to make
class SignForm:
    """A form without errors."""

    kind: Kind
    mailbox: Mailbox = field(repr=False)
    visibility: Visibility
    fields: Mapping[str, str] = field(repr=False)  # that the visibility allows to store
    signals: Mapping[str, object] | None
    left_out: tuple[str, ...] = ()  # optional fields in which something was typed that cannot be stored


def prepare(languages: tuple[str, ...] = countries.DEFAULT_LANGUAGES) -> None:
    """Load the tables that forms are checked against, so that the first visitor does not wait for them (a second)."""
    countries.prepare(languages)
    mail_domains.is_throwaway("")


def kind_of(form: Mapping[str, str]) -> Kind:
    """Return the kind of signature whose form is to be shown; a person's unless an organization's is asked for."""
    return Kind.ORGANIZATION if form.get("kind") == Kind.ORGANIZATION else Kind.PERSON


def is_ticked(form: Mapping[str, str], key: str) -> bool:
    """Return whether a box is ticked. Our own forms send "yes", but another program's "no" is no consent."""
    return form.get(key, "").strip().lower() not in {"", "0", "no", "off", "false"}


def read(
    form: Mapping[str, str],
    languages: tuple[str, ...] = countries.DEFAULT_LANGUAGES,
    employers: Sequence[Employer] = (),
) -> SignForm | dict[str, str]:
    """Return the valid form, or the errors: field → message for the catalogues, in the order of the fields.

    Only fields of the kind are read; without ``kind`` it is a person's form. What is optional and cannot be stored is
    left out and never an error. Country names are known in ``languages``; ``employers`` are those that are offered.
    """
    reader = _FormReader(form, languages)
    if employers and form.get("visibility") == AFFILIATION and kind_of(form) is Kind.PERSON:
        return reader.employee(employers)
    return reader.organization() if kind_of(form) is Kind.ORGANIZATION else reader.person()


class _FormReader:
    """Reads one form, collecting errors."""

    def __init__(self, form: Mapping[str, str], languages: tuple[str, ...]) -> None:
        self._form = form
        self._languages = languages
        self._errors: dict[str, str] = {}
        self._fields: dict[str, str] = {}
        self._left_out: list[str] = []
        if form.get("kind", Kind.PERSON) not in _KINDS:
            self._errors["kind"] = CHOOSE_KIND

    def person(self) -> SignForm | dict[str, str]:
        visibility = self._visibility(_OF_PERSONS)
        if visibility is not Visibility.COUNTED:
            # For `counted` the identifying fields are never read, so they cannot be stored by mistake.
            self._name()
            for detail in ("affiliation", "city"):
                self._detail(detail)
            self._country()
        return self._finish(Kind.PERSON, self._rest(), visibility, [self._fields.get("name", "")])

    def employee(self, employers: Sequence[Employer]) -> SignForm | dict[str, str]:
        # As for `counted`: the identifying fields are never read. The employer is known by the mailbox alone.
        mailbox = self._rest()
        if mailbox is not None:
            employer = next((one for one in employers if mailbox.domain in one.domains), None)
            self._check("email", NOT_AN_EMPLOYER if employer is None else NOT_TAGGED if mailbox.is_tagged else None)
            if employer is not None:
                self._fields["employer"] = str(employer.id)
        return self._finish(Kind.PERSON, mailbox, Visibility.COUNTED, [])

    def organization(self) -> SignForm | dict[str, str]:
        both_names = {key: self._cleaned(key) for key in ("organization_en", "organization_ru")}
        if not any(both_names.values()):
            self._check("organization_en", names.problem_of_organization(""))
        for key, name in both_names.items():
            if name:
                self._check(key, names.problem_of_organization(name))
            self._fields[key] = name
        visibility = self._visibility((Visibility.PUBLIC, Visibility.ORGANIZERS))
        self._name()
        self._detail("position")
        self._website()
        self._country()
        mailbox = self._rest()
        return self._finish(Kind.ORGANIZATION, mailbox, visibility, [*both_names.values(), self._fields["name"]])

    def _finish(
        self, kind: Kind, mailbox: Mailbox | None, visibility: Visibility | None, all_names: list[str]
    ) -> SignForm | dict[str, str]:
        if self._errors or mailbox is None or visibility is None:
            return {key: self._errors[key] for key in FIELDS[kind] if key in self._errors}
        fields = {key: value for key, value in self._fields.items() if value}
        form_signals = signals.signals_of(kind, filter(None, all_names), mailbox, fields.get("website"))
        return SignForm(kind, mailbox, visibility, fields, form_signals, tuple(self._left_out))

    def _cleaned(self, key: str) -> str:
        return names.clean(self._form.get(key, ""))

    def _check(self, key: str, problem: str | None) -> None:
        if problem is not None:
            self._errors[key] = problem

    def _name(self) -> None:
        name = self._cleaned("name")
        self._check("name", names.problem_of_person(name))
        self._fields["name"] = name

    def _detail(self, key: str) -> None:
        text = optional_text(self._form.get(key, ""))
        self._optional(key, text, text if names.problem_of_detail(text) is None else None)

    def _visibility(self, allowed: tuple[Visibility, ...]) -> Visibility | None:
        try:
            visibility = Visibility(self._form.get("visibility", ""))
        except ValueError:
            visibility = None
        if visibility not in allowed:
            self._errors["visibility"] = CHOOSE_VISIBILITY
            return None
        return visibility

    def _country(self) -> None:
        typed = self._cleaned("country")
        self._optional("country", typed, country_of(typed, self._languages))

    def _website(self) -> None:
        typed = optional_text(self._form.get("website", ""))
        self._optional("website", typed, website_of(typed) if typed else "")

    def _optional(self, key: str, typed: str, value: str | None) -> None:
        if typed and value is None:
            self._left_out.append(key)
        self._fields[key] = value or ""

    def _rest(self) -> Mailbox | None:
        if not is_ticked(self._form, "consent"):
            self._errors["consent"] = AGREE
        if is_ticked(self._form, "updates"):
            self._fields["updates"] = "1"
        try:
            return email_addresses.parse(self._form.get("email", ""))
        except BadAddress as error:
            self._errors["email"] = error.message
            return None


def optional_text(typed: str) -> str:
    """Return an optional field's text, cleaned; empty if it only stands for nothing ("-", "n/a", «нет»)."""
    text = names.clean(typed)
    return "" if is_placeholder(text) else text


def country_of(typed: str, languages: tuple[str, ...]) -> str | None:
    """Return the code of a country; empty if nothing is typed, or what stands for nothing; None if it is unknown.

    Signs alone may be a flag, and "NO" is Norway.
    """
    text = names.clean(typed)
    return countries.match(text, languages) or (None if text and not is_placeholder(text, is_code=True) else "")


def website_of(typed: str) -> str | None:
    """Return a cleaned web address in full ("example.org" → "https://example.org"), or None if it is invalid.

    It must be what a reader takes it for: no name or password before the host, nothing hidden, no space.
    """
    text = typed if "://" in typed else f"https://{typed}"
    if len(text) > MAX_WEBSITE or has_hidden(text) or has_direction_mark(text) or any(c.isspace() for c in text):
        return None
    try:
        parts = urlsplit(text)
        ascii_host = (parts.hostname or "").encode("idna").decode()
        _ = parts.port
    except (ValueError, UnicodeError):
        return None
    is_valid = parts.scheme in {"http", "https"} and "." in ascii_host.strip(".") and "@" not in parts.netloc
    return text if is_valid else None
