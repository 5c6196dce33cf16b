"""A line or record of CodeSearchNet as a row, by either set of its field names. Pure.

The names of the original release (repo, path, func_name, code ...) and of the copy on the Hugging Face hub
(repository_name, func_path_in_repository, func_code_string ...). Ids of rows are not read: published files
repeat them, so a row is known by its code.
"""

import re
from collections.abc import Mapping
from typing import Any

from app.code.functions import plain_comment
from app.code.languages import LANGUAGES, language_named
from app.ingestion.decoding import Refused, as_object, decoded, refused_row, text_in
from app.ingestion.licences import spdx
from app.ingestion.rows import Code, Refusal, Row

FIELDS: dict[str, tuple[str, ...]] = {
    "code": ("code", "func_code_string", "original_string", "whole_func_string"),
    "comment": ("docstring", "func_documentation_string"),
    "language": ("language",),
    "name": ("func_name",),
    "repo": ("repo", "repository_name"),
    "path": ("path", "func_path_in_repository"),
    "sha": ("sha",),
    "url": ("url", "func_code_url"),
    "license": ("license",),
}
_NEEDED = ("code", "comment", "language")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST_NAME = 1000


def outcome_of_line(raw: bytes, file: str, line: int, license_: str | None) -> Row | Refusal:
    """The row that one line of JSON holds. `license_` is for rows that say nothing of their own."""
    record = decoded(raw, file, line)
    if isinstance(record, Refusal):
        return record
    return outcome_of_record(record, file, line, license_)


def outcome_of_record(record: Any, file: str, line: int, license_: str | None) -> Row | Refusal:
    """The row that a decoded object holds."""
    fields = as_object(record, file, line)
    if isinstance(fields, Refusal):
        return fields
    try:
        return Row(file, line, _code(fields, license_))
    except Refused as refused:
        return refused_row(refused, fields, file, line)


def _code(fields: Mapping[str, Any], license_: str | None) -> Code:
    texts = {meaning: _text(fields, meaning) for meaning in FIELDS}
    language = language_named(texts["language"])
    if language is None:
        known = ", ".join(LANGUAGES)
        raise Refused("unknown_language", f"“{texts['language'][:60]}” is none of {known}")
    for meaning in ("name", "repo", "path", "sha", "url"):
        why = hostile_name(meaning, texts[meaning])
        if why:
            raise Refused("hostile_name", why)
    own_license = texts.pop("license")
    texts |= {"language": language, "comment": plain_comment(texts["comment"])}
    # A licence of the row's own that is not SPDX is unknown: the one given for the file would be a guess.
    return Code(**texts, license=spdx(own_license) if own_license else license_)


def _text(fields: Mapping[str, Any], meaning: str) -> str:
    names = FIELDS[meaning]
    name = next((name for name in names if fields.get(name) is not None), None)
    if name is None:
        if meaning in _NEEDED:
            raise Refused("missing_field", f"no field {' or '.join(names)}")
        return ""
    return text_in(name, fields[name])


def hostile_name(meaning: str, text: str) -> str | None:
    """Why a name of origin (repo, path, name, sha, url) must not be shown or followed, or None."""
    if len(text) > _LONGEST_NAME:
        return f"the {meaning} has {len(text)} characters"
    if _CONTROL.search(text):
        return f"the {meaning} holds control characters"
    if meaning == "url" and text and not text.startswith(("https://", "http://")):
        return f"the {meaning} is not a web address"
    if meaning == "path":
        parts = text.replace("\\", "/").split("/")
        if ".." in parts or (len(parts) > 1 and parts[0] == "") or _DRIVE.match(text):
            return "the path leaves its folder"
    return None
