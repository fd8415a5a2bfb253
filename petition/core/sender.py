"""The sender of all mail, as ``MAIL_FROM`` names it."""

from email.headerregistry import Address
from email.utils import getaddresses

from petition.core.errors import SettingsError

FORM = "MAIL_FROM must be one address like post@letters.example, or a name and one, Letters <post@letters.example>"


def parse_sender(mail_from: str) -> Address:
    """Return name and address. Raises ``SettingsError``."""
    addresses = getaddresses([mail_from]) if mail_from.isprintable() else []
    try:
        ((name, address),) = addresses
        sender = Address(name, addr_spec=address)
    except (ValueError, IndexError):
        raise SettingsError(FORM) from None
    if not sender.username or not sender.domain:
        raise SettingsError(FORM)
    if not address.isascii():
        raise SettingsError("MAIL_FROM must have its address in ASCII: a domain as xn--…, the name in Latin letters")
    return sender
