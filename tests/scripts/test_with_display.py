"""The runner behind the README's two commands."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "with_display.py"
SHOW = "import os, sys; print(os.environ['DISPLAY'], *sys.argv[1:]); sys.exit(3)"

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux needs virtual displays")
xvfb = pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")


@pytest.fixture(scope="module")
def runner():
    spec = importlib.util.spec_from_file_location("with_display", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**clean, **environment},
    )


@linux
@xvfb
def test_without_a_display_the_command_gets_one_and_is_told():
    done = _run("--virtual-flag=--headless", sys.executable, "-c", SHOW)
    display, *told = done.stdout.split()[-2:]
    assert display.startswith(":")
    assert told == ["--headless"]
    assert done.returncode == 3
    # and the server is gone afterwards
    assert not Path(f"/tmp/.X11-unix/X{display[1:]}").exists()


@linux
@xvfb
def test_headless_asks_for_a_virtual_display_where_a_real_one_is():
    done = _run(
        "--virtual-flag=--headless", sys.executable, "-c", SHOW, "--headless", DISPLAY=":4711"
    )
    display, *told = done.stdout.split()[-2:]
    assert display != ":4711"
    assert told == ["--headless"]


@linux
def test_a_display_that_is_there_is_used():
    done = _run("--virtual-flag=--headless", sys.executable, "-c", SHOW, DISPLAY=":4711")
    assert done.stdout.split()[-1] == ":4711"
    assert done.returncode == 3


@linux
def test_without_xvfb_one_sentence_says_what_to_install(runner, monkeypatch):
    monkeypatch.setattr(runner.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="apt-get install xvfb"), runner.virtual_display():
        pass


def test_packages_that_stand_for_others_count(runner, monkeypatch):
    listing = (
        "installed\tlibgl1, \n"
        "installed\tlibglib2.0-0t64, libglib2.0-0 (= 2.84.4-3)\n"
        "config-files\tlibegl1, \n"
    )
    monkeypatch.setattr(runner.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        runner.subprocess,
        "run",
        lambda *args, **kwargs: subprocess.CompletedProcess(args, 0, stdout=listing),
    )
    wanted = ["libgl1", "libglib2.0-0", "libegl1", "libopengl0"]
    assert runner.missing_packages(wanted) == ["libegl1", "libopengl0"]


@linux
def test_who_may_not_install_is_told_what_is_missing(runner, monkeypatch, capsys):
    monkeypatch.setattr(runner.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(runner, "missing_packages", lambda wanted: ["libxcb-cursor0", "xvfb"])
    runner.provide_libraries(virtual=True)
    assert "sudo apt-get install libxcb-cursor0 xvfb" in capsys.readouterr().err
