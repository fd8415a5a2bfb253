"""What the lifespan makes and every view finds again, typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from petition.database import Database
from petition.rendering import Renderer
from petition.sealing import Sealer, Wrapper
from petition.settings import Settings
from petition.tokens import Tokens

Service = TypeVar("Service")

Texts: TypeAlias = Mapping[str, str]  # language → what is said in it


def said(texts: Texts, lang: str) -> tuple[str, str]:
    """Return (language, text) for a reader of ``lang``: in that language, or the first there is; ("", "") if none."""
    return (lang, texts[lang]) if texts.get(lang) else next(iter(texts.items()), ("", ""))


@dataclass(slots=True)
class Posted:
    """What holds for the installation as a whole: its banner, and why nothing is taken (None: it is)."""

    banners: tuple[Texts, ...] = ()
    read_only: Texts | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """One running web process.

    The slices' own objects (the board of letters, the batches of signatures, the captchas) are kept by their type, so
    that this room need not know the slices above it.
    """

    settings: Settings
    database: Database
    renderer: Renderer
    tokens: Tokens
    sealer: Sealer
    wrapper: Wrapper
    posted: Posted = field(default_factory=Posted)
    _services: dict[type, object] = field(default_factory=dict)

    def add(self, service: object) -> None:
        """Keep a slice's object under its type."""
        self._services[type(service)] = service

    def get(self, kind: type[Service]) -> Service:
        """Return the object of that type. Raises ``LookupError`` if the lifespan did not make one."""
        service = self._services.get(kind)
        if not isinstance(service, kind):
            raise LookupError(f"the lifespan made no {kind.__name__}")
        return service
