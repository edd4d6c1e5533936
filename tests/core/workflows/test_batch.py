"""Many images under one recipe: done once, told when bad, taken up again after a crash."""

from __future__ import annotations

import csv
import json
import os
import threading

import numpy as np
import pytest
import tifffile

from napari_cellseg.core import files
from napari_cellseg.core.arrays import Image
from napari_cellseg.core.batch.inputs import BatchInput, find_inputs
from napari_cellseg.core.batch.ledger import Ledger
from napari_cellseg.core.batch.plan import read_plan
from napari_cellseg.core.batch.queue import FINISHED_BEFORE, Queue, State
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.core.errors import (
    DataError,
    DeviceError,
    ModelError,
    OutputError,
    UnknownNameError,
)
from napari_cellseg.core.export.registry import EXPORTERS
from napari_cellseg.core.progress import finish
from napari_cellseg.core.reading import read_image, read_labels
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.workflows import batch_pipeline as module
from napari_cellseg.core.workflows.batch import batch
from napari_cellseg.core.workflows.segment import segment
from napari_cellseg.core.workflows.separate import Seen
from napari_cellseg.core.zoo.bundle import Model
from napari_cellseg.core.zoo.card import Card

from ._bright import Bright

RECIPE = Recipe(model="bright")
HASH = "0" * 64


@pytest.fixture
def model():
    card = Card(name="bright", architecture="by-hand", weights_sha256=HASH)
    return Model(card, Bright().eval())


def squares(number):
    image = np.zeros((64, 96), np.uint8)
    for k in range(number):
        image[5 + 20 * (k // 4) : 17 + 20 * (k // 4), 5 + 22 * (k % 4) : 17 + 22 * (k % 4)] = 200
    return image


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 2, 3, 4):
        tifffile.imwrite(folder / f"f{number}.tif", squares(number), resolution=(1e4, 2e4),
                         resolutionunit="CENTIMETER")  # fmt: skip
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def run(where, out, model, recipe=RECIPE, **options):
    queue = where if isinstance(where, Queue) else Queue(find_inputs([where]))
    settings = BatchSettings(**options)
    return finish(batch(queue, recipe, out, settings=settings, model=model, device="cpu"))


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def states(result):
    return [str(item.state) for item in result.items]


def test_every_image_gives_the_labels_of_segment_in_a_predictable_tree(images, out, model):
    result = run(images, out, model)
    assert states(result) == ["done"] * 4
    assert [item.objects for item in result.items] == [1, 2, 3, 4]
    found = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert [name for name in found if not name.startswith(".batch")] == [
        *(f"labels/f{n}_labels.tif" for n in (1, 2, 3, 4)),
        "recipe.json",
        "report.txt",
        "summary.csv",
    ]
    for number in (1, 2, 3, 4):
        labels = read_labels(out / "labels" / f"f{number}_labels.tif")
        image = read_image(images / f"f{number}.tif")
        wanted = finish(segment(image, RECIPE, model=model, device="cpu"))
        np.testing.assert_array_equal(labels.data, wanted.labels.data)
        assert labels.provenance["recipe"] == wanted.record.recipe
        assert labels.pixel_size == pytest.approx(wanted.labels.pixel_size)
    assert Recipe.load(out / "recipe.json") == RECIPE.replace(weights_sha256=HASH)
    summary = rows(out / "summary.csv")
    assert [row["image"] for row in summary] == ["f1", "f2", "f3", "f4"]
    assert [row["objects"] for row in summary] == ["1", "2", "3", "4"]
    assert [row["state"] for row in summary] == ["done"] * 4
    assert (out / "report.txt").read_text() == "4 of 4 images are segmented.\n"


def test_one_table_holds_the_objects_of_all_images(images, out, model):
    run(images, out, model, measure=True)
    table = rows(out / "measurements.csv")
    assert [row["image"] for row in table] == ["f1"] + ["f2"] * 2 + ["f3"] * 3 + ["f4"] * 4
    for number in (1, 4):
        labels = read_labels(out / "labels" / f"f{number}_labels.tif").data
        mine = [row for row in table if row["image"] == f"f{number}"]
        areas = {int(row["label"]): float(row["area_px"]) for row in mine}
        assert areas == {n: (labels == n).sum() for n in range(1, number + 1)}


def test_a_bad_file_is_told_and_left_out(images, out, model):
    (images / "f2.tif").write_bytes(b"no image")
    queue = Queue(find_inputs([images]))
    told = [step.message for step in batch(queue, RECIPE, out, model=model, device="cpu")]
    assert [str(item.state) for item in queue.items] == ["done", "failed", "done", "done"]
    note = queue.items[1].note
    assert "f2.tif" in note
    assert [one for one in told if one] == [f"f2.tif: {note}"]
    report = (out / "report.txt").read_text()
    assert "1 could not be segmented" in report
    assert f"{images / 'f2.tif'}: {note}" in report
    row = rows(out / "summary.csv")[1]
    assert (row["state"], row["note"], row["objects"]) == ("failed", note, "")
    assert not (out / "labels" / "f2_labels.tif").exists()


class TestResumed:
    def test_finished_files_are_not_done_again(self, images, out, model, monkeypatch):
        run(images, out, model, measure=True)
        seen, real = [], module.first_pass
        monkeypatch.setattr(
            module,
            "first_pass",
            lambda image, *a, **k: seen.append(image.name) or real(image, *a, **k),
        )
        table, summary = (out / "measurements.csv").read_bytes(), rows(out / "summary.csv")
        tifffile.imwrite(images / "f5.tif", squares(5))
        result = run(images, out, model, measure=True)
        assert states(result) == ["skipped"] * 4 + ["done"]
        assert {item.note for item in result.items[:4]} == {FINISHED_BEFORE}
        assert seen == ["f5"]
        assert (out / "measurements.csv").read_bytes().startswith(table)
        assert rows(out / "summary.csv")[:4] == [
            {**row, "note": FINISHED_BEFORE} for row in summary
        ]

    @pytest.mark.parametrize(
        ("change", "again"),
        [
            (lambda images, out: os.utime(images / "f2.tif", (1, 1)), [1]),
            (lambda images, out: tifffile.imwrite(images / "f3.tif", squares(6)), [2]),
            (lambda images, out: (out / "labels" / "f4_labels.tif").unlink(), [3]),
            (lambda images, out: (out / "labels" / "f1_labels.tif").write_bytes(b"II"), [0]),
            (lambda images, out: (out / ".batch" / "finished.jsonl").unlink(), [0, 1, 2, 3]),
        ],
    )
    def test_what_changed_is_done_again(self, images, out, model, change, again):
        run(images, out, model)
        change(images, out)
        done = [n for n, state in enumerate(states(run(images, out, model))) if state == "done"]
        assert done == again

    def test_a_wish_does_everything_again(self, images, out, model):
        run(images, out, model)
        assert states(run(images, out, model, again=True)) == ["done"] * 4

    def test_results_of_another_recipe_are_replaced_only_on_request(self, images, out, model):
        run(images, out, model)
        other = RECIPE.with_setting("post.min_area", 7)
        with pytest.raises(OutputError, match=r"another recipe \(4 images\)"):
            run(images, out, model, other)
        assert Recipe.load(out / "recipe.json").post.min_area == RECIPE.post.min_area
        assert states(run(images, out, model)) == ["skipped"] * 4
        only = Queue(find_inputs([images / "f1.tif"]))
        assert states(run(only, out, model, other, again=True)) == ["done"]
        assert Recipe.load(out / "recipe.json").post.min_area == 7
        # what was replaced, and what was not asked for again, is forgotten
        assert states(run(images, out, model, other)) == ["skipped"] + ["done"] * 3

    def test_results_of_other_images_are_replaced_only_on_request(
        self, images, tmp_path, out, model
    ):
        run(images, out, model)
        before = (out / "labels" / "f2_labels.tif").read_bytes()
        other = tmp_path / "other" / "f2.tif"
        other.parent.mkdir()
        tifffile.imwrite(other, squares(2)[::-1])
        with pytest.raises(OutputError, match=r"other images with the same names \('f2' of '.*f2"):
            run(Queue(find_inputs([other])), out, model)
        assert (out / "labels" / "f2_labels.tif").read_bytes() == before
        assert states(run(images, out, model)) == ["skipped"] * 4
        assert states(run(Queue(find_inputs([other])), out, model, again=True)) == ["done"]
        # also where the new file happens to be as large as the old one
        ledger = Ledger(out / ".batch" / "finished.jsonl")
        keys = [one.key for one in find_inputs([images, other])]
        assert [ledger.knows(key) for key in keys] == [True, False, True, True, True]

    def test_all_images_of_the_same_name_together_are_told_apart(
        self, images, tmp_path, out, model
    ):
        run(images, out, model)
        other = tmp_path / "other" / "f2.tif"
        other.parent.mkdir()
        tifffile.imwrite(other, squares(2)[::-1])
        result = run(Queue(find_inputs([images, other])), out, model)
        assert states(result) == ["skipped", "done", "skipped", "skipped", "done"]

    def test_what_was_not_measured_is_done_again_but_not_the_reverse(self, images, out, model):
        run(images, out, model)
        assert states(run(images, out, model, measure=True)) == ["done"] * 4
        assert states(run(images, out, model)) == ["skipped"] * 4
        assert states(run(images, out, model, measure=True)) == ["skipped"] * 4

    @pytest.mark.parametrize("tail", [b'{"schema_version": 1, "key": "x', b"\x00\xff\n", b"[]\n"])
    def test_a_line_cut_off_by_a_crash_costs_that_image_alone(self, images, out, model, tail):
        run(images, out, model)
        ledger = out / ".batch" / "finished.jsonl"
        lines = ledger.read_bytes().splitlines(keepends=True)
        ledger.write_bytes(b"".join(lines[:-1]) + tail)  # in the order in which they were finished
        assert sorted(states(run(images, out, model))) == ["done"] + ["skipped"] * 3
        assert states(run(images, out, model)) == ["skipped"] * 4

    def test_a_batch_that_was_killed_goes_on_where_it_was(self, images, out, model):
        queue = Queue(find_inputs([images]))
        steps = batch(queue, RECIPE, out, model=model, device="cpu")
        while queue.counts()[State.DONE] < 1:
            next(steps)
        steps.close()
        done = queue.counts()[State.DONE]
        assert 1 <= done < 4
        assert sum(row["state"] == "done" for row in rows(out / "summary.csv")) == done
        assert states(run(images, out, model)) == ["skipped"] * done + ["done"] * (4 - done)

    def test_a_newer_version_is_not_overwritten(self, images, out, model):
        run(images, out, model)
        ledger = out / ".batch" / "finished.jsonl"
        newer = json.dumps({"schema_version": 2}).encode() + b"\n"
        ledger.write_bytes(newer)
        with pytest.raises(DataError, match="newer version"):
            run(images, out, model)
        assert ledger.read_bytes() == newer


class TestCancelled:
    def test_one_that_waits_and_one_that_runs(self, images, out, model):
        queue = Queue(find_inputs([images]))
        queue.cancel(2)
        steps = batch(queue, RECIPE, out, model=model, device="cpu")
        for _ in steps:
            if queue.items[1].state == State.RUNNING and not queue.is_cancelled(1):
                queue.cancel(1)
        assert [str(item.state) for item in queue.items] == ["done", "skipped", "skipped", "done"]
        assert {queue.items[n].note for n in (1, 2)} == {"Cancelled."}
        assert not (out / "labels" / "f2_labels.tif").exists()
        queue.cancel(0)  # too late
        assert queue.items[0].state == State.DONE

    def test_all(self, images, out, model):
        queue = Queue(find_inputs([images]))
        steps = batch(queue, RECIPE, out, model=model, device="cpu")
        while queue.items[0].state != State.RUNNING:
            next(steps)
        queue.cancel_all()
        result = finish(steps)
        assert states(result) == ["skipped"] * 4
        assert "4 are not done" in (out / "report.txt").read_text()


class TestStopped:
    def test_a_full_disk_ends_the_batch_in_words(self, images, out, model, monkeypatch):
        write = module.BatchWriter.write

        def full(self, result, image, finished):
            if finished.name == "f2":
                raise files.output_error(out / "x", OSError(28, "No space left on device"))
            return write(self, result, image, finished)

        monkeypatch.setattr(module.BatchWriter, "write", full)
        with pytest.raises(OutputError, match="disk is full"):
            run(images, out, model)
        monkeypatch.undo()
        assert states(run(images, out, model))[:2] == ["skipped", "done"]

    def test_a_broken_device_ends_it(self, images, out, model, monkeypatch):
        def broken(*arguments, **options):
            raise DeviceError("The device is gone.")
            yield

        monkeypatch.setattr(module, "first_pass", broken)
        with pytest.raises(DeviceError):
            run(images, out, model)
        assert threading.active_count() == 1 or not _threads()

    def test_too_little_memory_for_one_does_not(self, images, out, model, monkeypatch):
        real = module.first_pass

        def greedy(image, *arguments, **options):
            if image.name == "f2":
                raise MemoryError
            return (yield from real(image, *arguments, **options))

        monkeypatch.setattr(module, "first_pass", greedy)
        result = run(images, out, model)
        assert states(result) == ["done", "failed", "done", "done"]
        assert "memory" in result.items[1].note

    def test_two_batches_do_not_share_a_folder(self, images, out, model):
        steps = batch(Queue(find_inputs([images])), RECIPE, out, model=model, device="cpu")
        while not (out / "recipe.json").exists():
            next(steps)
        with pytest.raises(OutputError, match="Another batch"):
            run(images, out, model)
        steps.close()
        assert not _threads()

    def test_other_weights_are_refused_before_anything_is_written(self, images, out, model):
        with pytest.raises(ModelError):
            run(images, out, model, RECIPE.replace(weights_sha256="1" * 64))
        assert not out.exists()


def small_squares():
    image = np.zeros((64, 96), np.uint8)
    for y in range(3, 54, 12):
        for x in range(3, 86, 12):
            image[y : y + 6, x : x + 6] = 200
    return image


def test_images_that_the_network_sees_twice_give_the_labels_of_segment(images, out, model):
    card = model.card.replace(diameter_range=(10, 30), object_diameter=16)
    model = Model(card, model.network)
    tifffile.imwrite(images / "f2.tif", small_squares())
    result = run(images, out, model)
    assert states(result) == ["done"] * 4
    wanted = finish(segment(read_image(images / "f2.tif"), RECIPE, model=model, device="cpu"))
    assert wanted.prediction.scale == 2  # or it would not be seen twice
    labels = read_labels(out / "labels" / "f2_labels.tif")
    np.testing.assert_array_equal(labels.data, wanted.labels.data)
    assert labels.provenance["steps"] == list(wanted.record.steps)
    assert labels.provenance["scale"] == 2


def test_one_cancelled_between_both_looks_is_left_out(images, out, model, monkeypatch):
    card = model.card.replace(diameter_range=(10, 30), object_diameter=16)
    tifffile.imwrite(images / "f2.tif", small_squares())
    queue, settled = Queue(find_inputs([images])), Seen.settled

    def cancelling(self):
        if self.image.name == "f2":
            queue.cancel(1, "Not that one.")
        return settled(self)

    monkeypatch.setattr(Seen, "settled", cancelling)
    result = run(queue, out, Model(card, model.network))
    assert states(result) == ["done", "skipped", "done", "done"]
    assert result.items[1].note == "Not that one."
    assert not (out / "labels" / "f2_labels.tif").exists()


class TestFormats:
    def test_other_formats_lie_beside_the_labels_and_are_done_when_asked_for(
        self, images, out, model
    ):
        run(images, out, model)
        assert states(run(images, out, model, formats=("imagej-roi",))) == ["done"] * 4
        assert (out / "imagej-roi" / "f3.zip").is_file()
        assert states(run(images, out, model, formats=("imagej-roi",))) == ["skipped"] * 4
        assert states(run(images, out, model)) == ["skipped"] * 4
        (out / "imagej-roi" / "f3.zip").unlink()
        again = states(run(images, out, model, formats=("imagej-roi",)))
        assert again == ["skipped", "skipped", "done", "skipped"]

    def test_an_unknown_one_is_told_before_anything_is_done(self, images, out, model):
        with pytest.raises(UnknownNameError):
            run(images, out, model, formats=("papyrus",))
        assert not out.exists()

    def test_what_a_format_refuses_fails_that_image_and_what_the_disk_refuses_all(
        self, images, out, model, monkeypatch
    ):
        kind = EXPORTERS["geojson"]
        write, disk = kind.write, [False]

        def refusing(self, labels, path, *others):
            if path.stem == "f2":
                if not disk[0]:
                    raise OutputError("Odd.")
                full = OSError(28, "No space left on device")
                raise files.output_error(path, full) from full
            return write(self, labels, path, *others)

        monkeypatch.setattr(kind, "write", refusing)
        result = run(images, out, model, formats=("geojson",))
        assert states(result) == ["done", "failed", "done", "done"]
        assert result.items[1].note == "Odd."
        disk[0] = True
        with pytest.raises(OutputError, match="disk is full"):
            run(images, out, model, formats=("geojson",))


def test_what_was_to_be_done_can_be_read_from_the_folder(images, out, model):
    queue = Queue([*find_inputs([images]), BatchInput("made", image=Image(squares(2), "YX"))])
    run(queue, out, model, measure=True, again=True)
    plan, recipe = read_plan(out)
    assert recipe == RECIPE.replace(weights_sha256=HASH)
    assert [one.key for one in plan.inputs()] == [item.input.key for item in queue.items[:4]]
    assert plan.layers == ("made",)
    assert plan.settings == BatchSettings(measure=True)
    file = out / ".batch" / "plan.json"
    for text, match in (
        ("{", "cannot be read"),
        ('{"schema_version": 2}', "newer version"),
        ('{"images": 3}', "cannot be taken up"),
        ("[]", "cannot be taken up"),
    ):
        file.write_text(text)
        with pytest.raises(DataError, match=match):
            read_plan(out)
    file.unlink()
    with pytest.raises(DataError, match="no batch"):
        read_plan(out)


def _threads():
    return [one for one in threading.enumerate() if one.name.startswith("napari-cellseg-")]


def test_loading_and_writing_go_on_while_the_network_computes(images, out, model, monkeypatch):
    """The network waits until the next image is loaded and the last one is being written."""
    loaded, writing = threading.Semaphore(0), threading.Semaphore(0)
    met = []
    load, write, network = BatchInput.load, module.BatchWriter.write, module.first_pass

    def loading(self):
        image = load(self)
        loaded.release()
        return image

    def writes(self, result, image, finished):
        writing.release()
        return write(self, result, image, finished)

    def computing(image, *arguments, **options):
        if image.name == "f2":
            # its own image and those of f1 and f3; of f1 the objects
            met.extend(loaded.acquire(timeout=20) for _ in range(3))
            met.append(writing.acquire(timeout=20))
        return (yield from network(image, *arguments, **options))

    monkeypatch.setattr(BatchInput, "load", loading)
    monkeypatch.setattr(module.BatchWriter, "write", writes)
    monkeypatch.setattr(module, "first_pass", computing)
    assert states(run(images, out, model)) == ["done"] * 4
    assert met == [True] * 4


@pytest.mark.parametrize("large", [False, True])
def test_no_more_is_loaded_ahead_than_fits(images, out, model, monkeypatch, large):
    """Of large images: the next one while the network computes, and no third one."""
    lock, open_now, most = threading.Lock(), set(), []
    load, write = BatchInput.load, module.BatchWriter.write

    def loading(self):
        with lock:
            open_now.add(self.name)
            most.append(len(open_now))
        return load(self)

    def writes(self, result, image, finished):
        noted = write(self, result, image, finished)
        with lock:
            open_now.discard(finished.name)
        return noted

    for number in range(5, 12):
        tifffile.imwrite(images / f"f{number}.tif", squares(number))
    monkeypatch.setattr(BatchInput, "load", loading)
    monkeypatch.setattr(module.BatchWriter, "write", writes)
    if large:
        monkeypatch.setattr(module, "_LARGE", 100)  # bytes, and pixels
    run(images, out, model)
    assert max(most) <= (2 if large else module.AHEAD + module.BEHIND + 1)


def test_layers_and_time_series(out, model):
    stack = np.stack([squares(2), squares(5)])
    inputs = [BatchInput("stack", image=Image(stack, "TYX", name="stack"))]
    result = run(Queue(inputs), out, model, measure=True)
    assert result.items[0].objects == 7
    assert [row["t"] for row in rows(out / "measurements.csv")] == ["0"] * 2 + ["1"] * 5
    assert states(run(Queue(inputs), out, model, measure=True)) == ["skipped"]
    other = [BatchInput("stack", image=Image(stack[::-1], "TYX", name="stack"))]
    assert states(run(Queue(other), out, model, measure=True)) == ["done"]
