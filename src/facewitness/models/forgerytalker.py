"""ForgeryTalker: a mask of what was forged and a report about it, out of one visual encoder and a Q-Former.

Lian et al., "Generating Attribution Reports for Manipulated Facial Images: A Dataset and Baseline", section 3. An
InstructBLIP (image encoder, Q-Former, T5), the forgery prompter network of `models/fpn`, and SAM's two-way transformer
and mask decoder (`models/mask_decoder`). With E_I the frozen encoder's tokens of an image I, T its report, M its mask

    L_mlm = −Σ_{t∈M} log P(t | I, T_∖M)             Q-Former: the region words of T, masked                  (1)
    L_lm  = −Σ_k log P(T_k | I, T_0 … T_{k−1})      T5, from the Q-Former's tokens                           (2)
    L_seg = the pixels' cross-entropy of M          E_I fused with the text by cross-attention               (3)
    L_con = −1/N Σ log softmax sim(v_i, t_j) / τ    v the [CLS] token, t the mean of the text                (4)
    L_pretrain = λ1 L_mlm + λ2 L_lm + λ3 L_seg + λ4 L_con,  λ = 2 : 1 : 1 : 1                                (5)
    L_full = L_t + L_m                              (10), (11): report by T5, mask by cross-entropy, FPN frozen

In the second stage the text is the instruction with the regions R that the FPN names, and the Q-Former's tokens are
enriched by cross-attention with the FPN's features F_g^m before they ask for the mask.

Where the paper is silent
    fused with the text    every token of the grid looks at the Q-Former's text tokens; in the second stage these are
                           the instruction's, so that nothing of the first is idle. (The authors' code lets the words
                           of the labels look at the image instead, and has a decoder of its own that is not SAM's.)
    t                      of the report by the Q-Former without any image: with one, v could be read out of t. (The
                           authors' code takes the mean of the query tokens, which have seen both.)
    v, t                   in 256 dimensions by a layer each (theirs: v as it is, t in its width)
    τ                      0.07, as in the authors' code
    T in L_lm              T5 is given the Q-Former's tokens alone. (The authors' code gives it the report, too.)
    no region named        the instruction says "none"
Where paper and authors' code differ
    T5                     learns in pretraining by figure 4, and is frozen throughout in the code; so is `published`'s
                           (`frozen_language`), which keeps an XL on one card. `small`'s learns in both stages, for it
                           begins with random weights
    L_seg, L_m             the paper's; the code weighs forged pixels twice and takes a sigmoid of the sigmoid
    the instruction        the paper's; the code's is another text, and a gate over its labels adds half of its own
                           cross-entropy to L_full. We have no gate
    the encoder            frozen with its last layer norm, which learns in the code (LAVIS)
    Σ of (1), (2), (10)    the mean over tokens, as in the code: λ weighs means
    H, W of (3) and (11)   the picture's, to which `published` enlarges its logits (`fine`). `small` compares on the
                           grid of the decoder's mask, over whose cells the true one is averaged
    decoding               the likeliest word each time; `beams` = 5 is the code's, which besides repeats less
                           (penalty 1.5) and writes 5 to 100 tokens
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from facewitness.errors import InputError, WeightsError
from facewitness.models import _encoder, _hub, _saved, _torchvision  # noqa: F401
from facewitness.models._encoder import Features
from facewitness.models._reader import Reader, network_of
from facewitness.models.fpn import FPN, THRESHOLD, Prompt
from facewitness.models.mask_decoder import MaskDecoder, bce_loss, enlarged

# isort: split
from transformers import InstructBlipQFormerConfig, InstructBlipQFormerModel, T5Config, T5ForConditionalGeneration

NAME = (
    "Salesforce/instructblip-flan-t5-xl"  # InstructBLIP with EVA-ViT-g and Flan-T5 XL, as the authors' checkpoint has
)
INSTRUCTION = (  # section 3.3, word for word; [R] is the regions
    "These facial areas may be manipulated by AI: [R]. Please describe the specific issues in these areas."
)
WITHOUT = "These facial areas may be manipulated by AI. Please describe the specific issues in these areas."  # no FPN
NONE = "none"
MOST_TOKENS = 192  # of a report: MMTT's have at most 120 words
WEIGHTS = (2.0, 1.0, 1.0, 1.0)  # λ1 : λ2 : λ3 : λ4, "the best overall trade-off"
TEMPERATURE = 0.07


class Pretraining(NamedTuple):
    """Equations 1 to 4."""

    mlm: Tensor
    lm: Tensor
    seg: Tensor
    con: Tensor

    def total(self, weights: Sequence[float] = WEIGHTS) -> Tensor:
        """Equation 5.

        Args:
            weights: Of the losses.

        Returns:
            A scalar.
        """
        return torch.stack([w * loss for w, loss in zip(weights, self, strict=True)]).sum()


class Losses(NamedTuple):
    """Equations 10 and 11."""

    text: Tensor
    mask: Tensor

    @property
    def total(self) -> Tensor:
        return self.text + self.mask


@dataclass(frozen=True, slots=True, eq=False)
class Spoken:
    """What is said of one picture."""

    text: str
    areas: Mapping[str, float]  # Ŷ of every label, in [0, 1]
    named: tuple[str, ...]  # R, what stood in the instruction
    mask: NDArray[np.float32]  # (size, size) in [0, 1]


class _Talk(NamedTuple):
    queries: Tensor  # (N, n, D): the Q-Former's tokens
    grid: Tensor  # (N, C, h, w): E_I fused with the text
    map: Tensor | None = None  # (N, 1, H, W): logits of the encoder's own map, where the mask begins


class ForgeryTalker(nn.Module):
    """The network. Keys of `config`, of which `published` and `small` make a whole one:

        encoder   kind and arguments of `models/_encoder`
        fpn       arguments of `models/fpn.FPN`
        qformer   of transformers' InstructBlipQFormerConfig; queries   how many tokens it has
        language  of transformers' T5Config
        decoder   of `models/mask_decoder.MaskDecoder`
        labels    the areas' names, in the order of the FPN's answers
        enrich    the Q-Former's tokens are enriched by F_g^m before they ask for the mask
        fpn_prompt   the instruction names the FPN's regions; without it and `enrich` nothing of the FPN is used
        fuse      inner width of the cross-attentions
        prior     the mask begins at the encoder's own map (`models/mask_decoder`); the small one's alone
        mirror    a mask that is shown is the mean of the picture's and its mirror image's; not in training, and not the
                  paper's: a choice of the small one, measured in runs/forgerytalker
        fine      equations 3 and 11 are of the picture's pixels; without, of the decoder's grid
        frozen_language   T5 stays as it is

    Args:
        config: Of what parts the network is.
        reader: Reads and writes words.

    Raises:
        InputError: No queries.
    """

    def __init__(self, config: Mapping[str, Any], reader: Reader):
        super().__init__()
        self.config, self.reader = dict(config), reader
        self.labels: tuple[str, ...] = tuple(config["labels"])
        self.enriched, self.prompted = bool(config.get("enrich", True)), bool(config.get("fpn_prompt", True))
        self.encoder: Any = _encoder.made(config["encoder"])
        self.size: int = self.encoder.size
        self.fpn = FPN(labels=len(self.labels), **config["fpn"])
        qformer = InstructBlipQFormerConfig(
            **{"encoder_hidden_size": self.encoder.width, "attn_implementation": "sdpa", **config["qformer"]}
        )
        self.qformer = InstructBlipQFormerModel(qformer)
        if int(config["queries"]) < 1:
            raise InputError(f"queries: expected at least 1, got {config['queries']!r}")
        self.queries = nn.Parameter(torch.randn(1, int(config["queries"]), qformer.hidden_size) * 0.02)
        language = T5Config(**config["language"])
        self.language = T5ForConditionalGeneration(language)
        self.to_language = nn.Linear(qformer.hidden_size, language.d_model)
        inner = int(config.get("fuse", 64))
        self.fuse = _Cross(self.encoder.width, qformer.hidden_size, inner)
        self.enrich = _Cross(qformer.hidden_size, self.fpn.width, inner) if self.enriched else None
        self.prior, self.mirror = bool(config.get("prior", False)), bool(config.get("mirror", False))
        self.fine = bool(config.get("fine", False))
        self.decoder = MaskDecoder(self.encoder.width, qformer.hidden_size, prior=self.prior, **config["decoder"])
        # for pretraining alone
        self.to_word = nn.Linear(qformer.hidden_size, qformer.vocab_size)
        self.align_image = nn.Linear(self.encoder.whole, 256)
        self.align_text = nn.Linear(qformer.hidden_size, 256)

    # ------------------------------------------------------------------------------------------------ the two stages

    def pretraining(
        self, features: Features, reports: Sequence[str], mask: Tensor, contrasts: bool = True
    ) -> Pretraining:
        """Equations 1 to 4 of N pictures; mask (N, H, W) in [0, 1] at any size.

        A report without a region word adds nothing to equation 1.

        Args:
            features: Of the encoder, of N pictures.
            reports: One a picture.
            mask: Forged pixels, (H, W), in [0, 1] or bool.
            contrasts: Whether equation 4 is among them; of a part of a batch it is 0, and `contrast` is asked of all.
        """
        ids, seen, targets = self.reader.masked(reports)
        device = features.grid.device
        ids, seen, targets = ids.to(device), seen.to(device), targets.to(device)
        queries, text = self._qformer(features, ids, seen)
        scores = self.to_word(text)
        known = (targets >= 0).any()
        mlm = F.cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=-100) if known else scores.sum() * 0
        lm = self._language_loss(queries, None, reports)
        seg = self._mask_loss(self._ask(features, queries, text, seen), None, mask)
        con = contrast(*self.aligned(features.whole, reports)) if contrasts else seg.new_zeros(())
        return Pretraining(mlm, lm, seg, con)

    def aligned(self, whole: Tensor, reports: Sequence[str]) -> tuple[Tensor, Tensor]:
        """v and t of equation 4 for N pictures.

        Args:
            whole: Of the encoder's features, (N, W).
            reports: One a picture.

        Returns:
            Pictures and reports, both (N, 256) of length 1.
        """
        plain, attention = (x.to(whole.device) for x in self.reader.read(reports))
        alone = self.qformer(input_ids=plain, attention_mask=attention).last_hidden_state
        t = (alone * attention[..., None]).sum(1) / attention.sum(1, keepdim=True)
        return F.normalize(self.align_image(whole), dim=1), F.normalize(self.align_text(t), dim=1)

    def reporting(
        self, features: Features, prompt: Prompt | None, named: Sequence[Sequence[str]], reports: Sequence[str],
        mask: Tensor,
    ) -> Losses:  # fmt: skip
        """Equations 10 and 11; `named` are the regions in each instruction, mask (N, H, W) in [0, 1] at any size.

        Args:
            features: Of the encoder, of N pictures.
            prompt: What the FPN found.
            named: Areas that are named, for each picture.
            reports: One a picture.
            mask: Forged pixels, (H, W), in [0, 1] or bool.
        """
        instructions = [self.instruction(names) for names in named]
        ids, seen = (x.to(features.grid.device) for x in self.reader.read(instructions))
        queries, text = self._qformer(features, ids, seen)
        return Losses(
            self._language_loss(queries, instructions, reports),
            self._mask_loss(self._ask(features, queries, text, seen), prompt, mask),
        )

    @torch.inference_mode()
    def speak(
        self, pixels: Tensor, max_tokens: int = MOST_TOKENS, named: Sequence[Sequence[str]] | None = None,
        beams: int = 1,
    ) -> list[Spoken]:  # fmt: skip
        """Report and mask of RGB (N, 3, size, size) in 0..255; `named` stands in the place of the FPN's regions.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.
            max_tokens: Of an answer, at most.
            named: Areas that are named, for each picture.
            beams: Beginnings of a report that are followed at once.
        """
        features = self.encoder(pixels)
        return self.speak_of(pixels, features, max_tokens, named, beams)

    @torch.inference_mode()
    def look(self, pixels: Tensor) -> tuple[dict[str, float], NDArray[np.float32]]:
        """Ŷ and the mask (size, size) of one picture (1, 3, size, size), without a word.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.

        Returns:
            Area → its probability; and the mask, float32 (size, size) in [0, 1].
        """
        features = self.encoder(pixels)
        prompt = self.prompt(pixels, features)
        ids, seen = (x.to(pixels.device) for x in self.reader.read([self.instruction(self.named(prompt)[0])]))
        queries, text = self._qformer(features, ids, seen)
        coarse = self._masks(self._ask(features, queries, text, seen), prompt)
        logits = enlarged(self._both(coarse, pixels, None), self.size)
        chances = prompt.logits[0].sigmoid().cpu().tolist()
        return dict(zip(self.labels, chances, strict=True)), logits[0, 0].sigmoid().float().cpu().numpy()

    @torch.inference_mode()
    def speak_of(
        self, pixels: Tensor, features: Features, max_tokens: int = MOST_TOKENS,
        named: Sequence[Sequence[str]] | None = None, beams: int = 1,
    ) -> list[Spoken]:  # fmt: skip
        """As `speak`, of pictures whose features are known.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.
            features: Of the encoder, of N pictures.
            max_tokens: Of an answer, at most.
            named: Areas that are named, for each picture.
            beams: Beginnings of a report that are followed at once.
        """
        prompt = self.prompt(pixels, features)
        regions = self.named(prompt) if named is None else [tuple(names) for names in named]
        instructions = [self.instruction(names) for names in regions]
        ids, seen = (x.to(pixels.device) for x in self.reader.read(instructions))
        queries, text = self._qformer(features, ids, seen)
        logits = self._both(self._masks(self._ask(features, queries, text, seen), prompt), pixels, named)
        masks = enlarged(logits, self.size)[:, 0].sigmoid().float().cpu().numpy()
        inputs, attention = self._prompt(queries, instructions)
        written = self.language.generate(
            inputs_embeds=inputs, attention_mask=attention, max_new_tokens=max_tokens, do_sample=False,
            num_beams=beams,
        )  # fmt: skip
        words = self.reader.words(written)
        chances = prompt.logits.sigmoid().cpu().tolist()
        return [
            Spoken(words[i], dict(zip(self.labels, chances[i], strict=True)), regions[i], masks[i])
            for i in range(len(words))
        ]

    def prompt(self, pixels: Tensor, features: Features) -> Prompt:
        """What the FPN says, which never learns together with the rest.

        Args:
            pixels: RGB (B, 3, S, S) in 0..255.
            features: Of the encoder, of N pictures.
        """
        return self.fpn(pixels, None if self.fpn.stem is None else features.grid)

    def named(self, prompt: Prompt, threshold: float = THRESHOLD) -> list[tuple[str, ...]]:
        """R of each picture: the areas whose probability reaches the threshold, in the labels' order.

        Args:
            prompt: What the FPN found.
            threshold: From which score on a row counts as fake, in [0, 1].
        """
        rows = (prompt.logits.sigmoid() >= threshold).cpu().tolist()
        return [tuple(name for name, there in zip(self.labels, row, strict=True) if there) for row in rows]

    def instruction(self, names: Iterable[str]) -> str:
        """T_instr with these regions.

        Args:
            names: Of areas.
        """
        return INSTRUCTION.replace("[R]", ", ".join(names) or NONE) if self.prompted else WITHOUT

    # ------------------------------------------------------------------------------------------------ its parts

    def _qformer(self, features: Features, ids: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """The Q-Former's own tokens and its text's, (N, n, D) and (N, t, D)."""
        image = features.grid.flatten(2).transpose(1, 2)
        if features.whole.shape[1] == image.shape[2]:
            image = torch.cat([features.whole[:, None], image], dim=1)
        queries = self.queries.expand(len(image), -1, -1)
        attention = torch.cat([torch.ones(queries.shape[:2], dtype=seen.dtype, device=seen.device), seen], dim=1)
        out = self.qformer(
            input_ids=ids, attention_mask=attention, query_embeds=queries, encoder_hidden_states=image,
            encoder_attention_mask=torch.ones(image.shape[:2], dtype=seen.dtype, device=seen.device),
        ).last_hidden_state  # fmt: skip
        return out[:, : queries.shape[1]], out[:, queries.shape[1] :]

    def _ask(self, features: Features, queries: Tensor, text: Tensor, seen: Tensor) -> _Talk:
        tokens = features.grid.flatten(2).transpose(1, 2)
        fused = self.fuse(tokens, text, seen).transpose(1, 2).unflatten(2, features.grid.shape[-2:])
        return _Talk(queries, fused, self._begin(features))

    def _begin(self, features: Features) -> Tensor | None:
        """Where the mask begins: the encoder's own map, of a network with `prior`."""
        if not self.prior:
            return None
        begins: Tensor | None = self.encoder.map(features)
        if begins is None:
            raise InputError("prior: expected an encoder with a map of its own to begin at (maps = true), got none")
        return begins

    def _masks(self, talk: _Talk, prompt: Prompt | None) -> Tensor:
        queries = talk.queries
        if self.enrich is not None and prompt is not None:
            queries = self.enrich(queries, prompt.features[:, 1:])
        return self.decoder.masks(self.decoder.image(talk.grid), queries[:, None], talk.map).logits

    def one_view(self, pixels: Tensor, named: Sequence[Sequence[str]] | None = None) -> Tensor:
        """The mask's logits (N, 1, h, w), without a word and without the mirror image.

        Args:
            pixels: RGB (N, 3, size, size) in 0..255.
            named: Areas in the place of the prompter's.

        Returns:
            (N, 1, h, w).
        """
        features = self.encoder(pixels)
        prompt = self.prompt(pixels, features)
        names = self.named(prompt) if named is None else named
        ids, seen = (x.to(pixels.device) for x in self.reader.read([self.instruction(each) for each in names]))
        queries, text = self._qformer(features, ids, seen)
        return self._masks(self._ask(features, queries, text, seen), prompt)

    def _both(self, logits: Tensor, pixels: Tensor, named: Sequence[Sequence[str]] | None) -> Tensor:
        """Logits (N, 1, h, w) averaged with the mirror images' where `mirror` says so; labels have no sides."""
        return (logits + self.one_view(pixels.flip(3), named).flip(3)) / 2 if self.mirror else logits

    def _mask_loss(self, talk: _Talk, prompt: Prompt | None, mask: Tensor) -> Tensor:
        logits = self._masks(talk, prompt)
        if self.fine:
            logits = F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=False)
        truth = F.adaptive_avg_pool2d(mask[:, None], logits.shape[-2:]) if mask.shape[-2:] != logits.shape[-2:] else (
            mask[:, None]
        )  # fmt: skip
        return bce_loss(logits, truth)

    def _prompt(self, queries: Tensor, instructions: Sequence[str] | None) -> tuple[Tensor, Tensor]:
        """T5's input: the Q-Former's tokens, then the instruction's."""
        inputs = self.to_language(queries)
        attention = torch.ones(inputs.shape[:2], dtype=torch.long, device=inputs.device)
        if instructions is not None:
            ids, seen = (x.to(inputs.device) for x in self.reader.tokens_of_language(instructions))
            inputs = torch.cat([inputs, self.language.get_input_embeddings()(ids)], dim=1)
            attention = torch.cat([attention, seen], dim=1)
        return inputs, attention

    def _language_loss(self, queries: Tensor, instructions: Sequence[str] | None, reports: Sequence[str]) -> Tensor:
        inputs, attention = self._prompt(queries, instructions)
        ids, seen = (x.to(inputs.device) for x in self.reader.written(reports, MOST_TOKENS))
        loss: Tensor = self.language(
            inputs_embeds=inputs, attention_mask=attention, labels=ids.masked_fill(seen == 0, -100)
        ).loss
        return loss

    def learned(self, stage: str) -> list[nn.Parameter]:
        """What a stage trains: "pretrain", "fpn" or "report". The encoder never learns.

        Args:
            stage: Name of the stage.

        Raises:
            InputError: For another stage.
        """
        asks = [self.qformer, self.to_language, self.fuse, self.decoder]
        parts: dict[str, list[nn.Module]] = {
            "pretrain": [*asks, self.language, self.to_word, self.align_image, self.align_text],
            "fpn": [self.fpn],
            "report": [*asks, *([] if self.enrich is None else [self.enrich]), self.language],
        }
        if stage not in parts:
            raise InputError(f"stage: expected one of {', '.join(parts)}, got {stage!r}")
        own = [p for part in parts[stage] for p in part.parameters()]
        if self.config.get("frozen_language"):
            fixed = {id(p) for p in self.language.parameters()}
            own = [p for p in own if id(p) not in fixed]
        return own if stage == "fpn" else [self.queries, *own]

    # ------------------------------------------------------------------------------------------------ on the disk

    def save(self, path: Path, facts: Mapping[str, Any] | None = None) -> str:
        """Writes `path` (.safetensors), its card (.json) and the words (.words.json) beside it; returns the SHA-256.

        Args:
            path: Ends in .safetensors.
            facts: Further keys of the card.
        """
        words = self.reader.save(path)
        tensors = _saved.once(self)
        return _saved.write(path, "forgerytalker", tensors, {**(facts or {}), "network": self.config, "words": words})

    @classmethod
    def load(cls, path: Path) -> ForgeryTalker:
        """A saved network, in evaluation mode.

        Args:
            path: Of the .safetensors; its card lies beside it.

        Raises:
            WeightsError: A file is missing, damaged, or not what its card says.
        """
        return network_of(
            cls, path, "forgerytalker", ("encoder", "fpn", "qformer", "language", "decoder"),
            ("queries", "labels", "enrich", "fpn_prompt", "fuse", "frozen_language", "prior", "mirror", "fine"),
        )  # fmt: skip


def contrast(v: Tensor, t: Tensor) -> Tensor:
    """Equation 4: each picture's report among all of them.

    Args:
        v: Pictures, (N, D) of length 1.
        t: Their reports, (N, D) of length 1, in the same order.

    Returns:
        A scalar.
    """
    return F.cross_entropy(v @ t.T / TEMPERATURE, torch.arange(len(v), device=v.device))


class _Cross(nn.Module):
    """Tokens look at others and add what they find: pre-norm cross-attention, (N, n, D) and (N, m, E) → (N, n, D).

    Its last layer starts at zero, so that a network is what it was before until it has learned to look.
    """

    def __init__(self, width: int, other: int, inner: int, heads: int = 4):
        super().__init__()
        self.heads = heads
        self.norm, self.norm_other = nn.LayerNorm(width), nn.LayerNorm(other)
        self.query, self.key, self.value = nn.Linear(width, inner), nn.Linear(other, inner), nn.Linear(other, inner)
        self.out = nn.Linear(inner, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, tokens: Tensor, others: Tensor, seen: Tensor | None = None) -> Tensor:
        others = self.norm_other(others)
        q, k, v = (
            part(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for part, x in ((self.query, self.norm(tokens)), (self.key, others), (self.value, others))
        )
        mask = None if seen is None else seen[:, None, None].bool()
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        return tokens + self.out(mixed)


# --------------------------------------------------------------------------------------------------- of what parts


def small(labels: Sequence[str], words: int, **changes: Any) -> dict[str, Any]:
    """A network of about 6 million parameters on the compact network's features, for two CPU cores.

    Args:
        labels: The areas' names.
        words: Size of the vocabulary.
        changes: Further keys of the configuration.

    Returns:
        The configuration.
    """
    return {
        "encoder": {"kind": "compact", "size": 224, "maps": True}, "prior": True, "mirror": True,
        "fpn": {"size": 224, "patch": 16, "width": 128, "layers": 4, "heads": 4, "mlp": 384, "convolved": 2,
                "kernel": 3, "local": 32, "stem": 348, "dropout": 0.0},
        "qformer": {"vocab_size": words, "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
                    "intermediate_size": 384, "max_position_embeddings": 320, "hidden_dropout_prob": 0.0,
                    "attention_probs_dropout_prob": 0.0},
        "queries": 16,
        "language": {"vocab_size": words, "d_model": 192, "d_kv": 48, "d_ff": 512, "num_layers": 2,
                     "num_decoder_layers": 2, "num_heads": 4, "dropout_rate": 0.0, "feed_forward_proj": "gated-gelu",
                     "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, "tie_word_embeddings": True},
        "decoder": {"hidden": 128, "heads": 4, "mlp": 256, "further": 0},
        "labels": list(labels), "enrich": True, "fpn_prompt": True, "fuse": 64, **changes,
    }  # fmt: skip


def published(labels: Sequence[str], **changes: Any) -> dict[str, Any]:
    """The paper's sizes: EVA-ViT-g, the Q-Former of InstructBLIP, Flan-T5 XL, a ViT-H/14 as FPN, SAM's decoder.

    Args:
        labels: The areas' names.
        **changes: Further keys of the configuration.

    Returns:
        The configuration.
    """
    return {
        "encoder": {"kind": "blip", "hidden_size": 1408, "intermediate_size": 6144, "num_hidden_layers": 39,
                    "num_attention_heads": 16, "image_size": 224, "patch_size": 14},
        "fpn": {"size": 224, "patch": 14, "width": 1280, "layers": 32, "heads": 16, "mlp": 5120, "convolved": 2},
        "qformer": {"vocab_size": 30523},
        "queries": 32,
        "language": {"vocab_size": 32128, "d_model": 2048, "d_kv": 64, "d_ff": 5120, "num_layers": 24, "num_heads": 32,
                     "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "pad_token_id": 0,
                     "eos_token_id": 1, "decoder_start_token_id": 0},
        "decoder": {"hidden": 256, "further": 3},
        "labels": list(labels), "enrich": True, "fpn_prompt": True, "fuse": 768, "fine": True,
        "frozen_language": True, **changes,
    }  # fmt: skip


def from_hub(labels: Sequence[str], name: str = NAME, revision: str = "main", fetch: bool = True,
             **changes: Any) -> ForgeryTalker:  # fmt: skip
    """The paper's network around an InstructBLIP by its hub name or folder; the FPN and the decoder are random.

    Args:
        labels: The areas' names.
        name: Hub name or folder of an InstructBLIP.
        revision: Branch, tag or commit on the hub.
        fetch: Whether it may be fetched.
        **changes: Further keys of the configuration.

    Raises:
        WeightsError: The model cannot be had, is not whole, or is none with a T5.
    """
    from transformers import AutoTokenizer, InstructBlipForConditionalGeneration

    folder = _hub.whole(name, None if Path(name).is_dir() else revision, fetch)
    what, mend = f"The InstructBLIP '{name}'", f"Name one such as {NAME}."
    blip = _hub.loaded(InstructBlipForConditionalGeneration, folder, what, mend, dtype=torch.float32)
    own = folder / "qformer_tokenizer"
    words = _hub.part(AutoTokenizer, folder, what, mend)
    queries = _hub.part(AutoTokenizer, own if own.is_dir() else folder, what, mend)
    if not isinstance(blip.language_model, T5ForConditionalGeneration):
        raise WeightsError(f"{what} does not fit: its language model is no T5. {mend}")
    vision, text = blip.config.vision_config, blip.config.text_config
    config = published(
        labels,
        encoder={"kind": "blip", **_plain(vision, "hidden_size", "intermediate_size", "num_hidden_layers",
                                          "num_attention_heads", "image_size", "patch_size", "hidden_act", "qkv_bias",
                                          "layer_norm_eps")},
        qformer=_plain(blip.config.qformer_config, "vocab_size", "hidden_size", "num_hidden_layers",
                       "num_attention_heads", "intermediate_size", "max_position_embeddings",
                       "cross_attention_frequency"),
        queries=int(blip.config.num_query_tokens),
        language=_plain(text, "vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads",
                        "feed_forward_proj", "tie_word_embeddings", "pad_token_id", "eos_token_id",
                        "decoder_start_token_id"),
    ) | changes  # fmt: skip
    network = ForgeryTalker(config, Reader(queries, words))
    network.encoder.tower.load_state_dict(blip.vision_model.state_dict())
    network.qformer.load_state_dict(blip.qformer.state_dict())
    network.language.load_state_dict(blip.language_model.state_dict())
    network.to_language.load_state_dict(blip.language_projection.state_dict())
    with torch.no_grad():
        network.queries.copy_(blip.query_tokens)
    return network


def _plain(config: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(config, name) for name in names}


def parts(config: Mapping[str, Any]) -> dict[str, int]:
    """How many parameters each part has, without making room for any.

    Args:
        config: Of the card.

    Returns:
        Name of the part → how many.
    """
    with torch.device("meta"):
        network = ForgeryTalker(config, Reader.none())
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    return {"encoder": 0, **count, "queries": network.queries.numel()}
