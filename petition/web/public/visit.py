"""What a public view receives in place of the request: the services, the language, the letter of the address."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from petition.core.client_networks import ClientNetwork
from petition.core.errors import Crowded, Unavailable
from petition.core.i18n import Language
from petition.core.ids import SignatureId
from petition.core.replicas import Load
from petition.letters.model import Letter
from petition.letters.published import PublishedLetter
from petition.web import http, reads
from petition.web.form_line import FormLine
from petition.web.page_cache import CachedResponse, CacheTier
from petition.web.public.shown_form import ShownForm
from petition.web.services import Services
from petition.web.stored_copies import NAMELESS
from petition.web.turns import TURN

Endpoint = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")


@dataclass(slots=True)  # of each form: frozen, it takes four times as long to make
class Visit:
    """One request for a public page. ``lang`` is the language to answer in."""

    request: Request
    services: Services
    lang: str

    @property
    def language(self) -> Language:
        return self.services.renderer.languages[self.lang]

    @property
    def network(self) -> ClientNetwork:
        return http.network_of(self.request)

    @property
    def slug(self) -> str:
        return str(self.request.path_params["slug"])

    @property
    def token(self) -> str:
        return str(self.request.path_params["token"])

    @property
    def form_path(self) -> str:
        """The address below the letter's: sign, find, report/person/12."""
        return str(self.request.scope["path"]).removeprefix(f"/{self.lang}/{self.slug}/")

    @property
    def is_nameless(self) -> bool:
        """Whether the page is for a copy on disk, which has no names of signatories."""
        return NAMELESS in self.request.scope

    def gettext(self, message: str) -> str:
        return self.language.gettext(message)

    def allow_form(self) -> None:
        """Count a form against its network's limit per minute. Raises ``TooMany``."""
        self.services.throttle.allow_form(self.network)

    async def turn(self) -> None:
        """Wait for this network's turn to render a page in answer to a form: a GET has waited before it came here.

        Raises ``Unavailable``.
        """
        wait: Callable[[], Awaitable[bool]] | None = self.request.scope.get(TURN)
        if wait is not None and not await wait():
            raise Crowded()

    def form_slot(self) -> AbstractAsyncContextManager[None]:
        """Hold a slot of this network's for what a form costs beside being stored. Raises ``Unavailable``."""
        return self.services.throttle.form_slot(self.network)

    async def form(self) -> dict[str, str]:
        """Return the fields of the form in the body, each name once (the last one). Raises 400, 408, 413, 415."""
        return await http.form_of(self.request)

    def has_time_for_page(self, line: FormLine) -> bool:
        """Return whether a form that could not be stored may be answered with its own page, which costs most of all.

        Otherwise raise the error: the page for all forms has everything typed as well (``petition.web.send_again``).
        """
        return line.is_calm and self.services.throttle.has_form_slot

    async def form_in_turn(self, line: FormLine) -> dict[str, str]:
        """Return the fields as ``form`` does, once ``line`` has let this form in. Raises ``Crowded`` too."""
        body = await http.urlencoded_body(self.request)
        await line.enter(self.network)
        return http.parse_form(body)

    async def published(self) -> PublishedLetter:
        """Return the letter of the address. Raises ``NotFound``, ``Gone`` or ``Unavailable``."""
        return await self.services.letters.get(self.slug)

    async def refreshed(self, published: PublishedLetter) -> PublishedLetter:
        """Return the letter as the database has it now. Raises ``NotFound``, ``Gone`` or ``Unavailable``."""
        await self.services.letters.refresh()
        return await self.services.letters.get(published.letter.slug)

    async def refresh(self) -> None:
        """Have this process drop a name that was taken back before it answers, not only at the next poll."""
        with suppress(Unavailable):
            await self.services.letters.refresh_now()

    async def signature(self) -> tuple[PublishedLetter, SignatureId]:
        """Return letter and signature of the token. Raises ``BadToken``, ``NotFound``, ``Gone`` or ``Unavailable``."""
        letter_id, signature_id = self.services.tokens.read_signature(self.token)
        return await self.services.letters.by_id(letter_id), signature_id

    async def read_names(self, load: Load[T]) -> T:
        """Read what shows names of the address's letter for this request alone, from a replica if one will do."""
        return await reads.read_names(self.request, self.slug, load)

    async def read_page(self, group: str, load: Load[T]) -> T:
        """Read what a cached page of ``group`` shows, from a replica if one has all changes that are known."""
        return await reads.read_page(self.request, group, load)

    async def note_act(self, group: str) -> None:
        """Have this client's next readings contain what this request has committed, and cached pages of ``group``."""
        await reads.note_act(self.request, group)

    def refused_form(self, values: Mapping[str, str], errors: Mapping[str, str]) -> ShownForm:
        """Return the form to show again; ``errors`` are message ids by field ("" is the whole form)."""
        return ShownForm(dict(values), {name: self.gettext(message) for name, message in errors.items()})

    def redirect(self, path: str) -> Response:
        """Answer 303 to ``path`` in this visit's language."""
        return http.redirect(f"/{self.lang}{path}")

    def page(self, template: str, status: int = 200, /, **context: object) -> Response:
        """Answer with a page that no cache stores."""
        return http.page(self.request, template, status, **context)

    def message_page(
        self,
        status: int,
        title: str,
        message: str,
        *,
        letter: Letter,
        can_sign: bool = True,
    ) -> Response:
        """Answer with a title and one sentence (message ids), and with the way back to ``letter``.

        ``can_sign`` offers to sign again, if the letter is open.
        """
        return self.page(
            "error.html",
            status,
            status=status,
            title=self.gettext(title),
            message=self.gettext(message),
            retry_after=None,
            letter=letter,
            can_sign=can_sign,
        )

    async def cached_page(
        self,
        path: str,
        group: str,
        build: Callable[[], Awaitable[CachedResponse]],
        tier: CacheTier = CacheTier.COMMON,
        *,
        dated: bool = False,
    ) -> Response:
        """Answer with the page cached under ``path`` in this language, which ``group`` invalidates."""
        if self.is_nameless:
            return http.CachedPageResponse(self.request, await build())
        cached = await self.services.pages.get(f"/{self.lang}{path}", group, build, tier, dated=dated)
        return http.CachedPageResponse(self.request, cached)

    async def cached_letter_page(
        self,
        path: str,
        build: Callable[[PublishedLetter], Awaitable[CachedResponse]],
        tier: CacheTier = CacheTier.COMMON,
        *,
        dated: bool = False,
        group: str | None = None,
    ) -> Response:
        """Answer with the page cached under ``path`` below the letter's address; a ``dated`` one for some seconds.

        The letter's own ``group`` invalidates it, or another one.

        Raises ``NotFound``, ``Gone`` or ``Unavailable`` before the cache sees the address: addresses of letters that do
        not exist must not fill it.
        """
        if "?" in self.slug or f"/{self.lang}/{self.slug}{path}" not in self.services.pages:
            await self.services.letters.check(self.slug)

        async def build_now() -> CachedResponse:
            return await build(await self.published())  # again: the cache may have waited

        return await self.cached_page(f"/{self.slug}{path}", group or self.slug, build_now, tier, dated=dated)


View = Callable[[Visit], Awaitable[Response]]


def public(view: View) -> Endpoint:
    """Return the endpoint of a view whose address begins with a language; any other than ours is a 404."""

    @wraps(view)
    async def endpoint(request: Request) -> Response:
        services, lang = http.services_of(request), request.path_params["lang"]
        if lang not in services.renderer.languages:
            raise HTTPException(404)
        return await view(Visit(request, services, lang))

    return endpoint


def in_any_language(view: View) -> Endpoint:
    """Return the endpoint of a view whose address needs no language of ours: without one, the browser's counts."""

    @wraps(view)
    async def endpoint(request: Request) -> Response:
        return await view(visit_of(request))

    return endpoint


def visit_of(request: Request) -> Visit:
    return Visit(request, http.services_of(request), http.lang_of(request))


def with_retry_after(response: Response, seconds: int) -> Response:
    response.headers["retry-after"] = str(seconds)
    return response
