"""FiFa-MLLM: a language model that is asked about places and answers with masks between its words.

Qin et al., "Fake-in-Facext: Towards Fine-Grained Explainable DeepFake Analysis" (arXiv 2510.20531), of which only the
abstract was at hand: "a unified multi-task learning architecture … to simultaneously support abundant multimodal
inputs and outputs", text "interleaved with segmentation masks of manipulated artifacts", "queries for arbitrary facial
regions", "multiple auxiliary supervision tasks". What we make of it, in the way of GLaMM and LISA

    in     [REG] in a question is a place: a box, a mask, a click or a named region, pooled from the visual encoder
    out    [SEG] in an answer is a mask: its hidden state asks the mask decoder that ForgeryTalker uses, too
    one    encoder for the language, the regions and the masks (the paper's is FaRL, a CLIP trained on faces)
    L      = L_text + Σ over [SEG] (BCE + Dice) + auxiliary: parsing of K concepts, localisation of the whole forgery,
             detection, kind, and which concepts are forged

The last is our way to tie words to places ("region prediction", switchable): of every concept the language model sees
one token, the features pooled where the parsing says the concept is, with the chance that it is forged. The words then
rest on what the maps show, and a concept needs no mesh to be found. What the abstract leaves open is ours throughout.

With `prior` (the small one) a [SEG]'s mask begins as the paper's annotator makes it, mask ∩ concept:

    p = R (g σ(where) + 1 − g),   R = Σ_k π_k region_k + π_whole

where π says which concept the token means, g whether it means only what is forged there, and the decoder mends p.
`region_k` is what the parsing says, or, where a mesh was found, the mesh's own polygon (`given`): a witness has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from facewitness.errors import InputError
from facewitness.models import _encoder, _hub, _saved, _torchvision  # noqa: F401
from facewitness.models._encoder import Features
from facewitness.models._reader import Reader, network_of
from facewitness.models.mask_decoder import MaskDecoder, bce_loss, dice_loss, enlarged
from facewitness.types import KINDS

# isort: split
from transformers import LlamaConfig, LlamaForCausalLM, LogitsProcessor

# GLaMM's Vicuna-7B, whose authors publish it as pickles, which are never read: it is taken out of a LLaVA, which tuned
# it on. FiFa counts 0.94 billion parameters less than GLaMM, which are GLaMM's two encoders'.
LANGUAGE = "llava-hf/llava-v1.6-vicuna-7b-hf"
REG, SEG, OPEN, CLOSE, ANSWER = "[REG]", "[SEG]", "<p>", "</p>", "<answer>"
TOKENS = (REG, SEG, OPEN, CLOSE, ANSWER)
POINTS = ("name", "box", "mask", "click")  # how a question may point
QUESTIONS: Mapping[str, str] = {  # of the eleven tasks, as they are asked
    "detection": "Is this face real or fake?",
    "kind": "What kind of forgery is this?",
    "image_explanation": "What is wrong with this face?",
    "text_explanation": "Explain in words why this face is fake or real.",
    "region_explanation": f"What is wrong with the place {REG}?",
    "grounded_explanation": "Explain and show what is forged.",
    "region_question": f"Is the {{name}} {REG} forged?",
    "box_question": f"Is the place {REG} forged?",
    "region_parsing": "Show the {name}.",
    "localisation": "Show where it was forged.",
    "region_detection": "Which regions are forged?",
}
KIND_ANSWERS: Mapping[str, str] = {
    "pristine": "No forgery.", "identity_exchange": "An exchanged identity.",
    "attribute_manipulation": "A manipulated attribute.", "entire_synthesis": "A synthesis of the whole picture.",
}  # fmt: skip
YES, NO, REAL, FAKE, NOTHING = "Yes.", "No.", "Real.", "Fake.", "Nothing is wrong there."
NO_FORGERY = "No facial area shows a manipulation."
_TITLES = {
    "left_under_eye": "area under the left eye", "right_under_eye": "area under the right eye", "beard": "beard area",
}  # fmt: skip
MAP = 112  # side of a map that a question points with
MOST_TOKENS = 192
MOST_SEGS = 2  # of an answer whose masks are learned in one step; all are made when it is asked
WEIGHTS: Mapping[str, float] = {
    "text": 1.0,
    "bce": 2.0,
    "dice": 0.5,
    "parsing": 1.0,
    "where": 2.0,
    "detection": 0.5,
    "kind": 0.3,
    "regions": 1.0,
    "place": 0.5,
}  # fmt: skip  (bce 2 and dice 0.5 are GLaMM's and LISA's; the others are ours)


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A place that a question points at."""

    how: str  # one of POINTS
    map: NDArray[np.float32]  # (g, g) in [0, 1] on the picture, any g

    def __post_init__(self) -> None:
        if self.how not in POINTS:
            raise InputError(f"Query.how: expected one of {', '.join(POINTS)}, got {self.how!r}")
        if self.map.ndim != 2 or not np.isfinite(self.map).all() or float(self.map.max(initial=0)) <= 0:
            raise InputError(
                "Query.map: expected a map (g, g) with something on it, got one that is empty; the place lies outside "
                "the face that is looked at"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One question about picture `row` of a batch, and its answer."""

    row: int
    question: str  # with [REG] for every query
    answer: str  # with [SEG] for every mask
    queries: tuple[Query, ...] = ()
    masks: tuple[NDArray[np.float32], ...] = ()  # (h, w) in [0, 1]
    places: tuple[tuple[int, bool], ...] = ()  # of each mask: its concept, −1 the whole face; only what is forged there


class Truth(NamedTuple):
    """What is known of N pictures, for the auxiliary tasks."""

    mask: Tensor  # (N, h, w) in [0, 1]
    parsing: Tensor  # (N, K, g, g) in [0, 1]
    forged: Tensor  # (N, K): which concepts
    fake: Tensor  # (N,)
    kind: Tensor  # (N,) int64: index in KINDS, −1 unknown


class Seen(NamedTuple):
    """What is seen on N pictures before anybody asks."""

    parsing: Tensor  # (N, K, h, w) logits: where each concept is
    where: Tensor  # (N, 4h, 4w) logits: what is forged
    forged: Tensor  # (N, K) logits: which concepts are
    fake: Tensor  # (N,) logits
    kind: Tensor  # (N, 4) logits
    tokens: Tensor  # (N, t, width): what the language model is given
    image: Tensor  # (N, hidden, h, w): the grid as the mask decoder looks at it
    regions: Tensor  # (N, K, 4h, 4w) in [0, 1]: where each concept is, as parsed or as given


class Known(NamedTuple):
    """What is known of a place that a question points at, as log-odds that it is forged."""

    words: float  # how an answer would begin: yes against no
    map: float  # how much of the place the map says is forged, on the average
    face: float  # the score of the face


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """An answer to one question."""

    text: str  # with <p>, </p> and [SEG], as it was written
    masks: tuple[NDArray[np.float32], ...]  # one for each [SEG], (size, size) in [0, 1]


class FiFa(nn.Module):
    """The network. Keys of `config`, of which `published` and `small` make a whole one:

        encoder   kind and arguments of `models/_encoder`
        language  of transformers' LlamaConfig
        prior     masks begin at mask ∩ concept, and the map of the whole at the encoder's own
        decoder   of `models/mask_decoder.MaskDecoder`
        concepts  names of the tree's concepts that are parsed
        grid      side of the grid of picture tokens that the language model is given
        region_prediction   give it a token of every concept, too
        frozen_language     only the language model's tables of words learn (and LoRA, which `train/fifa` puts there)

    Args:
        config: Of what parts the network is.
        reader: Reads and writes words.
    """

    def __init__(self, config: Mapping[str, Any], reader: Reader):
        super().__init__()
        self.config, self.reader = dict(config), reader
        self.concepts: tuple[str, ...] = tuple(config["concepts"])
        self.predicted = bool(config.get("region_prediction", True))
        self.grid = int(config.get("grid", 4))
        self.encoder: Any = _encoder.made(config["encoder"])
        self.size: int = self.encoder.size
        language = LlamaConfig(**config["language"])
        self.language = LlamaForCausalLM(language)
        width = language.hidden_size
        self.prior = bool(config.get("prior", False))
        self.apart: int = getattr(self.encoder, "apart", 0)  # channels that words alone are made of: an ablation
        self.decoder = MaskDecoder(self.encoder.width - self.apart, width, prior=self.prior, **config["decoder"])
        hidden = self.decoder.hidden
        self.for_words = nn.Conv2d(self.apart, hidden, 1) if self.apart else None
        self.to_parsing = nn.Conv2d(hidden, len(self.concepts), 1)
        self.where = nn.Parameter(torch.randn(1, 1, 1, width) * 0.02)
        self.to_forged = nn.Sequential(nn.Linear(hidden + 2, hidden), nn.GELU(), nn.Linear(hidden, 1))
        self.forged_bias = nn.Parameter(torch.zeros(len(self.concepts)))
        summary = self.encoder.whole + 2 * hidden + 2
        self.to_fake = nn.Linear(summary, 1)
        self.to_kind = nn.Linear(summary, len(KINDS))
        self.from_whole = nn.Linear(self.encoder.whole, width)
        self.from_grid = nn.Linear(hidden, width)
        self.place = nn.Parameter(torch.randn(self.grid**2, width) * 0.02)
        self.concept = nn.Parameter(torch.randn(len(self.concepts), width) * 0.02)
        self.from_chance = nn.Linear(2, width)
        self.from_region = nn.Linear(hidden + hidden + 4 + (2 if self.prior else 0), width)
        self.how = nn.Parameter(torch.randn(len(POINTS), width) * 0.02)
        self.to_prompt = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        # π of every concept and of the whole, then g
        self.to_place = nn.Linear(width, len(self.concepts) + 2) if self.prior else None

    # ------------------------------------------------------------------------------------------------ before a question

    def seen(self, features: Features, given: Tensor | None = None) -> Seen:
        """What is on N pictures.

        Args:
            features: Of the encoder.
            given: Where each concept is, (N, K, g, g) in [0, 1], by a mesh; in the place of what the network parses.
        """
        image = self.decoder.image(features.grid[:, self.apart :])
        parsing = self.to_parsing(image)
        begin = self.encoder.map(features) if self.prior else None
        if self.prior and begin is None:
            raise InputError("FiFa: expected an encoder with a map of its own to begin at (maps = true), got none")
        where = self.decoder.masks(image, self.where.expand(len(image), -1, -1, -1), begin).logits[:, 0]
        chance = F.adaptive_avg_pool2d(where[:, None].sigmoid(), image.shape[-2:])
        there = parsing.sigmoid() if given is None else given.to(image)
        regions = F.interpolate(there, where.shape[-2:], mode="bilinear", align_corners=False)
        if given is not None:
            there = F.adaptive_avg_pool2d(there, image.shape[-2:])
        share = there.flatten(2)  # (N, K, h·w)
        share = share / share.sum(2, keepdim=True).clamp_min(1e-3)
        pooled = share @ image.flatten(2).transpose(1, 2)  # (N, K, hidden)
        inside = share @ chance.flatten(2).transpose(1, 2)  # (N, K, 1): how much of it the map says is forged
        strongest = F.max_pool2d(chance, image.shape[-1]).flatten(1)
        forged = self.to_forged(
            torch.cat([pooled, inside, strongest[:, None].expand(-1, len(self.concepts), -1)], dim=2)
        )[..., 0] + self.forged_bias  # fmt: skip
        weight = chance / chance.sum((2, 3), keepdim=True).clamp_min(1e-3)
        summary = torch.cat(
            [features.whole, image.mean((2, 3)), (image * weight).sum((2, 3)), chance.mean((2, 3)), strongest], dim=1
        )
        looked = image if self.for_words is None else self.for_words(features.grid[:, : self.apart])
        grid = F.adaptive_avg_pool2d(looked, self.grid).flatten(2).transpose(1, 2)
        tokens = [self.from_whole(features.whole)[:, None], self.from_grid(grid) + self.place]
        if self.predicted:
            chances = torch.stack([forged.sigmoid(), inside[..., 0]], dim=2).detach()  # the words do not bend the maps
            tokens.append(self.from_grid(pooled) + self.concept + self.from_chance(chances * 2 - 1))
        return Seen(
            parsing, where, forged, self.to_fake(summary)[:, 0], self.to_kind(summary), torch.cat(tokens, dim=1),
            image, regions,
        )  # fmt: skip

    def regions(self, seen: Seen, row: int, queries: Sequence[Query]) -> Tensor:
        """The tokens of the places that a question points at, (R, width).

        Args:
            seen: What `seen` gave.
            row: Which picture.
            queries: Places that are pointed at.

        Returns:
            (R, width), a row for each place of the question.
        """
        image = seen.image[row : row + 1]
        maps = torch.stack([_resized(q.map, image.shape[-1]) for q in queries]).to(image)
        share = maps.flatten(1)
        total = share.sum(1, keepdim=True)
        # a place smaller than a cell of the grid is the cell it lies in
        share = share / total.clamp_min(1e-6)
        pooled = share @ image[0].flatten(1).T
        boxes = torch.tensor([_bounds(q.map) for q in queries], device=image.device, dtype=image.dtype)
        centre = torch.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2], dim=1)
        kinds = torch.tensor([POINTS.index(q.how) for q in queries], device=image.device)
        known = [pooled, self.decoder.fourier(centre), boxes]
        if self.prior:  # how much of it the map says is forged, on the average and at most
            chance = F.adaptive_avg_pool2d(seen.where[row : row + 1].sigmoid(), image.shape[-1]).flatten()
            inside = torch.stack([share @ chance, (maps.flatten(1) * chance).amax(1)], dim=1)
            known.append(inside.detach() * 2 - 1)
        return self.from_region(torch.cat(known, dim=1)) + self.how[kinds]

    # ------------------------------------------------------------------------------------------------ to learn

    def losses(
        self, features: Features, examples: Sequence[Example], truth: Truth, given: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Every loss by name, of N pictures and the questions asked about them; `total` weighs them.

        An answer's [SEG] without a mask, and a mask without a [SEG], are left out of the masks' losses.

        Args:
            features: Of the encoder, of N pictures.
            examples: Questions with their answers.
            truth: Of the auxiliary tasks.
            given: Where each concept is, (N, K, g, g) in [0, 1], by a mesh; in the place of what the network parses.

        Returns:
            Name → a scalar.
        """
        seen = self.seen(features, given)
        parts: dict[str, Tensor] = dict(self.auxiliary(seen, truth))
        if not examples:
            return parts
        embedded, attention, targets, places = self._batch(seen, examples)
        out = self.language.model(inputs_embeds=embedded, attention_mask=attention).last_hidden_state
        rows = targets[:, 1:] >= 0
        logits = self.language.lm_head(out[:, :-1][rows])
        parts["text"] = F.cross_entropy(logits.float(), targets[:, 1:][rows])
        asked: list[tuple[int, int, NDArray[np.float32]]] = []
        meant: list[tuple[int, bool] | None] = []
        for i, (example, ats) in enumerate(zip(examples, places, strict=True)):
            pairs = list(zip(ats, example.masks, strict=False))
            for j in torch.randperm(len(pairs))[:MOST_SEGS].tolist():
                asked.append((i, *pairs[j]))
                meant.append(example.places[j] if j < len(example.places) else None)
        if asked:
            of = torch.tensor([examples[i].row for i, _, _ in asked], device=out.device)
            hidden = torch.stack([out[i, at] for i, at, _ in asked])
            begin, place = self._begun(seen, of, hidden)
            masks = self.decoder.masks(
                seen.image[of], self.to_prompt(hidden)[:, None, None], None if begin is None else begin[:, None]
            ).logits
            if place is not None and (known := [k for k, m in enumerate(meant) if m is not None]):
                parts["place"] = self._place_loss(place[known], [m for m in meant if m is not None])
            shape = masks.shape[-1]
            true = torch.stack([_resized(mask, shape) for _, _, mask in asked])[:, None].to(masks)
            parts["bce"], parts["dice"] = bce_loss(masks.float(), true.float()), dice_loss(masks.float(), true.float())
        return parts

    def _begun(self, seen: Seen, of: Tensor, hidden: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Where the masks of m [SEG] begin, logits (m, 4h, 4w), and what each means, (m, K + 2); of what pictures."""
        if self.to_place is None:
            return None, None
        place = self.to_place(hidden)
        share = place[:, :-1].softmax(1)
        region = torch.einsum("mk,mkhw->mhw", share[:, :-1], seen.regions[of]) + share[:, -1, None, None]
        only = place[:, -1, None, None].sigmoid()
        p = region * (only * seen.where[of].sigmoid() + 1 - only)
        return torch.logit(p.float().clamp(2e-3, 1 - 2e-3)), place

    def _place_loss(self, place: Tensor, meant: Sequence[tuple[int, bool]]) -> Tensor:
        """Which concept, and whether only what is forged, of m [SEG] of which it is known."""
        whole = len(self.concepts)
        concept = torch.tensor([whole if k < 0 else k for k, _ in meant], device=place.device)
        only = torch.tensor([float(forged) for _, forged in meant], device=place.device)
        return F.cross_entropy(place[:, :-1].float(), concept) + F.binary_cross_entropy_with_logits(
            place[:, -1].float(), only
        )

    def auxiliary(self, seen: Seen, truth: Truth) -> dict[str, Tensor]:
        """The losses of the auxiliary tasks.

        Args:
            seen: What `seen` gave.
            truth: Of the auxiliary tasks.

        Returns:
            Name → a scalar.
        """
        shape, small = seen.where.shape[-2:], seen.parsing.shape[-2:]
        mask = F.adaptive_avg_pool2d(truth.mask[:, None], shape)
        where = seen.where[:, None].float()
        parsing = F.adaptive_avg_pool2d(truth.parsing, small)
        some = truth.fake > 0.5
        losses = {
            "where": bce_loss(where, mask) + (0.25 * dice_loss(where[some], mask[some]) if some.any() else 0.0),
            "parsing": bce_loss(seen.parsing.float(), parsing),
            "regions": F.binary_cross_entropy_with_logits(seen.forged.float(), truth.forged),
            "detection": F.binary_cross_entropy_with_logits(seen.fake.float(), truth.fake),
        }
        if (truth.kind >= 0).any():
            losses["kind"] = F.cross_entropy(seen.kind.float(), truth.kind, ignore_index=-1)
        return losses

    @staticmethod
    def total(losses: Mapping[str, Tensor], weights: Mapping[str, float] = WEIGHTS) -> Tensor:
        """The weighted sum.

        Args:
            losses: By name.
            weights: By name.

        Returns:
            A scalar.
        """
        return torch.stack([weights[name] * value for name, value in losses.items()]).sum()

    # ------------------------------------------------------------------------------------------------ to answer

    @torch.inference_mode()
    def answer(
        self, seen: Seen, questions: Sequence[tuple[int, str, Sequence[Query]]], max_tokens: int = MOST_TOKENS,
        least: float = 0.0,
    ) -> list[Answered]:  # fmt: skip
        """Answers to (row, question, queries), each with one mask for every [SEG] it writes.

        Args:
            seen: What is on the pictures.
            questions: Of each, which picture, the words with [REG] for every place, and the places.
            max_tokens: Of an answer.
            least: Chance that a concept is forged from which on an explanation may name it; 0 lets all be named.
        """
        examples = [Example(row, question, "", tuple(queries)) for row, question, queries in questions]
        embedded, attention = self._asked(seen, examples)
        written = self.language.generate(
            inputs_embeds=embedded, attention_mask=attention, max_new_tokens=max_tokens, do_sample=False, num_beams=1,
            pad_token_id=self._id("<pad>"), eos_token_id=self.reader.language.eos_token_id,
            logits_processor=[_Gate(self, seen, examples, least)] if least > 0 else None,
        )  # fmt: skip
        table = self.language.get_input_embeddings()
        whole = torch.cat([embedded, table(written)], dim=1)
        seen_too = torch.cat([attention, torch.ones_like(written)], dim=1)
        out = self.language.model(inputs_embeds=whole, attention_mask=seen_too,
                                  position_ids=(seen_too.cumsum(1) - 1).clamp_min(0)).last_hidden_state  # fmt: skip
        end = self.reader.language.eos_token_id
        answers = []
        for i, ids in enumerate(written.tolist()):
            ids = ids[: ids.index(end)] if end in ids else ids
            at = [embedded.shape[1] + k for k, token in enumerate(ids) if token == self._id(SEG)]
            masks: tuple[NDArray[np.float32], ...] = ()
            if at:
                prompts = self.to_prompt(out[i, at])[None, :, None]
                row = examples[i].row
                begin, _ = self._begun(seen, torch.tensor([row] * len(at), device=out.device), out[i, at])
                logits = self.decoder.masks(
                    seen.image[row : row + 1], prompts, None if begin is None else begin[None]
                ).logits
                masks = tuple(enlarged(logits, self.size)[0].sigmoid().float().cpu().numpy())
            words = self.reader.language.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            answers.append(Answered(" ".join(words.replace("<pad>", "").split()), masks))
        return answers

    @torch.inference_mode()
    def odds(
        self, seen: Seen, questions: Sequence[tuple[int, str, Sequence[Query]]], mirrored: Seen | None = None
    ) -> list[Known]:
        """What is known of the place that each of (row, question, (query,)) points at, before an answer is written.

        Args:
            seen: What is on the pictures.
            questions: As `answer` takes them; the first query is the place.
            mirrored: What is on their mirror images: map and score are then the mean of both views.
        """
        examples = [Example(row, question, "", tuple(queries)) for row, question, queries in questions]
        embedded, attention = self._asked(seen, examples)
        out = self.language.model(inputs_embeds=embedded, attention_mask=attention,
                                  position_ids=(attention.cumsum(1) - 1).clamp_min(0)).last_hidden_state  # fmt: skip
        logits = self.language.lm_head(out[:, -1]).float()
        words = logits[:, self._ids(YES, 1)[0]] - logits[:, self._ids(NO, 1)[0]]
        known = []
        for example, odds in zip(examples, words.tolist(), strict=True):
            views = [(seen.where[example.row], seen.fake[example.row])]
            if mirrored is not None:
                views.append((mirrored.where[example.row].flip(-1), mirrored.fake[example.row]))
            maps, faces = [], []
            for where, fake in views:
                chance = where.sigmoid().float()
                there = _resized(example.queries[0].map, chance.shape[-1]).to(chance)
                inside = (chance * there).sum() / there.sum().clamp_min(1e-6)
                maps.append(float(torch.logit(inside.double(), 1e-4)))
                faces.append(float(torch.logit(fake.double().sigmoid(), 1e-4)))
            known.append(Known(odds, sum(maps) / len(maps), sum(faces) / len(faces)))
        return known

    # ------------------------------------------------------------------------------------------------ its parts

    def _id(self, token: str) -> int:
        return int(self.reader.language.convert_tokens_to_ids(token))

    def _ids(self, text: str, max_tokens: int) -> list[int]:
        ids: list[int] = self.reader.language(text, add_special_tokens=False)["input_ids"][:max_tokens]
        return ids

    def _prompt(self, seen: Seen, example: Example) -> Tensor:
        """(t, width): the picture's tokens, the question with its places, and the answer's beginning."""
        ids = torch.tensor([*self._ids(example.question, 256), self._id(ANSWER)], device=seen.tokens.device)
        words = self.language.get_input_embeddings()(ids)
        at = (ids == self._id(REG)).nonzero()[:, 0]
        if len(at) != len(example.queries):
            raise InputError(
                f"question: expected as many {REG} as places, got {len(at)} and {len(example.queries)}: "
                f"{example.question!r}"
            )
        if len(at):
            words = words.index_put((at,), self.regions(seen, example.row, example.queries).to(words.dtype))
        return torch.cat([seen.tokens[example.row].to(words.dtype), words])

    def _batch(self, seen: Seen, examples: Sequence[Example]) -> tuple[Tensor, Tensor, Tensor, list[list[int]]]:
        """Embeddings (n, t, width), where they are, targets (n, t) and the places of each answer's [SEG]."""
        end = self.reader.language.eos_token_id
        rows, targets, places = [], [], []
        for example in examples:
            prompt = self._prompt(seen, example)
            ids = [*self._ids(example.answer, MOST_TOKENS), end]
            words = self.language.get_input_embeddings()(torch.tensor(ids, device=prompt.device))
            rows.append(torch.cat([prompt, words]))
            targets.append(torch.tensor([-100] * len(prompt) + ids, device=prompt.device))
            places.append([len(prompt) + k for k, token in enumerate(ids) if token == self._id(SEG)])
        embedded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        attention = nn.utils.rnn.pad_sequence(
            [torch.ones(len(r), dtype=torch.long, device=r.device) for r in rows], True
        )
        return embedded, attention, nn.utils.rnn.pad_sequence(targets, True, -100), places

    def _asked(self, seen: Seen, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
        """Prompts with their ends beneath each other, and where they are."""
        rows = [self._prompt(seen, example) for example in examples]
        length = max(map(len, rows))
        embedded = torch.stack([F.pad(r, (0, 0, length - len(r), 0)) for r in rows])
        attention = torch.tensor([[0] * (length - len(r)) + [1] * len(r) for r in rows], device=embedded.device)
        return embedded, attention

    def learned(self) -> list[nn.Parameter]:
        """What training changes: all but the encoder, and a frozen language model's layers.

        A frozen one's two tables of words do learn, as GLaMM's do: [SEG], <p> and the others are new in them, and would
        all be the mean of what was there before.
        """
        fixed = {id(p) for p in self.encoder.parameters()}
        if self.config.get("frozen_language"):
            learn = ("lora_", "embed_tokens", "lm_head")
            fixed |= {id(p) for name, p in self.language.named_parameters() if not any(part in name for part in learn)}
        return [p for p in self.parameters() if id(p) not in fixed]

    # ------------------------------------------------------------------------------------------------ on the disk

    def save(self, path: Path, facts: Mapping[str, Any] | None = None) -> str:
        """Writes `path` (.safetensors), its card (.json) and its words beside it; returns the SHA-256.

        Args:
            path: Of the .safetensors; its card lies beside it.
            facts: Further keys of the card beside the weights.
        """
        words = self.reader.save(path)
        return _saved.write(path, "fifa", _saved.once(self), {**(facts or {}), "network": self.config, "words": words})

    @classmethod
    def load(cls, path: Path) -> FiFa:
        """A saved network, in evaluation mode.

        Args:
            path: Of the .safetensors; its card lies beside it.

        Raises:
            WeightsError: A file is missing, damaged, or not what its card says.
        """
        return network_of(
            cls, path, "fifa", ("encoder", "language", "decoder"),
            ("concepts", "grid", "region_prediction", "frozen_language", "prior"),
        )  # fmt: skip


class _Gate(LogitsProcessor):
    """Lets explanations name only concepts that are forged with a chance, each once.

    A sentence begins where a name may: at the answer's beginning and behind a full stop. Where no concept is left the
    answer ends there; where none was there at all it says that nothing was forged.
    """

    def __init__(self, network: FiFa, seen: Seen, examples: Sequence[Example], least: float):
        self.end = int(network.reader.language.eos_token_id)
        chances = seen.forged.sigmoid()
        self.open, self.close, self.stop = network._id(OPEN), network._id(CLOSE), network._ids("a.", 9)[-1]
        self.first = network._ids("The", 1)[0]
        self.nothing = [*network._ids(NO_FORGERY, MOST_TOKENS), self.end]
        self.names: list[dict[str, list[int]] | None] = []
        for example in examples:
            fit = [n for n, p in zip(network.concepts, chances[example.row].tolist(), strict=True) if p >= least]
            gated = example.question == QUESTIONS["grounded_explanation"]
            self.names.append({n: network._ids(title(n), MOST_TOKENS) for n in fit} if gated else None)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        for row, names in enumerate(self.names):
            if names is None:
                continue
            allowed = self._allowed(input_ids[row].tolist(), names)
            if allowed is not None:
                kept = scores[row, allowed].clone()
                scores[row] = -torch.inf
                scores[row, allowed] = kept
        return scores

    def _allowed(self, ids: list[int], names: Mapping[str, list[int]]) -> list[int] | None:
        """The tokens that may follow; None for any."""
        if not names:
            return [self.nothing[len(ids)]] if len(ids) < len(self.nothing) else [self.end]
        if self.end in ids:
            return None
        named: list[list[int]] = []
        opened: int | None = None
        for k, token in enumerate(ids):
            if token == self.open:
                opened = k
            elif token == self.close and opened is not None:
                named.append(ids[opened + 1 : k])
                opened = None
        left = [name for name in names.values() if name not in named]
        if opened is not None:
            begun = ids[opened + 1 :]
            fit = [name for name in left if name[: len(begun)] == begun]
            return sorted({name[len(begun)] if len(name) > len(begun) else self.close for name in fit}) or [self.close]
        if not ids:
            return [self.first]
        return [self.end] if ids[-1] == self.stop and not left else None


def title(name: str) -> str:
    """How texts call a region of the tree.

    Args:
        name: Of the region.
    """
    return _TITLES.get(name, name.replace("_", " "))


def named(words: str, concepts: Sequence[str]) -> str | None:
    """The concept that texts call so; None where none is.

    Args:
        words: A name, in any spelling.
        concepts: Names of regions.
    """
    return next((name for name in concepts if title(name) == words.strip().lower()), None)


def box_map(box: tuple[float, float, float, float], g: int = MAP) -> NDArray[np.float32]:
    """A box, in shares of the crop's sides, as a map; one thinner than a sample is one sample.

    Args:
        box: (x1, y1, x2, y2), in shares of the crop.
        g: Side of the map, cells.

    Returns:
        float32 (g, g) in [0, 1].
    """
    map_ = np.zeros((g, g), np.float32)
    x1, y1, x2, y2 = (float(np.clip(v, 0, 1)) * g for v in box)
    left, top = int(min(x1, g - 1)), int(min(y1, g - 1))
    map_[top : max(int(np.ceil(y2)), top + 1), left : max(int(np.ceil(x2)), left + 1)] = 1
    return map_


def click_map(x: float, y: float, g: int = MAP) -> NDArray[np.float32]:
    """A click, in shares of the crop's sides, as a soft spot about a tenth of the crop wide.

    Args:
        x: In shares of the crop.
        y: In shares of the crop.
        g: Side of the map, cells.

    Returns:
        float32 (g, g) in [0, 1].
    """
    ys, xs = np.mgrid[0:g, 0:g] + 0.5
    return np.exp(-((xs / g - x) ** 2 + (ys / g - y) ** 2) / (2 * 0.03**2)).astype(np.float32)


def _resized(values: NDArray[np.float32], size: int) -> Tensor:
    """A map (g, g) at another resolution, by the mean; a map smaller than a sample does not vanish."""
    return F.adaptive_avg_pool2d(torch.from_numpy(np.ascontiguousarray(values, np.float32))[None], size)[0]


def _bounds(values: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """The box around what is on a map, as shares of its sides."""
    there = values >= 0.5 * values.max()
    ys, xs = there.any(1).nonzero()[0], there.any(0).nonzero()[0]
    h, w = values.shape
    return float(xs[0] / w), float(ys[0] / h), float((xs[-1] + 1) / w), float((ys[-1] + 1) / h)


# --------------------------------------------------------------------------------------------------- of what parts


def small(concepts: Sequence[str], words: int, **changes: Any) -> dict[str, Any]:
    """A network of about 5 million parameters on the compact network's features, for two CPU cores.

    Args:
        concepts: Names of regions.
        words: How many tokens the vocabulary has.
        **changes: Further keys of the configuration.

    Returns:
        The configuration.
    """
    return {
        "encoder": {"kind": "compact", "size": 224, "maps": True}, "prior": True,
        "language": {"vocab_size": words, "hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4,
                     "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 640,
                     "tie_word_embeddings": True, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 1},
        "decoder": {"hidden": 128, "heads": 4, "mlp": 256, "further": 0},
        "concepts": list(concepts), "grid": 4, "region_prediction": True, "frozen_language": False, **changes,
    }  # fmt: skip


def published(concepts: Sequence[str], **changes: Any) -> dict[str, Any]:
    """Published-like sizes: FaRL's ViT-B/16 as the one encoder, Vicuna-7B, SAM's decoder.

    Args:
        concepts: Names of regions.
        **changes: Further keys of the configuration.

    Returns:
        The configuration.
    """
    return {
        "encoder": {"kind": "clip", "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                    "num_attention_heads": 12, "image_size": 224, "patch_size": 16, "hidden_act": "quick_gelu"},
        "language": {"vocab_size": 32000 + len(TOKENS), "hidden_size": 4096, "intermediate_size": 11008,
                     "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32,
                     "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "tie_word_embeddings": False},
        "decoder": {"hidden": 256, "further": 3},
        "concepts": list(concepts), "grid": 14, "region_prediction": True, "frozen_language": True, **changes,
    }  # fmt: skip


def from_hub(
    concepts: Sequence[str], language: str = LANGUAGE, encoder: str | None = None, revision: str = "main",
    fetch: bool = True, **changes: Any,
) -> FiFa:  # fmt: skip
    """The published-like network around a LLaMA and a CLIP-like encoder by hub names or folders; the rest is random.

    Args:
        concepts: Names that are parsed.
        language: A LLaMA-like language model, or a LLaVA around one, of which the language model is taken.
        encoder: A CLIP vision tower, such as FaRL's weights in transformers' names; None leaves it random.
        revision: Of the language model.
        fetch: Whether the hub may be asked.
        changes: Further keys of the configuration.

    Raises:
        WeightsError: A model cannot be had, or is of another kind.
    """
    from transformers import AutoConfig, AutoTokenizer, CLIPVisionModel, LlavaNextForConditionalGeneration

    folder = _hub.whole(language, None if Path(language).is_dir() else revision, fetch)
    mend = "Name a LLaMA-like language model and a CLIP vision tower, each with config.json and safetensors."
    what = f"The language model '{language}'"
    if _hub.part(AutoConfig, folder, what, mend).model_type == "llava_next":
        model = _out_of_llava(_hub.loaded(LlavaNextForConditionalGeneration, folder, what, mend, dtype=torch.float32))
    else:
        model = _hub.loaded(LlamaForCausalLM, folder, what, mend, dtype=torch.float32)
    words = _hub.part(AutoTokenizer, folder, what, mend)
    tower = None
    if encoder is not None:
        place = _hub.whole(encoder, None if Path(encoder).is_dir() else "main", fetch)
        tower = _hub.loaded(CLIPVisionModel, place, f"The encoder '{encoder}'", mend, dtype=torch.float32)
    words.add_special_tokens({"additional_special_tokens": list(TOKENS)})
    model.resize_token_embeddings(len(words))
    own = {k: v for k, v in model.config.to_dict().items() if k in LANGUAGE_KEYS}
    config = published(concepts, language=own | {"vocab_size": len(words)})
    if tower is not None:
        seen = tower.config.to_dict()
        keys = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size",
                "patch_size", "hidden_act", "layer_norm_eps")  # fmt: skip
        config["encoder"] = {"kind": "clip", **{k: seen[k] for k in keys}}
    network = FiFa(config | changes, Reader(words))
    network.language.load_state_dict(model.state_dict())
    if tower is not None:
        network.encoder.tower.load_state_dict(tower.state_dict())
    return network


def _out_of_llava(whole: Any) -> LlamaForCausalLM:
    """The language model of a LLaVA, without its eyes; it shares the LLaVA's tensors."""
    with torch.device("meta"):
        model = LlamaForCausalLM(whole.config.text_config)
    model.model.load_state_dict(whole.model.language_model.state_dict(), assign=True)
    model.lm_head.load_state_dict(whole.lm_head.state_dict(), assign=True)
    return model


LANGUAGE_KEYS = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
    "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings", "bos_token_id", "eos_token_id", "pad_token_id",
    "head_dim",
)  # fmt: skip


def parts(config: Mapping[str, Any]) -> dict[str, int]:
    """How many parameters each part has, without making room for any.

    Args:
        config: Of the card.

    Returns:
        Name of the part → how many.
    """
    with torch.device("meta"):
        network = FiFa(config, Reader.none())
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    heads = sum(n for k, n in count.items() if k not in ("encoder", "language", "decoder"))
    own = sum(p.numel() for p in network.parameters(recurse=False))
    return {**{k: count[k] for k in ("encoder", "language", "decoder")}, "heads": heads + own}
