"""What `make hostile` tries in bulk, a little of each with every run of the tests; and the attackers themselves."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections import Counter
from pathlib import Path

import pytest
from hostile import Figure, corpus, strings, tables, texts
from hostile import __main__ as hostile

needs_bench = pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="needs the extra 'bench'")
needs_language = pytest.mark.skipif(importlib.util.find_spec("openai") is None, reason="needs the extra 'language'")
pytest.importorskip("skimage", reason="needs scikit-image's photograph")


def failures(figure: Figure) -> list[str]:
    assert figure.tried
    return figure.failures


def test_there_are_enough_files_of_every_class():
    inputs = [(made.kind, made.good) for made in corpus.inputs()]  # made once, and not kept
    kinds = Counter(kind for kind, _ in inputs)
    assert sum(kinds.values()) >= 321
    assert all(kinds[kind] >= 8 for kind in kinds)
    assert sum(good for _, good in inputs) >= 90


def test_every_class_of_file_gets_its_report(tmp_path, monkeypatch):
    """One of each class, by the same process and judge as all of them."""
    from hostile import reading

    tests, source = Path(__file__).parent, Path(__file__).parents[1] / "src"
    monkeypatch.setenv("PYTHONPATH", f"{source}:{tests}")
    chosen: dict[str, list[corpus.Input]] = {}
    for made in corpus.inputs(1):
        if len(chosen.setdefault(made.kind, [])) < 1 and "megapixel" not in made.name:
            chosen[made.kind].append(made)
    answers = reading._share([made for inputs in chosen.values() for made in inputs])  # as there: by one process
    for kind in chosen:
        figure = reading.judged(kind, [(made, answer) for made, answer in answers if made.kind == kind])
        assert not failures(figure), kind


def test_a_judge_tells_a_lost_picture_a_traceback_and_a_glutton():
    from hostile import reading

    made = corpus.Input("x", "x.jpg", lambda path: None, good=True)
    fine = {"status": "ok", "stderr": 0, "seconds": 1.0, "megabytes": 300, "why": ""}
    spoilt = (
        {"status": "failed", "why": "no"},
        {"seconds": 21.0},
        {"megabytes": 1_001},
        {"stderr": 9},
        {"error": "Traceback"},
    )
    assert not reading.judged("x", [(made, fine)]).failures
    for change in spoilt:
        assert len(reading.judged("x", [(made, fine | change)]).failures) == 1
    bad = made._replace(good=False)
    assert not reading.judged("x", [(bad, fine | {"status": "failed", "why": "It is damaged."})]).failures
    assert reading.judged("x", [(bad, fine | {"status": "failed"})]).failures


@needs_bench
def test_no_output_has_a_stranger_s_markup_links_formulas_or_orders():
    assert len(strings.payloads()) >= 250
    for figure in (*strings.attack(share=40), *tables.attack(share=40)):
        assert not failures(figure), figure.kind


@pytest.mark.parametrize(
    ("reads", "content"),
    [
        ("_html", "<b>x</b><script>1</script>"),
        ("_html", "<img src=//x>"),
        ("_html", "a\u202eb"),
        ("_markdown", "# x"),
        ("_markdown", "see http://evil.example"),
        ("_markdown", "<b>x</b>"),
        ("_markdown", "a@b.example"),
        ("_csv", "a,=1+1\n"),
        ("_csv", "a,\u200b\n"),
        ("_json", '{"a": "\u202e"}'),
        ("_hidden_in", "\x1b[31m"),
    ],
)
def test_each_judge_of_an_output_sees_what_is_amiss(reads, content):
    assert getattr(strings, reads)(content, "<p>plain</p>" if reads == "_html" else "plain")


def test_readers_of_words_read_anything():
    for figure in texts.attack(count=60, every=10):
        assert not failures(figure), figure.kind
    assert len(texts.folding()) > 900 and {"ſ", "İ", "\u212a", "ﬁ", "ｎ"} <= texts.folding().keys()


@needs_language
def test_a_server_of_ill_will_gets_a_sentence(monkeypatch):
    from hostile import servers

    raw = servers._raw()
    assert len(servers._MOODS) + len(raw) >= 50
    monkeypatch.setattr(servers, "_MOODS", ("rubbish",))
    kept = ("negative length", "NaN", "a surrogate", "redirect to http://[bad", "stream of depth")
    monkeypatch.setattr(servers, "_raw", lambda: {name: raw[name] for name in kept})
    for figure in servers.attack():
        assert not failures(figure), figure.kind


@pytest.mark.slow
@needs_bench
def test_work_that_is_killed_goes_on():
    from hostile import kills

    for figure in kills.attack(analyze=2, bench=2, train=0):
        assert not failures(figure), figure.kind


def test_a_half_file_is_seen(tmp_path):
    from hostile import kills

    assert kills._half(tmp_path) == ""
    for name, content in (
        ("a.json", b'{"a": '),
        ("b.html", b"<html>"),
        ("c.parquet", b"PAR1"),
        ("d.jsonl", b'{"a": 1}\n{"b"'),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert kills._half(tmp_path) == name
        path.unlink()


def test_the_figures_take_their_place_in_the_page():
    page = hostile.filled(hostile.PAGE.read_text(), [Figure("a | b", 3, ["x"], "a\u202eb")], "abc, 2026-11-26")
    assert "| a \\| b | 3 | 1 | a\\u202eb | abc, 2026-11-26 |" in page and "| **all** | **3** | **1** | | |" in page
    later = hostile.filled(page, [Figure("c", 1_000), Figure("d", 2)], "def", keep=True)
    assert "| a \\| b | 3 | 1 | a\\u202eb | abc, 2026-11-26 |" in later and "| **all** | **1,005** | **1** |" in later
    again = hostile.filled(later, [Figure("a | b", 4)], "def", keep=True)
    assert again.count("| a \\| b |") == 1 and "| **all** | **1,006** | **0** |" in again
    assert hostile.filled(again, [Figure("c", 1)], "x").count("<!-- figures -->") == 1


@needs_bench
@needs_language
def test_each_attack_and_part_of_one_can_be_named():
    for module, options in {**hostile.ATTACKS, **hostile.PARTS}.values():
        known = inspect.signature(importlib.import_module(f"hostile.{module}").attack).parameters
        assert set(options) <= set(known)
