import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from ytops import make_env
from ytops.tests.processes import finish, manage, start

pytestmark = pytest.mark.once


def entries(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def run(path: Path) -> subprocess.Popen[str]:
    return start("-m", "ytops.make_env", str(path))


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert make_env.make_env(tmp_path / ".env")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [".env"]


def test_it_is_the_example_with_fresh_keys(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_env.make_env(tmp_path / name)
    one, two = entries(tmp_path / "one"), entries(tmp_path / "two")
    for key in ("SECRET_KEY", "FERNET_KEYS"):
        assert one[key] != two[key]
        assert len(one[key]) >= 50
    assert len({*one.values(), *two.values()} - {"off"}) == 4
    blank = re.compile(r"^(SECRET_KEY|FERNET_KEYS)=.*$", re.MULTILINE)
    example = (settings.BASE_DIR / ".env.example").read_text()
    assert blank.sub(r"\1=", (tmp_path / "one").read_text()) == example


def test_it_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("mine")
    assert not make_env.make_env(path)
    result = finish(run(path))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert path.read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == [".env"]


def test_two_at_once_make_one(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    results = [finish(process) for process in [run(path), run(path)]]
    assert [result.returncode for result in results] == [0, 0]
    assert sorted(bool(result.stdout) for result in results) == [False, True]
    assert [file.name for file in tmp_path.iterdir()] == [".env"]


def test_no_key_is_printed(tmp_path: Path) -> None:
    result = finish(run(tmp_path / ".env"))
    for key in ("SECRET_KEY", "FERNET_KEYS"):
        assert entries(tmp_path / ".env")[key] not in result.stdout + result.stderr


def test_the_settings_take_it(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    make_env.make_env(path)
    result = manage("check", ENV_FILE=str(path), SECRET_KEY=None, FERNET_KEYS=None, HTTPS=None)
    assert (result.returncode, result.stderr) == (0, "")


def test_it_needs_nothing_but_python(tmp_path: Path) -> None:
    """-S: without the packages that are installed, as before `pip install`."""
    command = [sys.executable, "-I", "-S", make_env.__file__, str(tmp_path / ".env")]
    subprocess.run(command, check=True, capture_output=True)
    assert entries(tmp_path / ".env")["FERNET_KEYS"]


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_usage(arguments: list[str]) -> None:
    result = finish(start("-m", "ytops.make_env", *arguments))
    assert result.returncode == 1
    assert result.stderr == "usage: python -m ytops.make_env FILE\n"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    result = finish(run(tmp_path / "missing" / ".env"))
    assert result.returncode == 1
    assert result.stderr.startswith("ytops: cannot make ")
    assert result.stderr.count("\n") == 1
