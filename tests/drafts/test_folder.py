"""A letter as a folder: read, refused with reasons, written the same each time."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from petition.core.errors import ImportRefused
from petition.core.text_cleaning import clean, has_hidden
from petition.drafts import letter_toml
from petition.drafts.folder import LetterFolder, read, write
from petition.drafts.letter_toml import LetterSettings
from petition.drafts.slugs import RESERVED, problem_of_slug
from petition.letters.markdown import trimmed
from petition.letters.parties import Party
from tests.drafts.desk import picture

LANGUAGES = ("en", "ru", "pt_BR")

SAMPLE = """\
slug = "keep-the-net"
goal = 5000
closes_at = 2030-12-31T21:00:00Z
names_in_search = true

[[initiators]]
name.en = "A \\"quoted\\" \\\\ name"
url = "https://example.org/"

[[addressees]]
name.en = "All of you"
name.ru = "Все вы"

[[addressees]]
name.ru = "ООО «Ромашка"
"""


def make(folder: Path, toml: str = SAMPLE, **texts: str) -> Path:
    """Write a letter's folder by hand."""
    folder.mkdir(exist_ok=True)
    (folder / "letter.toml").write_text(toml, encoding="utf-8")
    for lang, text in (texts or {"en": "# Title\n\nText.\n"}).items():
        (folder / f"{lang}.md").write_bytes(text.encode())
    return folder


def problems(folder: Path) -> tuple[str, ...]:
    """Return why the folder is refused."""
    with pytest.raises(ImportRefused) as caught:
        read(folder, LANGUAGES)
    return caught.value.problems


def test_a_letter_is_read(tmp_path: Path) -> None:
    letter = read(make(tmp_path, ru="\ufeff# Имя\r\n\r\nТекст.\r\n", en="# Title\nText."), LANGUAGES)
    assert letter == LetterFolder(
        slug="keep-the-net",
        goal=5000,
        closes_at=datetime(2030, 12, 31, 21, tzinfo=UTC),
        names_in_search=True,
        initiators=(Party({"en": 'A "quoted" \\ name'}, "https://example.org/"),),
        addressees=(Party({"en": "All of you", "ru": "Все вы"}), Party({"ru": "ООО «Ромашка"})),
        texts={"en": ("Title", "Text."), "ru": ("Имя", "Текст.")},
    )
    assert list(letter.texts) == ["en", "ru"]


def test_little_is_needed(tmp_path: Path) -> None:
    letter = read(make(tmp_path, 'slug = "abc"', pt_BR="# T"), LANGUAGES)
    assert letter == LetterFolder("abc", texts={"pt_BR": ("T", "")})


def test_what_is_written_is_the_sample_itself(tmp_path: Path) -> None:
    source = make(tmp_path / "a")
    write(read(source, LANGUAGES), tmp_path / "b" / "c")
    assert {each.name: each.read_bytes() for each in source.iterdir()} == {
        each.name: each.read_bytes() for each in (tmp_path / "b" / "c").iterdir()
    }


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("", "letter.toml: slug: is missing"),
        ("slug = 1", "letter.toml: slug: must be text"),
        ('slug = "ab"', "letter.toml: slug: must be 3–64 characters"),
        ('slug = "ABC"', "letter.toml: slug: must be 3–64 characters"),
        ('slug = "privacy"', "letter.toml: slug: 'privacy' is reserved"),
        ('slug = "abc\\n"', "letter.toml: slug: must be 3–64 characters"),
        ('slug = "abc"\ngoal = 0', "letter.toml: goal: must be a whole number above 0"),
        ('slug = "abc"\ngoal = true', "letter.toml: goal: must be a whole number above 0"),
        ('slug = "abc"\ngoal = 2147483648', "letter.toml: goal: must be a whole number above 0"),
        ('slug = "abc"\ncloses_at = "2030-01-01"', "letter.toml: closes_at: must be a date and time"),
        ('slug = "abc"\ncloses_at = 2030-01-01', "letter.toml: closes_at: must be a date and time"),
        ('slug = "abc"\ncloses_at = 0001-01-01T00:00:00+10:00', "letter.toml: closes_at: is out of range"),
        ('slug = "abc"\nnames_in_search = 1', "letter.toml: names_in_search: must be true or false"),
        ('slug = "abc"\nnext_goals = [5]', "letter.toml: next_goals: must rise from goal on"),
        ('slug = "abc"\ngoal = 9\nnext_goals = [9]', "letter.toml: next_goals: must rise from goal on"),
        ('slug = "abc"\ngoal = 9\nnext_goals = [20, 19]', "letter.toml: next_goals: must rise from goal on"),
        ('slug = "abc"\ngoal = 9\nnext_goals = [0]', "letter.toml: next_goals: must be a whole number above 0"),
        ('slug = "abc"\ngoal = 9\nnext_goals = 10', "letter.toml: next_goals: must be a list"),
        ('slug = "abc"\nsharing = "x"', "letter.toml: sharing: must be given by language"),
        ('slug = "abc"\nsharing.fr = "x"', "letter.toml: sharing.fr: is not a known key"),
        ('slug = "abc"\nsharing.en = ""', "letter.toml: sharing.en: must be text of 1–300 characters"),
        ('slug = "abc"\npicture_alt.en = "' + "x" * 301 + '"', "letter.toml: picture_alt.en: must be text"),
        ('slug = "abc"\ncolour = 1', "letter.toml: colour: is not a known key"),
        ('slug = "abc"\ninitiators = "x"', "letter.toml: initiators: must be written as [[initiators]]"),
        ('slug = "abc"\n[[initiators]]', "letter.toml: initiators[1].name: must be given"),
        ('slug = "abc"\n[[addressees]]\nname = "x"', "letter.toml: addressees[1].name: must be given"),
        ('slug = "abc"\n[[addressees]]\nname.fr = "x"', "letter.toml: addressees[1].name.fr: is not a known key"),
        ('slug = "abc"\n[[addressees]]\nname.en = " "', "letter.toml: addressees[1].name.en: must be text"),
        ('slug = "abc"\n[[addressees]]\nname.en = "a\\u0007"', "letter.toml: addressees[1].name.en: must be text"),
        ('slug = "abc"\n[[addressees]]\nname.en = "a"\nurl = "x"', "letter.toml: addressees[1].url: must be an"),
        ('slug = "abc"\n[[addressees]]\nname.en = "a"\nurl = "javascript:x"', "letter.toml: addressees[1].url: must"),
        ('slug = "abc"\n[[addressees]]\nname.en = "a"\nurl = "https://["', "letter.toml: addressees[1].url: must"),
        (
            'slug = "abc"\n[[addressees]]\nname.en = "a"\nmail = "x"',
            "letter.toml: addressees[1].mail: is not a known key",
        ),
        ('slug = "abc"\n' + '[[addressees]]\nname.en = "a"\n' * 501, "letter.toml: addressees: has more than 500"),
        ("slug = ", "letter.toml: is not TOML"),
        ('slug = "abc"\nx = ' + "[" * 5000, "letter.toml: is not TOML"),
        ("#" * 500_001, "letter.toml: is longer than 500 KB"),
    ],
)
def test_settings_are_refused_with_file_and_key(tmp_path: Path, toml: str, problem: str) -> None:
    found = problems(make(tmp_path, toml))
    assert len(found) == 1
    assert found[0].startswith(problem)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (
            "fr.md",
            b"# T",
            "fr.md: is in a language that this installation does not have; it has en.md, ru.md, pt_BR.md",
        ),
        ("README.md", b"# T", "README.md: is in a language"),
        ("en.md", b"Title", 'en.md: must begin with the line "# Title"'),
        ("en.md", b"# T\n\xff", "en.md: is not UTF-8, from byte 4 on"),
        ("en.md", b"# T\n\0", "en.md: contains control characters"),
        ("en.md", b"# T\n" + b"a" * 200_000, "en.md: is longer than 200 KB"),
    ],
)
def test_texts_are_refused_with_their_file(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (make(tmp_path) / name).write_bytes(content)
    found = problems(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    found = problems(make(tmp_path, "goal = -1\nfoo = 2", en="x", fr="# T"))
    assert [each.partition(": ")[0] for each in found] == ["letter.toml"] * 3 + ["en.md", "fr.md"]


def test_what_a_mac_puts_beside_every_file_is_no_text(tmp_path: Path) -> None:
    letter = read(make(tmp_path, en="# T", ru="# T"), LANGUAGES)
    for name in ("._en.md", "._ru.md", "._letter.toml", "._en.png", ".DS_Store"):
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07 resource fork")
    assert read(tmp_path, LANGUAGES) == letter
    write(letter, tmp_path)  # and it is no other letter's text


def test_a_folder_without_a_letter(tmp_path: Path) -> None:
    assert problems(tmp_path / "nowhere") == (
        "letter.toml: cannot be read: No such file or directory",
        "en.md: is missing; a letter needs a text in at least one language",
    )
    (tmp_path / "letter.toml").mkdir()
    assert problems(tmp_path)[0] == "letter.toml: cannot be read: Is a directory"


def test_another_letters_text_is_not_mixed_in(tmp_path: Path) -> None:
    letter = read(make(tmp_path / "a"), LANGUAGES)
    make(tmp_path / "b", ru="# Другое")
    with pytest.raises(ImportRefused, match="choose an empty folder") as caught:
        write(letter, tmp_path / "b")
    assert caught.value.problems == ("ru.md: is not a text of this letter",)
    assert not (tmp_path / "b" / "en.md").exists()
    write(letter, tmp_path / "a")


TEXT = st.text(st.characters(codec="utf-8"), max_size=40) | st.text("\"\\'#{}[]=\n\tאبیя\u200c…😀", max_size=20)
NAMES = TEXT.map(clean).filter(lambda name: name != "" and not has_hidden(name))
PARTIES = st.builds(
    Party,
    st.dictionaries(st.sampled_from(LANGUAGES), NAMES, min_size=1),
    st.none() | st.builds("https://example.org/{}".format, st.text("abc/?&=%\"\\'я", max_size=10)),
)
MOMENTS = st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
SETTINGS = st.builds(
    LetterSettings,
    slug=st.from_regex(r"[a-z0-9-]{3,64}", fullmatch=True).filter(lambda slug: slug not in RESERVED),
    goal=st.none() | st.integers(1, 2**31 - 1),
    closes_at=st.none() | MOMENTS,
    names_in_search=st.booleans(),
    initiators=st.lists(PARTIES, max_size=3).map(tuple),
    addressees=st.lists(PARTIES, max_size=3).map(tuple),
    sharing=st.dictionaries(st.sampled_from(LANGUAGES), NAMES),
    picture_alt=st.dictionaries(st.sampled_from(LANGUAGES), NAMES),
)
RISING = st.builds(
    lambda settings, goals: replace(settings, goal=goals[0], next_goals=tuple(goals[1:])),
    SETTINGS,
    st.lists(st.integers(1, 2**31 - 1), min_size=2, max_size=11, unique=True).map(sorted),
)


FEW = settings_of_hypothesis(max_examples=30)  # they are slow to make up, and write files


@FEW
@given(SETTINGS | RISING)
def test_settings_go_round(settings: LetterSettings) -> None:
    text = letter_toml.dumps(settings)
    found, wrong = letter_toml.loads(text, LANGUAGES)
    assert not wrong
    assert found == settings
    assert letter_toml.dumps(found) == text


@given(st.text(st.characters(codec="utf-8"), max_size=80))
def test_any_text_in_quotes_is_that_text(text: str) -> None:
    """Whatever a name is, it cannot break out of its quotes."""
    settings = LetterSettings("abc", addressees=(Party({"en": text}, text),))
    found, wrong = letter_toml.loads(letter_toml.dumps(settings), LANGUAGES)
    assert all(each.startswith("addressees[1].") for each in wrong)
    assert found is None or found.addressees[0].names == {"en": clean(text)}


LINES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cs"]), max_size=30)


@FEW
@given(
    SETTINGS | RISING,
    st.dictionaries(
        st.sampled_from(LANGUAGES),
        st.tuples(LINES.map(str.strip).filter(bool), st.lists(LINES).map(lambda lines: trimmed("\n".join(lines)))),
        min_size=1,
    ),
)
def test_a_folder_goes_round_byte_by_byte(
    tmp_path_factory: pytest.TempPathFactory, settings: LetterSettings, texts: dict[str, tuple[str, str]]
) -> None:
    base = tmp_path_factory.mktemp("letter")
    letter = LetterFolder(**{each: getattr(settings, each) for each in LetterSettings.__slots__}, texts=texts)
    write(letter, base / "a")
    assert read(base / "a", LANGUAGES) == letter
    write(read(base / "a", LANGUAGES), base / "b")
    first, second = ({each.name: each.read_bytes() for each in (base / name).iterdir()} for name in "ab")
    assert first == second
    assert all(content.endswith(b"\n") and not content.endswith(b"\n\n") for content in first.values())
    assert not any(b"\r" in content for content in first.values())


def test_a_picture_goes_round_as_it_is(tmp_path: Path) -> None:
    content = picture("JPEG", comment=b"as it was taken")
    (make(tmp_path / "a", ru="# Имя") / "ru.jpg").write_bytes(content)
    letter = read(tmp_path / "a", LANGUAGES)
    assert letter.pictures == {"ru": ("image/jpeg", content)}
    write(letter, tmp_path / "b")
    assert (tmp_path / "b" / "ru.jpg").read_bytes() == content
    (tmp_path / "b" / "ru.png").write_bytes(picture())
    with pytest.raises(ImportRefused) as caught:
        write(letter, tmp_path / "b")
    assert caught.value.problems == ("ru.png: is not a picture of this letter",)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("en.png", b"<svg>", "en.png: We could not read this picture"),
        ("en.jpg", picture(), "en.jpg: is of type image/png, as its name must say"),
        ("fr.png", picture(), "fr.png: is in an unknown language"),
        ("en.png", picture(size=(10, 10)), "en.png: The picture must be at least 200 pixels"),
        ("en.png", picture() + b"\0" * 2**20, "en.png: The picture must be 1 MB or smaller"),
    ],
)
def test_pictures_are_refused_with_their_file(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (make(tmp_path) / name).write_bytes(content)
    found = problems(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_slugs() -> None:
    for slug in ("abc", "a" * 64, "2022-open-letter", "---"):
        assert problem_of_slug(slug) is None
    for slug in ("", "ab", "a" * 65, "a_b", "Abc", "письмо", "abc/", "abc\n", *RESERVED):
        assert problem_of_slug(slug)
    assert {"privacy", "confirm", "signature", "never", "versions", "api", "organizer", "static", "embed"} <= RESERVED
