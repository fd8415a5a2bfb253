"""The settings of shared caches before the web: where each is asked to drop what has changed, and how."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError
from petition.core.service_urls import is_this_machine, parameters, quoted, switch

MAX_CACHES = 16
METHODS = {"PURGE", "POST", "BAN", "DELETE"}
KEYS = {"header", "tags"}
PARAMETERS = {"method", "keys", "changes", "token_header", "plain"}
FORM = "CACHE_PURGE_URLS must list addresses like http://127.0.0.1:6081 or https://api.cdn.example/service/1/purge"


@dataclass(frozen=True, slots=True)
class SharedCache:
    """One cache, or the interface of a CDN; ``name`` is for logs: no path, no token."""

    url: str = field(repr=False)
    name: str
    method: str = "PURGE"
    takes_tags: bool = False  # as {"tags": […]} in the body; else by the header Surrogate-Key
    follows_changes: bool = False  # it stores for longer than responses say, so it is asked at each change
    token_header: str | None = None  # None: Authorization, as a bearer token


@dataclass(frozen=True, slots=True)
class CacheSettings:
    caches: tuple[SharedCache, ...] = ()
    token: str = field(default="", repr=False)


def read_caches(reader: EnvironmentReader) -> CacheSettings:
    """Return the shared caches; none if nothing is set. Raises ``SettingsError``."""
    urls = [url.strip() for url in (reader.text("CACHE_PURGE_URLS") or "").split(",") if url.strip()]
    token = reader.secret("CACHE_PURGE_TOKEN") or ""
    if len(urls) > MAX_CACHES:
        raise SettingsError(f"CACHE_PURGE_URLS lists {len(urls)} addresses; {MAX_CACHES} at most")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise SettingsError("CACHE_PURGE_TOKEN must be one word of ASCII")
    caches = tuple(_cache(url) for url in urls)
    if caches and not token:
        raise SettingsError(
            "CACHE_PURGE_URLS needs CACHE_PURGE_TOKEN: a cache that obeys strangers can be emptied by them"
        )
    return CacheSettings(caches, token)


def _cache(url: str) -> SharedCache:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise SettingsError(FORM) from None
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc or parts.fragment:
        raise SettingsError(FORM)
    values = parameters("CACHE_PURGE_URLS", parts.query)
    for name in values.keys() - PARAMETERS:
        raise SettingsError(f"CACHE_PURGE_URLS has an unknown parameter {quoted(name)}")
    is_plain = switch("CACHE_PURGE_URLS", "plain", values.get("plain", "0"))
    if parts.scheme == "http" and not is_this_machine(host) and not is_plain:
        raise SettingsError("CACHE_PURGE_URLS: another machine is asked over https://; plain=1 insists on plain HTTP")
    keys = _choice("keys", values.get("keys", "header"), KEYS)
    return SharedCache(
        url=urlunsplit((parts.scheme, parts.netloc, parts.path or "/", "", "")),
        name=f"{host}:{port}" if port else host,
        method=_choice("method", values.get("method", "POST" if keys == "tags" else "PURGE").upper(), METHODS),
        takes_tags=keys == "tags",
        follows_changes=switch("CACHE_PURGE_URLS", "changes", values.get("changes", "0")),
        token_header=_header_name(values.get("token_header")),
    )


def _choice(name: str, value: str, choices: set[str]) -> str:
    if value not in choices:
        raise SettingsError(f"CACHE_PURGE_URLS: {name} must be one of {', '.join(sorted(choices))}")
    return value


def _header_name(value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.replace("-", "").isalnum()):
        raise SettingsError("CACHE_PURGE_URLS: token_header must be the name of a header, like Fastly-Key")
    return value
