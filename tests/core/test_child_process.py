"""Python as a process beside this one."""

import os
import sys
from pathlib import Path

import pytest

from napari_cellseg.core import child_process


def test_the_python_that_runs():
    assert Path(child_process.find_python()).samefile(sys.executable)


def test_none_in_an_app(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert child_process.find_python() is None


@pytest.mark.parametrize("inside", ["python.exe", "bin/python3", "bin/python"])
def test_the_one_inside_an_app(tmp_path, monkeypatch, inside):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "napari"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert child_process.find_python() is None
    (tmp_path / inside).parent.mkdir(exist_ok=True)
    (tmp_path / inside).touch()
    assert child_process.find_python() == str(tmp_path / inside)


def test_nothing_of_the_viewer_is_inherited(monkeypatch):
    monkeypatch.setenv("QT_API", "pyqt5")
    monkeypatch.setenv("KEPT", "1")
    script = "import os; print(os.environ.get('QT_API'), os.environ.get('KEPT'))"
    with child_process.start([sys.executable, "-c", script]) as process:
        assert process.stdout.read().split() == [b"None", b"1"]


@pytest.mark.skipif(sys.platform == "win32", reason="has classes of priority")
def test_it_gives_way_to_this_process():
    """Of another group, which Ctrl-C passes by, but of the session in which priorities count."""
    with child_process.start([sys.executable, "-c", "input()"]) as process:
        nice = os.getpriority(os.PRIO_PROCESS, process.pid)
        group, session = os.getpgid(process.pid), os.getsid(process.pid)
    assert nice >= 10
    assert group == process.pid != os.getpgid(0)
    assert session == os.getsid(0)
