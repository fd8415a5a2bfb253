"""What the lifespan makes and every view finds again, typed."""

from dataclasses import dataclass, field
from typing import TypeVar

from petition.database import Database
from petition.rendering import Renderer
from petition.sealing import Sealer, Wrapper
from petition.settings import Settings
from petition.tokens import Tokens

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
