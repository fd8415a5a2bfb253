"""The settings of our own signature under every mail."""

import re

from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError
from petition.core.secret_files import Secrets

DEFAULT_SELECTOR = "petition"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,52}[a-z0-9])?"


def read_dkim_private_key(reader: EnvironmentReader, own: Secrets | None) -> str | None:
    """Return the key, or both, as PEM; ``own`` makes them if there are none. Raises ``SettingsError``."""
    text = reader.secret("DKIM_PRIVATE_KEY")
    if text is None:
        return None if own is None else own.dkim_private_key()
    from petition.core import dkim_keys  # its library takes 14 MB, and only the worker has these keys

    dkim_keys.read(text)
    return text


def read_dkim_selector(reader: EnvironmentReader) -> str:
    """Return the selector, in lower case. Raises ``SettingsError``."""
    selector = (reader.text("DKIM_SELECTOR") or DEFAULT_SELECTOR).lower()
    if not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", selector) or len(selector) > 100:
        raise SettingsError(f"DKIM_SELECTOR must be a name like {DEFAULT_SELECTOR}: letters, digits, hyphens")
    return selector
