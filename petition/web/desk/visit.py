"""What a view of the desk gets: the request, the services, and the organizer with the session, letter and role."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from petition.core import time_zones
from petition.core.audit_log import Actor
from petition.core.database import Database
from petition.core.errors import NotFound
from petition.core.form_values import MAX_BIGINT, Id, id_of
from petition.core.i18n import Language
from petition.core.reading import Freshness
from petition.core.replicas import Load
from petition.organizers.model import DeskLetter, MenuLetter, Organizer, Role, Session
from petition.web import http, reads
from petition.web.services import Services

T = TypeVar("T")

ROOT = "/organizer/"
SECOND = f"{ROOT}second"
SECURITY = f"{ROOT}security"
CODE, CREDENTIAL = "factor-code", "factor-credential"  # fields of the step-up page, beside those of the form it holds
PROOF_FIELDS = frozenset({CODE, CREDENTIAL})


class Access(StrEnum):
    """What a route requires of a visitor. AUDITOR to OWNER are roles in the letter of the address."""

    STRANGER = "stranger"  # nothing
    SIGNED_IN = "entered"  # a session; for the pages that set up or ask for a second factor
    ORGANIZER = "organizer"  # a session with a proved second factor, as for all that follow
    AUDITOR = "auditor"
    AUDITS = "audits"  # an owner or an auditor
    VIEWER = "viewer"
    MODERATOR = "moderator"
    EDITOR = "editor"
    OWNER = "owner"
    ADMIN = "admin"  # of the installation

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles of which one is required; none where the address has no letter."""
        if self is Access.AUDITS:
            return Role.OWNER, Role.AUDITOR
        return (Role(self.value),) if self.value in set(Role) else ()


@dataclass(frozen=True, slots=True)
class OpenVisit:
    """One request to a page of the desk that needs no session."""

    request: Request
    services: Services
    language: Language

    @property
    def lang(self) -> str:
        return self.language.code

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.services.renderer.languages)

    @property
    def database(self) -> Database:
        return self.services.database

    @property
    def query(self) -> QueryParams:
        return self.request.query_params

    def gettext(self, message: str) -> str:
        return self.language.gettext(message)

    async def form(self, max_bytes: int = http.MAX_BYTES) -> dict[str, str]:
        """Return the form in the body. Raises 400, 408, 413, 415 (see ``http.form_of``)."""
        return await http.form_of(self.request, max_bytes)

    async def read(self, load: Load[T]) -> T:
        """Read what the page shows, from a replica that has the organizer's own acts; a form's from the primary.

        Raises what ``load`` raises, which may be called twice, and ``Unavailable``.
        """
        return await self.services.reading.read(load, reads.freshness_of(self.request))

    async def read_file(self, load: Load[T]) -> T:
        """Read a part of a file, which a form may have asked for, from a replica if one will do."""
        position = reads.freshness_of(self.request).position
        return await self.services.reading.read(load, Freshness(position))

    def path_id(self, name: str, kind: Callable[[int], Id], max_id: int = MAX_BIGINT) -> Id:
        """Return the id that the address names. Raises ``NotFound`` if it cannot be one."""
        number = id_of(self.request.path_params[name], kind, max_id)
        if number is None:
            raise NotFound(f"there is no such {name}")
        return number


@dataclass(frozen=True, slots=True)
class DeskVisit(OpenVisit):
    """One request to the desk by a signed-in organizer; with a letter and a role where the address names a letter."""

    organizer: Organizer
    session: Session
    letter_or_none: DeskLetter | None = None
    role: Role | None = None
    menu: tuple[MenuLetter, ...] = ()  # the organizer's letters, on the pages of one of them

    @property
    def letter(self) -> DeskLetter:
        """The letter in the address. Raises ``LookupError`` where the address has none."""
        if self.letter_or_none is None:
            raise LookupError("this address has no letter")
        return self.letter_or_none

    @property
    def actor(self) -> Actor:
        """The organizer acting on the letter in the address."""
        return Actor(self.organizer.id, self.letter.id)

    @property
    def now(self) -> datetime:
        """This moment, in the organizer's zone."""
        return time_zones.in_zone(datetime.now(UTC), self.organizer.zone)

    @property
    def is_fresh(self) -> bool:
        """Whether acts that need a fresh factor go on at once: there is none yet, or it was proved recently."""
        return not self.session.has_factor or self.session.fresh

    async def form(self, max_bytes: int = http.MAX_BYTES) -> dict[str, str]:
        """Return the form in the body, without the fields of the step-up page. Raises as ``OpenVisit.form`` does."""
        form: dict[str, str] | None = getattr(self.request.state, "form", None)  # the guard may have read it
        if form is None:
            form = await http.form_of(self.request, max_bytes)
        return self.without_proof(form)

    @staticmethod
    def without_proof(form: Mapping[str, str]) -> dict[str, str]:
        """Return a form without the fields of the step-up page."""
        return {name: value for name, value in form.items() if name not in PROOF_FIELDS}

    def letter_path(self, path: str) -> str:
        """Return an address below the letter's."""
        return f"{ROOT}{self.letter.slug}/{path}"

    def with_switches(self, switched: Iterable[str]) -> "DeskVisit":
        """Return a copy with these switches on, as this request may have changed them."""
        letter = self.letter_or_none
        return replace(self, letter_or_none=letter and replace(letter, switched=tuple(switched)))

    def with_state(self, state: str, *, has_digest_key: bool) -> "DeskVisit":
        """Return a copy whose letter has this state, as this request may have changed it."""
        return replace(self, letter_or_none=replace(self.letter, state=state, has_digest_key=has_digest_key))

    @property
    def conceals_names(self) -> bool:
        """Whether the letter's names are hidden from this organizer too: while all are, owners alone see them."""
        return bool({"hide_list", "all:hide_list"} & set(self.letter.switched)) and not self.may(Role.OWNER)

    def may(self, role: str) -> bool:
        """Return whether the organizer's role in this letter covers ``role``."""
        return self.role is not None and self.role.covers(Role(role))


View = Callable[[DeskVisit], Awaitable[Response]]
OpenView = Callable[[OpenVisit], Awaitable[Response]]


def open_visit(request: Request) -> OpenVisit:
    return OpenVisit(request, http.services_of(request), http.language_of(request))
