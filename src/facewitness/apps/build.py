"""`facewitness build`: tables, packs, questions and annotations to train on, and the files that training leads to.

Nothing heavy is imported until a command runs: --help needs no torch.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from facewitness import plugins
from facewitness.apps._words import ALL, NONE, RECIPE, complain, leaf, option, positive, reads, seed, share, writes
from facewitness.apps.train import Command, guarded, read_json
from facewitness.errors import InputError, UnknownName
from facewitness.files import write_whole

_ABOUT = """Make what training begins with, and what it leads to.

examples:
  facewitness build table my-photos tables/photos.parquet     pictures in real/ and fake/ become a table
  facewitness build pack tables pack                           its faces, found once
  facewitness build sbi_qa parquet tables --out questions      questions and answers about self-made forgeries
  facewitness build dma ddvqa DD-VQA --out annotations         people's explanations, with boxes, as MARE replies
  facewitness build mmtt folder my-photos --out forged         forged portraits with masks and reports, as MMTT has them
  facewitness build fifa folder my-photos --out questions      questions whose answers carry masks, as FiFa has them
  facewitness build onnx recipe.toml out compact.onnx          a trained compact network, for facewitness analyze
  facewitness build places kfd.safetensors places.onnx         KFD's map, by which compact shows places"""


def add_to(commands: Any) -> None:
    """Add `build` and its builders to the top parser's sub-commands."""
    build = commands.add_parser("build", help="make data to train on", description=_ABOUT)
    names = build.add_subparsers(title="builders", metavar="NAME", required=True)
    for name, add, about, example in (
        ("table", _add_table, "Put labelled pictures into one Parquet table.", "my-photos tables/photos.parquet"),
        ("pack", _add_pack, "Find the face in every picture of the tables, once.", "tables pack"),
        ("sbi_qa", _add_sbi_qa, "Forge genuine faces, and ask about them (KFD).", "parquet tables --out questions"),
        (
            "scenes",
            _add_scenes,
            "Draw scenes of coloured shapes and talk about them: general dialogue beside KFD's questions.",
            "--out general --count 400",
        ),
        (
            "dma",
            _add_dma,
            "Turn what people wrote about faces into replies with boxes (MARE).",
            "ddvqa DD-VQA --out out",
        ),
        (
            "mmtt",
            _add_mmtt,
            "Forge portraits in four families, each with its mask and a report (MMTT).",
            "folder my-photos --out forged --copies 4",
        ),
        (
            "fifa",
            _add_fifa,
            "Ask about forged and genuine faces, with answers that carry masks (Fake-in-Facext).",
            "folder my-photos --out questions",
        ),
        (
            "ffa_vqa",
            _add_ffa_vqa,
            "Have faces analysed in FFAA's chain of thought, by a model or from what is known of them.",
            "pack PACK --count 1200 --out analyses",
        ),
        (
            "small_vlm",
            _add_small_vlm,
            "Make a small vision-language model with random weights.",
            "out/dma.parquet --out small",
        ),
        (
            "panda",
            _add_panda,
            "Give a language model that reads text alone the eyes of a CLIP, one token a picture (PandaGPT's shape).",
            "HuggingFaceTB/SmolLM2-135M-Instruct --eyes openai/clip-vit-base-patch32 --out panda",
        ),
        (
            "hard",
            _add_hard,
            "Weigh genuine pictures that a trained compact network takes for forged, to draw them more often.",
            "runs/compact/recipe.toml pack out hard.json",
        ),
        ("onnx", _add_onnx, "Export a trained compact network.", "runs/compact/recipe.toml out compact.onnx"),
        ("places", _add_places, "Export the map of KFD's detector.", "runs/kfd/kfd.safetensors places.onnx"),
    ):
        text = f"{about}\n\nexample:\n  facewitness build {name} {example}"
        parser = names.add_parser(name, help=about[0].lower() + about[1:-1], description=text)
        parser.set_defaults(run=guarded(add(parser), "Building", goes_on=name == "ffa_vqa"))


def _note(sentence: str) -> None:
    complain(f"facewitness: {sentence}")


def _add_table(parser: Any) -> Command:
    parser.add_argument("root", type=Path, metavar="FOLDER", help="the dataset's folder, or its list")
    writes(parser, "table", metavar="TABLE.parquet", help="the table to write")
    parser.add_argument(
        "--dataset", type=leaf("datasets"), default="folder", metavar="NAME", help="how it is laid out (folder)"
    )
    parser.add_argument("--split", metavar="NAME", help="one split of it only")
    parser.add_argument("--source", metavar="NAME", help="its name in recipes (the dataset's own)")

    def run(given: argparse.Namespace) -> int:
        from facewitness.builders import table

        if given.table.suffix != ".parquet":
            raise InputError(f"expected a table's name that ends in .parquet, got '{given.table}'")
        count = table.of(given.dataset, given.root, given.split, given.table, given.source, _note)
        print(f"{given.table}: {_tally(count)}")
        return ALL

    return run


def _tally(count: Counter[tuple[str, str, str]]) -> str:
    return ", ".join(f"{n} {label} ({source}, {split})" for (source, split, label), n in sorted(count.items()))


def _add_pack(parser: Any) -> Command:
    reads(
        parser,
        "data",
        what="a .parquet table or a folder of them",
        metavar="TABLES",
        help="a table, or a folder of them",
    )
    writes(parser, "pack", folder=True, metavar="FOLDER", help="to write; about as large as the tables")
    parser.add_argument("--finder", type=leaf("finders"), metavar="NAME", help="what finds the faces (facemesh)")
    reads(
        parser,
        "--groups",
        what="groups of pictures in JSON",
        metavar="JSON",
        help="source/file -> group, where people repeat",
    )
    reads(
        parser,
        "--shows",
        what="groups whose faces pictures show, in JSON",
        metavar="JSON",
        help="source/file -> another group whose face it shows, as a swap its donor's; kept from training with val's",
    )
    reads(parser, "--edits", what="a table", nargs="+", default=[], metavar="TABLE", help="dma.parquet of edits")
    parser.add_argument("--jobs", type=positive, metavar="N", help="processes that search (one a core, at most 8)")

    def run(given: argparse.Namespace) -> int:
        from facewitness.builders import pack

        finder = None if given.finder is None else plugins.get("finders", given.finder).load()
        groups, shows = read_json(given.groups), read_json(given.shows)
        made = pack.pack(given.data, given.pack, finder, groups, given.jobs, given.edits, shows)
        faces = sum(made.landmarks(i) is not None for i in range(len(made.rows)))
        print(f"{given.pack}: {len(made.rows)} pictures, {faces} with a face; {len(made.problems)} could not be read")
        for problem in made.problems[:5]:
            _note(problem["message"])
        if n := len(made.problems):
            _note(f"{n:,} of {n + len(made.rows):,} pictures are left out; all are named in {given.pack}/problems.json")
        blank = not faces and given.finder is None  # another finder may give no meshes, which train fdm does not need
        if blank:
            _note(f"no face was found, so nothing can be learnt from this pack. Look at '{given.data}'.")
        return NONE if blank else ALL

    return run


def _add_sbi_qa(parser: Any) -> Command:
    parser.add_argument("dataset", type=leaf("datasets"), metavar="DATASET", help="a name of facewitness datasets")
    parser.add_argument("root", type=Path, metavar="ROOT", help="where the dataset lies")
    writes(parser, "--out", folder=True, required=True, metavar="FOLDER")
    parser.add_argument("--split", metavar="NAME")
    parser.add_argument("--seed", type=seed, default=0, metavar="N")
    parser.add_argument("--faces", type=positive, metavar="N", help="use the first N faces")
    parser.add_argument("--every", type=positive, default=1, metavar="K", help="use each K-th face, of all the dataset")
    parser.add_argument("--copies", type=positive, default=1, metavar="N", help="forgeries of each face")
    parser.add_argument(
        "--pairs", type=positive, default=1, metavar="N", help="yes and no about regions of each forgery"
    )
    parser.add_argument(
        "--elsewhere", type=float, default=0.5, metavar="SHARE", help="of no, about the forged picture (0.5)"
    )
    parser.add_argument(
        "--blends", nargs="+", choices=("poisson", "alpha"), default=("poisson", "poisson", "alpha"), metavar="NAME",
        help="drawn from (poisson poisson alpha; the paper's is poisson)",
    )  # fmt: skip
    parser.add_argument(
        "--changed", type=float, default=0.7, metavar="SHARE", help="of copies changed in colour first (0.7; paper's 0)"
    )
    reads(parser, "--detector", what="a detector", metavar="KFD.safetensors", help="puts its scores into the prompts")
    parser.add_argument(
        "--turns", type=positive, default=1, metavar="N", help="questions a conversation of chat.json has (1)"
    )

    def run(given: argparse.Namespace) -> int:
        from facewitness.builders import sbi_qa

        sbi_qa.of_turns(given.turns)
        detector, size = (None, 224) if given.detector is None else sbi_qa.scorer(given.detector)
        faces = sbi_qa.pristine(given.dataset, given.root, given.split, given.faces, every=given.every, tell=_note)
        made = sbi_qa.build(
            faces, seed=given.seed, copies=given.copies, pairs=given.pairs, elsewhere=given.elsewhere, size=size,
            blends=given.blends, changed=given.changed, detector=detector, tell=_note,
        )  # fmt: skip
        items = list(made)
        table = sbi_qa.write_parquet(items, given.out / "sbi_qa.parquet")
        chat = sbi_qa.write_chat(items, given.out, given.turns)
        print(f"{len(items)} questions about {len({i.file for i in items})} pictures: {table}, {chat}")
        return ALL

    return run


def _add_scenes(parser: Any) -> Command:
    writes(parser, "--out", folder=True, required=True, metavar="FOLDER")
    parser.add_argument("--count", type=positive, default=400, metavar="N", help="conversations (400)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N")

    def run(given: argparse.Namespace) -> int:
        from facewitness.builders import scenes

        chat = scenes.write_chat(scenes.build(given.count, given.seed), given.out)
        print(f"{given.count} conversations: {chat}")
        return ALL

    return run


def _add_dma(parser: Any) -> Command:
    parser.add_argument("dataset", type=leaf("datasets"), metavar="DATASET", help="a name of facewitness datasets")
    parser.add_argument("root", type=Path, metavar="ROOT", help="where the dataset lies")
    writes(parser, "--out", folder=True, required=True, metavar="FOLDER")
    parser.add_argument("--split", metavar="NAME")
    parser.add_argument("--seed", type=seed, default=0, metavar="N")
    parser.add_argument("--size", type=positive, metavar="PX", help="crop faces to squares of so many pixels")
    parser.add_argument(
        "--margin", type=float, default=1.5, metavar="X", help="their side over the mesh's longer side (1.5)"
    )
    parser.add_argument("--finder", type=leaf("finders"), default="facemesh", metavar="NAME")
    parser.add_argument("--verdicts", action="store_true", help="only what was said of the whole face")
    parser.add_argument(
        "--descriptions", action="store_true", help="keep in replies what describes a real face's features"
    )

    def run(given: argparse.Namespace) -> int:
        from facewitness.builders import _disk, dma

        statistics = dma.Statistics()
        samples, below = _disk.samples_of(given.dataset, given.root, given.split, _note)
        made = dma.build(
            samples, plugins.get("finders", given.finder).load(), root=below, size=given.size, margin=given.margin,
            questions=not given.verdicts, descriptions=given.descriptions, seed=given.seed, statistics=statistics,
        )  # fmt: skip
        table, chat, sheet = dma.write_all(made, statistics, given.out, given.seed)
        left = ", ".join(f"{count} {reason}" for reason, count in statistics.left_out.most_common()) or "nothing"
        count = sum(statistics.items.values())
        print(f"{count} items of {statistics.samples} samples: {table}, {chat}, {sheet}. Left out: {left}")
        return ALL

    return run


def _add_portraits(parser: Any, size: int, copies: int) -> None:
    """The arguments of both builders that forge portraits."""
    parser.add_argument("dataset", type=leaf("datasets"), metavar="DATASET", help="a name of facewitness datasets")
    parser.add_argument("root", type=Path, metavar="ROOT", help="where the dataset lies")
    writes(parser, "--out", folder=True, required=True, metavar="FOLDER")
    parser.add_argument("--split", metavar="NAME")
    parser.add_argument("--seed", type=seed, default=0, metavar="N")
    parser.add_argument("--faces", type=positive, metavar="N", help="use the first N genuine faces")
    parser.add_argument("--copies", type=positive, default=copies, metavar="N", help=f"forgeries of each ({copies})")
    parser.add_argument("--size", type=positive, default=size, metavar="PX", help=f"side of the pictures ({size})")
    parser.add_argument(
        "--families", metavar="A,B", help="ways to forge (the builder's own); 'every' takes all forgers of facewitness"
    )
    parser.add_argument("--diffusion", metavar="MODEL", help="inpaint by a diffusion model of the hub, too")


def _families(given: argparse.Namespace, own: Any) -> tuple[tuple[str, ...], dict[str, dict[str, Any]]]:
    """The families that were asked for, and options of their forgers."""
    from facewitness.builders import grounded

    names = tuple(own)
    if given.families == "every":
        names = tuple(name for name in grounded.EVERY if name != "diffusion")
    elif given.families:
        names = tuple(name.strip() for name in given.families.split(",") if name.strip())
    if not given.diffusion:
        return names, {}
    # first in turn: one that cannot be had is told before anything is forged, and few copies reach it
    return tuple(dict.fromkeys(("diffusion", *names))), {"diffusion": {"model": given.diffusion}}


def _portraits(given: argparse.Namespace) -> Any:
    """The genuine faces of a dataset."""
    from facewitness.builders import mmtt, sbi_qa

    for face in sbi_qa.pristine(given.dataset, given.root, given.split, given.faces, tell=_note):
        yield mmtt.Portrait(face.file, face.pixels, face.landmarks, face.group)


def _add_mmtt(parser: Any) -> Command:
    _add_portraits(parser, 512, 1)
    writes(parser, "--review", folder=True, metavar="QUEUE", help="put the reports into a queue for people, too")
    parser.add_argument("--annotator", metavar="MODEL", help="have a vision model of this name write the reports")
    parser.add_argument(
        "--backend", type=leaf("backends"), default="openai", metavar="NAME", help="that asks it (openai)"
    )
    parser.add_argument("--base-url", metavar="URL", help="of its server")

    def run(given: argparse.Namespace) -> int:
        from facewitness.builders import annotate, grounded, mmtt, review

        families, options = _families(given, grounded.FAMILIES)
        statistics = mmtt.Statistics()
        made: Iterable[mmtt.Item] = mmtt.build(
            _portraits(given), seed=given.seed, copies=given.copies, size=given.size, families=families,
            options=options, statistics=statistics,
        )  # fmt: skip
        texts: dict[str, str] | None = None
        if given.annotator or given.review:
            made = list(made)  # gone through more than once
        if given.annotator:
            asked = {"model": given.annotator} | ({} if given.base_url is None else {"base_url": given.base_url})
            backend = plugins.get("backends", given.backend).load(**asked)
            quality = annotate.Statistics()
            answers = annotate.annotate(
                mmtt.tasks(made), backend, given.out / "annotation", model=given.annotator, check=mmtt.check,
                statistics=quality,
            )  # fmt: skip
            texts = {task.id: text for task, text in answers}
            print(f"{given.annotator}: {quality.as_dict()}")
            if made and not texts:
                asked_for = quality.kept + quality.refused.total() + quality.failed + quality.in_doubt
                why = ", ".join(f"{n} {reason}" for reason, n in quality.refused.most_common())
                why = ", ".join(filter(None, (why, f"{quality.failed} failed" * bool(quality.failed),
                                              f"{quality.in_doubt} in doubt" * bool(quality.in_doubt))))  # fmt: skip
                raise InputError(
                    f"mmtt: expected at least one report of {given.annotator} that may stand, got none of {asked_for} "
                    f"({why}). Look at them in '{given.out / 'annotation'}', or name another model; without "
                    "--annotator the reports are written by grammar."
                )
            made = [item for item in made if item.id in texts]
        count = mmtt.write(made, given.out, texts)
        if given.review:
            new = mmtt.queue(review.Queue(given.review), made, texts, given.annotator or "")
            print(f"{given.review}: {new} reports to look at")
        write_whole(given.out / "statistics.json", json.dumps(statistics.as_dict(), indent=1).encode())
        left = ", ".join(f"{n} {reason}" for reason, n in statistics.left_out.most_common()) or "nothing"
        shares = ", ".join(f"{n} {split}" for split, n in count.items())
        print(
            f"{given.out}: {sum(count.values())} forgeries of {statistics.portraits} faces ({shares}). Left out: {left}"
        )
        if empty := [split for split, n in count.items() if not n]:
            print(
                f"Nothing is in the split {' or '.join(empty)}, for a portrait's split hangs on its name: give more "
                "portraits, or name another split where it is measured."
            )
        return ALL

    return run


def _add_fifa(parser: Any) -> Command:
    _add_portraits(parser, 224, 2)
    parser.add_argument("--tasks", metavar="A,B", help="of the eleven (all)")

    def run(given: argparse.Namespace) -> int:
        from facewitness.builders import fifa

        families, options = _families(given, fifa.FAMILIES)
        statistics = fifa.Statistics()
        tasks = tuple(given.tasks.split(",")) if given.tasks else fifa.TASKS
        made = fifa.build(
            _portraits(given), seed=given.seed, copies=given.copies, size=given.size, families=families, tasks=tasks,
            options=options, statistics=statistics,
        )  # fmt: skip
        print(f"{fifa.write(made, given.out)}:")
        fifa.summary(statistics, print)
        write_whole(given.out / "statistics.json", json.dumps(statistics.as_dict(), indent=1).encode())
        return ALL

    return run


def _add_ffa_vqa(parser: Any) -> Command:
    parser.add_argument("dataset", metavar="DATASET", help="a name of facewitness datasets, or pack")
    parser.add_argument("root", type=Path, metavar="ROOT", help="where it lies")
    writes(parser, "--out", folder=True, required=True, metavar="FOLDER", help="the same one goes on")
    parser.add_argument("--split", metavar="NAME")
    parser.add_argument("--count", type=positive, metavar="N", help="pictures in all (as many as --shares has)")
    parser.add_argument(
        "--shares",
        default="ffa_vqa",
        metavar="NAME",
        help="of the kinds: ffa_vqa, multi_attack, or none for all there is",
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N")
    parser.add_argument("--finder", type=leaf("finders"), default="facemesh", metavar="NAME")
    parser.add_argument("--parts", default="all", metavar="PARTS", help="of an answer that are taught: R, DR, FR, all")
    parser.add_argument("--hypothetical", type=float, default=1 / 3, metavar="SHARE", help="of questions (1/3)")
    parser.add_argument(
        "--misleading", type=float, default=0.0, metavar="SHARE", help="of those that suppose wrongly (0)"
    )
    writes(parser, "--llava", folder=True, metavar="FOLDER", help="write LLaVA's format besides")
    asking = parser.add_argument_group("a model as annotator")
    asking.add_argument(
        "--annotator", default="evidence", metavar="NAME", help="a backend; evidence writes what is known (evidence)"
    )
    asking.add_argument(
        "--option", type=option, action="append", default=[], metavar="NAME.KEY=VALUE", help="of the backend"
    )
    asking.add_argument("--prices", type=float, nargs=2, metavar=("IN", "OUT"), help="of a million tokens")
    asking.add_argument("--yes", action="store_true", help="begin without asking whether the cost is right")
    asking.add_argument("--per-minute", type=float, metavar="N", help="requests a minute at most")
    asking.add_argument("--jobs", type=positive, default=1, metavar="N", help="requests at once (1)")
    asking.add_argument("--again", action="store_true", help="ask again what was sent and never answered")
    people = parser.add_argument_group("people")
    writes(people, "--review", folder=True, metavar="QUEUE", help="keep only what people accept in this queue")
    people.add_argument("--reviewers", type=positive, default=1, metavar="N", help="decisions that an answer needs (1)")

    def run(given: argparse.Namespace) -> int:
        from facewitness.builders import ffa_vqa

        shares = None if given.shares == "none" else ffa_vqa.SHARES.get(given.shares)
        if shares is None and given.shares != "none":
            raise UnknownName("shares", given.shares, [*ffa_vqa.SHARES, "none"])
        pictures = ffa_vqa.by_command(given.dataset, given.root, given.split, given.finder, _note)
        chosen = pictures.chosen(given.count, shares, given.seed)
        written = _analysed(given, chosen)
        if written is None:
            return ALL
        items = list(ffa_vqa.questions(written, given.hypothetical, given.misleading, given.parts, given.seed))
        table, facts = ffa_vqa.write(items, given.out)
        if given.llava is not None:
            _note(f"LLaVA's format: {ffa_vqa.write_llava(items, given.llava)}")
        print(f"{table}: {json.dumps(facts)}")
        return ALL

    return run


def _analysed(given: argparse.Namespace, pictures: Any) -> Any:
    """(picture, answer, annotator) of every answer that can stand; None where the user declines the cost."""
    from facewitness.builders import ffa_vqa

    if given.annotator == "evidence":
        writer = ffa_vqa.Evidence(given.seed)
        return _reviewed(given, ((picture, writer.write(picture), writer.name) for picture in pictures))
    from facewitness.builders import annotate

    listed = list(pictures)
    tasks = [ffa_vqa.task(picture) for picture in listed]
    options = {key: value for part, key, value in given.option if part == given.annotator}
    backend = plugins.get("backends", given.annotator).load(**options)
    model = f"{given.annotator}:{options.get('model', '')}"
    prices = None if given.prices is None else annotate.Prices(*given.prices)
    plan = annotate.estimate(
        tasks, given.out, model, prices, image_tokens=300, per_minute=given.per_minute, again=given.again
    )
    _note(plan.sentence())
    if plan.to_ask and not given.yes and not _agreed("Begin?"):
        _note("nothing was asked. --yes begins without this question")
        return None
    counts = annotate.Statistics()
    by_id = {task.id: picture for task, picture in zip(tasks, listed, strict=True)}
    answers = list(
        annotate.annotate(
            tasks, backend, given.out, model=model, check=ffa_vqa.check, per_minute=given.per_minute, jobs=given.jobs,
            again=given.again, statistics=counts,
        )
    )  # fmt: skip
    refused = ", ".join(f"{number} {reason}" for reason, number in counts.refused.most_common()) or "none"
    _note(f"{counts.kept} answers stand, {counts.failed} failed; refused: {refused} ({given.out / 'quality.json'})")
    return _reviewed(given, ((by_id[task.id], text, model) for task, text in answers))


def _agreed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, RuntimeError):  # RuntimeError: the input was closed by whoever started us
        return False


def _reviewed(given: argparse.Namespace, written: Any) -> Any:
    """Of the answers those that people kept, with their edits; the others are put into the queue. All without one."""
    if given.review is None:
        return written
    from facewitness.builders import ffa_vqa, review

    queue = review.Queue(given.review, given.reviewers)
    kept = {item.id: str(content["text"]) for item, content in queue.accepted()}
    decided = {name for name, decisions in queue.decisions().items() if len(decisions) >= given.reviewers}
    reviewed, waiting = [], 0
    for picture, answer, annotator in written:
        item, files = ffa_vqa.to_review(picture, answer, annotator)
        if item.id in kept:
            reviewed.append((picture, kept[item.id], annotator))
        elif item.id not in decided:
            waiting += 1
            queue.add([item], files)
    if waiting:
        _note(f"{waiting} answers wait for people: facewitness review {given.review} --who NAME")
    return reviewed or None


def _add_small_vlm(parser: Any) -> Command:
    reads(
        parser,
        "data",
        what="a table or chat JSON",
        nargs="+",
        metavar="DATA",
        help="sbi_qa.parquet, dma.parquet or chat JSON",
    )
    writes(parser, "--out", folder=True, required=True, metavar="FOLDER")
    parser.add_argument("--width", type=positive, default=256, metavar="N", help="of the language model (256)")
    parser.add_argument("--layers", type=positive, default=6, metavar="N", help="of it (6)")
    parser.add_argument("--rows", type=positive, default=2048, metavar="N", help="of the vocabulary, at most (2048)")
    parser.add_argument(
        "--see", type=positive, metavar="STEPS", help="teach its image tower first where regions lie, by DMA's boxes"
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N")

    def run(given: argparse.Namespace) -> int:
        from facewitness.builders import chats
        from facewitness.train import small_vlm
        from facewitness.train.plan import count

        rows = [row for path in given.data for row in chats.read_dma(path)] if given.see else []

        sentences = [text for path in given.data for example in chats.read(path) for text in example.texts()]
        model, processor = small_vlm.make(
            sentences, width=given.width, layers=given.layers, rows=given.rows, seed=given.seed
        )
        if given.see:
            losses = small_vlm.see(model, processor, *small_vlm.places(rows), given.see, seed=given.seed)
            _note(f"the image tower tells boxes to {sum(losses[-20:]) / len(losses[-20:]):.2f} standard deviations")
        model.save_pretrained(given.out)
        processor.save_pretrained(given.out)
        print(f"{given.out}: {count(model):,} parameters, {len(processor.tokenizer)} tokens")
        return ALL

    return run


def _add_panda(parser: Any) -> Command:
    parser.add_argument("language", metavar="MODEL", help="hub name or folder, such as Qwen/Qwen2.5-0.5B-Instruct")
    parser.add_argument("--eyes", required=True, metavar="CLIP", help="hub name or folder of a CLIP")
    parser.add_argument("--revision", metavar="NAME", help="of the language model")
    writes(parser, "--out", folder=True, required=True, metavar="FOLDER")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of the layer between the two")

    def run(given: argparse.Namespace) -> int:
        from facewitness.models import prompted_vlm  # noqa: F401  (first: it mends torchvision for what follows)

        from facewitness.models import panda  # isort: skip

        model, processor = panda.make(given.language, given.eyes, given.revision, given.seed, dtype="auto")
        model.save_pretrained(given.out)
        processor.save_pretrained(given.out)
        print(f"{given.out}: {sum(p.numel() for p in model.parameters()):,} parameters, a token for each picture")
        return ALL

    return run


def _add_hard(parser: Any) -> Command:
    reads(parser, "recipe", what=RECIPE, metavar="RECIPE", help="that the run was made by")
    reads(
        parser,
        "pack",
        what="a pack, a folder of facewitness build pack",
        metavar="PACK",
        help="made by facewitness build pack",
    )
    reads(parser, "folder", what="the folder of a run", metavar="RUN", help="folder of the run")
    writes(parser, "hard", metavar="HARD.json", help="the file to write, for train compact --hard")

    def run(given: argparse.Namespace) -> int:
        from facewitness.train import compact

        recipe = compact.Recipe.read(given.recipe)
        weights = compact.mined(recipe, given.pack, _weights(given.folder))
        write_whole(given.hard, json.dumps(weights, indent=0).encode())
        print(f"{given.hard}: {len(weights)} genuine pictures look forged")
        return ALL

    return run


def _weights(folder: Path) -> Path:
    weights = folder / "last.safetensors"
    if not weights.is_file():
        raise InputError(f"'{weights}' does not exist. Name a folder of facewitness train compact.")
    return weights


class Look(NamedTuple):
    """How a face is cropped: the crop's side in pixels, and the side over the face's longer one."""

    size: int
    margin: float


def look_of(text: str) -> Look:
    """A crop in words, as "256:1.7".

    Args:
        text: Of the command line.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    size, _, margin = text.partition(":")
    try:
        look = Look(int(size), float(margin))
    except ValueError:
        look = Look(0, 0.0)
    if look.size < 32 or look.size % 32 or look.size > 1024 or not 0.5 <= look.margin <= 4:
        raise argparse.ArgumentTypeError(
            f"expected a side in pixels (a multiple of 32) and a margin of 0.5 to 4, as 256:1.7, got {text!r}"
        )
    return look


def _add_onnx(parser: Any) -> Command:
    reads(parser, "recipe", what=RECIPE, metavar="RECIPE", help="that the run was made by")
    reads(parser, "folder", what="the folder of a run", metavar="RUN", help="folder of the run")
    writes(parser, "onnx", metavar="MODEL.onnx", help="the file to write")
    parser.add_argument(
        "--crop", type=look_of, metavar="SIZE:MARGIN", help="how faces are to be cropped; without it as in training"
    )
    reads(
        parser, "--beside", what="weights of a trained compact network", metavar="WEIGHTS",
        help="last.safetensors of another run, or an exported network: both answer, by the mean of their log-odds",
    )  # fmt: skip
    reads(
        parser, "--beside-recipe", what=RECIPE, metavar="RECIPE", help="that the other one was made by, if by another"
    )
    parser.add_argument("--share", type=share, default=0.5, help="of that other one in the mean (0.5)")

    def run(given: argparse.Namespace) -> int:
        from facewitness.train import compact, export

        weights = _weights(given.folder)
        size, margin = given.crop or (None, None)
        recipe = compact.Recipe.read(given.recipe)
        other = compact.Recipe.read(given.beside_recipe) if given.beside_recipe else None
        worst = export.export(recipe, weights, given.onnx, size, margin, given.beside, given.share, other)
        print(f"{given.onnx}: differs from torch by at most {worst:.2e}")
        return ALL

    return run


def _add_places(parser: Any) -> Command:
    reads(
        parser, "detector", what="kfd.safetensors of train kfd", metavar="KFD.safetensors", help="its .json beside it"
    )
    writes(parser, "onnx", metavar="PLACES.onnx", help="the file to write")

    def run(given: argparse.Namespace) -> int:
        from facewitness.train import export

        print(f"{given.onnx}: differs from torch by at most {export.export_map(given.detector, given.onnx):.2e}")
        return ALL

    return run
