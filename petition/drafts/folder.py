"""A letter as a folder: ``letter.toml`` and one Markdown file for each language.

The same letter is always written as the same bytes, so that its folder can be kept under version control. A sharing
picture stands beside its text (``en.jpg`` beside ``en.md``) and goes round as it is.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from petition.core.errors import ImportRefused
from petition.drafts import letter_toml, pictures
from petition.drafts.letter_toml import LetterSettings
from petition.letters import markdown
from petition.letters.markdown import TEXT_SIZE, BadText, join, split

SETTINGS = "letter.toml"
SETTINGS_SIZE = 500_000  # bytes
_PICTURE_FILE = re.compile(r"[a-z]{2,3}(?:_[A-Z]{2})?\.(?:jpg|png|webp)")
_LANGUAGE_FILE = re.compile(r"([a-z]{2,3}(?:_[A-Z]{2})?)\.md")


@dataclass(frozen=True, slots=True)
class LetterFolder(LetterSettings):
    """What the folder holds. ``texts`` are (title, Markdown body) by language, in the order of the languages."""

    texts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    # By language: (media type, content) of the sharing picture, kept to the byte.
    pictures: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)


def read(folder: Path, languages: Collection[str]) -> LetterFolder:
    """Return the letter in ``folder``, whose texts may be in ``languages`` only.

    Raises ``ImportRefused``; its ``problems`` are one line each and name the file, and in ``letter.toml`` the key.
    """
    problems: list[str] = []
    settings = _read_settings(folder / SETTINGS, languages, problems)
    texts = _read_texts(folder, languages, problems)
    files = _read_pictures(folder, languages, problems)
    if settings is None or problems:
        raise ImportRefused(f"{folder} cannot be imported", tuple(problems))
    return LetterFolder(
        **{field.name: getattr(settings, field.name) for field in fields(settings)},
        texts=texts,
        pictures=files,
    )


def losses(letter: LetterFolder) -> list[str]:
    """Return what readers will not see as the texts' authors may expect, one line each, with the file's name."""
    return [
        f"{lang}.md: {loss.message % {'example': loss.example}}"
        for lang, (_, body) in letter.texts.items()
        for loss in markdown.losses(body)
    ]


def write(letter: LetterFolder, folder: Path) -> None:
    """Write the letter into ``folder``, making it if need be.

    Raises ``ImportRefused`` if a text in another language is there already: read back, it would be another letter.
    """
    texts = {f"{lang}.md": join(title, body) for lang, (title, body) in letter.texts.items()}
    expected = {f"{lang}.{pictures.TYPES[kind]}": content for lang, (kind, content) in letter.pictures.items()}
    folder.mkdir(parents=True, exist_ok=True)
    others = {path.name for path in (*_text_files(folder), *_picture_files(folder))}
    strangers = sorted(others - set(texts) - set(expected))
    if strangers:
        problems = tuple(f"{name}: is not a {_what(name)} of this letter" for name in strangers)
        raise ImportRefused(f"{folder} holds another letter; choose an empty folder", problems)
    for name, text in {SETTINGS: letter_toml.dumps(letter), **texts}.items():
        (folder / name).write_bytes(text.encode())
    for name, content in expected.items():
        (folder / name).write_bytes(content)


def _what(name: str) -> str:
    return "text" if name.endswith(".md") else "picture"


def _text_files(folder: Path) -> list[Path]:
    """Return the texts in ``folder``, without what a Mac puts beside every file on foreign disks (``._en.md``)."""
    return sorted(path for path in folder.glob("*.md") if not path.name.startswith("."))


def _picture_files(folder: Path) -> list[Path]:
    """Return the files of ``folder`` that are named like a sharing picture."""
    endings = pictures.TYPES.values()
    return sorted(
        path for ending in endings for path in folder.glob(f"*.{ending}") if _PICTURE_FILE.fullmatch(path.name)
    )


def _read_pictures(folder: Path, languages: Collection[str], problems: list[str]) -> dict[str, tuple[str, bytes]]:
    files: dict[str, tuple[str, bytes]] = {}
    for path in _picture_files(folder):
        lang = path.name.partition(".")[0]
        if lang not in languages or lang in files:
            problems.append(
                f"{path.name}: is {'a second picture for its' if lang in files else 'in an unknown'} language"
            )
            continue
        try:
            with path.open("rb") as file:
                content = file.read(pictures.MAX_BYTES + 1)
            files[lang] = pictures.type_of(content), content
            if pictures.TYPES[files[lang][0]] != path.suffix[1:]:
                problems.append(f"{path.name}: is of type {files[lang][0]}, as its name must say")
        except OSError as error:
            problems.append(f"{path.name}: cannot be read: {error.strerror}")
        except pictures.BadPicture as error:
            problems.append(f"{path.name}: {error}")
    return files


def _read_settings(path: Path, languages: Collection[str], problems: list[str]) -> LetterSettings | None:
    try:
        settings, wrong = letter_toml.loads(_read_file(path, SETTINGS_SIZE), languages)
    except BadText as error:
        settings, wrong = None, [str(error)]
    problems.extend(f"{path.name}: {problem}" for problem in wrong)
    return settings


def _read_texts(folder: Path, languages: Collection[str], problems: list[str]) -> dict[str, tuple[str, str]]:
    texts: dict[str, tuple[str, str]] = {}
    paths = _text_files(folder)
    for path in paths:
        match = _LANGUAGE_FILE.fullmatch(path.name)
        try:
            if match is None or match[1] not in languages:
                known = ", ".join(f"{language}.md" for language in languages)
                raise BadText(f"is in a language that this installation does not have; it has {known}")
            texts[match[1]] = split(_read_file(path, TEXT_SIZE))
        except BadText as error:
            problems.append(f"{path.name}: {error}")
    if not paths:
        problems.append(f"{next(iter(languages))}.md: is missing; a letter needs a text in at least one language")
    return {lang: texts[lang] for lang in languages if lang in texts}


def _read_file(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise BadText(f"is longer than {limit // 1000} KB")
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise BadText(f"is not UTF-8, from byte {error.start} on") from None
    except OSError as error:
        raise BadText(f"cannot be read: {error.strerror}") from None
