"""`facewitness serve` as it is started: keys, where it listens, and what a SIGKILL leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from pictures import jpeg, painted

pytest.importorskip("httpx2", reason="the service's tests need the package httpx2")
pytest.importorskip("fastapi", reason="the service needs the extra serve")

import httpx2

from facewitness import files
from facewitness.apps import cli

HERE = Path(__file__).parent
RAW = {"Content-Type": "image/jpeg"}


class Process:
    """A server in a process of its own, whose finder and witness need no weights."""

    def __init__(self, data: Path, *words: str):
        code = (
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "from doubles import Brightness\n"
            "from facewitness.apps import cli, serve\n"
            "made = serve._settings\n"
            "def settings(given):\n"
            "    import dataclasses\n"
            "    return dataclasses.replace(made(given), finder='whole', witnesses=(Brightness(seconds=0.05),))\n"
            "serve._settings = settings\n"
            "if __name__ == '__main__': sys.exit(cli.main(sys.argv[2:]))\n"
        )
        script = data.parent / "server.py"
        script.write_text(code)
        command = [
            sys.executable,
            str(script),
            str(HERE),
            "serve",
            "--port",
            "0",
            "--data",
            str(data),
            "--reserve",
            "1",
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
        self.process = subprocess.Popen(
            [*command, "--log-format", "json", *words], stderr=subprocess.PIPE, text=True, env=environment
        )
        self.lines: list[str] = []
        for line in self.process.stderr:
            self.lines.append(line)
            if found := re.search(r"serving at (http://127\.0\.0\.1:\d+)", line):
                self.url = found[1]
                break
        else:
            raise AssertionError("".join(self.lines))
        self.reader = threading.Thread(target=lambda: self.lines.extend(self.process.stderr), daemon=True)
        self.reader.start()
        self.client = httpx2.Client(base_url=self.url, timeout=60, trust_env=False, verify=False)

    def kill(self) -> None:
        """End it as the system does when memory is short."""
        self.process.kill()
        self.end()

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> int:
        self.client.close()
        status = self.process.wait(60)
        self.reader.join(10)
        self.process.stderr.close()
        return status


def test_a_server_that_is_killed_loses_no_job_and_does_none_twice(tmp_path):
    data, accepted = tmp_path / "data", []
    for turn in range(2):
        server = Process(data)
        for i in range(8):
            content = jpeg(painted(10 + i, 64)) + bytes(turn)
            answer = server.client.post("/v1/analyses", content=content, headers=RAW)
            assert answer.status_code == 202, answer.text
            accepted.append(answer.json()["id"])
        time.sleep(0.3 * turn)
        server.kill()
    server = Process(data)
    try:
        for number in accepted:
            shown = server.client.get(f"/v1/analyses/{number}", headers={"Prefer": "wait=60"}).json()
            assert shown["state"] == "done" and shown["report"]["status"] == "ok"
        listed = server.client.get("/v1/analyses", params={"limit": 200}).json()["analyses"]
        assert sorted(row["id"] for row in listed) == sorted(accepted)
    finally:
        assert server.stop() == 0
    ended = [json.loads(line) for line in server.lines if line.startswith("{")]
    numbers = [line["analysis"] for line in ended if line["event"] == "analysis ended"]
    assert len(numbers) == len(set(numbers))
    assert "Traceback" not in "".join(server.lines)


def test_keys_are_added_listed_and_revoked(tmp_path, capsys):
    data = ["--data", str(tmp_path)]
    assert cli.main(["serve", "keys", "list", *data]) == 0
    assert "there is no key" in capsys.readouterr().err
    assert cli.main(["serve", "keys", "add", "newsroom", "--days", "30", *data]) == 0
    told = capsys.readouterr()
    key = told.out.strip()
    assert re.fullmatch(r"fw_[0-9a-f]{12}_[\w-]{43}", key) and "only time" in told.err
    assert cli.main(["serve", "keys", "list", *data]) == 0
    listed = capsys.readouterr().out
    assert "newsroom" in listed and "used never" in listed and "expires" in listed
    assert key.rpartition("_")[2] not in listed
    number = key.split("_")[1]
    assert cli.main(["serve", "keys", "revoke", number, *data]) == 0
    assert cli.main(["serve", "keys", "revoke", number, *data]) == 2
    assert cli.main(["serve", "keys", "add", "\n", *data]) == 2
    assert "expected a name" in capsys.readouterr().err


def test_an_address_with_a_port_is_told_how_to_say_it(tmp_path, capsys):
    assert cli.main(["serve", "--listen", "127.0.0.1:8123", "--data", str(tmp_path)]) == 2
    assert "Say --listen 127.0.0.1 --port 8123." in capsys.readouterr().err


def test_a_second_server_in_one_folder_is_told_of_the_first(tmp_path, capsys):
    with files.held(tmp_path / "serve.lock"):
        assert cli.main(["serve", "--port", "0", "--data", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "nobody else writes to" in told and "serving at" not in told and "Traceback" not in told


def test_a_queue_to_review_has_to_be_there(tmp_path, capsys):
    assert cli.main(["serve", "--review", str(tmp_path / "none"), "--data", str(tmp_path)]) == 2
    assert "expected a queue that a builder filled, got" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::"])
def test_it_does_not_listen_elsewhere_without_a_key(tmp_path, capsys, address):
    assert cli.main(["serve", "--listen", address, "--data", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "expected a key before it listens" in told and "facewitness serve keys add NAME" in told


def test_an_address_that_cannot_be_had_is_a_sentence(tmp_path, capsys):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert cli.main(["serve", "--port", port, "--data", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert f"port {port}" in told and "--port 0" in told
    assert cli.main(["serve", "--database", "mysql://x", "--data", str(tmp_path)]) == 2
    assert "expected one of sqlite and postgresql" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--port", "99999"], ["--keep-uploads", "-1"], ["--log-format", "xml"], ["keys"], ["--jobs", "0"]]
)
def test_words_that_make_no_sense_are_refused(words, capsys):
    with pytest.raises(SystemExit) as error:
        cli.main(["serve", *words])
    assert error.value.code == 2 and "error:" in capsys.readouterr().err


def test_without_the_extra_it_says_what_to_install(tmp_path):
    code = (
        "import sys\n"
        "for name in ('fastapi', 'sqlalchemy', 'uvicorn'): sys.modules[name] = None\n"
        "from facewitness.apps.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    for words in (["serve"], ["serve", "keys", "list"]):
        command = [sys.executable, "-c", code, *words, "--data", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "pip install '.[serve]'" in done.stderr and "Traceback" not in done.stderr


def test_the_models_are_fetched_by_a_command(capsys):
    from facewitness import weights
    from facewitness.errors import WeightsError

    try:
        for name in weights.SOURCES:
            weights.find(name)
    except WeightsError as error:
        pytest.skip(str(error))
    assert cli.main(["fetch"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in weights.SOURCES) and "sha256" in told


def test_the_image_is_made_of_what_a_clone_has():
    root = HERE.parent
    text = (root / "Dockerfile").read_text(encoding="utf-8")
    kept = {line[1:] for line in (root / ".dockerignore").read_text(encoding="utf-8").split() if line.startswith("!")}
    copied = [word for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M) for word in line.split()[:-1]]
    assert copied and all((root / word).exists() and word in kept for word in copied)
    assert text.index("USER nobody") < text.index("ENTRYPOINT") and "facewitness fetch" in text


@pytest.mark.slow
def test_the_image_builds_and_serves_as_nobody_on_a_read_only_root():
    import shutil

    if shutil.which("docker") is None:
        pytest.skip("docker is not installed here")
    alive = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    if alive.returncode:
        pytest.skip(f"no docker daemon answers here: {alive.stderr.strip().splitlines()[-1][:100]}")
    subprocess.run(["docker", "build", "-q", "-t", "facewitness-test", str(HERE.parent)], check=True, timeout=1800)
    run = ["docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--network", "none"]
    user = subprocess.run([*run, "--entrypoint", "id", "facewitness-test", "-un"], capture_output=True, check=True)
    assert user.stdout.strip() == b"nobody"
    photo = jpeg(painted(200, 240))
    done = subprocess.run(
        [*run, "-i", "facewitness-test", "analyze", "-", "--json"], input=photo, capture_output=True, check=True
    )
    assert json.loads(done.stdout)["status"] in ("ok", "no_face")
    refused = subprocess.run([*run, "-v", "/data", "facewitness-test"], capture_output=True, check=False)
    assert refused.returncode == 2 and b"expected a key" in refused.stderr
