"""Writes what KFD was measured to know and not to know, from results: into its card and its witness's docstring.

    python runs/kfd/card.py [--results results-pool.json]

The results are those of `evaluate.py` of the weights that lie here, by their SHA-256; of others nothing is written. A
kind of forgery made here from genuine faces counts as known from an AUC of `KNOWN` on; of a source's own forgeries the
AUC is told. The sentence on who is right where witnesses contradict each other is `disagree.py`'s, and stays.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from facewitness import plugins
from facewitness.apps.script import script
from facewitness.errors import InputError
from facewitness.files import write_whole
from facewitness.phrases import listed

HERE = Path(__file__).parent
KNOWN = 0.8
MADE = {"self_blend": "self-blends", "region_edit": "edited regions"}
FILMS = {
    "dfdc": "DFDC", "ffpp_c40": "FaceForensics++ c40", "ffpp_c23": "FaceForensics++ c23",
    "deepfacelive": "DeepFaceLive",
}  # fmt: skip
WHOLE = {"stylegan2_photos": "StyleGAN2"}
_NOT_MEASURED = "Whether the places that kfd names are what moves its score was not measured."  # until somebody does
_AGAINST = re.compile(r"Where \w+ and \w+ decided in opposite directions.*?times\.", re.DOTALL)


def sentences(numbers: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """What stands on the card, from AUCs with their intervals.

    Args:
        numbers: "made/KIND" and "auc/SOURCE" → value, low, high and more, as `evaluate.py` writes them.

    Raises:
        InputError: A kind or a source is missing, or no kind is known.
    """
    missing = [
        name
        for name in (*(f"made/{kind}" for kind in MADE), *(f"auc/{source}" for source in (*FILMS, *WHOLE)))
        if name not in numbers
    ]
    if missing:
        raise InputError(f"card: expected results of {listed(missing)}, got none. Measure them with evaluate.py")
    known = {title: numbers[f"made/{kind}"] for kind, title in MADE.items() if numbers[f"made/{kind}"][0] >= KNOWN}
    if not known:
        raise InputError(f"card: expected an AUC of {KNOWN} for some kind that is made here, got none")
    first, *others = (f"{title} ({'AUC ' if not n else ''}{_auc(v)}" for n, (title, v) in enumerate(known.items()))
    knows = listed([f"{first} on held-out faces)", *(f"{each})" for each in others)])
    films = ", ".join(f"{title}: {_auc(numbers[f'auc/{source}'])}" for source, title in FILMS.items())
    of_whole = {title: numbers[f"auc/{source}"] for source, title in WHOLE.items()}
    whole = ", ".join(f"{title}: {_auc(value)}{_worse(value)}" for title, value in of_whole.items())
    return {
        "knows": f"kfd knows where a face was blended: {knows}.",
        "does_not_know": f"kfd does not know forgeries of videos (AUC {films}), nor faces that a generator made as a "
        f"whole ({whole}).",
    }


def _auc(value: Sequence[Any]) -> str:
    return f"{value[0]:.2f}"


def _worse(value: Sequence[Any]) -> str:
    """Told of still pictures alone: intervals over a handful of clips are narrower than what is known of them."""
    return ", worse than chance" if value[2] is not None and value[2] < 0.5 else ""


def written(card: Mapping[str, str], said: Mapping[str, str]) -> dict[str, str]:
    """The card with new sentences, and the old one's on contradictions behind them."""
    against = _AGAINST.search(card.get("does_not_know", ""))
    behind = f" {against[0]}" if against else ""
    return {"deletion": _NOT_MEASURED, **card, **said, "does_not_know": f"{said['does_not_know']}{behind}"}


def documented(code: str, card: Mapping[str, str]) -> str:
    """The witness's code with the card in the paragraph "Measured: …" of its docstring."""
    begin = code.index("Measured: ")
    end = code.index('\n"""', begin)
    paragraph = f"Measured: {card['knows']} {card['does_not_know']}"
    return code[:begin] + textwrap.fill(paragraph, 120, break_on_hyphens=False) + code[end:]


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, check, write, print. Raises InputError where the results are of other weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--results", type=Path, default=HERE / "results-pool.json")
    parser.add_argument("--weights", type=Path, default=HERE / "kfd.safetensors")
    parser.add_argument("--code", type=Path, default=Path(plugins.__file__).parent / "witnesses" / "kfd.py")
    given = parser.parse_args(arguments)
    results = json.loads(given.results.read_text(encoding="utf-8"))
    ours = hashlib.sha256(given.weights.read_bytes()).hexdigest()
    theirs = {sha for made in results["made_by"] for name, sha in made["weights"].items() if name == "kfd.safetensors"}
    if theirs != {ours}:
        raise InputError(f"'{given.results}': expected results of {ours[:12]}…, got those of {listed(sorted(theirs))}")
    file = given.weights.with_suffix(".json")
    facts = json.loads(file.read_text(encoding="utf-8"))
    facts["card"] = written(facts.get("card", {}), sentences(results["numbers"]["kfd, plain"]))
    write_whole(file, (json.dumps(facts, indent=2) + "\n").encode())
    code = given.code.read_text(encoding="utf-8")
    write_whole(given.code, documented(code, facts["card"]).encode())
    print(json.dumps(facts["card"], indent=1))


if __name__ == "__main__":
    script(main)
