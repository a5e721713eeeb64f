"""What the pages say: one catalogue a language, so that another language is another file.

A word is looked up by its key; `{name}` in it is filled in. A key that the catalogue lacks is an error at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from facewitness.errors import UnknownName

LANGUAGES = ("en",)


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All words of a language, by key. Raises UnknownName for a language that nobody has written."""
    if language not in LANGUAGES:
        raise UnknownName("language", language, LANGUAGES)
    words: Mapping[str, str] = json.loads((files(__package__) / "words" / f"{language}.json").read_text("utf-8"))
    return words


def say(key: str, language: str = "en", **values: object) -> str:
    """A word or sentence with what belongs in it. Raises UnknownName for a key that is not there."""
    words = catalogue(language)
    if key not in words:
        raise UnknownName("word of the page", key, words)
    return words[key].format(**values)
