"""How fast a photo becomes a report now, beside another checkout of this repository, in turns in one run.

    git worktree add ../before 1b4a6d6
    python perf/since.py ../before/src [--rounds 4] [--calls 10]

The photograph of `perf/speed.py`, 1,024 px, from bytes to JSON, one thread. Each round starts a process of each,
in turns, so that what else the machine does falls on both. Prints, of each round's median, the median and the least,
in milliseconds of processor time and of the clock, and the ratio; where the other checkout has the same parts, the
steps, too. On a busy machine the least is worth more: what else runs there can only add.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from speed import photograph

HERE = Path(__file__).parent.parent / "src"
CODE = r"""
import json, statistics, sys, time
from facewitness import geometry, media, pipeline, plugins
photo = open(sys.argv[1], "rb").read()
calls = int(sys.argv[2])
def timed(work):
    work(), work()
    took = []
    for _ in range(calls):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        took.append((1000 * (time.process_time() - processor), 1000 * (time.perf_counter() - clock)))
    return [statistics.median(each) for each in zip(*took)]
witnesses = sys.argv[3].split(",") if sys.argv[3] else None
analyzer = pipeline.Analyzer(**({"witnesses": witnesses} if witnesses else {}))
render = plugins.get("formats", "json").render
def whole():
    return render(analyzer.analyze(photo))
made = {"whole": timed(whole)}
try:
    finder = plugins.get("finders", "facemesh").load()
    read = media.read(photo)
    frame = getattr(read, "frame", read)
    made["read"] = timed(lambda: media.read(photo))
    made["find"] = timed(lambda: finder.find(frame))
except Exception:
    pass
print(json.dumps(made))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("other", type=Path, help="the folder src of another checkout")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--witness", default="", help="the same witnesses on both sides, such as compact")
    given = parser.parse_args()
    took: dict[str, dict[str, list[list[float]]]] = {"before": {}, "now": {}}
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        photo.write_bytes(photograph())
        for _ in range(given.rounds):
            for name, source in (("before", given.other), ("now", HERE)):
                environment = os.environ | {"PYTHONPATH": str(source.resolve()), "OMP_NUM_THREADS": "1"}
                done = subprocess.run(
                    [sys.executable, "-c", CODE, str(photo), str(given.calls), given.witness],
                    env=environment, cwd=folder, capture_output=True, text=True, check=False,
                )  # fmt: skip
                if done.returncode:
                    sys.exit(f"{source}: {done.stderr.strip().splitlines()[-1]}")
                for step, value in json.loads(done.stdout).items():
                    took[name].setdefault(step, []).append(value)
    print(f"{given.rounds} rounds of {given.calls} calls in turns; milliseconds: before, now, ratio")
    for step in [step for step in took["now"] if step in took["before"]]:
        for kind, clock in (("processor", 0), ("clock", 1)):
            for word, of in (("median", statistics.median), ("least", min)):
                pair = [of([each[clock] for each in took[name][step]]) for name in ("before", "now")]
                print(f"  {step:8} {kind:10} {word:8} {pair[0]:7.1f} {pair[1]:7.1f}   {pair[1] / pair[0]:.2f}")


if __name__ == "__main__":
    main()
