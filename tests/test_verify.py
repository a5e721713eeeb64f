"""A bundle holds everywhere or says what does not; a hostile one is refused before anything of it is believed."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reports import REPORTS, clip_of, landmarks, painted

from facewitness import media
from facewitness.apps import cli
from facewitness.errors import InputError
from facewitness.formats import bundle
from facewitness.formats import json as wire
from facewitness.judge import Limits
from facewitness.pipeline import Analyzer
from facewitness.verify import differences, settings_of, verify

minisign = pytest.importorskip("minisign")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A picture, its report, and their bundle with the original."""
    path = tmp_path_factory.mktemp("evidence") / "face.png"
    Image.fromarray(painted(360, 360, landmarks(70, 60, 220)).pixels).save(path)
    analysis = Analyzer().analysis(path)
    assert analysis.report.status == "ok"
    return path, analysis, bundle.render(analysis.report, analysis.clip, original=True)


def rewritten(data: bytes, listed: bool = True, **files: bytes | None) -> bytes:
    """The bundle with other files (__ is /, _dot_ is .), in its manifest too, if `listed`; None takes one out."""
    content = dict(bundle.read(data).files)
    for name, value in files.items():
        path = name.replace("__", "/").replace("_dot_", ".")
        if value is None:
            del content[path]
        else:
            content[path] = value
    if listed:
        manifest = json.loads(content[bundle.MANIFEST])
        manifest["files"] = [
            {"path": path, "size": len(value), "sha256": hashlib.sha256(value).hexdigest()}
            for path, value in content.items()
            if path not in (bundle.MANIFEST, bundle.SIGNATURE)
        ]
        content[bundle.MANIFEST] = json.dumps(manifest).encode()
    return bundle._zipped(content)


def results(data: bytes, **more) -> dict[str, tuple[bool | None, str]]:
    return {check.name: (check.holds, check.words) for check in verify(data, **more)}


def archive(*entries: tuple[str, bytes], **more) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", **more) as file:
        for name, content in entries:
            file.writestr(name, content)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------------ one that holds


def test_a_bundle_holds_what_it_promises(made):
    path, analysis, data = made
    files = bundle.read(data).files
    assert files["original/face.png"] == path.read_bytes()
    assert wire.parse(files["report.json"]).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    crop = np.asarray(Image.open(io.BytesIO(files["crops/face-1.png"])))
    left, top, right, bottom = json.loads(files["crops.json"])["crops/face-1.png"]["box"]
    assert (crop == analysis.clip.frame.pixels[top:bottom, left:right]).all()
    weights = json.loads(files["weights.json"])
    assert any(name.startswith("compact › compact.onnx") for name in weights)
    assert json.loads(files["environment.json"])["packages"]["numpy"] == np.__version__
    assert data == bundle.render(analysis.report, analysis.clip, original=True)  # the same bytes
    assert files["report.html"].startswith(b"<!DOCTYPE html>") and files["report.pdf"].startswith(b"%PDF")


def test_a_bundle_holds_when_it_is_analysed_again(made):
    _, _, data = made
    found = results(data)
    assert {name: holds for name, (holds, _) in found.items()} == {
        "files": True, "signature": None, "report": True, "original": True, "pages": True, "weights": True,
        "second analysis": True,
    }, found  # fmt: skip


def test_without_the_original_what_takes_it_is_not_checked(made):
    path, analysis, _ = made
    data = bundle.render(analysis.report, analysis.clip)
    found = results(data)
    assert found["files"][0] is True
    assert [found[name][0] for name in ("original", "pages", "second analysis")] == [None] * 3
    wrong = results(data, original=b"another file")
    assert wrong["original"] == (False, f"The original has another SHA-256 than the report, {analysis.report.sha256}.")
    right = results(data, original=path.read_bytes(), options={"finder": "whole", "witnesses": ("provenance",)})
    assert right["original"][0] is True and right["second analysis"][0] is False  # asked others, got another answer


# ------------------------------------------------------------------------------------------------- one that was changed


def test_a_report_that_was_changed_is_told_even_with_new_hashes(made):
    _, analysis, data = made
    (person,) = analysis.report.people
    fake = dataclasses.replace(person.verdict, label="fake", fake=0.97, interval=(0.9, 0.99), cause=None)
    forged = dataclasses.replace(analysis.report, verdict=fake, people=(dataclasses.replace(person, verdict=fake),))
    found = results(rewritten(data, report_dot_json=wire.render(forged)))
    assert found["files"][0] is True  # whoever changes a report can hash it, too
    assert found["pages"][0] is False and "report.html" in found["pages"][1]
    assert found["second analysis"][0] is False and "now" in found["second analysis"][1]
    assert "0.9700" in found["second analysis"][1]


@pytest.mark.parametrize("witnesses", [-1, True, "compact", {"a": 1}, None])
def test_witnesses_of_a_report_that_are_none_have_no_weights(witnesses):
    assert bundle.weights({"witnesses": witnesses}) == {}


def test_pages_of_a_report_that_would_take_minutes_are_not_made_again(made):
    _, analysis, data = made
    long = dataclasses.replace(analysis.report.verdict, reasons=("Word.",) * 10_000)
    found = results(rewritten(data, report_dot_json=wire.render(dataclasses.replace(analysis.report, verdict=long))))
    assert found["pages"][0] is None and "pages are made again of 10,000 at most" in found["pages"][1]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"report_dot_html": b"<!DOCTYPE html>other"}, "report.html has other bytes"),
        ({"weights_dot_json": None}, "weights.json is missing"),
        ({"masks__face-7_dot_png": b"x"}, "masks/face-7.png is not in the manifest"),
    ],
)
def test_changed_missing_and_foreign_files_are_told(made, files, told):
    _, analysis, _ = made
    data = rewritten(bundle.render(analysis.report, analysis.clip), listed=False, **files)
    assert results(data)["files"] == (False, f"Against the manifest: {told}.")


def test_a_crop_of_another_picture_is_told(made):
    _, _, data = made
    file = io.BytesIO()
    Image.new("RGB", (40, 40)).save(file, "PNG")
    data = rewritten(data, **{"crops__face-1_dot_png": file.getvalue()})
    found = results(data, options={"finder": "whole", "witnesses": ("provenance",)})
    assert found["pages"] == (False, "Another report than this one gives crops/face-1.png.")


def test_a_lax_tolerance_of_the_bundle_does_not_count(made):
    from facewitness.verify import _tolerance

    _, _, data = made
    read = bundle.read(data)
    for given, kept in ((0.5, 0.005), (0.0001, 0.0001), (-1, 0.005), ("x", 0.005)):
        lax = dataclasses.replace(read, manifest={**read.manifest, "tolerance": {"score": given}})
        assert _tolerance(lax, bundle) == bundle.TOLERANCE | {"score": kept}


# ---------------------------------------------------------------------------------------------------------- who signed


def test_a_signature_is_made_by_a_key_and_checked_with_its_public_half(made):
    _, analysis, _ = made
    data = bundle.render(analysis.report, None)
    pair, stranger = minisign.KeyPair.generate(), minisign.KeyPair.generate()
    signed = bundle.signed(data, pair.secret_key, "examiner A, case 7")
    key = bytes(pair.public_key)
    assert results(signed, key=key)["signature"] == (
        True,
        "The manifest was signed with this key: 'examiner A, case 7'.",
    )
    assert results(signed, key=pair.public_key.to_base64())["signature"][0] is True
    assert results(signed)["signature"][0] is None
    assert results(signed, key=bytes(stranger.public_key))["signature"][0] is False
    assert results(data, key=key)["signature"] == (False, "The bundle is not signed.")
    other = rewritten(signed, report_dot_html=b"other")  # with a manifest that fits, which nobody signed
    assert results(other, key=key)["signature"][0] is False and results(other, key=key)["files"][0] is True
    broken = rewritten(signed, listed=False, manifest_dot_json_dot_minisig=b"untrusted comment: x\nAAAA\n")
    assert "is no minisign signature" in results(broken, key=key)["signature"][1]
    with pytest.raises(InputError, match="minisign public key"):
        results(signed, key=b"no key")


def test_a_sigstore_bundle_needs_a_name_and_is_told_where_it_is_none(made):
    _, analysis, _ = made
    data = bundle.render(analysis.report, None)
    with pytest.raises(InputError, match="--identity and --issuer"):
        results(data, sigstore=b"{}")
    pytest.importorskip("sigstore", reason="the extra sigstore is not installed")
    found = results(data, sigstore=b"{}", identity="a@example.org", issuer="https://accounts.example.org")
    assert found["sigstore"][0] is False


def test_a_sigstore_bundle_holds_for_its_bytes_its_signer_and_the_root_that_is_trusted(made):
    pytest.importorskip("sigstore", reason="the extra sigstore is not installed")
    import sigstore_instance as own

    instance = own.Instance()
    _, analysis, _ = made
    data = bundle.render(analysis.report, None)
    signature = instance.sign(data)
    right = {"identity": own.WHO, "issuer": own.VOUCHES, "sigstore_root": instance.root()}
    words = f"Signed by {own.WHO}, for whom {own.VOUCHES} vouches; checked offline."
    assert results(data, sigstore=signature, **right)["sigstore"] == (True, words)
    for wrong in (
        {"identity": "somebody@example.org"},
        {"issuer": "https://elsewhere.example.org"},
        {"sigstore_root": own.Instance().root()},
    ):
        assert results(data, sigstore=signature, **(right | wrong))["sigstore"][0] is False
    assert results(data, sigstore=instance.sign(data + b" "), **right)["sigstore"][0] is False
    with pytest.raises(InputError, match="--sigstore-root"):
        results(data, sigstore=signature, **(right | {"sigstore_root": b"{}"}))


# ------------------------------------------------------------------------------------------------------ hostile bundles


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../../etc/cron.d/x", "which no bundle has"),
        ("/etc/passwd", "which no bundle has"),
        ("original/../../x", "which no bundle has"),
        ("original/..", "which no bundle has"),
        ("C:\\x.json", "which no bundle has"),
        ("crops\\face-1.png", "which no bundle has"),
        ("report.exe", "which no bundle has"),
        ("original/a\x1b[2Jb", "which no bundle has"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(name, told):
    with pytest.raises(InputError, match=told) as error:
        bundle.read(archive((name, b"x")))
    assert "\x1b" not in str(error.value)


def test_archives_that_are_none_or_hide_something_are_refused(made):
    _, analysis, _ = made
    good = bundle.render(analysis.report, None)
    with pytest.raises(InputError, match="the key 'files' stands twice"):  # others may read the first of them
        bundle.read(archive(("manifest.json", b'{"schema": "x", "files": [], "files": []}')))
    with pytest.raises(InputError, match=r"has no manifest\.json"):
        bundle.read(archive(("report.json", b"{}")))
    for bad in (b"", b"PK", b"not a zip at all", good[:-30], good[: len(good) // 2], b"%PDF-1.4"):
        with pytest.raises(InputError, match="Expected a bundle"):
            bundle.read(bad)
    with pytest.raises(InputError, match=r"bytes between|overlap"):
        bundle.read(b"#!/bin/sh\n" + good)
    with pytest.raises(InputError, match="bytes behind its table"):
        bundle.read(good + b"\nchecked by somebody\n")
    with pytest.warns(UserWarning, match="Duplicate"), pytest.raises(InputError, match="twice"):
        bundle.read(archive(("report.json", b"{}"), ("report.json", b"{}")))
    link = zipfile.ZipInfo("report.json")
    link.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(InputError, match="link or a device"):
        bundle.read(out.getvalue())
    with pytest.raises(InputError, match="packed in an unknown way"):
        bundle.read(archive(("report.json", b"{}"), compression=zipfile.ZIP_BZIP2))
    out = io.BytesIO(good)
    with zipfile.ZipFile(out, "a") as file:
        file.comment = b"x"
    with pytest.raises(InputError, match="comment behind"):
        bundle.read(out.getvalue())


def test_a_bomb_is_refused_before_it_is_unpacked():
    with pytest.raises(InputError, match="unpacks to 200 times"):
        bundle.read(archive(("report.html", bytes(30_000_000)), compression=zipfile.ZIP_DEFLATED))
    data = bytearray(archive(("report.html", b"x" * 100)))
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 2_000_000_000)  # its table says two gigabytes
    with pytest.raises(InputError, match="unpacks to 2,000 MB"):
        bundle.read(bytes(data))


def test_overlapping_entries_are_refused():
    data = archive(("report.html", b"x" * 200), ("report.json", b"x" * 200))
    at = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    twisted = bytearray(data)
    struct.pack_into("<I", twisted, at + 42, 0)  # both begin at the first
    with pytest.raises(InputError):
        bundle.read(bytes(twisted))


@pytest.mark.parametrize(
    "manifest",
    [b"[]", b"{", b"[" * 100_000, b'{"schema": "other/1"}', b'{"schema": "facewitness.bundle/1"}',
     b'{"schema": "facewitness.bundle/1", "original": {"sha256": "x"}, "files": []}',
     b'{"schema": "facewitness.bundle/1", "original": {"sha256": null}, "files": [3]}'],
)  # fmt: skip
def test_a_broken_manifest_is_told(manifest):
    with pytest.raises(InputError, match=r"manifest\.json"):
        bundle.read(archive((bundle.MANIFEST, manifest)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"witnesses": [{"name": "hub", "options": {"model": "http://evil"}}]}, "'hub' is not among the parts"),
        ({"witnesses": [{"name": "compact", "options": {"model": "/etc/passwd"}}]}, "compact.model is one that you"),
        ({"witnesses": [{"name": "compact", "package": "evil 1.0"}]}, "not among the parts"),
        ({"finder": {"name": "os"}}, "'os' is not among the parts"),
        ({"profile": {"sha256": "0"}}, "--profile"),
        ({"reading": {"as_root": True}}, "as_root, which is not known"),
        ({"limits": {"doubtful": "x"}}, "no numbers"),
        ({"witnesses": "compact"}, "does not say what it was made with"),
    ],
)
def test_a_bundle_cannot_choose_models_servers_or_files(made, change, told):
    _, analysis, _ = made
    with pytest.raises(InputError, match=told):
        settings_of({**analysis.report.made_by, **change})


def test_a_bundles_limits_are_never_above_ours(made):
    _, analysis, _ = made
    reading = {"max_pixels": 10**12, "max_memory": 10**15, "sampling": {"frames": 4, "evil": 1}}
    assert settings_of({**analysis.report.made_by, "reading": reading})["reading"] == {
        "max_pixels": media.MAX_PIXELS,
        "max_memory": media.MAX_MEMORY,
        "sampling": {"frames": 4},
    }


def test_a_report_of_one_steepness_is_analysed_again_with_it_for_both_thresholds(made):
    _, analysis, _ = made
    limits = {"doubtful": 0.9, "unusable": 0.2, "steepness": 7.0}
    assert settings_of({**analysis.report.made_by, "limits": limits})["limits"] == Limits(0.9, 0.2, 7.0, 7.0)
    assert settings_of(analysis.report.made_by)["limits"] == Limits()


def test_single_views_travel_and_another_analysis_has_to_repeat_them():
    first = REPORTS["two_faces"]

    def with_views(views):
        (testimony, *others) = first.people[0].verdict.testimonies
        testimonies = (dataclasses.replace(testimony, views=views), *others)
        verdict = dataclasses.replace(first.people[0].verdict, testimonies=testimonies)
        person = dataclasses.replace(first.people[0], verdict=verdict)
        return dataclasses.replace(first, people=(person, *first.people[1:]))

    views = {"as it is": 0.6, "smaller": 0.4}
    assert wire.parse(wire.render(with_views(views))).people[0].verdict.testimonies[0].views == views
    assert list(differences(with_views(views), with_views({**views, "smaller": 0.402}), bundle.TOLERANCE)) == []
    for other in ({**views, "smaller": 0.5}, {"as it is": 0.6}, None):
        found = list(differences(with_views(views), with_views(other), bundle.TOLERANCE))
        assert any("single views say something else" in difference for difference in found)


def moved(findings, moves):
    return tuple(dataclasses.replace(finding, moves=moves) for finding in findings)


def test_what_painting_places_over_did_is_compared_within_its_tolerance():
    first = REPORTS["two_faces"]

    def with_moves(moves):
        person = dataclasses.replace(first.people[0], findings=moved(first.people[0].findings, moves))
        return dataclasses.replace(first, people=(person, *first.people[1:]))

    assert wire.parse(wire.render(with_moves(0.41))).people[0].findings[0].moves == 0.41
    assert list(differences(with_moves(0.41), with_moves(0.43), bundle.TOLERANCE)) == []
    for other in (0.3, None):
        found = list(differences(with_moves(0.41), with_moves(other), bundle.TOLERANCE))
        assert len(found) == 1 and "rests otherwise" in found[0]


def test_two_reports_are_compared_in_all_that_they_say():
    first = REPORTS["two_faces"]
    assert list(differences(first, wire.parse(wire.render(first)), bundle.TOLERANCE)) == []
    person = first.people[0]
    for other, told in (
        (dataclasses.replace(person, findings=person.findings[:1], explanation=()), "other findings"),
        (dataclasses.replace(person, mask=None), "another mask"),
        (dataclasses.replace(person, kind=None), "another kind"),
        (dataclasses.replace(person, explanation=()), "explained by other findings"),
        (dataclasses.replace(person, findings=moved(person.findings, 0.3)), "on which the score rests otherwise"),
    ):
        second = dataclasses.replace(first, people=(other, *first.people[1:]))
        assert any(told in sentence for sentence in differences(first, second, bundle.TOLERANCE)), told
    assert list(differences(first, REPORTS["no_face"], bundle.TOLERANCE)) == ["the first was ok, the second no_face"]


# --------------------------------------------------------------------------------------------------------- the commands


def test_the_commands_pack_sign_and_check(made, tmp_path, capsys, monkeypatch):
    _, analysis, _ = made
    report, out, key = tmp_path / "one.json", tmp_path / "one.zip", tmp_path / "minisign.key"
    report.write_bytes(wire.render(analysis.report))
    pair = minisign.KeyPair.generate()
    pair.secret_key.encrypt("pass word", opslimit=minisign.OPSLIMIT, memlimit=minisign.MEMLIMIT // 32)
    key.write_bytes(bytes(pair.secret_key))
    monkeypatch.setenv("FACEWITNESS_KEY_PASSWORD", "pass word")
    words = ["bundle", str(report), "--out", str(out), "--sign", str(key), "--comment", "for the file of case 7"]
    assert cli.main(words) == 0 and "crops" in capsys.readouterr().out
    assert cli.main(["verify", str(out), "--key", pair.public_key.to_base64().decode()]) == 3
    told = capsys.readouterr().out
    assert "for the file of case 7" in told and "not everything could be checked" in told
    other = minisign.KeyPair.generate().public_key.to_base64().decode()
    assert cli.main(["verify", str(out), "--key", other]) == 1
    assert "This bundle does not hold." in capsys.readouterr().out
    monkeypatch.setenv("FACEWITNESS_KEY_PASSWORD", "wrong")
    assert cli.main(words) == 2 and "minisign secret key and its password" in capsys.readouterr().err


def test_mistakes_of_the_commands_are_sentences(made, tmp_path, capsys):
    path, analysis, _ = made
    report = tmp_path / "one.json"
    report.write_bytes(wire.render(analysis.report))
    (tmp_path / "two.jsonl").write_bytes(report.read_bytes() * 2)
    (tmp_path / "other.png").write_bytes(path.read_bytes() + b"x")
    (tmp_path / "none.json").write_bytes(wire.render(dataclasses.replace(analysis.report, sha256=None)))
    for words, status, told in (
        (["bundle", str(tmp_path / "two.jsonl")], 2, "expected one report, got 2 lines"),
        (["bundle", str(report), "--file", str(tmp_path / "other.png")], 2, "is not the file of the report"),
        (["bundle", str(tmp_path / "none.json")], 2, "with its SHA-256, got one without"),
        (["bundle", str(path)], 2, "expected one report"),
        (["bundle", str(report), "--file", str(path), "--out", str(path)], 2, "expected another file to write to"),
        (["bundle", str(tmp_path / "absent.json")], 2, "cannot be read"),
        (["verify", str(report)], 1, "make a bundle of it first: facewitness bundle REPORT"),
        (["verify", str(tmp_path / "absent.zip")], 2, "cannot be read"),
        (["bundle", str(report), "--case", str(tmp_path / "absent.toml")], 2, "expected a case file"),
    ):
        assert cli.main(words) == status, words
        assert told in capsys.readouterr().err


def test_a_case_goes_through_analyze_and_into_the_bundle(made, tmp_path, capsys):
    path, analysis, _ = made
    assert cli.main(["case"]) == 0
    case = tmp_path / "case.toml"
    case.write_text(capsys.readouterr().out, encoding="utf-8")
    report = tmp_path / "one.json"
    report.write_bytes(wire.render(analysis.report))
    assert cli.main(["bundle", str(report), "--case", str(case), "--file", str(path)]) == 0
    read = wire.parse(bundle.read((tmp_path / "one.zip").read_bytes()).files["report.json"])
    assert read.case is not None and read.case.reference == "LAB-2026-0001"
    words = ["analyze", str(path), str(path.parent / "absent.png"), "--case", str(case), "--quiet"]
    assert cli.main(words) == 2 and "for a case file describes one exhibit, got 2" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{}", '{"schema": "facewitness.report/9"}', "[", "null"])
def test_what_is_no_report_is_told_with_its_name(content: str, tmp_path, capsys):
    (tmp_path / "one.json").write_text(content)
    assert cli.main(["bundle", str(tmp_path / "one.json")]) != 0
    told = capsys.readouterr().err
    assert "one.json': " in told and told.rstrip().endswith((".", "?"))


def test_every_report_of_ours_makes_a_bundle_that_is_read(tmp_path: Path):
    for name, report in REPORTS.items():
        read = bundle.read(bundle.render(report, clip_of(report)))
        assert read.manifest["original"]["sha256"] == report.sha256, name
        for path in read.files:
            assert ".." not in path and "\\" not in path
