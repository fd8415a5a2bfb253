"""Searches of the list in PostgreSQL: any text is an answer, the one that a slow comparison of all names gives."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

from petition.core.database import Connection
from petition.core.ids import LetterId
from petition.signatures import listing, names
from petition.signatures.model import Kind
from petition.signatures.search_words import MAX_CORRECTED
from tests.crowd import Crowd
from tests.fuzz.running import BYTES, ROUGH, rounds
from tests.running import SLUG, installation
from tests.signatures.people import letter, organization, sign
from tests.web.public.test_signatories import letter_of

ODD = ["Иванов Пётр", "Ивонов Петр", "Bob O'Brien", "Zoë Müller-Weiß", "Ли", "Nguyễn Thị", "محمد علي", "𝕬𝖓𝖓𝖆"]
ODD += ["А. Б. В.", "Анна " + "я" * 30, "Анна " + "я" * 31, "x" * 120, "1st Anna", "王小明", "Ann-Marie d’Arc"]
ODD += ["ʻOkina Kāne", "İpek Ilgaz"]
ORGANIZATIONS = [("North Pier Network", "Сеть «Северный пирс»"), ("Пирс", None), ("O'Neil & Sons", None)]
_crowd = Crowd(seed=11)
PEOPLE = [*ODD, *(_crowd.name() for _ in range(60))]
ELSEWHERE = [*ODD[:6], *(_crowd.name() for _ in range(20))]
STORED = sorted({word for name in (*PEOPLE, *ELSEWHERE) for word in names.words(names.fold(name))})


def mistyped(word: str, place: int, sign_there: str, kind: int) -> str:
    """Return ``word`` with a typing error of one kind, or as it is."""
    place %= len(word)
    changes = (
        word,
        word[:place] + word[place + 1 :],
        word[:place] + sign_there + word[place:],
        word[:place] + sign_there + word[place + 1 :],
        word[:place] + word[place : place + 2][::-1] + word[place + 2 :],
        word[: place + 1],
    )
    return changes[kind]


SIGNS = st.sampled_from([*"ъёa'\\:*&|!()<%_\"-\0 ", "\u0301", "İ"])
TYPED = st.builds(mistyped, st.sampled_from(STORED), st.integers(0, 200), SIGNS, st.integers(0, 5))
PIECES = TYPED | TYPED | TYPED.map(str.upper) | ROUGH
QUERIES = st.lists(st.tuples(PIECES, st.sampled_from([" ", "  ", "-", "", " & ", "' | '"])), max_size=3).map(
    lambda pieces: "".join(piece + after for piece, after in pieces)
)


def is_one_error_away(typed: str, word: str) -> bool:
    """Return whether one character more, less, another one, or two in the wrong order separate the words."""
    if not all(3 < len(text) <= MAX_CORRECTED for text in (typed, word)):
        return False
    table = {(i, j): i + j for i in range(len(typed) + 1) for j in range(len(word) + 1) if not i * j}
    for i, a in enumerate(typed, 1):
        for j, b in enumerate(word, 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a != b))
            if i > 1 and j > 1 and typed[i - 2 : i] == word[j - 2 : j][::-1]:
                table[i, j] = min(table[i, j], table[i - 2, j - 2] + 1)
    return table[len(typed), len(word)] <= 1


def slowly(stored: Sequence[str], q: str) -> list[str]:
    """Search names, newest first, one by one: as typed, then begun, then with an error in a word."""
    typed = names.words(names.fold(q[: listing.MAX_QUERY]))[: listing.MAX_WORDS]
    if not typed:
        return []
    words_of = {name: names.words(names.fold(name)) for name in stored}

    def begins(name: str) -> bool:
        return any(word.startswith(typed[-1]) for word in words_of[name])

    def has(name: str, word: str) -> bool:
        return word in words_of[name] or any(is_one_error_away(word, other) for other in words_of[name])

    known = {word for words in words_of.values() for word in words}
    corrects = any(is_one_error_away(word, other) for word in typed for other in known)
    as_typed = [name for name in stored if set(typed) <= set(words_of[name])]
    begun = [name for name in stored if set(typed[:-1]) <= set(words_of[name]) and begins(name)]
    near = [name for name in stored if all(has(name, word) for word in typed[:-1])]
    near = [name for name in near if has(name, typed[-1]) or begins(name)] if corrects else []
    return list(dict.fromkeys([*as_typed, *begun, *near]))


async def stock(conn: Connection) -> LetterId:
    """Store the names of two letters; return the first."""
    about, _ = await letter(conn)
    elsewhere, _ = await letter(conn)
    people = list(dict.fromkeys(PEOPLE))
    await sign(conn, about, *people)
    await sign(conn, elsewhere, *ELSEWHERE)
    for name_en, name_ru in ORGANIZATIONS:
        await organization(conn, about, name_en, name_ru)
    return about


async def test_a_search_is_what_comparing_all_names_gives(conn: Connection) -> None:
    about, loop = await stock(conn), asyncio.get_running_loop()
    newest_first = list(dict.fromkeys(PEOPLE))[::-1]
    both = {f"{name_en} {name_ru or ''}": name_en for name_en, name_ru in ORGANIZATIONS}
    results = 0

    async def compare(q: str) -> None:
        nonlocal results
        people = await listing.search(conn, about, Kind.PERSON, q)
        assert [entry.name for entry in people] == slowly(newest_first, q)
        organizations = await listing.search(conn, about, Kind.ORGANIZATION, q)
        assert {entry.name_en for entry in organizations} == {both[name] for name in slowly(list(both), q)}
        results += len(people)

    def check(q: str) -> None:
        asyncio.run_coroutine_threadsafe(compare(q), loop).result()

    await asyncio.to_thread(rounds, check, QUERIES, examples=300)
    assert results > 100  # or nothing was compared


async def test_any_bytes_in_the_address_are_a_page(database_url: str, tmp_path: Path, with_letter: None) -> None:
    async with installation(database_url, tmp_path, LIMIT_READING="100000000") as site:
        about, loop = await letter_of(site), asyncio.get_running_loop()
        async with site.database.connection() as conn:
            await sign(conn, about, *ODD)

        def check(q: bytes, kind: str) -> None:
            address = f"/ru/{SLUG}/signatories?kind={kind}&q={quote_from_bytes(q)}"
            answer = asyncio.run_coroutine_threadsafe(site.client.get(address), loop).result()
            assert answer.status_code == (400 if b"\0" in q else 200)

        queries = BYTES | QUERIES.map(lambda q: q.encode(errors="surrogatepass"))
        await asyncio.to_thread(rounds, check, queries, st.sampled_from(["person", "organization"]), examples=60)
