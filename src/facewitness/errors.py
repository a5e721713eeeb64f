"""Every error facewitness raises on purpose, in one tree.

    FacewitnessError
    ├── InputError           the caller gave something that cannot be analysed
    │   ├── UnreadableMedia  a file that is missing, broken, or not a picture
    │   └── TooLarge         a file or picture beyond the limits, refused before it is decoded
    ├── UnknownName          a name no leaf, region or option has; says the nearest one
    ├── MissingExtra         a leaf that needs packages which are not installed; says what to install
    ├── WeightsError         weights that are absent or do not match their hash
    ├── BackendError         a language model that is down, slow, or answers with what is no answer
    ├── ReportError          a report that does not follow the wire format
    └── Collapse             a training that was given up, because nothing good could come of it any more

Each message says what was expected, what came, and what to do next.
"""

from __future__ import annotations

import difflib
import functools
import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any

# A sentence that ends in a command, or in a place, ends there: people copy it
_COPIED = re.compile(
    r"(?:(?:^|[:;.,] )(?:facewitness|pip|python3?|make|sed|curl|cp|mv|rm|git|docker|apt|sha256sum) [^\n]*"
    r"|\S*[/\\]\S*)$"
)


def ended(message: str) -> str:
    """A message as a sentence: with its full stop, unless what stands at its end is there to be copied.

    Args:
        message: Of an error.
    """
    text = message.rstrip()
    whole = text[-1:] in ("", ".", "!", "?", "…", ":", ";", ",") or _COPIED.search(text) or "\n" in text
    return message if whole else text + "."


class FacewitnessError(Exception):
    """Root of the tree: catch this to catch everything facewitness raises on purpose."""


class InputError(FacewitnessError, ValueError):
    """The caller gave something that cannot be analysed."""


class UnreadableMedia(InputError):
    """A file that is missing, broken, or not a picture."""


class TooLarge(InputError):
    """A file or picture beyond the limits, refused before it is decoded."""


# what options were called before they took the field's word, and how that begins: "most" is max_regions, max_traces …
_FORMERLY = {"most": "max_", "fewest": "min_"}


class UnknownName(FacewitnessError, KeyError):
    """A name that nothing has. The message lists what exists and the nearest name.

    Args:
        what: What it should name, such as "region".
        name: What came.
        known: What exists.
        listed: Where all of them stand; the message then has the nearest few alone, for lists too long to be read.
    """

    def __init__(self, what: str, name: str, known: Iterable[str], listed: str = ""):
        self.what, self.name, self.known, self.listed = what, name, tuple(sorted(known)), listed
        words = name if isinstance(name, str) else came(name)  # from Python it may be anything
        shown = repr(name) if isinstance(name, str) else words
        near = difflib.get_close_matches(words, self.known, n=1)
        near = near or [each for each in self.known if each.startswith(_FORMERLY.get(words, " "))]
        hint = f" Did you mean '{near[0]}'?" if near else ""
        if listed:
            few = difflib.get_close_matches(words, self.known, n=5, cutoff=0.4)
            nearest = f" Nearest: {', '.join(few)}." if few else ""
            super().__init__(f"Unknown {what} {shown}.{hint}{nearest} All {len(self.known)} are in {listed}.")
            return
        listing = ", ".join(self.known) or "none"
        super().__init__(f"Unknown {what} {shown}.{hint} Known: {listing}.")

    def __reduce__(
        self,
    ) -> tuple[type[UnknownName], tuple[str, str, tuple[str, ...], str]]:  # so that it can be pickled
        return type(self), (self.what, self.name, self.known, self.listed)

    def __str__(self) -> str:  # KeyError would print the repr, with quotes and escapes
        return str(self.args[0])


class MissingExtra(FacewitnessError, ImportError):
    """A leaf that needs packages which are not installed."""


class WeightsError(FacewitnessError):
    """Weights that are absent or do not match their hash."""


class BackendError(FacewitnessError):
    """A language model that cannot be reached, is too slow, or answers with what is no answer."""


class ReportError(FacewitnessError, ValueError):
    """A report that does not follow the wire format."""


class Collapse(FacewitnessError):
    """A training that was given up because nothing good could come of it any more; says why, and what to try."""


def renamed(leaf: str, old: str, given: Any, new: str, value: Any) -> Any:
    """The value of an option that had another name before: what came under the old one, which is told, else `value`.

    Args:
        leaf: Name of the leaf whose option it is.
        old: The name it had.
        given: What came under the old name; None for nothing.
        new: The name it has.
        value: What came under the new name.

    Returns:
        One of both values.
    """
    if given is None:
        return value
    warnings.warn(
        f"{leaf}: the option {old} is called {new} now. The old name is still read; say {leaf}.{new}={given}.",
        FutureWarning, stacklevel=3,
    )  # fmt: skip
    return given


def expect(where: str, value: Any, kinds: type | tuple[type, ...], expected: str, mend: str = "") -> None:
    """Refuse an argument of another type in a sentence, before Python does in a traceback.

    Args:
        where: Whose argument it is, such as "Analyzer.limits".
        value: What came.
        kinds: What it may be an instance of; True and False are no numbers, and have to be among them.
        expected: These kinds in words.
        mend: A sentence that says what to do.

    Raises:
        InputError: It is none of them.
    """
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise InputError(f"{where}: expected {expected}, got {came(value)}.{mend and ' '}{mend}")


def came(value: object) -> str:
    """A value in a message: on one line and not too long.

    Args:
        value: Anything.
    """
    try:
        return "".join(c for c in repr(value).split("\n")[0] if c.isprintable())[:80]
    except Exception:  # a stranger's object, or a number of thousands of digits
        return f"a value of type {type(value).__name__}"


def in_a_sentence(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """A dataclass's `__post_init__` that tells a field of another type in a sentence.

    Args:
        check: The method. What it raises on purpose is raised; anything else means that a field has another type.
    """

    @functools.wraps(check)
    def checked(self: Any) -> None:
        try:
            check(self)
        except FacewitnessError:
            raise
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError) as error:
            fields = ", ".join(f"{name} {type(getattr(self, name)).__name__}" for name in self.__dataclass_fields__)
            raise InputError(
                f"{type(self).__name__}: expected fields of the types that its annotations name, got {fields} "
                f"({error}). Give the one of another type as annotated."
            ) from error

    return checked
