"""What the lifespan makes and every view finds again, typed."""

from dataclasses import dataclass, field
from typing import TypeVar

from petition.core.database import Database
from petition.core.encryption import Sealer, Wrapper
from petition.core.settings import Settings
from petition.core.templates import Renderer
from petition.core.tokens import Tokens
from petition.letters.switches import Posted

Service = TypeVar("Service")


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
