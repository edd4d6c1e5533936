"""A training process is followed, ordered about and always ended, whatever happens to it."""

import math
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from napari_cellseg.core.errors import Cancelled, TrainingError
from napari_cellseg.core.finetuning.events import Preview
from napari_cellseg.session.finetuning import launch, process
from napari_cellseg.session.finetuning.process import TrainingProcess

# A child that behaves: sys.argv[1] is its folder, sys.argv[2] its number of steps.
GOOD = """
import math, os, sys, time, warnings
from pathlib import Path
from types import SimpleNamespace
from napari_cellseg.cli.events import drive, take_streams
from napari_cellseg.core.finetuning.events import Preview
from napari_cellseg.core.finetuning.requests import Requests
from napari_cellseg.core.progress import Progress

folder, steps = Path(sys.argv[1]), int(sys.argv[2])
requests = Requests()

def train():
    number = 0
    try:
        os.write(1, b"a library")                    # from C, and without a line feed
        print('{"event": "failed", "message": "of a library"}', flush=True)
        assert sys.stdin.read() == ""
        print("e" * 300_000, file=sys.stderr)        # more than a pipe holds
        for number in range(1, steps + 1):
            if requests.take_preview():
                yield Preview("Training", number, folder=folder / "look")
            yield Progress("Training", number, steps, "Halved.", {"loss": math.nan, "rate": 0.1})
            time.sleep(0.002)
    finally:
        (folder / "checkpoint").write_text(str(number))
    verdict = SimpleNamespace(accepted=False, reason="Worse.")
    return SimpleNamespace(folder=folder / "child", verdict=verdict)

sys.exit(drive(train(), requests, *take_streams()))
"""

# A child that does not: it does not care about its streams either.
BAD = """
import os, subprocess, sys, time
from pathlib import Path
folder = Path(sys.argv[1])

def tell(text):
    os.write(1, text if isinstance(text, bytes) else text.encode() + b"\\n")

def step(stage):
    tell('{"event": "progress", "stage": "%s"}' % stage)

def finish():
    tell('{"event": "finished", "folder": "x", "accepted": true, "reason": ""}')
"""

pytestmark = pytest.mark.skipif(
    not sys.executable, reason="there is no Python that could be started"
)


@pytest.fixture
def training(tmp_path, monkeypatch):
    """Make a supervised process of a script."""

    def training(script, *arguments):
        line = [sys.executable, "-P", "-c", script, str(tmp_path), *map(str, arguments)]
        monkeypatch.setattr(launch, "command", lambda folder, device, resume: line)
        return TrainingProcess(SimpleNamespace(folder=tmp_path))

    return training


def drain(events):
    steps = []
    while True:
        try:
            steps.append(next(events))
        except StopIteration as stop:
            return steps, stop.value


def until(events, stage):
    for step in events:
        if step.stage == stage:
            return step
    raise AssertionError(f"no {stage}")


def number_of(run):
    return run._process.pid


def test_steps_and_outcome_whatever_libraries_print(training, tmp_path):
    steps, outcome = drain(training(GOOD, 3).events())
    told = [step for step in steps if step.metrics]
    assert steps[0].stage == "Starting"
    assert [(step.done, step.total, step.message) for step in told] == [
        (number, 3, "Halved.") for number in (1, 2, 3)
    ]
    assert math.isnan(told[0].metrics["loss"])
    assert told[0].metrics["rate"] == 0.1
    assert outcome == process.Outcome(tmp_path / "child", accepted=False, reason="Worse.")


def test_pause_preview_and_going_on(training, tmp_path):
    run = training(GOOD, 10**6)
    run.pause()  # also before it has begun
    events = run.events()
    paused = until(events, "Paused")
    assert next(events) == paused  # only the sign of life
    run.preview()
    look = next(step for step in events if isinstance(step, Preview))
    assert look.folder == tmp_path / "look"
    assert next(step for step in events if step.done <= look.done + 1)
    run.go_on()
    assert next(step for step in events if step.done > look.done + 20).stage == "Training"
    run.cancel()
    with pytest.raises(Cancelled, match="resume"):
        drain(events)
    assert (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_it_stops_within_a_step_with_a_checkpoint(how, training, tmp_path):
    run = training(GOOD, 10**6)
    events = run.events()
    until(events, "Training")
    number = number_of(run)
    if how == "close":
        events.close()
    else:
        run.cancel()
        with pytest.raises(Cancelled):
            drain(events)
    assert (tmp_path / "checkpoint").exists()
    assert not psutil.pid_exists(number)
    run.cancel()  # too late, and no matter
    run.preview()


def test_cancelled_before_it_began_nothing_is_started(training, tmp_path):
    run = training(GOOD, 10**6)
    run.cancel()
    with pytest.raises(Cancelled):
        next(run.events())
    assert not list(tmp_path.iterdir())


def test_a_hanging_process_is_killed_with_its_own_children(training, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "KILL_AFTER", 0.2)
    hang = "import time; time.sleep(1000)"
    run = training(
        BAD + f"other = subprocess.Popen([sys.executable, '-c', {hang!r}])\n"
        "(folder / 'other').write_text(str(other.pid)); step('Training'); time.sleep(1000)"
    )
    events = run.events()
    until(events, "Training")
    numbers = [number_of(run), int((tmp_path / "other").read_text())]
    run.cancel()
    for _ in range(3):
        assert next(events).stage == "Training"  # signs of life let a job runner look up
    run.cancel()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        drain(events)
    assert time.monotonic() - started < 5
    if sys.platform != "win32":
        end_of(numbers)


def end_of(numbers):
    """Wait until no process of these lives."""
    limit = time.monotonic() + 10
    while any(map(lives, numbers)):
        assert time.monotonic() < limit
        time.sleep(0.05)


def lives(number):
    try:
        return psutil.Process(number).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_closing_does_not_wait_for_ever(training, monkeypatch):
    monkeypatch.setattr(process, "LEAVE_AFTER", 0.3)
    run = training(BAD + "step('Training'); time.sleep(1000)")
    events = run.events()
    until(events, "Training")
    number = number_of(run)
    events.close()
    assert not psutil.pid_exists(number)


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_killed_from_outside(training):
    run = training(GOOD, 10**6)
    events = run.events()
    until(events, "Training")
    os.kill(number_of(run), signal.SIGKILL)
    with pytest.raises(TrainingError, match=r"signal 9.*memory.*resume"):
        drain(events)


def test_broken_down_with_its_last_words(training):
    run = training(
        BAD + "step('Training'); sys.stderr.write('\\nline\\r\\n\\nlast words\\n\\n'); exit(3)"
    )
    with pytest.raises(TrainingError, match="broke down: last words"):
        drain(run.events())
    with pytest.raises(TrainingError, match="exit status 3"):
        drain(training(BAD + "exit(3)").events())


def test_a_failure_that_it_tells(training):
    run = training(BAD + """tell('{"event": "failed", "message": "The disk is full."}'); exit(1)""")
    with pytest.raises(TrainingError, match=r"^The disk is full\.$"):
        drain(run.events())


def test_garbage_is_left_out(training):
    garbage = (
        "tell('Epoch 1'); tell(bytes(range(256))); tell(b'\\n\\n'); tell('[1]'); tell('{}');"
        "tell('{\"event\": \"progress\", \"stage\": 1}'); tell(b'x' * 3_000_000 + b'\\n');"
    )
    run = training(BAD + garbage + "step('Training');" + garbage + "finish()")
    steps, outcome = drain(run.events())
    assert {step.stage for step in steps} == {"Starting", "Training"}
    assert outcome.accepted


def test_a_stream_that_a_grandchild_keeps_open_is_no_reason_to_wait(training):
    script = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)']); finish()"
    started = time.monotonic()
    _, outcome = drain(training(BAD + script).events())
    assert outcome.accepted
    assert time.monotonic() - started < 10


def test_the_result_counts_although_the_process_does_not_end(training, monkeypatch):
    monkeypatch.setattr(process, "LEAVE_AFTER", 0.3)
    _, outcome = drain(training(BAD + "finish(); time.sleep(1000)").events())
    assert outcome.accepted


def test_it_cannot_be_started(training, monkeypatch, tmp_path):
    run = training(GOOD)
    monkeypatch.setattr(launch, "command", lambda *_: [str(tmp_path / "nothing")])
    with pytest.raises(TrainingError, match="cannot be started"):
        next(run.events())


@pytest.mark.skipif(sys.platform == "win32", reason="no signals")
def test_the_supervisor_is_killed_and_the_checkpoint_saved(tmp_path):
    script = (
        "import sys; from types import SimpleNamespace\n"
        "from napari_cellseg.session.finetuning import launch, process\n"
        "line = [sys.executable, '-P', '-c', sys.argv[1], sys.argv[2], '1000000']\n"
        "launch.command = lambda *_: line\n"
        "run = process.TrainingProcess(SimpleNamespace(folder=sys.argv[2]))\n"
        "for step in run.events(): print(step.stage, run._process.pid, flush=True)\n"
    )
    line = [sys.executable, "-P", "-c", script, GOOD, str(tmp_path)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as supervisor:
        told = next(line for line in supervisor.stdout if line.startswith("Training"))
        supervisor.kill()
    end_of([int(told.split()[1])])
    assert (tmp_path / "checkpoint").exists()


def test_its_surroundings(training, monkeypatch):
    monkeypatch.setenv("QT_PLUGIN_PATH", "/of/napari")
    monkeypatch.setenv("PYTHONINSPECT", "1")
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    script = (
        "names = ['QT_PLUGIN_PATH', 'PYTHONINSPECT', 'QT_QPA_PLATFORM', 'OMP_NUM_THREADS']\n"
        "step(' '.join(str(os.environ.get(name)) for name in names))\n"
        "posix = os.name == 'posix'\n"
        "step(str(not posix or (os.getpgid(0) == os.getpid() and os.nice(0) >= 10)))\n"
        "finish()"
    )
    steps, _ = drain(training(BAD + script).events())
    told = [step.stage for step in steps if step.stage != "Starting"]
    assert told[0] == "None None offscreen 1"
    assert told[-1] == "True"


class TestPython:
    @pytest.fixture(autouse=True)
    def place(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        monkeypatch.setattr(sys, "executable", str(tmp_path / "napari"))
        return tmp_path

    def make(self, path):
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
        return str(path)

    def test_the_one_that_runs(self, place, monkeypatch):
        own = self.make(place / "other" / "python3.11")
        self.make(place / "bin" / "python3")
        monkeypatch.setattr(sys, "executable", own)
        assert launch.find_python() == own

    def test_on_windows_the_one_with_streams(self, place, monkeypatch):
        console = self.make(place / "Scripts" / "python.exe")
        monkeypatch.setattr(sys, "executable", self.make(place / "Scripts" / "pythonw.exe"))
        assert launch.find_python() == console

    def test_inside_an_app(self, place):
        self.make(place / "napari")
        inside = self.make(place / "bin" / "python3")
        assert launch.find_python() == inside

    @pytest.mark.parametrize("frozen", [True, False])
    def test_an_app_without_one_is_not_started_again(self, place, monkeypatch, frozen):
        self.make(place / "napari")
        if frozen:
            self.make(place / "bin" / "python3")
        monkeypatch.setattr(sys, "frozen", frozen, raising=False)
        with pytest.raises(TrainingError, match="elsewhere"):
            launch.find_python()


def test_the_command(tmp_path):
    line = launch.command(tmp_path, "cuda", resume=True)
    assert line[1:4] == ["-P", "-m", "napari_cellseg.cli"]
    assert line[4:] == ["finetune", str(tmp_path), "--json", "--device", "cuda", "--resume"]
    assert "--resume" not in launch.command(tmp_path, "cuda", resume=False)
