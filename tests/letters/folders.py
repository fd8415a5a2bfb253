"""Letters as folders, for tests that need another one than the sample."""

from pathlib import Path


def other_letter(place: Path, slug: str, *, languages: tuple[str, ...] = ("en", "ru"), text: str = "Text.") -> Path:
    """Write a short letter below ``place``; return its folder."""
    folder = place / slug
    folder.mkdir()
    (folder / "letter.toml").write_text(
        f'slug = "{slug}"\n[[initiators]]\nname.en = "A Society"\n[[addressees]]\nname.en = "A Ministry"\n',
        encoding="utf-8",
    )
    for lang in languages:
        (folder / f"{lang}.md").write_text(f"# {slug} {lang}\n\n{text}\n", encoding="utf-8")
    return folder
