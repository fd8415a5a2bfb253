"""The environment that settings are read from."""

import re
from collections.abc import Mapping
from pathlib import Path

from petition.core.errors import SettingsError


class EnvironmentReader:
    """The environment; a secret may stand in a file named by ``NAME_FILE`` instead."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def text(self, name: str) -> str | None:
        """Return the value without white space around it; None if it is empty."""
        return self.environ.get(name, "").strip() or None

    def number(self, name: str, default: int) -> int:
        """Return a whole number. Raises ``SettingsError``."""
        text = self.text(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", text):
            raise SettingsError(f"{name} must be a whole number, not {text!r}")
        return int(text)

    def switch(self, name: str) -> bool:
        """Return whether it is ``on``; off if it is empty. Raises ``SettingsError``."""
        text = self.text(name) or "off"
        if text not in {"on", "off"}:
            raise SettingsError(f"{name} must be on or off, not {text!r}")
        return text == "on"

    def secret(self, name: str) -> str | None:
        """Return the value of ``name``, or what is in the file. Raises ``SettingsError``."""
        file = self.text(f"{name}_FILE")
        if file is None:
            return self.text(name)
        if self.text(name) is not None:
            raise SettingsError(f"{name} and {name}_FILE are both set; keep only one")
        try:
            return Path(file).read_text(encoding="utf-8").strip() or None
        except OSError as error:
            raise SettingsError(f"{name}_FILE cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{name}_FILE is not UTF-8 text") from None
