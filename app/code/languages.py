"""The six languages: their names, what people call them and the files they live in. Pure."""

from pathlib import PurePosixPath
from typing import NamedTuple


class Language(NamedTuple):
    name: str  # as in every table and URL
    title: str  # as people write it
    aliases: tuple[str, ...]
    extensions: tuple[str, ...]


LANGUAGES: dict[str, Language] = {
    language.name: language
    for language in (
        Language("go", "Go", ("golang",), (".go",)),
        Language("java", "Java", (), (".java",)),
        Language("javascript", "JavaScript", ("js", "ecmascript", "node"), (".js", ".mjs", ".cjs", ".jsx")),
        Language("php", "PHP", (), (".php",)),
        Language("python", "Python", ("py", "python3"), (".py",)),
        Language("ruby", "Ruby", ("rb",), (".rb",)),
    )
}

_BY_NAME = {
    spelling: language.name
    for language in LANGUAGES.values()
    for spelling in (language.name, *language.aliases)
}
_BY_EXTENSION = {
    extension: language.name for language in LANGUAGES.values() for extension in language.extensions
}


def language_named(text: str) -> str | None:
    """The language that `text` names in any usual spelling ("Golang", "JS"), or None."""
    return _BY_NAME.get(text.strip().lower())


def language_of_path(path: str) -> str | None:
    """The language that a file's extension stands for, or None."""
    return _BY_EXTENSION.get(PurePosixPath(path).suffix.lower())
