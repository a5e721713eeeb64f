"""Slips of the pen in a question, and whether it is English at all."""

from __future__ import annotations

import re
import unicodedata

from facewitness import regions
from facewitness.patterns import FILE, INTENTS, UNEXAMINED
from facewitness.words import normal

# Small words that only one of these languages has, enough to tell that a question is not English.
_ENGLISH = frozenset(
    re.findall(
        r"\w+",
        """a an and any are at be by can could did do does for from he her his how i if in is it its looks made more my
        nose not of on or picture photo she should that the their there these they this those to was we were what when
        where which who why will with would you your face faces fake image about""",
    )
)
_FOREIGN = (
    frozenset(
        re.findall(
            r"\w+",
            # German and Dutch; French; Spanish; Portuguese; Italian; Polish, Czech and Turkish; Swedish, Danish,
            # Norwegian, Finnish and Hungarian; Romanian, Indonesian and Vietnamese
            """ist das der dem den ein eine einer und nicht wie warum gesicht bild wurde sind auch oder mit
            het een nep echt neus deze dit dat niet waarom hoe gezicht zijn en van
            le la les des du un une est cette ce ces pourquoi comment visage et ou qui avec elle il
            el los las una uno esta este esto es son por porque como cara rostro foto quien verdadero falso falsa
            o os um uma isto isso não nao e que quem rosto verdadeira
            il lo gli di che è questo questa perché perche viso volto vero
            czy to jest twarz dlaczego nie je tohle obličej proč bu yüz sahte mi mı gerçek nedir neden
            är det ansiktet varför er dette ansigtet hvorfor ikke onko tämä kasvot miksi ez az arc hamis
            aceasta fața fals apakah wajah ini palsu mengapa có phải không""",
        )
    )
    - _ENGLISH
)
_KNOWN_WORDS = frozenset(
    (
        "fake faker real forged forgery genuine authentic manipulated edited altered retouched swapped changed "
        "generated deepfake verdict result how sure certain probability likely evidence explain signs region mask film "
        "video people person camera metadata wrong reliable mistake publish next inconclusive threshold quality "
        "original suspicious summary second frame moment many much other left right middle "
        + " ".join((*_ENGLISH, *map(regions.title, regions.REGIONS)))
    ).split()
)

# What a pattern asks for is no slip of the pen: "take" is not "fake"
_IN_PATTERNS = frozenset(re.findall(r"[a-z]{3,}", " ".join((*INTENTS.values(), *UNEXAMINED.values(), FILE.pattern))))


def respelt(question: str) -> str:
    """The question with each word that is nearly one of those that questions are made of written as that one.

    A word that is as near to two of them stays: a note is neither a nose nor not.

    Args:
        question: That was not understood.
    """

    def near(match: re.Match[str]) -> str:
        word = match[0]
        if len(word) < 3 or word in _KNOWN_WORDS or word in _IN_PATTERNS:
            return word
        if not _is_slip(word):
            return word
        nearest = min(_edits(word, known) for known in _KNOWN_WORDS)
        meant = [known for known in _KNOWN_WORDS if _edits(word, known) == nearest]
        return meant[0] if len(meant) == 1 else word

    return re.sub(r"[a-z]+", near, normal(question))


def _is_slip(word: str) -> bool:
    most = 2 if len(word) > 6 else 1
    near = (known for known in _KNOWN_WORDS if _edits(word, known) <= most)
    # of three letters, only what lacks one or has two swapped: "hat" is not "that"
    return any(
        len(word) > 3 or sorted(word) == sorted(known) or (len(known) > 3 and word[0] == known[0]) for known in near
    )


def _edits(word: str, other: str) -> int:
    """How many letters were left out, put in, taken for another or swapped with their neighbour; 9 for many."""
    if abs(len(word) - len(other)) > 2:
        return 9
    before, row = list[int](), list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and word[i - 2 : i] == wanted + other[j - 2]:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
    return row[-1]


def is_english(question: str) -> bool:
    """Whether a question can be English: by its letters, and by the small words that are in it.

    Args:
        question: As it was asked.
    """
    letters = [c for c in question if c.isalpha()]
    latin = sum(unicodedata.name(c, "").startswith(("LATIN", "FULLWIDTH LATIN", "MATHEMATICAL")) for c in letters)
    if letters and latin < len(letters) / 2:
        return False
    words = re.findall(r"[^\W\d_]+", normal(question))
    return sum(word in _FOREIGN for word in words) <= sum(word in _ENGLISH for word in words)


def has_english(question: str) -> bool:
    """Whether a word of a question is one that English questions are made of.

    Args:
        question: As it was asked.
    """
    return any(word in _KNOWN_WORDS or word in _IN_PATTERNS for word in re.findall(r"[^\W\d_]+", normal(question)))
