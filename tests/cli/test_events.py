"""A workflow run for another program: what it tells, what it obeys, and how it ends."""

import json
import math
import os
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from napari_cellseg.cli.events import drive
from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.finetuning.events import Preview, from_line
from napari_cellseg.core.finetuning.requests import Requests
from napari_cellseg.core.progress import Progress


@dataclass(frozen=True)
class Verdict:
    accepted: bool = True
    reason: str = "Better."


@dataclass(frozen=True)
class Result:
    folder: Path = Path("child")
    verdict: Verdict = Verdict()


class Run:
    """A workflow of `steps` steps, driven in a thread; its other ends are held here."""

    def __init__(self, steps=10**6, fault=None, at_close=None):
        self.requests = Requests()
        self.saved = False
        self.made = 0
        self._steps, self._fault, self._at_close = steps, fault, at_close
        order_out, order_in = os.pipe()
        event_out, event_in = os.pipe()
        self.stdin = os.fdopen(order_in, "wb", buffering=0)
        self.events = os.fdopen(event_out, "rb")
        self._streams = os.fdopen(order_out, "rb", buffering=0), os.fdopen(event_in, "wb", 0)
        self.status = None
        self._thread = threading.Thread(target=self._drive, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        for stream in (self.stdin, self.events):
            stream.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _drive(self):
        with self._streams[1]:
            self.status = drive(self._work(), self.requests, *self._streams)

    def _work(self):
        try:
            for number in range(1, self._steps + 1):
                if self.requests.take_preview():
                    yield Preview("Training", number, folder=Path("look"))
                if self._fault is not None and number == 3:
                    raise self._fault
                self.made = number
                yield Progress("Training", number, 9, metrics={"loss": math.nan, "rate": 0.5})
        finally:
            self.saved = True
            if self._at_close is not None:
                raise self._at_close
        return Result()

    def order(self, text):
        self.stdin.write(text)

    def rest(self):
        """Return all events to come, as plain data; waits for the end of the run."""
        found = [json.loads(line, parse_constant=pytest.fail) for line in self.events]
        self._thread.join(10)
        return found

    def until(self, event):
        for line in self.events:
            if json.loads(line)["event"] == event:
                return json.loads(line)
        raise AssertionError(f"no {event}")


def test_every_step_and_the_result_are_told():
    with Run(steps=2) as run:
        told = run.rest()
        assert [one["event"] for one in told] == ["progress", "progress", "finished"]
        assert told[1] == {
            "event": "progress",
            "stage": "Training",
            "done": 2,
            "total": 9,
            "message": "",
            "metrics": {"loss": None, "rate": 0.5},
        }
        assert told[2] == {
            "event": "finished",
            "folder": "child",
            "accepted": True,
            "reason": "Better.",
        }
        assert run.status == 0


@pytest.mark.parametrize("how", [b"cancel\n", b"cancel\r\n", b"noise\n\xff\ncancel\nmore", None])
def test_cancel_and_the_end_of_orders_stop_at_the_next_step(how):
    with Run() as run:
        run.until("progress")
        if how is None:
            run.stdin.close()
        else:
            run.order(how)
        told = run.rest()
        assert told[-1] == {"event": "cancelled"}
        assert run.saved
        assert run.status == 130


def test_words_that_are_no_orders_are_ignored():
    with Run(steps=200) as run:
        run.order(b"cancelled\n\npreviews\n{}\ncancel")  # the last one is not ended
        assert run.rest()[-1]["event"] == "finished"


def test_nobody_listens_any_more():
    with Run() as run:
        run.until("progress")
        run.events.close()
        run._thread.join(10)
        assert run.saved
        assert run.status == 130


def test_pause_holds_it_and_a_preview_does_not_end_the_pause():
    with Run() as run:
        run.order(b"pause\n")
        run.until("paused")
        run.order(b"preview\n")
        assert run.until("preview")["folder"] == "look"
        run.order(b"resume\n")
        assert run.until("resumed")
        assert run.until("progress")["done"] >= 1
        run.order(b"pause\n")
        run.until("paused")
        run.order(b"cancel\n")
        assert run.rest()[-1]["event"] == "cancelled"
        assert run.saved


def test_nothing_is_trained_in_a_pause():
    with Run() as run:
        run.order(b"pause\n")
        run.until("paused")
        made = run.made
        time.sleep(0.3)
        assert run.made == made


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (OutputError("The disk is full."), "The disk is full."),
        (MemoryError(), "ran out of memory"),
        (ZeroDivisionError("nought"), "ZeroDivisionError: nought"),
    ],
)
def test_faults_are_told_in_words(fault, said, capsys):
    with Run(fault=fault) as run:
        told = run.rest()
        assert [one["event"] for one in told] == ["progress", "progress", "failed"]
        assert said in told[-1]["message"]
        assert run.status == 1
    assert said in capsys.readouterr().err


def test_ctrl_c_is_a_cancel():
    with Run(fault=KeyboardInterrupt()) as run:
        assert run.rest()[-1]["event"] == "cancelled"


def test_a_checkpoint_that_cannot_be_saved_is_a_failure():
    with Run(at_close=OutputError("The disk is full.")) as run:
        run.until("progress")
        run.order(b"cancel\n")
        assert run.rest()[-1] == {"event": "failed", "message": "The disk is full."}


def test_a_run_without_any_step_is_closed_too():
    with Run(steps=0) as run, closing(run._work()):
        assert [one["event"] for one in run.rest()] == ["finished"]


@pytest.mark.parametrize(
    "line",
    [
        *(b"", b"{", b"[]", b"1", b"null", b'"progress"', b"\xff\xfe", b"{}", b"[" * 10**5),
        *(b'{"event": 1}', b'{"event": "other"}', b'{"event": "progress"}'),
        *(b'{"event": "progress", "stage": "x", "done": "many"}', b'{"event": "failed"}'),
    ],
)
def test_lines_that_are_no_events(line):
    assert from_line(line) is None
