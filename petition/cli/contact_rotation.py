"""``petition keys rotate --contact``: a new contact pair; the worker seals to it what the former one opens."""

import os

from petition.core import encryption
from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError
from petition.core.secret_files import Secrets
from petition.core.settings import Settings

NO_PRIVATE_KEY = (
    "CONTACT_PRIVATE_KEY is not set here: run this where the worker's secrets are, since what is sealed to the present"
    " pair needs it from now on"
)


def rotate(settings: Settings) -> list[str]:
    """Put a new pair into DATA_DIR if it is stored there; return what to print. Raises ``SettingsError``."""
    reader = EnvironmentReader(os.environ)
    if settings.loopback and reader.secret("CONTACT_PUBLIC_KEY") is None:
        Secrets(settings.data_dir).rotate_contact_pair()
        return ["there is a new contact pair: restart web and worker, which seals to it what the former one opens"]
    former = (reader.secret("CONTACT_PRIVATE_KEY"), reader.secret("OLD_CONTACT_PRIVATE_KEYS"))
    if former[0] is None:
        raise SettingsError(NO_PRIVATE_KEY)
    public, private = encryption.new_contact_pair()
    return [
        "# Into the worker's environment alone.",
        f"CONTACT_PRIVATE_KEY={private}",
        f"OLD_CONTACT_PRIVATE_KEYS={' '.join(filter(None, former))}",
        "# Into the environment of all processes. Restart the worker first, then web: no link and no mail is lost.",
        f"CONTACT_PUBLIC_KEY={public}",
    ]
