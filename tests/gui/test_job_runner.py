"""Jobs deliver on the main thread, once, and never after they were cancelled."""

import threading
import time

import pytest

pytest.importorskip("qtpy")
from qtpy.QtCore import QThread

from napari_cellseg.core.errors import CellsegError, DeviceError
from napari_cellseg.core.progress import Progress
from napari_cellseg.gui.job_runner import JobRunner, LatestJob


@pytest.fixture
def runner(qtbot):
    runner = JobRunner()
    yield runner
    runner.cancel_all()
    qtbot.waitUntil(lambda: not runner.busy)


def record(job):
    seen = []
    main = QThread.currentThread()
    for name in ("progressed", "succeeded", "failed"):
        getattr(job, name).connect(
            lambda value, name=name: seen.append((name, value, QThread.currentThread() is main))
        )
    job.cancelled.connect(lambda: seen.append(("cancelled", None, True)))
    job.finished.connect(lambda: seen.append(("finished", None, True)))
    return seen


def test_result_and_progress_arrive_on_the_main_thread(qtbot, runner):
    where = []

    def work():
        where.append(threading.current_thread() is threading.main_thread())
        yield Progress("Counting", 1, 2)
        return 42

    job = runner.create(work)
    seen = record(job)
    with qtbot.waitSignal(job.finished):
        job.start()
    assert [s[0] for s in seen] == ["progressed", "succeeded", "finished"]
    assert seen[1][1] == 42
    assert all(s[2] for s in seen)
    assert where == [False]
    assert not runner.busy


@pytest.mark.parametrize("kind", [RuntimeError, ValueError, MemoryError, KeyError])
def test_every_exception_becomes_a_cellseg_error(qtbot, runner, kind):
    def work():
        yield Progress("Failing")
        raise kind("reason")

    job = runner.create(work)
    seen = record(job)
    with qtbot.waitSignal(job.finished):
        job.start()
    assert [s[0] for s in seen] == ["progressed", "failed", "finished"]
    assert isinstance(seen[1][1], CellsegError)


def test_cellseg_errors_are_delivered_as_they_are(qtbot, runner):
    error = DeviceError("no such device")

    def work():
        raise error
        yield

    job = runner.create(work)
    seen = record(job)
    with qtbot.waitSignal(job.finished):
        job.start()
    assert seen[0][1] is error


def test_cancel_closes_the_generator_in_its_own_thread_and_delivers_nothing(qtbot, runner):
    closed_in = []

    def work():
        me = threading.get_ident()
        try:
            while True:
                time.sleep(0.005)
                yield Progress("Running")
        finally:
            closed_in.append(threading.get_ident() == me)

    job = runner.create(work)
    with qtbot.waitSignal(job.progressed):
        job.start()
    seen = record(job)
    with qtbot.waitSignal(job.finished):
        job.cancel()
    assert closed_in == [True]
    assert [s[0] for s in seen] == ["cancelled", "finished"]


def test_a_result_that_was_ready_before_the_cancel_is_not_delivered(qtbot, runner):
    done = threading.Event()

    def work():
        done.set()
        return "late"
        yield

    job = runner.create(work)
    seen = record(job)
    job.start()
    assert done.wait(5)
    time.sleep(0.05)  # the result now waits in the queue of the main thread
    job.cancel()
    qtbot.waitUntil(lambda: not runner.busy)
    assert [s[0] for s in seen] == ["cancelled", "finished"]


def test_latest_job_runs_the_first_and_the_last_of_a_burst(qtbot, runner):
    latest = LatestJob(runner)
    gate, got, started = threading.Event(), [], []

    def make(number):
        def work():
            started.append(number)
            gate.wait(2)
            return number
            yield

        return work

    latest.submit(make(0), got.append)
    qtbot.waitUntil(lambda: started == [0])
    for number in range(1, 10):
        latest.submit(make(number), got.append)
    gate.set()
    with qtbot.waitSignal(latest.idle):
        pass
    assert started == [0, 9]
    assert got == [0, 9]
    assert not latest.busy


def test_latest_job_cleared_delivers_nothing(qtbot, runner):
    latest, got, gate = LatestJob(runner), [], threading.Event()

    def work():
        gate.wait(2)
        return 1
        yield

    latest.submit(work, got.append)
    latest.submit(work, got.append)
    latest.clear()
    gate.set()
    qtbot.waitUntil(lambda: not runner.busy)
    assert got == []
