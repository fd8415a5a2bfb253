"""Which columns hold the names of a signature, and which of them are encrypted."""

from dataclasses import dataclass

from petition.core.encryption import LetterKeys
from petition.signatures import names
from petition.signatures.model import Kind, Visibility

PERSONAL: tuple[str, ...] = ("name", "affiliation", "city")
NAMED = ("name", "affiliation", "city", "position", "organization_en", "organization_ru")


@dataclass(frozen=True, slots=True)
class StoredNames:
    """The names of a signature as stored: in plain columns, encrypted in ``private``, or not at all."""

    name: str | None = None
    affiliation: str | None = None
    city: str | None = None
    name_key: str | None = None
    private: bytes | None = None
    sealed: bytes | None = None  # to the worker's key, while no one may read them


def names_to_store(
    keys: LetterKeys, kind: Kind, fields: dict[str, str], *, held: bool = False, sealed: bytes | None = None
) -> StoredNames:
    """Return the columns in which the visibility among ``fields`` allows to store them.

    What is ``sealed`` is stored as it is. Until their approval an organization's names are encrypted, and a person's
    who is ``held``.
    """
    visibility = Visibility(fields["visibility"])
    if kind is Kind.ORGANIZATION:
        return StoredNames(private=keys.hide(fields), sealed=sealed)
    if visibility is Visibility.COUNTED:
        return StoredNames()
    if sealed is not None:
        return StoredNames(sealed=sealed)
    if visibility is Visibility.ORGANIZERS or held:
        return StoredNames(private=keys.hide({key: fields[key] for key in PERSONAL if key in fields}))
    name = fields["name"]
    return StoredNames(name, fields.get("affiliation"), fields.get("city"), names.fold(name))
