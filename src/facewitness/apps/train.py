"""`facewitness train`: one recipe a network, each a TOML file of settings; the same command again goes on.

Nothing heavy is imported until a command runs: --help needs no torch.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from facewitness import plugins
from facewitness.apps._words import (
    ALL,
    INTERRUPTED,
    NONE,
    RECIPE,
    WRONG_USAGE,
    complain,
    count,
    look,
    positive,
    reads,
    seed,
)
from facewitness.errors import Collapse, FacewitnessError, InputError, MissingExtra
from facewitness.files import each_once, unable

_ABOUT = """Train a network by a recipe: a TOML file of settings, such as those in the repository's runs/. A run that
was stopped goes on when the same command is given again; its folder says what it was made of (resolved.json).

examples:
  facewitness build table my-photos tables/photos.parquet      pictures in real/ and fake/ become a table
  facewitness build pack tables pack                            every face is found once
  facewitness train compact recipe.toml --pack pack --out out   the small network that reads photos
  facewitness build onnx recipe.toml out compact.onnx           as `facewitness analyze` takes it
  torchrun --nproc-per-node 2 -m facewitness train kfd …        on several GPUs: kfd, forgerytalker, fifa, sft, grpo
  facewitness train grpo runs/mare/published-qwen3b.toml --detector runs/fdm/recipe.toml --plan
                                                                what it would need, by count; no weights, no GPU"""

_EXIT = """exit status:
  0  the run is done, or stopped where it was told to
  1  training failed
  2  the command, the recipe or the data were wrong"""


def add_to(commands: Any) -> None:
    """Add `train` and its recipes to the top parser's sub-commands."""
    train = commands.add_parser("train", help="train a network by a recipe", description=_ABOUT, epilog=_EXIT)
    names = train.add_subparsers(title="networks", metavar="NAME", required=True)
    for name, add, about in (
        ("compact", _add_compact, "the small network that analyses photos on a CPU"),
        ("kfd", _add_kfd, "KFD's detector, from genuine faces alone (its stage 1)"),
        ("fdm", _add_fdm, "MARE's forgery disentanglement module"),
        ("sft", _add_sft, "a language model, to say what a detector saw (KFD's stage 2, MARE's start)"),
        ("encoder", _add_encoder, "the encoder that the small ForgeryTalker and FiFa share, on masks of edits"),
        ("forgerytalker", _add_forgerytalker, "ForgeryTalker: a mask and a report from one encoder"),
        ("fifa", _add_fifa, "Fake-in-Facext: words with masks between them, and questions that point"),
        ("mids", _add_mids, "FFAA's judge of answers, on what a fine-tuned model answered under hypotheses"),
        ("grpo", _add_grpo, "a language model by rewards, to put its boxes where its words are (MARE)"),
    ):
        parser = names.add_parser(name, help=about, description=f"Train {about}.\n\nexample:\n  {_EXAMPLES[name]}")
        reads(parser, "recipe", what=RECIPE, metavar="RECIPE", help=RECIPE)
        _add_settings(parser)
        parser.set_defaults(run=guarded(add(parser), "Training"))


_PACK = "a pack, a folder of facewitness build pack"
_DETECTOR = "of train kfd or train fdm, .safetensors; with --plan its recipe will do"
_EXAMPLES = {
    "compact": "facewitness train compact runs/compact/recipe.toml --pack pack --init-from IMAGENET --out out",
    "kfd": "facewitness train kfd runs/kfd/small.toml --pack pack --init-from IMAGENET --out out",
    "fdm": "facewitness train fdm runs/fdm/small.toml --pack pack --init-from IMAGENET --out out",
    "sft": "facewitness train sft runs/kfd/sft-small.toml --forensic sbi_qa.parquet --detector out/kfd.safetensors "
    "--model small --out out/sft",
    "encoder": "facewitness train encoder runs/grounding/encoder.toml --pack pack --init-from "
    "src/facewitness/weights/compact.onnx --out out",
    "forgerytalker": "facewitness train forgerytalker runs/forgerytalker/small.toml --pack pack --init-from "
    "src/facewitness/weights/compact.onnx --out out",
    "fifa": "facewitness train fifa runs/fifa/small.toml --pack pack --init-from "
    "src/facewitness/weights/compact.onnx "
    "--out out",
    "mids": "facewitness train mids runs/ffaa/mids-small.toml --mined mined.parquet --init-from "
    "src/facewitness/weights/compact.onnx --out out/mids",
    "grpo": "facewitness train grpo runs/mare/grpo-small.toml --data dma.parquet --model out/sft/model --out out/grpo",
}


def guarded(
    command: Callable[[argparse.Namespace], int], what: str, goes_on: bool = True
) -> Callable[[argparse.Namespace], int]:
    """The command with mistakes as sentences: status 2, with what to install where a package lacks.

    What it reads is looked for first (`look`), so that a wrong path is told at once and not once torch is there. One
    that does not go on where it was is said to begin anew.
    """
    again = (
        "What was saved is whole; the same command goes on from there." if goes_on else "The same command begins anew."
    )
    room = (
        "the same command then goes on from what was saved whole." if goes_on else "the same command then begins anew."
    )

    def run(given: argparse.Namespace) -> int:
        try:
            look(given)
            _to_come(given)
            return command(given)
        except ModuleNotFoundError as error:
            lacking = error if isinstance(error, MissingExtra) else plugins.lacking(what, error)
            return _complain(str(lacking), WRONG_USAGE)
        except Collapse as error:  # the command was right
            return _complain(str(error), NONE)
        except (FacewitnessError, UnicodeDecodeError) as error:
            return _complain(str(error), WRONG_USAGE)
        except KeyboardInterrupt:
            return _complain(f"interrupted. {again}", INTERRUPTED)
        except BrokenPipeError:  # whoever read our output has gone: `main` knows
            raise
        except OSError as error:
            return _complain(unable(error), WRONG_USAGE)
        except Exception as error:
            if (why := _unwritten(error)) is None:
                raise
            out = getattr(given, "out", None)
            where = "" if out is None else f" in '{out}'"
            return _complain(f"expected to write{where}, and could not ({why}). Make room: {room}", WRONG_USAGE)

    return run


def _unwritten(error: Exception) -> str | None:
    """How torch and safetensors say that a file could not be written, as where a disk is full; None for all else."""
    text = str(error)
    if type(error).__name__ == "SafetensorError" and "I/O error: " in text:
        return text.rpartition("I/O error: ")[2]
    return "torch's archive was cut off" if "inline_container" in text else None


def _complain(text: str, status: int) -> int:
    complain(f"facewitness: {text}")
    return status


# ------------------------------------------------------------------------------------------------------ the words

Command = Callable[[argparse.Namespace], int]


def _add_run(parser: Any, pack: bool = True, workers: int | None = None, plan: bool = False) -> None:
    """The words of every run; where `plan` says that the recipe has --plan, `_add_plan` asks for what is needed.

    `workers` of None: everything is drawn in the process that trains, and there is nothing to choose.
    """
    if pack:
        reads(parser, "--pack", what=_PACK, required=not plan, metavar="DIR", help="made by facewitness build pack")
        about = "weights to begin with: ImageNet's or an earlier run's"
        reads(parser, "--init-from", what="weights", metavar="FILE", help=about)
    parser.add_argument(
        "--out", type=Path, required=not plan, metavar="DIR", help="folder of the run; the same one resumes"
    )
    parser.add_argument("--save-every", type=positive, metavar="STEPS", help="steps between two states")
    if workers is not None:
        about = f"processes that draw batches ({workers})"
        parser.add_argument("--workers", type=count, default=workers, metavar="N", help=about)


def _add_settings(parser: Any) -> None:
    """What every recipe takes: other values for one run."""
    parser.add_argument("--seed", type=seed, metavar="N", help="instead of the recipe's")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="another value for a setting of the recipe, such as lr=1e-4, or table.key=value; repeat it for several",
    )


def _add_steps(parser: Any) -> None:
    parser.add_argument("--steps", type=positive, metavar="N", help="another number of steps than the recipe's")
    parser.add_argument("--stop-at-step", type=positive, metavar="N", help="stop there; the same command goes on")


def _add_until(parser: Any) -> None:
    parser.add_argument(
        "--until",
        type=moment,
        metavar="TIME",
        help="when to be done, as 2026-11-26T02:00Z: the rate falls with the clock",
    )


def _add_plan(
    parser: Any, planned: Callable[[argparse.Namespace], Any], *needed: str, shareable: bool = True
) -> Callable[[Any], int | None]:
    """Give a recipe `--plan`: print what the run needs, by count, instead of running.

    Args:
        parser: Of the recipe.
        planned: The `train/plan.Plan` of what was given.
        needed: Options that a run cannot do without, and a plan can.
        shareable: Whether several processes can share the run: only then a plan counts with them.

    Returns:
        What a command asks first: the exit status where a plan was wanted, None to go on.
    """
    parser.add_argument(
        "--plan", action="store_true", help="print names, shapes, memory and steps by count; run nothing"
    )
    if shareable:
        parser.add_argument("--processes", type=positive, default=1, metavar="N", help="that --plan counts with (1)")

    def asked(given: argparse.Namespace) -> int | None:
        if given.plan:
            print(planned(given))
            return ALL
        if lacking := [f"--{name}" for name in needed if getattr(given, name) is None]:
            parser.error(f"the following arguments are required: {', '.join(lacking)}")
        return None

    return asked


def _examples(paths: Sequence[Path] | None) -> int | None:
    """How many answers tables and chat JSON hold; None where none were named."""
    from facewitness.builders import chats

    return None if not paths else sum(len(chats.read(path)) for path in paths)


def _changes(given: argparse.Namespace, *names: str) -> dict[str, Any]:
    """What options say of a recipe; its settings by --set are `Recipe.read`'s."""
    return {name: value for name in (*names, "seed") if (value := getattr(given, name)) is not None}


def _length(given: argparse.Namespace) -> dict[str, Any]:
    return {} if given.steps is None else {"steps": given.steps, "epochs": None}


def _saving(given: argparse.Namespace) -> dict[str, Any]:
    return {} if given.save_every is None else {"save_every": given.save_every}


def moment(words: str) -> datetime:
    """A date with a time, as --until takes it; of this machine's zone where it names none.

    Args:
        words: As typed.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        when = datetime.fromisoformat(words)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a moment such as 2026-11-26T02:00Z, got {words!r}") from None
    return when if when.tzinfo is not None else when.astimezone()


def _to_come(given: argparse.Namespace) -> None:
    """Refuse a clock that would end a run before its first step; one that has begun is finished by it. InputError."""
    until, out = getattr(given, "until", None), getattr(given, "out", None)
    begun = out is not None and out.is_dir() and any(out.iterdir())
    if until is not None and not begun and until <= (now := datetime.now(until.tzinfo)):
        raise InputError(
            f"--until: expected a moment to come for a run that has not begun, got {until:%Y-%m-%dT%H:%M%z}, when it "
            f"is {now:%Y-%m-%dT%H:%M%z}. Give a later one, or none."
        )


def read_json(path: Path | None) -> Any:
    """A JSON object; None for no path. Raises InputError."""
    if path is None:
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=each_once)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"'{path}': expected JSON ({error})") from error


# ------------------------------------------------------------------------------------------------------ the recipes


def _add_compact(parser: Any) -> Command:
    _add_run(parser, workers=2)
    _add_until(parser)
    reads(
        parser,
        "--hard",
        what="weights of pictures in JSON",
        metavar="JSON",
        help="source/file -> weight of a genuine picture",
    )

    def run(given: argparse.Namespace) -> int:
        from facewitness.train import compact

        recipe = replace(compact.Recipe.read(given.recipe, given.set), **_changes(given))
        hard = read_json(given.hard)
        compact.train(
            recipe,
            given.pack,
            given.init_from,
            given.out,
            given.workers,
            until=given.until,
            hard=hard,
            **_saving(given),
        )
        print(f"the weights: {given.out / 'last.safetensors'}")
        return ALL

    return run


def _add_kfd(parser: Any) -> Command:
    _add_run(parser, workers=2, plan=True)
    _add_steps(parser)
    _add_until(parser)
    reads(parser, "--go-on", what="a detector", metavar="KFD.safetensors", help="an earlier stage's detector")
    parser.add_argument("--images", type=positive, metavar="N", help="ablation: train on N genuine pictures")
    parser.add_argument("--no-text", action="store_true", help="ablation: visual features alone")
    parser.add_argument("--no-reference", action="store_true", help="ablation: without equation 2")

    def read(given: argparse.Namespace) -> Any:
        from facewitness.train import kfd

        changes = _changes(given, "images") | _length(given)
        changes |= {"text": False} if given.no_text else {}
        changes |= {"reference": False} if given.no_reference else {}
        return replace(kfd.Recipe.read(given.recipe, given.set), **changes)

    def planned(given: argparse.Namespace) -> Any:
        from facewitness.train import kfd

        recipe = read(given)
        pictures = None if given.pack is None else kfd.count(recipe, given.pack)
        return kfd.plan(recipe, pictures, given.processes)

    plan_first = _add_plan(parser, planned, "pack", "out")

    def run(given: argparse.Namespace) -> int:
        if (status := plan_first(given)) is not None:
            return status
        from facewitness.train import kfd, several

        recipe = read(given)
        with several.processes():
            kfd.train(
                recipe, given.pack, given.out, given.init_from, go_on=given.go_on, workers=given.workers,
                stop_at_step=given.stop_at_step, until=given.until, **_saving(given),
            )  # fmt: skip
        name = recipe.baseline or "kfd"
        print(f"the detector: {given.out / name}.safetensors")
        return ALL

    return run


def _add_fdm(parser: Any) -> Command:
    _add_run(parser, workers=2, plan=True)
    parser.add_argument("--without", nargs="+", default=[], metavar="LOSS", help="ablation: losses to switch off")
    parser.add_argument("--only", metavar="SOURCE", help="one of the recipe's sources: the intra-dataset protocol")
    _add_until(parser)
    parser.add_argument("--device", metavar="NAME", help="as torch names it; a GPU where there is one")

    def read(given: argparse.Namespace) -> Any:
        from facewitness.train import fdm

        recipe = replace(fdm.Recipe.read(given.recipe, given.set), **_changes(given)).without(given.without)
        return recipe if given.only is None else recipe.only(given.only)

    def planned(given: argparse.Namespace) -> Any:
        from facewitness.train import fdm

        return fdm.plan(read(given))

    plan_first = _add_plan(parser, planned, "pack", "out", shareable=False)

    def run(given: argparse.Namespace) -> int:
        if (status := plan_first(given)) is not None:
            return status
        from facewitness.train import fdm

        recipe = read(given)
        results = fdm.train(
            recipe,
            given.pack,
            given.init_from,
            given.out,
            workers=given.workers,
            device=given.device,
            until=given.until,
            **_saving(given),
        )
        print(fdm.summary(results))
        return ALL

    return run


def _add_sft(parser: Any) -> Command:
    _add_run(parser, pack=False, workers=0, plan=True)
    _add_steps(parser)
    _add_until(parser)
    reads(
        parser,
        "--forensic",
        what="a table or chat JSON",
        nargs="+",
        metavar="TABLE",
        help="sbi_qa.parquet, dma.parquet, chat JSON",
    )
    reads(parser, "--detector", what="a detector, or its recipe", metavar="FILE", help=_DETECTOR)
    reads(parser, "--general", what="chat JSON", nargs="+", default=[], metavar="JSON", help="general dialogue")
    reads(
        parser, "--crossfit", what="a folder of modules", metavar="DIR",
        help="MARE: traces of modules that have not seen the pictures (runs/mare/crossfit.py)",
    )  # fmt: skip
    reads(parser, "--val", what="a table", metavar="TABLE", help="whose first questions are asked while it learns")
    parser.add_argument("--model", metavar="NAME", help="hub name or folder; replaces the recipe's")
    parser.add_argument("--language", metavar="HOW", help='"lora", "full" or "frozen"; replaces the recipe\'s')
    parser.add_argument("--no-forgery-prompt", action="store_true", help="ablation: without the prompt learner")
    parser.add_argument("--show-every", type=positive, default=200, metavar="STEPS", help="replies are shown (200)")

    def read(given: argparse.Namespace) -> Any:
        from facewitness.train import sft

        changes = _changes(given, "model", "language") | _length(given)
        changes |= {"forgery_prompt": False} if given.no_forgery_prompt else {}
        return replace(sft.Recipe.read(given.recipe, given.set), **changes)

    def planned(given: argparse.Namespace) -> Any:
        from facewitness.train import sft

        return sft.plan(read(given), given.detector, _examples(given.forensic), given.processes)

    plan_first = _add_plan(parser, planned, "forensic", "out")

    def run(given: argparse.Namespace) -> int:
        if (status := plan_first(given)) is not None:
            return status
        from facewitness.train import sft

        recipe = read(given)
        folder = sft.train(
            recipe, given.forensic, given.out, general=given.general, detector=given.detector,
            crossfit=given.crossfit, val=given.val, workers=given.workers,
            show_every=given.show_every, stop_at_step=given.stop_at_step, until=given.until, **_saving(given),
        )  # fmt: skip
        if folder is not None:
            print(f"the model: {folder}")
        return ALL

    return run


def _add_forgerytalker(parser: Any) -> Command:
    _add_grounding(parser)
    reads(
        parser, "--init-from", what="weights", nargs="+", metavar="FILE",
        help="the compact network's weights, for a small recipe; imported checkpoints, for a published one",
    )  # fmt: skip
    reads(parser, "--data", what="data", metavar="DIR", help="the folder of MMTT, for a published recipe")
    parser.add_argument("--stages", nargs="+", metavar="STAGE", help="of pretrain, fpn and report (all)")
    parser.add_argument("--no-pretrain", action="store_true", help="ablation: without the pretraining")
    parser.add_argument("--no-fpn", action="store_true", help="ablation: neither prompted nor enriched by the FPN")
    parser.add_argument("--no-enrich", action="store_true", help="ablation: the mask asks without F_g^m")
    parser.add_argument("--oracle", action="store_true", help="ablation: instructions name the true areas")
    parser.add_argument("--weights", type=float, nargs=4, metavar="λ", help="ablation: of equation 5")

    def run(given: argparse.Namespace) -> int:
        from facewitness.train import forgerytalker, several
        from facewitness.train.recipe import known

        recipe = forgerytalker.Recipe.read(given.recipe, given.set)
        changes = _changes(given)
        changes |= {"pretrain": None} if given.no_pretrain else {}
        changes |= {"oracle": True} if given.oracle else {}
        changes |= {"weights": tuple(given.weights)} if given.weights else {}
        if given.no_fpn:
            changes["network"] = {"enrich": False, "fpn_prompt": False}
        elif given.no_enrich:
            changes["network"] = {"enrich": False}
        recipe = forgerytalker.changed(recipe, **changes)
        known("stage", given.stages or (), forgerytalker.STAGES)
        if given.plan:
            print(forgerytalker.plan(recipe, processes=given.processes))
            return ALL
        if given.out is None:
            raise InputError("train forgerytalker: expected --out, the folder of the run, or --plan")
        with several.processes():
            forgerytalker.train(
                recipe, given.out, pack=given.pack, data=given.data, init_from=given.init_from, draws=given.draws,
                stages=given.stages or forgerytalker.STAGES, stop_at_step=given.stop_at_step, until=given.until,
                **_saving(given),
            )  # fmt: skip
        print(f"the network: {given.out / 'forgerytalker.safetensors'}")
        return ALL

    return run


def _add_fifa(parser: Any) -> Command:
    _add_grounding(parser)
    reads(parser, "--init-from", what="weights", metavar="FILE", help="the compact network's weights, for a small one")
    parser.add_argument(
        "--no-region-prediction", action="store_true", help="ablation: no token of every concept for the words"
    )

    def run(given: argparse.Namespace) -> int:
        from facewitness.train import fifa, several

        recipe = replace(fifa.Recipe.read(given.recipe, given.set), **_changes(given))
        if given.no_region_prediction:
            recipe = replace(recipe, network={**recipe.network, "region_prediction": False})
        if given.plan:
            print(fifa.plan(recipe, given.processes))
            return ALL
        if given.out is None:
            raise InputError("train fifa: expected --out, the folder of the run, or --plan")
        with several.processes():
            fifa.train(
                recipe, given.out, pack=given.pack, init_from=given.init_from, draws=given.draws,
                stop_at_step=given.stop_at_step, until=given.until, **_saving(given),
            )  # fmt: skip
        print(f"the network: {given.out / 'fifa.safetensors'}")
        return ALL

    return run


def _add_encoder(parser: Any) -> Command:
    _add_until(parser)
    _add_run(parser)
    _add_steps(parser)
    parser.add_argument(
        "--draws", type=Path, metavar="DIR", help="where self-made edits are kept (in the run's folder)"
    )

    def run(given: argparse.Namespace) -> int:
        from facewitness.train import encoder

        recipe = replace(encoder.Recipe.read(given.recipe, given.set), **_changes(given, "steps"))
        if given.init_from is None:
            raise InputError("train encoder: expected --init-from, the compact network's weights")
        weights = encoder.train(
            recipe, given.out, pack=given.pack, init_from=given.init_from, draws=given.draws,
            stop_at_step=given.stop_at_step, until=given.until, **_saving(given),
        )  # fmt: skip
        print(f"the encoder: {weights}")
        return ALL

    return run


def _add_grounding(parser: Any) -> None:
    """What the two grounding systems have in common."""
    _add_until(parser)
    parser.add_argument("--plan", action="store_true", help="say what a run would take, and do nothing")
    parser.add_argument("--processes", type=positive, default=1, metavar="N", help="that --plan counts with (1)")
    reads(parser, "--pack", what=_PACK, metavar="DIR", help="made by facewitness build pack, for a small recipe")
    parser.add_argument(
        "--draws", type=Path, metavar="DIR", help="where self-made edits are kept (in the run's folder)"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the run; the same one resumes")
    parser.add_argument("--save-every", type=positive, metavar="STEPS", help="steps between two states")
    parser.add_argument("--stop-at-step", type=positive, metavar="N", help="stop there; the same command goes on")


def _add_mids(parser: Any) -> Command:
    reads(parser, "--mined", what="a table", metavar="TABLE", help="what a model answered (mined.parquet)")
    reads(parser, "--init-from", what="weights", metavar="FILE", help="a compact network's weights, for small encoders")
    parser.add_argument("--onnx", type=Path, metavar="FILE", help="export it besides, to decide without torch")
    _add_run(parser, pack=False, plan=True)

    def read(given: argparse.Namespace) -> Any:
        from facewitness.train import mids

        return replace(mids.Recipe.read(given.recipe, given.set), **_changes(given))

    def planned(given: argparse.Namespace) -> Any:
        from facewitness.train import mids

        recipe = read(given)
        rows = None if given.mined is None else len(mids.kept(recipe, mids.read_mined(given.mined)))
        return mids.plan(recipe, rows)

    plan_first = _add_plan(parser, planned, "mined", "out", shareable=False)

    def run(given: argparse.Namespace) -> int:
        if (status := plan_first(given)) is not None:
            return status
        from facewitness.models import mids as model
        from facewitness.train import mids

        recipe = read(given)
        if given.onnx is not None and recipe.encoders != "small":
            raise InputError(
                "--onnx: expected small encoders, whose answers are read from outside. A judge with published ones is "
                "used as it is: --option ffaa.mids=OUT/mids.safetensors"
            )
        trained = mids.train(recipe, given.mined, given.out, init_from=given.init_from, **_saving(given))
        print(f"the weights: {given.out / 'mids.safetensors'}")
        if given.onnx is not None:
            facts = {"masked": recipe.masked, "read_tokens": recipe.read_tokens, "size": recipe.size}
            print(f"{given.onnx}: differs from torch by at most {model.export(trained, given.onnx, facts):.2e}")
        return ALL

    return run


def _add_grpo(parser: Any) -> Command:
    _add_run(parser, pack=False, plan=True)
    _add_steps(parser)
    _add_until(parser)
    reads(parser, "--data", what="data", metavar="TABLE", help="dma.parquet of facewitness build dma")
    parser.add_argument("--model", metavar="NAME", help="folder of train sft's model, or a hub name")
    reads(
        parser, "--detector", what="a detector, or its recipe", metavar="FILE", help=_DETECTOR + "; for a plain model"
    )
    reads(
        parser,
        "--rewards",
        what="a table of rewards in TOML",
        metavar="TOML",
        help="another table [rewards] than the recipe's",
    )
    reads(parser, "--val", what="a table", metavar="TABLE", help="dma.parquet of others: measured before and after")
    reads(parser, "--unseen", what=_PACK, metavar="PACK", help="of train fdm: learn from what it holds out alone")
    reads(
        parser,
        "--before",
        what="the folder of an earlier run",
        metavar="OUT",
        help="reuse the baseline replies of an earlier run",
    )
    parser.add_argument(
        "--samples", type=count, default=4, metavar="N", help="replies drawn to each prompt of --val (4)"
    )
    parser.add_argument(
        "--likeliest", action=argparse.BooleanOptionalAction, default=True, help="measure the likeliest replies too"
    )
    parser.add_argument("--without", nargs="+", default=[], metavar="REWARD", help="ablation: rewards that pay nothing")
    parser.add_argument(
        "--show-every", type=positive, default=20, metavar="STEPS", help="replies shown, curve drawn (20)"
    )

    def read(given: argparse.Namespace) -> Any:
        from facewitness.train import grpo
        from facewitness.train.rewards import read_weights

        changes = _changes(given, "model") | _length(given)
        changes |= {"without": tuple(given.without)} if given.without else {}
        changes |= {} if given.rewards is None else {"rewards": read_weights(given.rewards)}
        return replace(grpo.Recipe.read(given.recipe, given.set), **changes)

    def planned(given: argparse.Namespace) -> Any:
        from facewitness.train import grpo

        examples = _examples(None if given.data is None else [given.data])
        return grpo.plan(read(given), given.detector, examples, given.processes)

    plan_first = _add_plan(parser, planned, "data", "out")

    def run(given: argparse.Namespace) -> int:
        if (status := plan_first(given)) is not None:
            return status
        from facewitness.train import grpo

        if given.val is not None and not (given.likeliest or given.samples):
            raise InputError("--val: expected something to measure, got --no-likeliest and --samples 0")
        recipe = read(given)
        folder = grpo.train(
            recipe, given.data, given.out, detector=given.detector, val=given.val, unseen=given.unseen,
            show_every=given.show_every, stop_at_step=given.stop_at_step, until=given.until, **_saving(given),
        )  # fmt: skip
        if folder is None:
            return ALL
        print(f"the model: {folder}")
        if given.val is not None and int(os.environ.get("RANK", "0")) == 0:
            for path in grpo.measure(
                recipe,
                folder,
                given.val,
                given.out,
                before=given.before,
                samples=given.samples,
                likeliest=given.likeliest,
            ):
                print(f"before and after: {path}")
        return ALL

    return run
