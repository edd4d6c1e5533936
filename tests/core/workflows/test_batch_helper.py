"""A helper process finishes what the network has seen: the same results, and never less."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile

from napari_cellseg.core.arrays import Image
from napari_cellseg.core.batch.folder import BatchFolder
from napari_cellseg.core.batch.image_writer import ImageWriter
from napari_cellseg.core.batch.inputs import find_inputs
from napari_cellseg.core.batch.ledger import Finished
from napari_cellseg.core.batch.queue import Queue, State
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.errors import DataError, OutputError
from napari_cellseg.core.inference.prediction import Prediction
from napari_cellseg.core.postprocess.registry import STEPS
from napari_cellseg.core.progress import finish
from napari_cellseg.core.reading import read_labels
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows import batch as module
from napari_cellseg.core.workflows.batch import batch
from napari_cellseg.core.workflows.helper import helper as helper_module
from napari_cellseg.core.workflows.helper.child import answer
from napari_cellseg.core.workflows.helper.frames import Setup, Task, packed
from napari_cellseg.core.workflows.helper.helper import Helper, helper_for
from napari_cellseg.core.workflows.segment import first_pass
from napari_cellseg.core.workflows.separate import Predicted, Rescale, Seen
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.card import Card

from ._bright import Bright

RECIPE = Recipe(model="bright")
CARD = Card(
    name="bright",
    architecture="by-hand",
    weights_sha256="0" * 64,
    diameter_range=(10, 30),
    object_diameter=16,
)
COMMAND = [sys.executable, "-P", "-m", "napari_cellseg.core.workflows.helper.child"]
WHILE = "from napari_cellseg.core.workflows.helper import child\nreal = child.finish_image\n"
PATIENCE = 120  # s, for a process to start on a busy computer


def squares(side, step, number):
    image = np.zeros((64, 96), np.uint8)
    corners = [(y, x) for y in range(3, 64 - side, step) for x in range(3, 96 - side, step)]
    for y, x in corners[:number]:
        image[y : y + side, x : x + side] = 200
    return image


@pytest.fixture
def model():
    return Model(CARD, Bright().eval())


@pytest.fixture
def images(tmp_path):
    """Four images, one of which the network has to see twice, and a file that is none."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 2, 3):
        tifffile.imwrite(folder / f"f{number}.tif", squares(12, 20, number))
    tifffile.imwrite(folder / "f4.tif", squares(6, 12, 30))
    (folder / "g.tif").write_bytes(b"no image")
    return folder


def setup(folder, **settings):
    return Setup(ImageWriter(BatchFolder(folder), BatchSettings(**settings)), RECIPE)


def ready(line, first):
    """Start a helper and wait for it."""
    helper = Helper(line, first)
    helper._starter.join(PATIENCE)
    return helper


class Used:
    """Lets a batch wait until its helper is ready, and notes what that did."""

    def __init__(self, monkeypatch, script="", before=None):
        self.found, self.helper = [], None
        line = [sys.executable, "-P", "-c", WHILE + script + "\nchild.main()"]
        real = Helper.finish

        def make(inputs, writer, recipe):
            self.helper = ready(line if script else COMMAND, Setup(writer, recipe))
            return self.helper

        def noted(helper, seen, about):
            if before is not None:
                before(helper, about)
            found = real(helper, seen, about)
            self.found.append((about.name, type(found)))
            return found

        # One thread behind: two could come at once, and the second would not wait.
        monkeypatch.setattr(
            "napari_cellseg.core.workflows.batch_pipeline.ThreadPoolExecutor",
            lambda number, name: ThreadPoolExecutor(1, name),
        )
        monkeypatch.setattr(module, "helper_for", make)
        monkeypatch.setattr(Helper, "finish", noted)

    @property
    def names(self):
        return [name for name, kind in self.found if kind is Finished]


def run(images, out, model, **settings):
    queue = Queue(find_inputs([images]))
    steps = batch(queue, RECIPE, out, settings=BatchSettings(**settings), model=model, device="cpu")
    return finish(steps)


def left(out):
    """Return all that a batch left, but for times."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.suffix == ".tif":
            labels = read_labels(path)
            about = {k: v for k, v in labels.provenance.items() if k not in ("seconds", "started")}
            found[name] = (labels.data.tobytes(), labels.data.shape, labels.pixel_size, about)
        elif path.name == "finished.jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            for row in rows:
                assert row["row"].pop("seconds") > 0
                assert row.pop("size") == (out / f"labels/{row['name']}_labels.tif").stat().st_size
            found[name] = sorted(rows, key=lambda row: row["key"])
        elif path.name == "summary.csv":
            table = list(csv.DictReader(path.read_text().splitlines()))
            found[name] = [{k: v for k, v in row.items() if k != "seconds"} for row in table]
        elif path.is_file() and path.name != "lock":
            times = rb'"(seconds|started)": [^,]+'
            found[name] = re.sub(times, b"", path.read_bytes())
    return found


def test_results_are_those_of_threads(images, tmp_path, model, monkeypatch):
    settings = {"measure": True, "formats": ("geojson",)}
    run(images, tmp_path / "threads", model, **settings)
    used = Used(monkeypatch)
    result = run(images, tmp_path / "helper", model, **settings)
    assert [str(item.state) for item in result.items] == ["done"] * 4 + ["failed"]
    assert used.found == [
        ("f1", Finished), ("f2", Finished), ("f3", Finished), ("f4", Rescale), ("f4", Finished),
    ]  # fmt: skip
    threads, helper = left(tmp_path / "threads"), left(tmp_path / "helper")
    assert list(helper) == list(threads)
    for name, wanted in threads.items():
        assert helper[name] == wanted, name
    assert len(threads) == 4 * 3 + 6  # with recipe, plan, ledger, report and both tables


@pytest.mark.parametrize(
    ("script", "by_helper"),
    [
        ("child.finish_image = lambda *a: print('Hello') or real(*a)", True),
        ("child.finish_image = lambda *a: 1 / 0", False),
        ("import os; child.finish_image = lambda *a: os._exit(3)", False),
        ("import os; child.finish_image = lambda *a: real(*a) and os._exit(3)", False),
        ("child.packed = lambda message: b'no pickle'", False),
        ("child.napari_cellseg.__file__ = '/elsewhere/__init__.py'", False),
        ("print('Hello, world')", False),
        ("raise SystemExit", False),
    ],
)
def test_what_goes_wrong_in_it_is_done_again(
    images, tmp_path, model, monkeypatch, script, by_helper
):
    run(images, tmp_path / "threads", model)
    used = Used(monkeypatch, script)
    run(images, tmp_path / "helper", model)
    assert left(tmp_path / "helper") == left(tmp_path / "threads")
    assert used.names == (["f1", "f2", "f3", "f4"] if by_helper else [])
    assert not used.helper.ready
    assert not _threads()


def test_one_that_is_killed_leaves_its_work_to_threads(images, tmp_path, model, monkeypatch):
    run(images, tmp_path / "threads", model)

    def kill(helper, about):
        if about.name == "f2":
            helper._process.kill()

    used = Used(monkeypatch, before=kill)
    run(images, tmp_path / "helper", model)
    assert used.names == ["f1"]
    assert left(tmp_path / "helper") == left(tmp_path / "threads")


@pytest.mark.parametrize("line", [["/nowhere/python"], [sys.executable, "-c", ""]])
def test_one_that_cannot_start_takes_nothing(tmp_path, model, line):
    helper = ready(line, setup(tmp_path))
    assert not helper.ready
    assert helper.finish(*_seen(model)) is None
    helper.close()


class TestErrors:
    def test_a_result_that_cannot_be_written_ends_the_batch_in_the_same_words(
        self, images, tmp_path, model, monkeypatch
    ):
        out = tmp_path / "out"
        (out / "labels" / "f2_labels.tif").mkdir(parents=True)
        with pytest.raises(OutputError) as here:
            run(images, out, model)
        used = Used(monkeypatch)
        with pytest.raises(OutputError) as there:
            run(images, out, model, again=True)
        assert type(there.value) is OutputError
        assert str(there.value) == str(here.value)
        assert "f2" not in used.names

    @pytest.mark.parametrize(
        ("raised", "told"), [("child.CellsegError('Odd.')", "Odd."), ("MemoryError", "memory")]
    )
    def test_others_fail_the_image(self, images, tmp_path, model, monkeypatch, raised, told):
        script = f"""
def refuse(seen, about, writer):
    if about.name == "f2":
        raise {raised}
    return real(seen, about, writer)
child.finish_image = refuse
"""
        used = Used(monkeypatch, script)
        result = run(images, tmp_path / "out", model)
        states = [str(item.state) for item in result.items]
        assert states == ["done", "failed", "done", "done", "failed"]
        assert told in result.items[1].note
        assert used.names == ["f1", "f3", "f4"]

    @pytest.mark.parametrize("error", [OutputError("Full."), DataError("Odd."), MemoryError()])
    def test_what_is_sent_is_what_was_raised(self, model, error):
        class Refusing:
            def write(self, result, image, about):
                raise error

        assert answer(Task(*_seen(model)), Refusing()) is error


def test_what_it_writes_is_not_finished_before_the_batch_says_so(
    images, tmp_path, model, monkeypatch
):
    """As after a crash between both: the file is there, and is made again."""
    out = tmp_path / "out"
    run(images, out, model)
    ledger = out / ".batch" / "finished.jsonl"
    ledger.unlink()
    (out / "labels" / "f1_labels.tif").unlink()
    helper = ready(COMMAND, setup(out))
    seen, about = _seen(model)
    assert helper.finish(seen, about).name == "f1"
    helper.close()
    assert (out / "labels" / "f1_labels.tif").is_file()
    assert not ledger.exists()
    result = run(images, out, model)
    assert result.number(State.DONE) == 4


def test_a_batch_that_is_closed_finishes_what_the_network_has_seen(
    images, tmp_path, model, monkeypatch
):
    used = Used(monkeypatch)
    queue = Queue(find_inputs([images]))
    steps = batch(queue, RECIPE, tmp_path / "out", model=model, device="cpu")
    while queue.items[2].state != State.RUNNING:
        next(steps)
    process = used.helper._process
    steps.close()
    assert [str(item.state) for item in queue.items[:2]] == ["done"] * 2
    assert process.returncode is not None
    assert not _threads()


def test_it_needs_no_torch_and_no_real_image_waits_for_an_import(tmp_path):
    """Other cells than those of the rehearsal, whose contour has a gap as well."""
    foreground, contour = np.zeros((2, 64, 64), np.uint8)
    foreground[10:50, 8:56] = 200
    contour[10:26, 30:32] = contour[34:50, 30:32] = 200
    prediction = Prediction({"foreground": foreground, "contour": contour}, "YX")
    recipe = RECIPE.with_setting("post.contour_ends", 24).with_setting("post.contour_gap", 5)
    seen = Predicted(Image(foreground, "YX", name="f1"), recipe, prediction, "", 0.0, "")
    settings = BatchSettings(measure=True, formats=("geojson", "imagej-roi"))
    first = Setup(ImageWriter(BatchFolder(tmp_path / "out"), settings), recipe)
    script = """
import json, sys
from napari_cellseg.core.workflows.helper import child
real = child.rehearse
def rehearse(*arguments):
    real(*arguments)
    child.known = set(sys.modules)
child.rehearse = rehearse
child.main()
late = sorted(set(sys.modules) - child.known)
sys.stderr.write(json.dumps(["torch" in sys.modules, late]))
"""
    text = b""
    for message in (first, Task(seen, _about())):
        frame = packed(message)
        text += len(frame).to_bytes(8, "little") + frame
    with BatchFolder(tmp_path / "out").held():
        line = [sys.executable, "-P", "-c", script]
        done = subprocess.run(line, input=text, capture_output=True, timeout=PATIENCE, check=True)
    assert json.loads(done.stderr) == [False, []]
    assert read_labels(tmp_path / "out" / "labels" / "f1_labels.tif").n_objects == 2
    assert (tmp_path / "out" / "geojson" / "f1.geojson").is_file()


def test_it_ends_with_its_batch_however_that_ends(tmp_path):
    script = f"""
import sys, time
from pathlib import Path
from napari_cellseg.core.batch.folder import BatchFolder
from napari_cellseg.core.batch.image_writer import ImageWriter
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows.helper.frames import Setup
from napari_cellseg.core.workflows.helper.helper import Helper
writer = ImageWriter(BatchFolder(Path({str(tmp_path)!r})), BatchSettings())
helper = Helper({COMMAND!r}, Setup(writer, Recipe(model="none")))
helper._starter.join()
print(helper._process.pid, flush=True)
time.sleep({PATIENCE})
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, alive = psutil.wait_procs([child], timeout=PATIENCE)
    for one in alive:
        one.kill()
    assert gone


class TestWhatIsSent:
    @pytest.fixture
    def helper(self, tmp_path):
        with BatchFolder(tmp_path / "out").held():
            helper = ready(COMMAND, setup(tmp_path / "out"))
            yield helper
            helper.close()

    def test_is_not_on_disk_nor_large(self, helper, model, monkeypatch):
        seen, about = _seen(model)
        on_disk = Seen(**{**vars(seen), "prediction": seen.prediction.on_disk()})
        assert helper.finish(on_disk, about) is None
        lazy = Image(memoryview_of(seen.image.data), "YX", name="f1")
        assert helper.finish(Seen(**{**vars(seen), "image": lazy}), about) is None
        size = seen.image.data.nbytes + sum(one.nbytes for one in seen.prediction.maps.values())
        monkeypatch.setattr(helper_module, "LARGEST_BYTES", size - 1)
        assert helper.finish(seen, about) is None
        monkeypatch.setattr(helper_module, "LARGEST_BYTES", size)
        assert isinstance(helper.finish(seen, about), Finished)

    def test_is_one_at_a_time(self, helper, model):
        with helper._talk:
            assert helper.finish(*_seen(model)) is None
        assert isinstance(helper.finish(*_seen(model)), Finished)


class TestStarted:
    @pytest.fixture
    def lines(self, monkeypatch):
        lines = []
        monkeypatch.setattr(helper_module, "Helper", lambda line, first: lines.append(line))
        monkeypatch.setattr(helper_module, "processors", lambda: 2)
        monkeypatch.setattr(helper_module, "FEWEST", 5)
        return lines

    def test_for_many_small_images(self, images, tmp_path, lines):
        helper_for(find_inputs([images]), setup(tmp_path).writer, RECIPE)
        assert [line[1:] for line in lines] == [COMMAND[1:]]
        assert Path(lines[0][0]).samefile(sys.executable)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("FEWEST", 6),
            ("LARGEST_BYTES", 100),
            ("processors", lambda: 1),
            ("find_python", lambda: None),
        ],
    )
    def test_not_where_it_does_not_pay(self, images, tmp_path, lines, monkeypatch, name, value):
        monkeypatch.setattr(helper_module, name, value)
        assert helper_for(find_inputs([images]), setup(tmp_path).writer, RECIPE) is None
        assert not lines

    def test_not_where_it_would_lack_a_step(self, images, tmp_path, lines, monkeypatch):
        STEPS.names()  # to find those of the package
        foreign = type("Foreign", (), {"__module__": "their.plugin"})
        monkeypatch.setitem(STEPS._members, "foreign", foreign)
        assert helper_for(find_inputs([images]), setup(tmp_path).writer, RECIPE) is None
        assert not lines


def memoryview_of(array):
    """Return pixels that are an array of a kind of its own."""
    return array.view(type("Lazy", (np.ndarray,), {}))


def _about():
    return Finished(key="k", state="s", recipe="r", name="f1", row={})


def _seen(model):
    image = Image(squares(12, 20, 1), "YX", name="f1")
    return finish(first_pass(image, RECIPE, model=model, device="cpu")).seen, _about()


def _threads():
    return [one for one in threading.enumerate() if one.name.startswith("napari-cellseg-")]
