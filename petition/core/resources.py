"""Where templates, catalogues and migrations are: at the top of a checkout, inside the package of a wheel."""

from pathlib import Path

PACKAGE = Path(__file__).parent.parent


def folder(name: str) -> Path:
    """Return the folder ``templates``, ``locales`` or ``migrations``.

    Raises ``FileNotFoundError`` if the installation is incomplete.
    """
    for path in (PACKAGE / name, PACKAGE.parent / name):
        if path.is_dir():
            return path
    raise FileNotFoundError(f"this installation has no folder {name!r}")
