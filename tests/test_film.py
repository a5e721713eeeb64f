"""Films: frames by the time they are shown at, whatever the container; limits, damage and files that are no film."""

import contextlib
import io
import os
import signal
import socket
import struct
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facewitness import decoder, film, media
from facewitness.errors import InputError, MissingExtra, TooLarge, UnknownName, UnreadableMedia
from facewitness.film import Sampling

av = pytest.importorskip("av", reason="needs the extra 'video'")
import films  # noqa: E402 -- needs PyAV


def judged(content: bytes, **options: object) -> list[int]:
    return [frame.index for frame in film.read(content, Sampling(**options)).frames()]  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------- exactness


@pytest.mark.parametrize("kind", films.CONTAINERS)
def test_frames_are_those_of_a_plain_sequential_decode(kind):
    content = films.film(60, kind)
    plain = films.decoded(content)
    read = film.read(content, Sampling(frames=7))
    assert (read.count, read.fps, len(plain)) == (60, 25, 60)
    seen = list(read.frames())
    assert [frame.index for frame in seen] == [4, 12, 21, 30, 38, 47, 55]
    begin = seen[0].seconds - 4 / 25
    for frame in seen:
        assert np.array_equal(frame.pixels, plain[frame.index])
        assert frame.seconds == pytest.approx(begin + frame.index / 25, abs=1e-3)
    for at in (seen[5].at, seen[1].at):  # again, in any order
        assert np.array_equal(read.at(at).pixels, plain[at.index])
    assert read.remarks == ()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("mp4", {"bf": "3", "b-pyramid": "normal", "refs": "4"}),
        ("mp4", {"bf": "8", "b-pyramid": "none", "g": "12"}),
        ("mkv", {"bf": "2", "x264-params": "open-gop=1:keyint=10"}),
        ("mp4", {"bf": "0", "tune": "zerolatency"}),
        ("mkv-hevc", {"x265-params": "log-level=none:bframes=4:b-pyramid=1"}),
        ("webm", {}),
    ],
)
def test_pictures_passed_over_undecoded_leave_the_others_as_they_are(kind, options):
    content = films.film(90, kind, options=options)
    plain = films.decoded(content)
    for step in (None, 0.2):
        read = film.read(content, Sampling(frames=6), burst=3)
        seen = list(read.watch(step))
        assert [s.frame.index for s in seen if s.judged] == [7, 22, 37, 52, 67, 82]
        assert {s.frame.index for s in seen if s.burst} == {n + i for n in (7, 22, 37, 52, 67, 82) for i in range(3)}
        for s in seen:
            assert np.array_equal(s.frame.pixels, plain[s.frame.index]), s.frame.index
        between = np.diff([s.frame.seconds for s in seen])
        assert step is None or between.max() <= 0.4 + 1e-6
        assert read.remarks == ()


def test_pictures_that_nobody_needs_are_not_decoded(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(films.film(90, options={"bf": "3", "b-pyramid": "none", "b_strategy": "0"}))
    with path.open("rb") as file:
        shots = list(decoder._shots(file, "mov", 10**6, None, decoder.Notes(), decoder.Wanted([[0, 0]])))
    assert len(shots) < 45, "three of four pictures are referred to by no other"


def test_a_frame_that_was_not_judged_can_be_had_too():
    content = films.film(40)
    read, plain = film.read(content, Sampling(frames=2)), films.decoded(content)
    watched = [seen.frame.at for seen in read.watch(0.2)]
    assert [at.index for at in watched] == [0, 5, 10, 15, 20, 25, 30, 35]
    for at in (watched[3], watched[4], watched[1]):
        assert np.array_equal(read.at(at).pixels, plain[at.index])
    with pytest.raises(InputError, match="expected one of its 40 frames, got 40"):
        read.at(film.FrameRef(128, 96, 40))


def test_frames_beyond_the_room_for_them_are_decoded_again(monkeypatch):
    monkeypatch.setattr(film, "MOST_KEPT", 3 * 128 * 96 * 3)
    content = films.film(30)
    read, plain = film.read(content, Sampling(frames=10)), films.decoded(content)
    refs = read.refs()
    assert len(refs) == 10
    for at in refs:
        assert np.array_equal(read.at(at).pixels, plain[at.index])
    assert [frame.index for frame in read.frames()] == [at.index for at in refs]


def test_passes_over_a_film_do_not_end_each_other_unseen(monkeypatch):
    monkeypatch.setattr(film, "MOST_KEPT", 0)
    content = films.film(30)
    read, plain = film.read(content, Sampling(frames=10)), films.decoded(content)
    refs = read.refs()
    assert np.array_equal(read.at(refs[2]).pixels, plain[refs[2].index])
    assert len(list(read.frames())) == 10
    assert np.array_equal(read.at(refs[5]).pixels, plain[refs[5].index])
    with pytest.raises(InputError, match="one pass over the film at a time"):
        list(map(read.at, (frame.at for frame in read.frames())))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="a file without a name cannot be read there")
def test_a_film_given_as_bytes_has_no_name_that_a_killed_process_would_leave(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    read = film.read(films.film(10), Sampling(frames=2))
    assert len(list(read.frames())) == 2 and not list(tmp_path.iterdir())


def test_variable_frame_rate_is_sampled_by_time():
    times = [0, 1, 2, 3, 4, 5, 6, 7, 50, 75]  # eight frames in a third of a second, then two long ones
    content = films.film(10, "mkv", times=times)
    assert judged(content, frames=4) == [7, 8]
    assert [frame.seconds for frame in film.read(content, Sampling(every=True)).frames()] == pytest.approx(
        [t / 25 for t in times], abs=1e-3
    )


@pytest.mark.parametrize(("turn", "corner"), [(90, (-4, 4)), (180, (-4, -4)), (270, (4, -4))])
def test_rotation_flags_are_obeyed(turn, corner):
    picture = np.zeros((96, 128, 3), np.uint8)
    picture[:30, :30] = 255  # top left; the flag turns it against the clock
    pixels = film.read(films.film([picture], rotation=turn)).frame.pixels
    assert pixels.shape == ((128, 96, 3) if turn != 180 else (96, 128, 3))
    assert pixels[corner].min() > 200 and pixels.mean() < 30


def test_odd_sizes_keep_their_last_row_and_column():
    frame = film.read(films.film(films.pictures(2, 131, 97), "mkv", pixels="yuv444p")).frame
    assert (frame.width, frame.height) == (131, 97)


def test_pixels_that_are_not_square_are_brought_to_their_width():
    read = film.read(films.film(2, shape=Fraction(4, 3)))
    assert (read.frame.width, read.frame.height) == (171, 96)
    assert "not square" in " ".join(read.remarks)


@pytest.mark.parametrize("curve", [16, 18])
def test_hdr_is_tone_mapped_and_said_so(curve):
    tags = {"color_trc": curve, "color_primaries": 9, "colorspace": 9}
    grey = [np.full((96, 128, 3), level, np.uint8) for level in (64, 128, 192)]
    content = films.film(grey, "mkv-hevc", pixels="yuv420p10le", tags=tags)
    read = film.read(content)
    levels = [int(frame.pixels.mean()) for frame in read.frames()]
    assert levels == sorted(levels) and levels[2] - levels[0] > 60
    assert any("HDR" in note for note in read.remarks)


def test_reference_white_is_white_and_grey_stays_grey():
    deep = np.full((2, 2, 3), round(0.58 * 65535), np.uint16)  # 203 cd/m² in PQ
    mapped = decoder.tone_mapped(deep, "pq")
    assert mapped.min() > 220 and np.ptp(mapped) <= 1
    black = decoder.tone_mapped(np.zeros((2, 2, 3), np.uint16), "hlg")
    assert black.max() == 0


# ------------------------------------------------------------------------------------------------------ sampling


def test_sampling():
    content = films.film(100)
    assert len(judged(content)) == 32
    assert judged(content, frames=200) == list(range(100))
    assert judged(content, fps=2) == [6, 18, 31, 43, 56, 68, 81, 93]
    assert judged(content, every=True, start=1, end=1.2) == [25, 26, 27, 28, 29, 30]
    assert judged(content, frames=2, start=2) == [62, 87]
    assert judged(content, frames=1, end=1) == [13]
    with pytest.raises(InputError, match=r"and it ends at 0:03\.9; got 0:09\.0 to its end"):
        judged(content, start=9)
    for wrong in (
        {"frames": 0},
        {"fps": 0.0},
        {"fps": 1.0, "every": True},
        {"start": 3.0, "end": 2.0},
        {"start": -1.0},
    ):
        with pytest.raises(InputError, match="expected"):
            Sampling(**wrong)


def test_scenes_give_one_frame_each():
    rng = np.random.default_rng(0)
    walls = [np.kron(rng.integers(0, 255, (6, 8, 3)), np.ones((16, 16, 1))).astype(np.uint8) for _ in range(3)]
    frames = [np.roll(walls[scene], 2 * i, axis=1) for scene, long in enumerate((20, 30, 10)) for i in range(long)]
    assert judged(films.film(frames), scenes=True) == [10, 35, 55]


def test_bursts_show_consecutive_frames():
    read = film.read(films.film(60), Sampling(frames=2), burst=3)
    seen = [(s.frame.index, s.judged, s.burst) for s in read.watch()]
    assert seen == [
        (15, True, True), (16, False, True), (17, False, True),
        (45, True, True), (46, False, True), (47, False, True),
    ]  # fmt: skip


def test_memory_holds_one_frame_at_a_time():
    read = film.read(films.film(50), Sampling(every=True))
    assert len(read.kept) == 1
    assert sum(1 for _ in read.frames()) == 50 and len(read.kept) == 1


# ---------------------------------------------------------------------------------- animations and motion photos


def animation(kind: str, pauses: list[int]) -> bytes:
    stills = [Image.fromarray(pixels) for pixels in films.pictures(len(pauses), 64, 48)]
    out = io.BytesIO()
    stills[0].save(out, kind, save_all=True, append_images=stills[1:], duration=pauses, loop=0)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_animations_are_films_on_request(kind):
    content = animation(kind, [100, 300, 200])
    assert not film.is_film(content)
    read = film.read(content)
    assert [frame.seconds for frame in read.frames()] == pytest.approx([0, 0.1, 0.4])
    assert read.frame.pixels.shape == (48, 64, 3)


def test_a_gif_that_breaks_half_way():
    content = animation("GIF", [100] * 9)
    broken = film.read(content[: len(content) * 2 // 3])
    assert 0 < len(list(broken.frames())) < 9
    assert any("damaged" in note or "incomplete" in note for note in broken.remarks)


def test_a_motion_photo_carries_a_film():
    photo = io.BytesIO()
    Image.new("RGB", (64, 48)).save(photo, "JPEG")
    inside = films.film(10)
    assert len(list(film.read(photo.getvalue() + inside).frames())) == 10
    still = media.read(photo.getvalue() + inside)
    assert len(list(still.frames())) == 1 and still.notes == (
        "A film follows the photo in the file (a motion photo); --film analyses it instead.",
    )
    assert media.read(photo.getvalue() + inside, as_film=True).count == 10
    behind = media.read(photo.getvalue() + b"ftyp" * 50)
    assert behind.notes == ("200 bytes behind the picture's end in the file were not looked at.",)
    with pytest.raises(UnreadableMedia, match="a photo without a film in it"):
        film.read(photo.getvalue())


# ------------------------------------------------------------------------------------------------------ bad input


def test_one_frame_is_a_film_that_says_so():
    read = film.read(films.film(1))
    assert [frame.index for frame in read.frames()] == [0] and read.notes == ("The film has one frame only.",)


@pytest.mark.parametrize("kind", ["mp4", "webm", "avi"])
def test_a_film_of_one_still_picture_says_so(kind):
    noise = np.random.default_rng(3)
    picture = np.clip(noise.normal(120, 40, (12, 16, 3)), 0, 255).repeat(8, 0).repeat(8, 1)
    still = [np.clip(picture + noise.normal(0, 2, picture.shape), 0, 255).astype(np.uint8) for _ in range(50)]
    read = film.read(films.film(still, kind, options={} if kind == "mp4" else {"b": "4M"}), Sampling(frames=5))
    list(read.watch(0.15))
    (note,) = (note for note in read.remarks if "still picture" in note)
    assert "(0:00.2 to 0:01.8)" in note and "nothing of time" in note
    dark = film.read(films.film([frame // 20 for frame in still], kind), Sampling(frames=5))
    list(dark.watch(0.15))
    assert not any("still picture" in note for note in dark.remarks), "in the dark movement cannot be excluded"
    for at in range(40, 50):  # a mouth that moves at the end, a few pixels large
        still[at][40:56, 50:74] = 30 + 10 * (at % 2)
    moving = film.read(films.film(still, kind), Sampling(frames=5))
    list(moving.watch(0.15))
    assert not any("still picture" in note for note in moving.remarks)


@pytest.mark.parametrize(("fps", "count"), [(1, 40), (1000, 400)])
def test_slow_and_quick_films(fps, count):
    read = film.read(films.film(count, fps=fps))
    seen = list(read.frames())
    assert read.fps == pytest.approx(fps) and len(seen) == 32
    assert seen[-1].seconds == pytest.approx(seen[-1].index / fps, abs=1e-3)


def encrypted() -> bytes:
    key = {"encryption_key": "76a6c65c5ea762046bd749a2e632ccbb", "encryption_kid": "a7e61c373e219033c21091fa607bf3b8"}
    return films.film(10, mux={"encryption_scheme": "cenc-aes-ctr", **key})


def without_pictures() -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as opened:
        stream = opened.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        opened.start_encoding()
    return out.getvalue()


def with_a_broken_index() -> bytes:
    content = bytearray(films.film(50))
    at = content.find(b"stsz")
    content[at + 4 : at + 200] = bytes(196)
    return bytes(content)


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (films.sound, "expected a film, got a file with only sound"),
        (films.cover, "expected a film, got a file with a still picture"),
        (without_pictures, "index or header cannot be read: it is damaged, or its end is missing"),
        (with_a_broken_index, "it holds no picture: expected at least one"),
        (lambda: films.film(50)[:2000], "index or header cannot be read"),
        (encrypted, r"it is encrypted \(DRM\). Expected a film that plays without a key"),
        (lambda: b"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:9/x.ts\n", "got a playlist, which names other files"),
        (lambda: b"ffconcat version 1.0\nfile /etc/passwd\n", "got a playlist"),
        (lambda: b"\x00\x00\x00\x18ftypheic" + bytes(100), r"got a still picture \(HEIC or AVIF\)"),
        (lambda: b"\x47" + bytes(400), "got an MPEG transport stream; convert it"),
        (lambda: b"", "is empty: expected a film"),
        (lambda: bytes(500), "bytes of another kind"),
        (lambda: b"\x1aE\xdf\xa3" + bytes(500), "index or header cannot be read"),
        (lambda: b"\0\0\0\x18ftypisom" + os.urandom(2000), "index or header cannot be read|no video|only sound"),
        (lambda: films.film(2, "avi", codec="wmv2"), "in the codec wmv2, which is not read. Convert it to H.264"),
    ],
)
def test_what_is_no_film_is_a_sentence(made, sentence):
    with pytest.raises(UnreadableMedia, match=sentence):
        film.read(made(), name="a.mp4")


def frames_or_sentence(content: bytes) -> str:
    """What is said of a hostile film; how many of four frames it gave where nothing is."""
    try:
        frames = list(film.read(content, Sampling(frames=4)).frames())
    except InputError as error:
        return str(error)
    return f"{len(frames)} frames."


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("seed", range(5))
def test_a_film_with_bytes_turned_gives_frames_or_a_sentence(kind, seed):
    content, rng = bytearray(films.film(20, kind)), np.random.default_rng(seed)
    spots = rng.integers(0, len(content), 30) if seed % 2 else rng.integers(len(content) - 1200, len(content), 12)
    for at in spots:
        content[int(at)] ^= 1 << int(rng.integers(8))
    answer = frames_or_sentence(bytes(content))
    assert answer in ("1 frames.", "2 frames.", "3 frames.", "4 frames.") or answer.startswith("'bytes'"), answer


@pytest.mark.parametrize("box", [b"stsz", b"stts", b"stsc", b"stco", b"ctts", b"elst"])
def test_a_count_of_four_thousand_million_in_the_index_is_bounded(box):
    content = bytearray(films.film(20, options={"bf": "2"}))
    at = content.find(box)
    assert at > 0
    count = at + (12 if box == b"stsz" else 8)
    content[count : count + 4] = b"\xff\xff\xff\xff"
    answer = frames_or_sentence(bytes(content))
    assert answer in ("1 frames.", "2 frames.", "3 frames.", "4 frames.") or answer.startswith("'bytes'"), answer


def test_limits(tmp_path):
    content = films.film(50)
    with pytest.raises(TooLarge, match=r"10000 × 10000 = 100 million pixels; expected at most 40 million"):
        film.read(films.that_claims_to_be(10_000, 10_000))
    with pytest.raises(TooLarge, match=r"lasts 0:02; expected at most 0:01"):
        film.read(content, max_seconds=1.0)
    with pytest.raises(TooLarge, match=r"is 0.00\d+ MB; expected at most 0.001 MB"):
        film.read(content, max_bytes=1000)
    with pytest.raises(UnreadableMedia, match="does not exist"):
        film.read(tmp_path / "none.mp4")
    with pytest.raises(UnreadableMedia, match="is a folder"):
        film.read(tmp_path)


def test_a_film_that_changes_its_size_half_way():
    read = film.read(films.of_two_sizes(), Sampling(frames=4))
    assert [(frame.width, frame.height) for frame in read.frames()] == [(128, 96), (128, 96), (64, 48), (64, 48)]
    assert "The film's pictures change their size on the way." in read.remarks


def test_a_film_that_breaks_half_way_is_analysed_up_to_there():
    content = films.film(100, "mkv")
    read = film.read(content[: len(content) * 6 // 10])
    seen = list(read.frames())
    assert len(seen) == 32 and 1 < seen[-1].seconds < 3
    assert any("its pictures end at 0:0" in note and "analysed up to there" in note for note in read.notes)
    streamed = films.film(100, mux={"movflags": "faststart"})
    read = film.read(streamed[: len(streamed) * 7 // 10])
    assert list(read.frames()) and any("breaks off after" in note for note in read.notes)


def test_damage_in_the_middle_is_left_out_and_said():
    content = bytearray(films.film(100, options={"g": "12"}))
    plain = films.decoded(bytes(content))
    middle = len(content) // 3
    content[middle : middle + 40] = b"\x5a" * 40
    read = film.read(bytes(content), Sampling(every=True))
    seen = list(read.frames())
    assert 60 < len(seen) < 100
    assert all(np.array_equal(frame.pixels, plain[frame.index]) for frame in seen)
    assert any("that part was left out" in note for note in read.remarks)


@pytest.mark.parametrize(("claimed", "sentence"), [(9e9, "its pictures end at 0:04"), (9.0, "go on until 0:04")])
def test_a_claimed_length_that_lies(claimed, sentence):
    content = bytearray(films.film(100, "mkv"))
    at = content.find(b"\x44\x89\x88")  # Matroska's Duration, a double
    content[at + 3 : at + 11] = struct.pack(">d", claimed)
    read = film.read(bytes(content), Sampling(frames=4))
    assert [frame.index for frame in read.frames()] == [12, 37, 62, 87]
    assert any(sentence in note for note in read.notes)


def test_a_reference_to_the_network_is_never_followed(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4".encode() + b"\0"
        content = _with_data_elsewhere(films.film(5), address)
        path = tmp_path / "elsewhere.mov"
        path.write_bytes(content)
        with contextlib.suppress(UnreadableMedia):
            list(film.read(path).frames())
        with pytest.raises(TimeoutError):
            server.accept()


def _with_data_elsewhere(content: bytes, address: bytes) -> bytes:
    """The film with a data reference that names an address instead of this file."""
    at = content.find(b"dref") - 4
    entry = at + 16
    assert content[entry + 4 : entry + 8] == b"url "
    new = struct.pack(">I", 12 + len(address)) + b"url \0\0\0\0" + address
    grown = bytearray(content[:entry] + new + content[entry + 12 :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        place = grown.find(box) - 4
        size = struct.unpack(">I", grown[place : place + 4])[0]
        grown[place : place + 4] = struct.pack(">I", size + len(address))
    return bytes(grown)


def test_a_film_that_changes_while_it_is_read(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(films.film(30))
    read = film.read(path, Sampling(frames=3))
    path.write_bytes(films.film(31))
    with pytest.raises(UnreadableMedia, match="it was changed while it was read"):
        list(read.frames())


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="ends a process by a signal")
def test_a_decoder_that_crashes_ends_the_film_and_not_the_program(monkeypatch):
    started = []
    opened = film.subprocess.Popen

    def remembered(*args, **options):
        started.append(opened(*args, **options))
        return started[-1]

    read = film.read(films.film(films.pictures(200, 640, 480)), Sampling(every=True))
    monkeypatch.setattr(film.subprocess, "Popen", remembered)
    seen = 0
    for _ in read.frames():
        seen += 1
        if seen == 3:
            started[-1].send_signal(signal.SIGSEGV)
    assert 3 <= seen < 200
    assert any("ended by signal 11" in note and "analysed up to there" in note for note in read.remarks)


def test_a_decoder_that_says_nothing_is_ended(monkeypatch):
    content = films.film(5)
    monkeypatch.setattr(film, "PATIENCE", 0.5)
    monkeypatch.setattr(film.sys, "executable", _that_sleeps())
    with pytest.raises(UnreadableMedia, match=r"gave no answer for 0\.5 seconds"):
        film.read(content)


def _that_sleeps() -> str:
    import tempfile

    folder = Path(tempfile.mkdtemp())
    program = folder / "python"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    return str(program)


def test_without_pyav_a_film_says_what_to_install(monkeypatch, tmp_path):
    (tmp_path / "av.py").write_text("raise ModuleNotFoundError(\"No module named 'av'\", name='av')\n")
    content = films.film(3)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(MissingExtra, match=r"decoded with PyAV.*pip install '\.\[video\]'"):
        film.read(content)


def test_media_tells_films_from_pictures(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(films.film(40))
    clip = media.read(path, sampling={"frames": 3})
    assert (clip.medium.frames, clip.medium.fps, len(list(clip.frames()))) == (40, 25, 3)
    assert len(list(media.read(path.read_bytes()).frames())) == 32
    with path.open("rb") as file:
        assert media.read(file, sampling={"fps": 2}).count == 40
    still = media.read(animation("GIF", [100, 100]))
    assert still.count == 1 and "Only the first of 2 pictures" in still.notes[0]
    assert media.read(animation("GIF", [100, 100]), as_film=True).count == 2
    with pytest.raises(UnreadableMedia, match="got an animated PNG; save it as WebP first"):
        media.read(animation("PNG", [100, 100]), as_film=True)
    assert list(media.collect([tmp_path])) == [path]
    with pytest.raises(UnknownName, match="Did you mean 'frames'"):
        media.read(path, sampling={"frame": 3})


# ------------------------------------------------------------------------------------------- frames by their number


@pytest.fixture
def video(tmp_path):
    """A video whose frame i is about 2 · i grey."""
    file = tmp_path / "a.mp4"
    file.write_bytes(films.film(20))
    return file


def test_frames_come_as_asked_for_forwards_and_back(video):
    frames, plain = film.Frames(), films.decoded(video.read_bytes())
    assert frames.count(video) == 20
    for index in (0, 3, 4, 19, 2, 2, 7):
        pixels = frames.frame(video, index)
        assert np.array_equal(pixels, plain[index]) and pixels.flags["C_CONTIGUOUS"]
    frames.expect(video, (2, 9, 15))
    assert all(np.array_equal(frames.frame(video, index), plain[index]) for index in (2, 9, 15, 16, 1))
    frames.close()
    assert np.array_equal(frames.frame(video, 5), plain[5])


def test_a_frame_that_a_video_lacks_is_a_sentence(video, tmp_path):
    frames = film.Frames()
    with pytest.raises(UnreadableMedia, match=r"a\.mp4: expected a frame 20, but the video has 20"):
        frames.frame(video, 20)
    assert frames.frame(video, 19).mean() > 30
    broken = tmp_path / "b.mp4"
    broken.write_bytes(b"no video")
    assert frames.count(broken) == frames.count(tmp_path / "none.mp4") == 0
    with pytest.raises(UnreadableMedia, match=r"b\.mp4: expected a frame 0, got none"):
        frames.frame(broken, 0)
    assert frames.frame(video, 1).mean() < 20
