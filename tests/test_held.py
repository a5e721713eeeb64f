"""A folder or a file has one writer at a time: others are told who it is, and a killed one holds nothing."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from facewitness import files
from facewitness.errors import InputError

_HOLDS = "import sys; from pathlib import Path; from facewitness.files import held\nwith held(Path(sys.argv[1])): "


@pytest.fixture
def holder(tmp_path):
    """A process that holds a file of the folder until it is killed."""
    code = _HOLDS + "print(flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path / ".lock")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_a_killed_holder_holds_nothing(holder, tmp_path):
    sentence = f"got one that is being written to by process {holder.pid}. Wait for it, or name another."
    with pytest.raises(InputError) as refused, files.held(tmp_path / ".lock"):
        pass
    assert str(refused.value) == f"'{tmp_path}': expected a folder that nobody else writes to, {sentence}"
    holder.kill()
    holder.wait()
    assert (tmp_path / ".lock").exists()
    with files.held(tmp_path / ".lock"):
        assert json.loads((tmp_path / ".lock").read_text()) == {"pid": os.getpid(), "host": platform.node()}
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize("left", ["", "no JSON", "[]", '{"pid": 1, "host": "a container that is gone"}'])
def test_what_a_killed_one_left_keeps_nobody_out(left, tmp_path):
    (tmp_path / ".lock").write_text(left)
    with files.held(tmp_path / ".lock"):
        (tmp_path / ".lock").write_text(left)  # as of a holder that is about to say who it is
        who = "process 1 on a container that is gone" if "container" in left else "another process"
        with pytest.raises(InputError, match=f"written to by {who}"), files.held(tmp_path / ".lock"):
            pass


def test_of_many_writers_one_at_a_time_writes(tmp_path):
    """Each adds 1 to what it finds; were two of them in at once, one of their additions would be lost."""
    (tmp_path / "count").write_text("0")
    code = """
import sys, time
from pathlib import Path
from facewitness.errors import InputError
from facewitness.files import held
folder, done = Path(sys.argv[1]), 0
while done < 25:
    try:
        with held(folder / ".lock"):
            count = int((folder / "count").read_text())
            time.sleep(0.001)
            (folder / "count").write_text(str(count + 1))
            done += 1
    except InputError:
        time.sleep(0.001)
"""
    several = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(4)]
    assert [process.wait() for process in several] == [0] * 4
    assert (tmp_path / "count").read_text() == "100" and not (tmp_path / ".lock").exists()


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl", reason="Windows has other locks")

    def lacking(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", lacking)
    with files.held(tmp_path / ".lock"), files.held(tmp_path / ".lock"):
        pass
    assert not (tmp_path / ".lock").exists()


class Windows:
    """What `msvcrt` does with bytes of a file: one holder each, and who comes second is refused at once."""

    LK_NBLCK = 2

    def __init__(self):
        self.taken: dict[tuple[int, int], int] = {}  # file and byte → who has it

    def locking(self, handle, mode, count):
        assert mode == self.LK_NBLCK and count == 1
        byte = os.fstat(handle).st_ino, os.lseek(handle, 0, os.SEEK_CUR)
        if self.taken.setdefault(byte, handle) != handle:
            raise PermissionError(13, "Permission denied")


def test_on_windows_a_byte_far_behind_the_holders_name_is_locked(tmp_path, monkeypatch):
    windows = Windows()
    monkeypatch.setattr(files.sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", windows)
    with files.held(tmp_path / ".lock"):
        ((_, byte),) = windows.taken
        assert byte == 1 << 30, "others can read the bytes before it"
        assert json.loads((tmp_path / ".lock").read_text()) == {"pid": os.getpid(), "host": platform.node()}
        refused = pytest.raises(InputError, match=f"is being written to by process {os.getpid()}. Wait for it")
        with refused, files.held(tmp_path / ".lock"):
            pass
    assert not (tmp_path / ".lock").exists()
    windows.taken.clear()  # as the system does where a holder ends
    with files.held(tmp_path / ".lock"):
        assert len(windows.taken) == 1


def test_on_windows_what_fails_for_another_reason_is_no_lock_that_somebody_holds(tmp_path, monkeypatch):
    windows = Windows()
    monkeypatch.setattr(files.sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "msvcrt", windows)

    def failing(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(windows, "locking", failing)
    with pytest.raises(OSError, match="Input/output error"), files.held(tmp_path / ".lock"):
        pass


@pytest.mark.parametrize(
    ("platform_", "given", "folder"),
    [
        ("linux", {}, "~/.cache/facewitness"),
        ("linux", {"XDG_CACHE_HOME": "~/c"}, "~/c/facewitness"),
        ("darwin", {"XDG_CACHE_HOME": "~/c"}, "~/Library/Caches/facewitness"),
        ("win32", {"LOCALAPPDATA": "~/local"}, "~/local/facewitness"),
        ("win32", {"FACEWITNESS_CACHE": "~/mine"}, "~/mine"),
    ],
)
def test_our_folders_lie_where_the_platform_has_such_things(platform_, given, folder, monkeypatch):
    monkeypatch.setattr(files.sys, "platform", platform_)
    for name in ("FACEWITNESS_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    came = files.folder_of_ours("FACEWITNESS_CACHE", "~/Library/Caches", "XDG_CACHE_HOME", "~/.cache")
    assert came == files.at_home(folder)
