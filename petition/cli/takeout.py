"""``petition takeout`` and ``petition restore``: the secrets of an environment in, and out again."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from petition.cli.tool import url_of, with_database
from petition.core.environment import EnvironmentReader
from petition.core.errors import PetitionError, SettingsError
from petition.core.private_folders import open_private
from petition.core.secret_files import Secrets
from petition.core.settings import Process, Settings, load
from petition.takeouts import backups, restoring, taking

# Settings, and the files in which a loopback installation has them.
SECRETS = {
    "SECRET_KEY": "secret_key",
    "OLD_SECRET_KEYS": None,
    "CONTACT_PUBLIC_KEY": "contact_public_key",
    "CONTACT_PRIVATE_KEY": "contact_private_key",
    "DKIM_PRIVATE_KEY": "dkim_private_key",
}
RESTORED = "restored-secrets.env"


async def take(settings: Settings, file: Path, recipients: list[str], *, with_secrets: bool) -> list[str]:
    """Take everything out; return what to say."""
    secrets = secrets_of(settings) if with_secrets else {}
    begun = time.monotonic()
    rows = await taking.take(settings.database_url or "", file, recipients, settings.base_url, secrets)
    await backups.note(settings.database_url or "")
    lines = [f"{file}: {sum(rows.values()):,} rows of {len(rows)} tables in {time.monotonic() - begun:.1f} s"]
    missing = [name for name in ("CONTACT_PRIVATE_KEY", "DKIM_PRIVATE_KEY") if name not in secrets]
    if not with_secrets:
        lines.append("without secrets: to restore it, you need SECRET_KEY and the contact pair of this installation")
    elif missing:
        lines.append(f"without {' and '.join(missing)}, which this account cannot read: keep them elsewhere")
    return lines


def secrets_of(settings: Settings) -> dict[str, str]:
    """Return the secrets that mailed links and stored addresses need, as far as this account can read them."""
    reader = EnvironmentReader(os.environ)
    available = {
        "SECRET_KEY": settings.secret_keys[0],
        "OLD_SECRET_KEYS": " ".join(settings.secret_keys[1:]),
        "CONTACT_PUBLIC_KEY": settings.contact_public_key,
        "CONTACT_PRIVATE_KEY": reader.secret("CONTACT_PRIVATE_KEY") or "",
        "DKIM_PRIVATE_KEY": reader.secret("DKIM_PRIVATE_KEY") or "",
    }
    if settings.loopback:
        own = settings.data_dir / "secrets"
        for name, file in SECRETS.items():
            if file and not available[name] and (own / file).is_file():
                available[name] = (own / file).read_text(encoding="ascii").strip()
    return {name: value for name, value in available.items() if value}


def settings_for_restoring(file: Path, identity: Path) -> tuple[Settings, dict[str, str]]:
    """Return the settings with the takeout's secrets where the environment has none, and those that were missing."""
    _, secrets = restoring.read_head(file, identity)
    reader = EnvironmentReader(os.environ)
    is_own = reader.secret("SECRET_KEY") is not None
    missing = {} if is_own else secrets
    if not is_own and not secrets and Secrets(data_dir_of(reader)).is_empty():
        raise SettingsError("the takeout was made without secrets: set SECRET_KEY and the contact pair")
    return load({**os.environ, **missing}, role=Process.TOOL), missing


def data_dir_of(reader: EnvironmentReader) -> Path:
    return Path(reader.text("DATA_DIR") or ".petition").absolute()


async def restore(
    settings: Settings, file: Path, identity: Path, secrets: Mapping[str, str], *, partitions: int | None = None
) -> list[str]:
    """Restore; return what to say. ``secrets`` are stored where this installation reads its own."""
    if settings.loopback and secrets:
        store_in_files(settings, secrets)
    url = settings.database_url or ""
    rows = await restoring.restore(url, file, identity, settings.secret_keys, partitions=partitions)
    lines = [f"restored {sum(rows.values()):,} rows of {len(rows)} tables"]
    if secrets and settings.loopback:
        lines.append(f"the secrets are in {settings.data_dir / 'secrets'}")
    elif secrets:
        path = settings.data_dir / RESTORED
        write_environment(path, secrets)
        lines.append(f"{path} has the secrets: put them into the environment, then delete that file")
    return lines


async def restore_backup(path: Path, partitions: int | None) -> list[str]:
    """Restore a dump, or the newest of a folder, with this environment's secrets; return what to say."""
    if partitions is not None:
        raise PetitionError("a backup keeps its layout: --partitions is for a takeout")
    with with_database(load(role=Process.TOOL)) as settings:
        dump = await backups.restore(url_of(settings), path, settings.secret_keys)
    return [f"restored {dump.name}; see petition check. In a drill, do not start the worker: it sends mail"]


def store_in_files(settings: Settings, secrets: Mapping[str, str]) -> None:
    """Store the secrets as a loopback installation has them. Raises ``SettingsError`` if it has others."""
    own = Secrets(settings.data_dir)
    for name, file in SECRETS.items():
        if file and name in secrets:
            former = secrets.get("OLD_SECRET_KEYS", "").split() if name == "SECRET_KEY" else []
            own.put(file, "\n".join((secrets[name], *former)))


def write_environment(path: Path, secrets: Mapping[str, str]) -> None:
    """Write lines for an environment file, readable for this account only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="ascii") as output:
        for name, value in secrets.items():
            output.write(f"{name}={value}\n" if "\n" not in value else f'{name}="{value}"\n')
