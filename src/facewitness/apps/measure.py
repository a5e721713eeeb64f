"""`facewitness bench` and `facewitness calibrate`: what is measured, and thresholds fitted to one's own pictures.

Heavy imports stand inside the commands, so that --help is quick on a plain install.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewitness import plugins
from facewitness.apps._words import (
    ALL,
    ANALYSING,
    MEASURED,
    NONE,
    SOME,
    add_system,
    complain,
    count,
    positive,
    seed,
    shown,
    system,
    writes,
)
from facewitness.apps.train import guarded
from facewitness.errors import FacewitnessError, InputError
from facewitness.files import write_whole

if TYPE_CHECKING:
    from facewitness.bench.predictions import Coverage

_ABOUT = """Measure witnesses on datasets, honestly: every item is a row, every number has an interval, every text score
stands beside its controls.

examples:
  facewitness bench run folder --root my-photos --out runs/mine
  facewitness bench run faceforensics --root FaceForensics++ --split test --keep compression=c23 --out runs/ff
  facewitness bench run painted --perturb all --out runs/curves
  facewitness bench run folder --root my-films --films --questions --out runs/films
  facewitness bench run --protocol kfd-cross --root celebdf=CDF2 --root dfdc=DFDC --out runs/cross
  facewitness bench table runs/* --out tables
  facewitness bench compare runs/ours runs/theirs"""

_CALIBRATE = """Fit probabilities and thresholds to your own labelled pictures (a few hundred), for `analyze --profile`.

examples:
  facewitness calibrate --data my-photos --max-fpr 0.01          my-photos/real/…, my-photos/fake/…
  facewitness calibrate --data list.csv --dataset manifest --out newsroom.json
  facewitness analyze photo.jpg --profile newsroom.json"""


_MISJUDGED = """Report a wrong verdict: what was said of a file, beside what you know of it, as a small JSON file. It
holds hashes, scores and your note; the picture only with --with-picture. `bench regressions` says what becomes of it.
Where the verdict is by what the file says of itself, the record is about that; with --person, about a face.

examples:
  facewitness misjudged portrait.jpg --truth real --note "our own photograph"
  facewitness bench regressions misjudged --pictures archive"""


_DELETION = """Does the score fall when the place that a claim names is covered, and further than when another place
of the same face is? Of every claim that was made of the dataset's pictures.

examples:
  facewitness bench deletion folder --root my-photos --limit 100
  facewitness bench deletion parquet --root tables --split val --out claims.jsonl --json"""

_REGRESSIONS = """What became of the verdicts that `facewitness misjudged` recorded: then and now, for each record
whose file is still there with the same bytes.

examples:
  facewitness bench regressions misjudged --pictures archive
  facewitness bench regressions misjudged --out regressions.md --fail-on-worse"""

_PROTOCOLS = """List the protocols: which datasets, splits and perturbations a paper or a comparison measures on.

example:
  facewitness bench protocols"""

_TABLE = """Tables of runs as Markdown, CSV and a page, from their predictions alone: no model is loaded.

examples:
  facewitness bench table runs/* --out tables
  facewitness bench table runs/mine --scores theirs=scores.csv --out tables --title "Ours and theirs\""""

_COMPARE = """Paired differences of two systems on the items that both have answered, with intervals by group.

example:
  facewitness bench compare runs/ours runs/theirs"""

_ANSWERS = """Ask a language model every question of a table of pictures (KFD), and measure its answers beside controls:
without the picture, with another one's, and constant answers.

examples:
  facewitness bench answers runs/kfd/model sbi_qa.parquet --out answers.json --limit 200
  facewitness bench answers runs/vqa --out answers.json           answers of a `bench run` with --questions"""

_MMTT = """Measure reports and masks against the lists of MMTT (ForgeryTalker): CIDEr, BLEU, ROUGE and METEOR of the
words, beside shuffled and constant ones, and the overlap of the masks. DD-VQA and DFA-Bench are read in the same form.

examples:
  facewitness bench mmtt MMTT --captions captions.json --masks masks --system mine
  facewitness bench mmtt DD-VQA --dataset ddvqa --split val --captions captions.json --no-meteor"""

_FIFA = """Measure answers with masks in the eleven tasks of Fake-in-Facext: words and regions, and whether each
mask lies on what its words name.

examples:
  facewitness bench fifa questions/fifa.parquet answers.jsonl
  facewitness bench fifa questions/fifa.parquet answers.jsonl --split test --out numbers.json --sheet answers.png"""

_REPLIES = """The rewards of two models' replies to the same prompts, paired (MARE): which one is better, and in what.

examples:
  facewitness bench replies runs/sft runs/grpo dma.parquet --out runs/before-after
  facewitness bench replies before.jsonl after.jsonl dma.parquet --recipe recipe.toml --out runs/before-after"""

_ABLATION = """One table of several runs of `train grpo`, each without one of the rewards.

example:
  facewitness bench ablation runs/all runs/without-length --out ablation.md"""


def add_to(commands: Any) -> None:
    """Add the three commands to the top parser's sub-commands."""
    bench = commands.add_parser("bench", help="measure witnesses on datasets", description=_ABOUT)
    words = bench.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(words)
    _add_table(words)
    _add_compare(words)
    deletion = words.add_parser(
        "deletion", help="does the score fall when the place a claim names is covered?", description=_DELETION
    )
    deletion.set_defaults(run=_with_extra(_deletion))
    _add_data(deletion)
    writes(deletion, "--out", metavar="FILE", help="write every claim as JSON, one a line")
    deletion.add_argument("--json", action="store_true", help="print the numbers as a JSON object instead of sentences")
    _add_answers(words)
    _add_grounded(words)
    _add_replies(words)
    regressions = words.add_parser(
        "regressions", help="reported misjudgements: the verdicts then and now", description=_REGRESSIONS
    )
    regressions.set_defaults(run=_with_extra(_regressions))
    regressions.add_argument("folder", type=Path, metavar="FOLDER", help="records of facewitness misjudged")
    regressions.add_argument("--pictures", type=Path, metavar="DIR", help="where their files are looked for, by hash")
    writes(regressions, "--out", metavar="FILE", help="write the table (Markdown)")
    regressions.add_argument("--fail-on-worse", action="store_true", help="exit 1 where a verdict is newly wrong")
    add_system(regressions, ANALYSING)
    protocols = words.add_parser("protocols", help="list the protocols", description=_PROTOCOLS)
    protocols.set_defaults(run=_with_extra(_protocols))

    misjudged = commands.add_parser("misjudged", help="report a wrong verdict", description=_MISJUDGED)
    misjudged.set_defaults(run=guarded(_misjudged, "Reporting", goes_on=False))
    misjudged.add_argument("picture", metavar="PICTURE", help="the file that was misjudged")
    misjudged.add_argument("--truth", required=True, choices=("real", "fake"), help="what it is")
    misjudged.add_argument("--person", type=positive, metavar="N", help="who is meant, from 1 in reading order")
    misjudged.add_argument("--note", default="", metavar="TEXT", help="how you know, where it comes from")
    misjudged.add_argument("--with-picture", action="store_true", help="keep the picture beside the record")
    writes(misjudged, "--into", folder=True, default=Path("misjudged"), metavar="FOLDER", help="(misjudged)")
    add_system(misjudged, ANALYSING)

    calibrate = commands.add_parser("calibrate", help="fit thresholds to your own pictures", description=_CALIBRATE)
    calibrate.set_defaults(run=_with_extra(_calibrate))
    calibrate.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="labelled pictures")
    calibrate.add_argument("--dataset", default="folder", metavar="NAME", help="how it is laid out (folder)")
    calibrate.add_argument("--split", metavar="NAME", help="one split of it only")
    calibrate.add_argument("--max-fpr", type=_share, default=0.05, metavar="SHARE", help="genuine called fake (0.05)")
    calibrate.add_argument("--max-fnr", type=_share, default=0.1, metavar="SHARE", help="fakes called real (0.1)")
    calibrate.add_argument(
        "--confidence", type=_share, default=0.5, metavar="SHARE", help="with which --max-fpr must be shown (0.5)"
    )
    writes(calibrate, "--out", default=Path("profile.json"), metavar="FILE", help="(profile.json)")
    add_system(calibrate, MEASURED, judged=False)  # it makes thresholds


def _with_extra(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The command, which says what to install where the plain install lacks it."""

    def run(given: argparse.Namespace) -> int:
        try:
            return command(given)
        except ModuleNotFoundError as error:
            if isinstance(error, FacewitnessError):
                raise
            raise plugins.lacking("Measuring", error, "bench") from error

    return run


def _add_run(words: Any) -> None:
    run = words.add_parser("run", help="write predictions", description=_ABOUT)
    run.set_defaults(run=_with_extra(_run))
    _add_data(run, optional=True)
    run.add_argument("--protocol", metavar="NAME", help="a protocol instead of one dataset: see bench protocols")
    writes(run, "--out", folder=True, required=True, metavar="DIR", help="folder of the run; the same one resumes")
    run.add_argument("--name", metavar="NAME", help="of the system in tables (its witnesses' names)")
    run.add_argument(
        "--perturb",
        action="append",
        default=[],
        metavar="NAME[:1-5]",
        help="jpeg, h264, resize, blur, …, routine or all; instead of a protocol's, none for none",
    )
    run.add_argument(
        "--reencode", type=_quality, metavar="QUALITY", help="save every picture as JPEG of 1 to 100 first, all alike"
    )
    run.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N", help="the I-th of N shares of the groups")
    run.add_argument("--jobs", type=positive, default=1, metavar="N", help="processes (1)")
    run.add_argument("--seed", type=seed, default=0, metavar="N")
    run.add_argument("--thumbnails", type=count, default=24, metavar="N", help="worst mistakes kept as pictures (24)")
    run.add_argument("--questions", action="store_true", help="ask what the dataset asks about each picture")
    run.add_argument(
        "--films", action="store_true", help="judge each video file as analyze does, people followed: one row a film"
    )
    run.add_argument("--difference-masks", action="store_true", help="truth masks from pristine counterparts")


def _add_data(parser: Any, optional: bool = False) -> None:
    parser.add_argument("dataset", nargs="?" if optional else None, metavar="DATASET", help="see facewitness datasets")
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="DIR",
        help="the dataset's folder, or its list" + "; NAME=DIR for each of a protocol's" * optional,
    )
    parser.add_argument("--split", metavar="NAME", help="one split only")
    parser.add_argument("--frames", type=positive, default=32, metavar="N", help="evenly spaced, of each video (32)")
    parser.add_argument(
        "--keep", action="append", default=[], metavar="COLUMN=VALUE,…", help="only this dataset, compression or method"
    )
    parser.add_argument("--limit", type=positive, metavar="N", help="the first N items only")
    add_system(parser, MEASURED)


def _add_table(words: Any) -> None:
    table = words.add_parser("table", help="Markdown, CSV and a page from predictions alone", description=_TABLE)
    table.set_defaults(run=_with_extra(_table))
    table.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    writes(table, "--out", folder=True, required=True, metavar="DIR")
    table.add_argument("--title", default="Benchmark", metavar="TEXT")
    table.add_argument(
        "--scores",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="another system's CSV (file,score), or a score file of DeepfakeBench or DeepSafe",
    )


def _add_compare(words: Any) -> None:
    compare = words.add_parser(
        "compare", help="paired differences of two systems, with intervals", description=_COMPARE
    )
    compare.set_defaults(run=_with_extra(_compare))
    compare.add_argument("first", type=Path, metavar="RUN")
    compare.add_argument("second", type=Path, metavar="RUN")


def _add_answers(words: Any) -> None:
    answers = words.add_parser(
        "answers", help="ask a language model every question of a table (KFD)", description=_ANSWERS
    )
    answers.set_defaults(run=_with_extra(_answers))
    answers.add_argument("model", metavar="MODEL", help="folder of train sft's model, a hub name, or predictions")
    answers.add_argument("table", type=Path, nargs="?", metavar="TABLE", help="sbi_qa.parquet of faces it has not seen")
    writes(answers, "--out", required=True, metavar="FILE.json", help="answers go beside it")
    answers.add_argument("--detector", type=Path, metavar="KFD.safetensors", help="default: the model's own expert")
    answers.add_argument("--quoted", action="store_true", help="tell the model the detector's score in words")
    answers.add_argument("--batch-size", type=positive, default=32, metavar="N", help="questions at once (32)")
    answers.add_argument("--limit", type=positive, metavar="N", help="the first N questions only")


def _add_grounded(words: Any) -> None:
    mmtt = words.add_parser("mmtt", help="reports and masks against MMTT's lists (ForgeryTalker)", description=_MMTT)
    mmtt.set_defaults(run=_with_extra(_mmtt))
    mmtt.add_argument("root", type=Path, metavar="ROOT", help="MMTT's folder, or one of build mmtt")
    mmtt.add_argument("--captions", type=Path, required=True, metavar="JSON", help="[{image_id, caption}, …]")
    mmtt.add_argument("--masks", type=Path, metavar="FOLDER", help="PNG masks named as the pictures are")
    mmtt.add_argument("--split", default="test", metavar="NAME", help="train, val or test (test)")
    mmtt.add_argument(
        "--dataset", choices=("mmtt", "ddvqa", "dfa_bench"), default="mmtt", help="ddvqa: DQ_F++, Table 3 (mmtt)"
    )
    mmtt.add_argument("--limit", type=positive, metavar="N", help="the split's first N pictures only")
    mmtt.add_argument("--no-meteor", action="store_true", help="leave METEOR out, which takes Java")
    mmtt.add_argument("--system", default="system", metavar="NAME", help="its name in the table")
    writes(mmtt, "--out", metavar="FILE.json", help="write all numbers")
    writes(mmtt, "--sheet", metavar="FILE.png", help="show 12: claimed green, true red, both texts")
    fifa = words.add_parser("fifa", help="answers with masks in Fake-in-Facext's eleven tasks", description=_FIFA)
    fifa.set_defaults(run=_with_extra(_fifa))
    fifa.add_argument("table", type=Path, metavar="fifa.parquet", help="made by build fifa")
    fifa.add_argument(
        "answers", type=Path, metavar="JSONL", help="{file, task, question, answer, masks: [PNG, …]} a line"
    )
    fifa.add_argument("--split", metavar="NAME", help="one split of it only")
    fifa.add_argument("--no-meteor", action="store_true", help="leave METEOR out, which takes Java")
    fifa.add_argument("--system", default="system", metavar="NAME", help="its name in the table")
    writes(fifa, "--out", metavar="FILE.json", help="write all numbers")
    fifa.add_argument("--sheet", type=Path, metavar="FILE.png", help="show 12: claimed green, true red, both texts")


def _mmtt(given: argparse.Namespace) -> int:
    from facewitness.bench import mmtt

    _check_sheet(given.sheet)
    reports, notes = mmtt.read(given.root, given.split, given.captions, given.masks, given.dataset, given.limit)
    numbers = mmtt.measure(reports, meteor=not given.no_meteor)
    of_mmtt = ("MMTT, Table 2", "MMTT, test set (their repository)", "MMTT, Table 6")
    tables = {"mmtt": of_mmtt, "ddvqa": ("DQ_F++, Table 3",)}.get(given.dataset, ())
    print(mmtt.markdown(numbers, given.system, tables))
    _notes(notes)
    if given.out is not None:
        write_whole(given.out, json.dumps(numbers | {"notes": notes}, indent=1).encode())
    if given.sheet is not None:
        mmtt.sheet(given.root, given.split, given.captions, given.masks, given.sheet, given.dataset)
    return ALL


def _notes(notes: Sequence[str]) -> None:
    for note in notes[:5]:
        complain(f"facewitness: {note}")
    if len(notes) > 5:
        complain(f"facewitness: … and {len(notes) - 5} more of this kind")


def _check_sheet(path: Path | None) -> None:
    """Raises InputError for a sheet that could not be written in the end, before anything is measured."""
    if path is not None and path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"--sheet: expected a name that ends in .png or .jpg, got '{path}'")


def _fifa(given: argparse.Namespace) -> int:
    from facewitness.bench import fifa
    from facewitness.builders.fifa import read

    _check_sheet(given.sheet)
    rows = [row for row in read(given.table) if given.split in (None, row["split"])]
    if not rows:
        raise InputError(f"'{given.table}': expected rows of the split {given.split}, got none")
    notes: list[str] = []
    answers = fifa.read_answers(given.answers, notes.append)
    if not any((row["file"], row["task"], row["question"]) in answers for row in rows):
        raise InputError(
            f"'{given.answers}': expected answers to the questions of '{given.table}', by file, task and question, "
            f"got {len(answers)} of which none belongs to one. Copy the three from the table as they stand there."
        )
    numbers = fifa.measure(rows, answers, meteor=not given.no_meteor)
    print(fifa.markdown(numbers, given.system))
    _notes(notes)
    misfits = {name: count for name, count in numbers["misfits"].items() if count and name != "unread"}
    if misfits:
        words = {
            "wrong_size": "masks of another size than the picture's (count as none)",
            "segs_without_mask": "[SEG] without a mask",
            "broken": "answers that break the form <p> … </p> [SEG]",
        }
        complain(f"facewitness: {'; '.join(f'{count} {words[name]}' for name, count in misfits.items())}")  # fmt: skip
    if numbers["unasked"]:
        complain(
            f"facewitness: {numbers['unasked']} of {len(answers)} answers belong to no question of '{given.table}' by "
            "their file, task and question, and count nowhere"
        )
    if given.out is not None:
        write_whole(given.out, json.dumps(numbers, indent=1).encode())
    if given.sheet is not None:
        fifa.sheet(rows, answers, given.sheet)
    return ALL


def _add_replies(words: Any) -> None:
    replies = words.add_parser(
        "replies", help="rewards of two models' replies to the same prompts, paired (MARE)", description=_REPLIES
    )
    replies.set_defaults(run=_with_extra(_replies))
    replies.add_argument("before", metavar="BEFORE", help="a model's folder or hub name, predictions, or a .jsonl")
    replies.add_argument("after", metavar="AFTER", help="likewise")
    replies.add_argument("table", type=Path, metavar="TABLE", help="dma.parquet of people that neither has seen")
    writes(replies, "--out", folder=True, required=True, metavar="DIR")
    replies.add_argument("--recipe", type=Path, metavar="TOML", help="of train grpo: its rewards and sampling")
    replies.add_argument("--max-tokens", type=positive, metavar="N", help="of a reply (the recipe's, else 256)")
    replies.add_argument("--samples", type=count, default=0, metavar="N", help="draw N replies each; 0: the likeliest")
    replies.add_argument("--batch-size", type=positive, default=32, metavar="N", help="prompts at once (32)")
    replies.add_argument("--seed", type=seed, default=0, metavar="N")
    ablation = words.add_parser(
        "ablation", help="runs of train grpo, each without a reward, as one table", description=_ABLATION
    )
    ablation.set_defaults(run=_with_extra(_ablation))
    ablation.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    writes(ablation, "--out", required=True, metavar="FILE.md")


def _answers(given: argparse.Namespace) -> int:
    from facewitness.bench import answers

    numbers = answers.run(
        given.model, given.table, given.out, detector=given.detector, quoted=given.quoted, batch_size=given.batch_size,
        limit=given.limit,
    )  # fmt: skip
    print(answers.summary(numbers))
    return ALL


def _replies(given: argparse.Namespace) -> int:
    from facewitness.train import paired
    from facewitness.train.rewards import Rewards

    recipe = paired.read_settings(given.recipe)
    sampling = {k: recipe[k] for k in ("max_tokens", "temperature", "top_p") if k in recipe}
    sampling |= {} if given.max_tokens is None else {"max_tokens": given.max_tokens}
    asking = paired.Asking(**sampling, samples=given.samples, batch_size=given.batch_size, seed=given.seed)
    rewards = Rewards.of(recipe)
    paired.compare(given.before, given.after, given.table, given.out, rewards=rewards, asking=asking)
    print(given.out / "before_after.md")
    return ALL


def _ablation(given: argparse.Namespace) -> int:
    from facewitness.train import paired

    write_whole(given.out, paired.ablation(_each_once(given.runs)).encode())
    print(given.out)
    return ALL


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a share between 0 and 1, such as 0.01, got {text!r}")
    return value


def _quality(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError(f"expected a JPEG quality from 1 to 100, got {text!r}")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise argparse.ArgumentTypeError(f"expected I/N with 1 ≤ I ≤ N, such as 2/4, got {text!r}")
    return int(first), int(second)


def _system(given: argparse.Namespace) -> Any:
    from facewitness.bench.run import System

    return System(**system(given))


def _keep(given: argparse.Namespace) -> dict[str, tuple[str, ...]]:
    keep = {}
    for text in given.keep:
        column, equals, values = text.partition("=")
        if not equals:
            raise InputError(f"--keep: expected COLUMN=VALUE, such as compression=c23, got {text!r}")
        keep[column] = tuple(values.split(","))
    return keep


def _roots(given: argparse.Namespace) -> dict[str | None, Path]:
    """Dataset's name -> its folder; the one without a name stands for all others."""
    roots: dict[str | None, Path] = {}
    for text in given.root:
        name, equals, path = text.partition("=")
        roots[name if equals else None] = Path(path if equals else text)
    return roots


# ------------------------------------------------------------------------------------------------------ the work


def _run(given: argparse.Namespace) -> int:
    from facewitness.bench import perturb
    from facewitness.bench.run import run

    if (given.dataset is None) == (given.protocol is None):
        raise InputError("bench run: expected a DATASET or a --protocol, one of the two. See facewitness datasets.")
    common: dict[str, Any] = {
        "system": _system(given), "shard": given.shard, "jobs": given.jobs, "seed": given.seed, "limit": given.limit,
        "thumbnails": given.thumbnails, "name": given.name, "films": given.films,
    }  # fmt: skip
    roots = _roots(given)
    if given.dataset is not None:
        with _progress(given.dataset) as progress:
            covered = run(
                given.dataset, roots.get(given.dataset, roots.get(None)), given.out, split=given.split,
                frames=given.frames, keep=_keep(given), perturbations=perturb.parse(given.perturb),
                reencode=given.reencode, difference_masks=given.difference_masks, questions=given.questions,
                progress=progress, **common,
            )  # fmt: skip
        return _summed(given.out, covered)

    from facewitness.bench import protocol

    plan = protocol.read(given.protocol)
    statuses = []
    given.out.mkdir(parents=True, exist_ok=True)
    protocol.note(plan, given.out)
    for test in plan.tests:
        root = roots.get(test.dataset, roots.get(None))
        if root is None:
            complain(f"{test.name}: skipped, for no folder was given. Add --root {test.dataset}=DIR")
            statuses.append(SOME)
            continue
        sources = (test.source,) if isinstance(test.source, str) else test.source
        keep: dict[str, tuple[str, ...]] = {"dataset": sources} if sources else {}
        keep |= {"compression": (test.compression,)} if test.compression else {}
        keep |= {"method": test.method} if test.method else {}
        out = given.out / protocol.folder_of(test)
        try:
            with _progress(test.name) as progress:
                covered = run(
                    test.dataset, root, out, split=test.split, frames=test.frames, keep=keep,
                    perturbations=perturb.parse(given.perturb or plan.perturbations), reencode=plan.reencode,
                    difference_masks=plan.difference_masks, questions=plan.questions or given.questions,
                    progress=progress, **common,
                )  # fmt: skip
            statuses.append(_summed(out, covered))
        except FacewitnessError as error:  # one set that is not there must not take the others with it
            complain(f"facewitness: {test.name}: {error}")
            statuses.append(NONE)
    return ALL if not any(statuses) else NONE if all(s == NONE for s in statuses) else SOME


def _summed(out: Path, covered: Coverage) -> int:
    counts = {
        "analysed": covered["ok"],
        "without a face": covered["no_face"],
        "failed": covered["failed"],
        "missing or noted": covered["missing"],
    }
    line = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    print(shown(f"{out}: {covered['rows']} rows ({line or 'none'})"))
    _lacking(covered["examples"], covered["missing"])
    for sentence in covered.get("notes", ()):
        complain(f"  note: {sentence}")
    if not covered["ok"]:
        return NONE
    return SOME if covered["failed"] or covered["missing"] or covered.get("notes") else ALL


@contextmanager
def _progress(title: str) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield lambda done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=screen) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done: bar.update(task, completed=done)


def _each_once(runs: Sequence[Path]) -> list[Path]:
    """Folders of runs, one that is named again told and left out."""
    folders: dict[Path, Path] = {}
    for run in runs:
        if (before := folders.setdefault(run.resolve(), run)) is not run:
            again = f"'{run}'" + (f" is '{before}', which" if before != run else "")
            complain(f"facewitness: {again} is named twice; it is taken once")
    return list(folders.values())


def _table(given: argparse.Namespace) -> int:
    from facewitness.bench.table import write

    scores = {}
    for text in given.scores:
        name, equals, path = text.partition("=")
        if not (name and equals) or name in scores:
            wanted = f"{name!r} once" if name in scores else "NAME=FILE"
            raise InputError(f"--scores: expected {wanted}, got {text!r}. Give each file of scores a name of its own.")
        scores[name] = Path(path)
    for path in write(_each_once(given.runs), given.out, scores=scores, title=given.title):
        print(shown(path))
    return ALL


def _compare(given: argparse.Namespace) -> int:
    from facewitness.bench import compare, predictions

    first, second = predictions.read(given.first), predictions.read(given.second)
    names = [str(meta["name"]) for _, meta in (first, second)]
    if names[0] == names[1]:  # two runs of one system go by their folders
        names = [f"{names[0]} ({run})" for run in (given.first, given.second)]
    if names[0] == names[1]:
        names = [f"{names[0]}, once", f"{names[1]}, again"]
    text = compare.render(compare.compare(first[0], second[0]), *names)
    print("\n".join(map(shown, text.split("\n"))))
    return ALL


def _deletion(given: argparse.Namespace) -> int:
    import itertools
    import json
    from dataclasses import asdict

    from facewitness import plugins
    from facewitness.bench import deletion, run
    from facewitness.files import write_whole
    from facewitness.pipeline import Analyzer

    roots = _roots(given)
    root = roots.get(given.dataset, roots.get(None))
    keep = _keep(given)
    leaf = plugins.get("datasets", given.dataset)
    missing: list[str] = []
    samples = run.samples_of(leaf, root, given.split, given.frames, missing.append)
    chosen = itertools.islice((s for s in samples if run.wanted(s, keep)), given.limit)
    analyzer = Analyzer(**_system(given).arguments(("none", 0), 0))
    with _progress("covering") as progress:
        below = run.folder_of(root) or Path()
        deletions, tally = deletion.deletions(chosen, below, analyzer, progress=progress)
    if given.out:
        write_whole(given.out, "".join(json.dumps(asdict(d)) + "\n" for d in deletions).encode())
    numbers = {**tally, **deletion.summary(deletions)}
    text = json.dumps(numbers, indent=1) if given.json else deletion.in_words(numbers)
    for line in text.split("\n"):
        print(shown(line))
    _lacking(missing, len(missing))
    return ALL if deletions else NONE


def _lacking(sentences: Sequence[str], number: int) -> None:
    """The first sentences of a dataset about what is absent or odd, of so many."""
    for sentence in sentences[:5]:
        complain(f"  {sentence}")
    if number > 5:
        complain(f"  … and {number - 5} more: see facewitness datasets check")


def _misjudged(given: argparse.Namespace) -> int:
    from facewitness import media
    from facewitness.bench import regressions
    from facewitness.files import read_bounded
    from facewitness.pipeline import Analyzer

    if (whole := media.file_of(given.picture)) != Path(given.picture):  # a record knows its file by its hash alone
        raise InputError(
            f"misjudged: expected a file, got a part of '{whole}'. Save that page or part as a picture by itself."
        )
    analyzer = Analyzer(**_system(given).arguments(("none", 0), 0))
    report = analyzer.analyze(given.picture)
    if report.status == "failed":
        raise InputError(report.problems[0].message)
    person = None if given.person is None else given.person - 1
    entry = regressions.record(report, given.truth, given.note, person)
    picture = read_bounded(Path(given.picture), media.limit_of(given.picture)) if given.with_picture else None
    kept = regressions.Kept(given.into)
    before = kept.before(entry)
    path = kept.add(entry, picture, Path(given.picture).suffix.lower())
    print(shown(str(path)))
    if before is not None and (before.truth, before.note) != (entry.truth, entry.note):
        noted = f", with the note “{before.note}”" if before.note else ", without a note"
        complain(f"facewitness: this takes the place of the record of {before.date}, which said {before.truth}{noted}")
    of_file = entry.person is None
    if not entry.wrong:
        more = ""
        if not of_file and regressions.by_the_file(report):
            more = " What the file says of itself decided: without --person, that is reported."
        elif not any(getattr(witness, "decisive", False) for witness in analyzer.witnesses):
            more = " What the file says of itself was not asked: add --witness provenance."
        whose = "file" if of_file else "face"
        complain(
            f"facewitness: the verdict on the {whose} is {entry.label}, so it was not the wrong one; kept all the "
            f"same.{more}"
        )
    if of_file:
        wrong = [n for n, p in enumerate(report.people, 1) if {p.verdict.label, entry.truth} == {"real", "fake"}]
        for number in wrong:
            complain(f"facewitness: the verdict on person {number} is wrong, too: --person {number} reports it.")
    return ALL


def _regressions(given: argparse.Namespace) -> int:
    from facewitness.bench import regressions
    from facewitness.pipeline import Analyzer

    if given.out and given.out.suffix == ".json" and given.out.exists():  # a record, if it is one of the folder's
        raise InputError(f"--out: expected the name of a new Markdown file, got '{given.out}'. Name another one.")
    analyzer = Analyzer(**_system(given).arguments(("none", 0), 0))
    outcomes = list(regressions.again(regressions.Kept(given.folder), analyzer, given.pictures))
    text = regressions.page(outcomes)
    if given.out:
        write_whole(given.out, f"{text}\n".encode())
    for line in text.split("\n"):
        print(shown(line))
    if all(outcome.label is None for outcome in outcomes):
        complain(
            "facewitness: no file of these records was at hand. Name the folder that holds them with --pictures DIR."
        )
        return NONE
    return SOME if given.fail_on_worse and any(outcome.what == "worse" for outcome in outcomes) else ALL


def _protocols(given: argparse.Namespace) -> int:
    from facewitness.bench import protocol

    for name in protocol.names():
        plan = protocol.read(name)
        print(shown(f"{name}: {plan.about}"))
        for test in plan.tests:
            printed = "".join(
                f"; {system} prints {', '.join(f'{name} {value:g}' for name, value in values.items())}"
                for system, values in test.published.items()
            )
            print(shown(f"  {test.name}: {test.dataset}, split {test.split or 'all'}, {plan.level} level{printed}"))
    return ALL


def _calibrate(given: argparse.Namespace) -> int:
    import tempfile

    from facewitness.bench import calibrate, predictions
    from facewitness.bench.run import run
    from facewitness.pipeline import Analyzer

    system = _system(given)
    loaded = Analyzer(**system.arguments(("none", 0), 0)).witnesses
    options = {"max_fpr": given.max_fpr, "max_fnr": given.max_fnr, "confidence": given.confidence}
    fits = []
    for witness in loaded:
        if not hasattr(witness, "examine"):
            raise InputError(f"calibrate: expected witnesses that look at faces, got {witness.name}. Leave it out.")
        with tempfile.TemporaryDirectory() as folder, _progress(f"scoring by {witness.name}") as progress:
            from dataclasses import replace

            parts = {system.finder, witness.name}
            witness_options = {name: options for name, options in system.options.items() if name in parts}
            alone = replace(system, witnesses=(witness.name,), options=witness_options)
            covered = run(
                given.dataset, given.data, Path(folder), system=alone, split=given.split, thumbnails=0,
                progress=progress,
            )  # fmt: skip
            table, _ = predictions.read(folder)
        if witness is loaded[0]:  # of the data, whoever looks at them
            _lacking(covered["examples"], covered["missing"])
            for sentence in covered["notes"]:
                complain(f"  note: {sentence}")
        fitted = calibrate.fit(
            table,
            max_fpr=given.max_fpr,
            max_fnr=given.max_fnr,
            confidence=given.confidence,
            witness=witness.name,
        )
        fits.append((witness.name, dict(witness.made_by().get("weights", {})), fitted))
        c = fitted.calibration
        print(
            f"{witness.name}: fitted to {fitted.genuine} genuine and {fitted.fakes} fake pictures "
            f"({fitted.unscored} without a score). Real below {c.real_below:.1%}, fake from {c.fake_above:.1%}."
        )
        for source, rates in c.rates.items():
            known = {k: v for k, v in rates.items() if k not in ("genuine", "fakes") and v is not None}
            print(shown(f"  {source}: " + ", ".join(f"{k.replace('_', ' ')} {v:.1%}" for k, v in known.items())))
        for warning in fitted.warnings:
            complain(f"  note: {warning}")
    print(shown(calibrate.write(given.out, fits, data=given.data.name, options=options)))
    return ALL
