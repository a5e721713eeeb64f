#!/usr/bin/env bash
# The ratios that mean something on an idle machine only, in about ten minutes: service, pages, batch, films.
#
#     bash perf/idle.sh [PYTHON]            PYTHON has the extra dev; each line of numbers names its goal
#
#     BUDGET=3600 bash perf/idle.sh --long  adds killed servers, five minutes of load, ten thousand pictures, a film of two hours
set -uo pipefail
cd "$(dirname "$0")/.."
PYTHON=.venv-dev/bin/python LONG= FILM=0
for word in "$@"; do if [ "$word" = --long ]; then LONG=yes FILM=7200; else PYTHON=$word; fi; done
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}" OMP_WAIT_POLICY=passive
echo "load $(cut -d' ' -f1-3 /proc/loadavg), $(nproc) cores, $(date -u +%FT%TZ)"
run() { echo "== $*"; timeout "${BUDGET:-500}" "$PYTHON" "$@" 2>&1 | grep -v -i -e warning -e '^$' -e 'INFO ' || echo "ended with status ${PIPESTATUS[0]}"; }
run perf/serve.py latency --photos 60   # p50 of the service over in-process: at most 1.3
run perf/page.py --loads 15             # interactive in at most 1 s
OMP_NUM_THREADS=1 run perf/batch.py --files 2000  # two workers at least 1.7 times one; overhead at most 15 %; none lost
run perf/film.py --seconds 60 --rounds 2 --long "$FILM"  # time over a plain decode: at most 1.3
if [ -n "$LONG" ]; then
  run perf/serve.py kills --jobs 1000                                      # 1,000 accepted, killed three times: 1,000 results
  run perf/serve.py load --clients 8 --seconds 300                          # no error; memory within 5 %
  OMP_NUM_THREADS=1 run perf/batch.py --only-shape --shape 1000 10000      # milliseconds a file stay the same
else
  OMP_NUM_THREADS=1 run perf/batch.py --only-shape --shape 1000 4000 --side 128
fi
echo "load $(cut -d' ' -f1-3 /proc/loadavg), $(date -u +%FT%TZ)"
