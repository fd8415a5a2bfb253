"""``CACHE_PURGE_URLS``: what it may say, and what is refused by name."""

import pytest

from petition.core.cache_settings import CacheSettings, SharedCache, read_caches
from petition.core.environment import EnvironmentReader
from petition.core.errors import SettingsError

TOKEN = "a-token-of-the-tests"


def read(urls: str, token: str | None = TOKEN) -> CacheSettings:
    environ = {"CACHE_PURGE_URLS": urls} | ({} if token is None else {"CACHE_PURGE_TOKEN": token})
    return read_caches(EnvironmentReader(environ))


def test_the_examples_of_the_handbook_are_read() -> None:
    fastly = "https://api.fastly.com/service/ID/purge?method=POST&token_header=Fastly-Key"
    cloudflare = "https://api.cloudflare.com/client/v4/zones/ID/purge_cache?keys=tags&changes=1"
    caches = read(f"http://127.0.0.1:6081, {fastly},{cloudflare}").caches
    assert caches == (
        SharedCache("http://127.0.0.1:6081/", "127.0.0.1:6081"),
        SharedCache("https://api.fastly.com/service/ID/purge", "api.fastly.com", "POST", token_header="Fastly-Key"),
        SharedCache(
            "https://api.cloudflare.com/client/v4/zones/ID/purge_cache",
            "api.cloudflare.com",
            "POST",
            takes_tags=True,
            follows_changes=True,
        ),
    )
    assert read("http://10.90.0.31:6081?plain=1").caches[0].name == "10.90.0.31:6081"
    assert read("", None) == CacheSettings()


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        ("ftp://127.0.0.1", "must list addresses"),
        ("http://user:secret@127.0.0.1", "must list addresses"),
        ("http://127.0.0.1:99999", "must list addresses"),
        ("http://192.0.2.1:6081", "plain=1 insists"),
        ("http://127.0.0.1?methode=POST", "unknown parameter"),
        ("http://127.0.0.1?method=GET", "method must be one of BAN, DELETE, POST, PURGE"),
        ("http://127.0.0.1?keys=both", "keys must be one of header, tags"),
        ("http://127.0.0.1?token_header=X:%20y", "token_header must be the name of a header"),
        (",".join(["http://127.0.0.1"] * 17), "16 at most"),
    ],
)
def test_what_is_wrong_is_refused_by_name(urls: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as refused:
        read(urls)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(("token", "words"), [(None, "needs CACHE_PURGE_TOKEN"), ("two words", "one word of ASCII")])
def test_a_cache_that_anyone_may_purge_is_refused(token: str | None, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read("http://127.0.0.1:6081", token)
