"""Do the words gain where the report is chosen that agrees best with what else the network would have said?

    python runs/forgerytalker/consensus.py runs/forgerytalker/small.toml --pack PACK --weights FILE --out DIR

CIDEr asks what most people would write, the likeliest report is not that. So reports are drawn from the network beside
the likeliest one, and the one is given whose mean CIDEr against all the drawn ones is the largest (minimum Bayes risk:
Kumar and Byrne, "Minimum Bayes-Risk Decoding for Statistical Machine Translation", NAACL 2004; Eikema and Aziz, EMNLP
2022, by sampling). N-grams are weighted by how rare they are among the drawn reports together with reports about
training pictures. Nothing is learned or fitted. Look at `calibrate` first, groups of training held out, and at `val`
once: of it only the half of the people that chose nothing is taken. What was drawn stays in DIR, so that a run goes on
where it stopped; beside it consensus-<split>.md. The witness gives its likeliest report.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.modeling_outputs import BaseModelOutput

from facewitness.apps.script import script
from facewitness.bench import measures
from facewitness.bench.wording import Corpus, tokenize
from facewitness.files import write_whole
from facewitness.models.forgerytalker import ForgeryTalker
from facewitness.train import edits, reports
from facewitness.train.forgerytalker import Drawn, Recipe
from facewitness.train.measuring import constant, half, jaccard, means, three, wording

sys.path.insert(0, str(Path(__file__).parent.parent / "fifa"))
from evaluate import told

BATCH = 8


@torch.inference_mode()
def candidates(network: ForgeryTalker, pixels: torch.Tensor, tokens: int, draws: int) -> list[list[str]]:
    """Of each picture the likeliest report, and then the drawn ones."""
    features = network.encoder(pixels)
    instructions = [network.instruction(names) for names in network.named(network.prompt(pixels, features))]
    ids, seen = network.reader.read(instructions)
    queries, _ = network._qformer(features, ids, seen)
    inputs, attention = network._prompt(queries, instructions)
    first = network.language.generate(
        inputs_embeds=inputs, attention_mask=attention, max_new_tokens=tokens, do_sample=False, num_beams=1
    )
    likeliest = network.reader.words(first)
    whole = network.language.get_encoder()(inputs_embeds=inputs, attention_mask=attention).last_hidden_state
    drawn = network.reader.words(network.language.generate(
        encoder_outputs=BaseModelOutput(last_hidden_state=whole.repeat_interleave(draws, 0)),
        attention_mask=attention.repeat_interleave(draws, 0), max_new_tokens=tokens, do_sample=True,
        top_k=0, num_beams=1,
    ))  # fmt: skip
    return [[text, *drawn[k * draws : (k + 1) * draws]] for k, text in enumerate(likeliest)]


def agreed(texts: Sequence[str], others: Sequence[str], kept: bool = False) -> str:
    """The text with the largest mean CIDEr against all drawn ones.

    Args:
        texts: The likeliest report, then the drawn ones.
        others: Reports about training pictures, for the weights of n-grams.
        kept: Whether it names the areas that the likeliest names.
    """
    many = Counter(texts[1:])
    areas = set(reports.areas(texts[0]))
    distinct = [t for t in dict.fromkeys(texts) if not kept or set(reports.areas(t)) == areas]
    drawn = list(many)
    pairs = [(a, b) for a in distinct for b in drawn]
    # the weights come of the references in a corpus, so training's stand beside the pairs
    said = [a for a, _ in pairs] + list(others)
    against = [b for _, b in pairs] + list(others)
    values = Corpus(tokenize(said, "plain"), [[t] for t in tokenize(against, "plain")]).cider()[: len(pairs)]
    weights = np.array([many[b] for b in drawn], np.float64)
    mean = (np.asarray(values).reshape(len(distinct), len(drawn)) * weights).sum(1) / weights.sum()
    return distinct[int(mean.argmax())]


def main() -> None:
    """Draw, choose and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--draws", type=Path, help="where edits are kept (in --out)")
    parser.add_argument("--split", choices=("calibrate", "val"), default="calibrate")
    parser.add_argument("--samples", type=int, default=24, help="reports drawn of a picture")
    parser.add_argument("--limit", type=int, default=400, help="pictures at most")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recipe = Recipe.read(given.recipe)
    assert recipe.draws is not None
    network, place = ForgeryTalker.load(given.weights), given.draws or given.out / "edits"
    made = edits.drawn(recipe.draws, given.pack, place, given.split)
    groups = [f"{row['source']}/{row['group']}" for row in made.rows]
    rows = [i for i, row in enumerate(made.rows)
            if row["fake"] and (given.split == "calibrate" or half(groups[i]) == 1)][: given.limit]  # fmt: skip
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / f"drawn-{given.split}-{given.samples}.json"
    kept: dict[str, list[str]] = json.loads(file.read_text()) if file.exists() else {}
    todo = [i for i in rows if str(i) not in kept]
    for begin in range(0, len(todo), BATCH):
        some = todo[begin : begin + BATCH]
        torch.manual_seed(some[0])
        texts = candidates(network, made.images(some), recipe.max_tokens, given.samples)
        kept |= dict(zip(map(str, some), texts, strict=True))
        write_whole(file, json.dumps(kept).encode())
        print(f"{len(kept)} of {len(rows)}", flush=True)
    train = told(edits.drawn(recipe.draws, given.pack, place, "train"), recipe.seed)
    data = Drawn(made, recipe.seed)
    found: list[dict[str, Any]] = []
    for i in rows:
        true = data.reports(slice(i, i + 1))[0]
        found.append({"group": groups[i], "true": true, "text": kept[str(i)][0], "agreed": agreed(kept[str(i)], train),
                      "areas": agreed(kept[str(i)], train, kept=True), "drawn": kept[str(i)][1]})  # fmt: skip
    page = table(found, constant(train))
    write_whole(given.out / f"consensus-{given.split}.md", page.encode())
    print(page)


def table(found: Sequence[dict[str, Any]], blind: str) -> str:
    """The page."""
    lines = ["| report | CIDEr | over shuffled | over the best constant | PLM | ROUGE-L |", "|---|---|---|---|---|---|"]
    references = [[t] for t in tokenize([r["true"] for r in found], "plain")]
    ciders = {}
    for name, column in (
        ("the likeliest", "text"),
        ("one drawn", "drawn"),
        ("agreed on", "agreed"),
        ("agreed on, its areas kept", "areas"),
    ):
        rows = [{**r, "text": r[column]} for r in found]
        words = wording(rows, blind)
        plm = means([{"group": r["group"], "plm": jaccard(reports.areas(r["text"]), reports.areas(r["true"]))}
                     for r in rows], ("plm",))["plm"]  # fmt: skip
        own = words["texts"]["own"]
        margins = [three(words["margins"][f"CIDEr over {other}"]) for other in ("shuffled", "image-blind")]
        lines.append(f"| {name} | {own['CIDEr']:.3f} | {' | '.join([*margins, three(plm)])} | {own['ROUGE-L']:.3f} |")
        ciders[name] = Corpus(tokenize([r[column] for r in found], "plain"), references).cider()
    names = ("agreed on", "agreed on, its areas kept")
    gains = measures.ratios({name: (ciders[name] - ciders["the likeliest"], np.ones(len(found))) for name in names},
                            [r["group"] for r in found])  # fmt: skip
    gained = ", ".join(f"{three([gains[n].value, gains[n].low, gains[n].high])} {n}" for n in names)
    constant_of = wording(found, blind)["texts"]["image-blind"]["CIDEr"]
    lines += ["", f"{len(found)} forged pictures. The best constant: {constant_of:.3f}. CIDEr gained on the likeliest: "
              f"{gained}."]  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    script(main)
