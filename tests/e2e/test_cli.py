"""The command line: images and folders in, labels and recipes out, words where it fails."""

import csv
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.measure import label

from napari_cellseg import api, cli
from napari_cellseg.cli import console, demo
from napari_cellseg.cli.console import follow, say
from napari_cellseg.core import files, samples
from napari_cellseg.core.batch.names import result_names
from napari_cellseg.core.errors import CellsegError
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.reading import read_image, read_labels
from napari_cellseg.core.recipe import Recipe
from napari_cellseg.core.zoo.self_test import add_self_test
from napari_cellseg.core.zoo.store import list_models


def squares(number=3, dtype=np.uint8):
    image = np.zeros((96, 128), dtype)
    for k in range(number):
        image[10 + 20 * (k % 4) : 22 + 20 * (k % 4), 10 + 30 * (k // 4) : 24 + 30 * (k // 4)] = 200
    return image


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (2, 5):
        tifffile.imwrite(folder / f"field{number}.tif", squares(number))
    return folder


@pytest.fixture
def run(capsys):
    """Run a command; return its status, what it said and what it complained about."""

    def run(*arguments):
        status = cli.main([str(one) for one in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return run


class TestSegment:
    def test_folder_to_labels_and_recipes(self, run, images, bright_model, tmp_path):
        out = tmp_path / "new" / "out"
        status, said, _ = run("segment", images, "--model", bright_model, "-o", out)
        assert status == 0
        assert sorted(path.name for path in out.iterdir()) == [
            "field2_labels.tif",
            "field2_recipe.json",
            "field5_labels.tif",
            "field5_recipe.json",
        ]
        for number in (2, 5):
            labels = read_labels(out / f"field{number}_labels.tif")
            assert labels.n_objects == number
            np.testing.assert_array_equal(labels.data > 0, squares(number) > 0)
            assert labels.provenance["model"] == bright_model
            assert labels.provenance["objects"] == number
            assert f"{number} objects" in said

    def test_recipe_repeats_a_run_bit_for_bit(self, run, images, bright_model, tmp_path):
        image = images / "field5.tif"
        rng = np.random.default_rng(0)
        noisy = np.clip(squares(5) / 3 + rng.normal(40, 25, (96, 128)), 0, 255).astype(np.uint8)
        tifffile.imwrite(image, noisy)
        first, second = tmp_path / "first", tmp_path / "second"
        settings = ("--set", "post.min_area=9", "--set", "post.growth=1")
        assert run("segment", image, "--model", bright_model, *settings, "-o", first)[0] == 0
        recipe = first / "field5_recipe.json"
        assert Recipe.load(recipe).post.min_area == 9
        assert run("segment", image, "--recipe", recipe, "-o", second)[0] == 0
        one, two = (read_labels(folder / "field5_labels.tif") for folder in (first, second))
        assert one.n_objects > 5
        np.testing.assert_array_equal(one.data, two.data)
        assert recipe.read_bytes() == (second / recipe.name).read_bytes()
        by_api = api.segment(image, recipe=recipe)
        np.testing.assert_array_equal(by_api.labels.data, one.data)

    def test_settings_reach_the_result(self, run, images, bright_model, tmp_path):
        base = ("segment", images / "field2.tif", "--model", bright_model, "-o", tmp_path / "o")
        status, said, _ = run(*base, "--set", "post.min_area=1000")
        assert status == 0
        assert "0 objects" in said

    def test_scale_and_axes_are_kept(self, run, bright_model, tmp_path):
        path = tmp_path / "time.ome.tif"
        metadata = {"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
        tifffile.imwrite(path, np.stack([squares(2), squares(3)]), ome=True, metadata=metadata)
        assert run("segment", path, "--model", bright_model, "-o", tmp_path)[0] == 0
        labels = read_labels(tmp_path / "time_labels.tif")
        assert (labels.axes, labels.pixel_size) == ("TYX", (0.25, 0.5))
        assert labels.n_objects == 5

    def test_bad_files_are_skipped_and_reported(self, run, images, bright_model, tmp_path):
        (images / "empty.tif").touch()
        (images / "notes.tif").write_text("not an image")
        status, said, complaints = run(
            "segment", images, images / "none.tif", "--model", bright_model, "-o", tmp_path / "o"
        )
        assert status == 1
        assert said.count("objects") == 2
        assert "empty.tif' is empty" in complaints
        assert "notes.tif' is not an image" in complaints
        assert "none.tif': check the path" in complaints
        assert "3 of 5 images could not be segmented" in complaints
        assert len(list((tmp_path / "o").iterdir())) == 4

    def test_doubtful_axes_are_asked_for(self, run, bright_model, tmp_path):
        path = tmp_path / "stack.npy"
        np.save(path, np.stack([squares(2), squares(3)]))
        base = ("segment", path, "--model", bright_model, "-o", tmp_path / "o")
        status, _, complaints = run(*base)
        assert status == 1
        assert "not clear what the axes" in complaints
        assert run(*base, "--axes", "ZYX")[0] == 0
        assert read_labels(tmp_path / "o/stack_labels.tif").axes == "ZYX"
        assert run(*base, "--axes", "CYX", "--channels", "1", "--overwrite", "replace")[0] == 0
        labels = read_labels(tmp_path / "o/stack_labels.tif")
        assert (labels.axes, labels.n_objects) == ("YX", 3)

    @pytest.mark.parametrize(("policy", "status"), [("refuse", 1), ("skip", 0), ("replace", 0)])
    def test_existing_results(self, run, images, bright_model, tmp_path, policy, status):
        target = tmp_path / "field2_labels.tif"
        target.write_bytes(b"precious")
        found, _, complaints = run(
            "segment", images, "--model", bright_model, "-o", tmp_path, "--overwrite", policy
        )
        assert found == status
        assert (target.read_bytes() == b"precious") is (policy != "replace")
        assert ("exists already" in complaints) is (policy == "refuse")
        assert (tmp_path / "field5_labels.tif").exists()

    def test_wrong_number_of_channels(self, run, bright_model, tmp_path):
        path = tmp_path / "five.tif"
        tifffile.imwrite(path, np.zeros((5, 96, 128), np.uint8), ome=True, metadata={"axes": "CYX"})
        status, _, complaints = run("segment", path, "--model", bright_model, "-o", tmp_path)
        assert status == 1
        assert "channel" in complaints

    @pytest.mark.parametrize(
        "pixels",
        [
            np.full((40, 50), 7, np.uint16),
            np.zeros((40, 50)),
            np.zeros((1, 50), np.uint8),
            np.zeros((50, 1), np.float32),
            np.zeros((1, 1), np.uint8),
            np.full((40, 50), np.nan),
            np.full((40, 50), np.inf),
        ],
        ids=["constant", "zero", "1-px-high", "1-px-wide", "1-px", "nan", "inf"],
    )
    def test_images_without_cells_have_no_cells(self, run, bright_model, tmp_path, pixels):
        np.save(tmp_path / "a.npy", pixels)
        status, said, _ = run(
            "segment", tmp_path / "a.npy", "--model", bright_model, "-o", tmp_path
        )
        assert status == 0
        assert "0 objects" in said
        assert read_labels(tmp_path / "a_labels.tif").data.shape == pixels.shape

    @pytest.mark.parametrize(
        "change",
        [
            lambda a: a.astype(">u2"),
            lambda a: a.astype(np.float64) * 1e6 - 1e8,
            lambda a: np.where(np.indices(a.shape).sum(0) == 0, np.nan, a),
            lambda a: np.where(np.indices(a.shape).sum(0) == 0, np.inf, a),
            lambda a: a.astype(np.int32) - 100,
            lambda a: a > 0,
        ],
        ids=["big-endian", "float64", "nan", "inf", "negative", "bool"],
    )
    def test_every_number_type_gives_the_same_cells(self, run, bright_model, tmp_path, change):
        np.save(tmp_path / "a.npy", change(squares(5)))
        assert run("segment", tmp_path / "a.npy", "--model", bright_model, "-o", tmp_path)[0] == 0
        labels = read_labels(tmp_path / "a_labels.tif").data
        np.testing.assert_array_equal(labels > 0, squares(5) > 0)

    @pytest.mark.parametrize("kind", ["rgb", "rgb16", "rgba", "palette"])
    def test_colour_files(self, run, bright_model, tmp_path, kind):
        path = tmp_path / "colour.tif"
        rgb = np.dstack([squares(5)] * 3)
        if kind == "rgba":
            rgba = np.dstack([rgb, np.full((96, 128), 255, np.uint8)])
            tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"])
        elif kind == "palette":
            palette = np.zeros((3, 256), np.uint16)
            palette[:, 3] = 60000  # not a scale of intensities: 4 is black again
            indices = np.where(squares(5) > 0, 3, 4).astype(np.uint8)
            tifffile.imwrite(path, indices, photometric="palette", colormap=palette)
        else:
            deep = rgb.astype(np.uint16) * 256 if kind == "rgb16" else rgb
            tifffile.imwrite(path, deep, photometric="rgb")
        assert run("segment", path, "--model", bright_model, "-o", tmp_path)[0] == 0
        labels = read_labels(tmp_path / "colour_labels.tif").data
        np.testing.assert_array_equal(labels > 0, squares(5) > 0)

    def test_output_that_cannot_be_made(self, run, images, bright_model, tmp_path):
        (tmp_path / "file").touch()
        status, _, complaints = run(
            "segment", images, "--model", bright_model, "-o", tmp_path / "file" / "out"
        )
        assert status == 1
        assert complaints.strip().endswith("choose another folder.")

    def test_full_disk(self, run, images, bright_model, tmp_path, monkeypatch):
        def full(descriptor):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(files.os, "fsync", full)
        out = tmp_path / "o"
        status, _, complaints = run("segment", images, "--model", bright_model, "-o", out)
        assert status == 1
        assert complaints.count("the disk is full") == 2
        assert not list(out.iterdir())

    def test_ctrl_c(self, run, images, bright_model, tmp_path, monkeypatch):
        from napari_cellseg.core.workflows import segment as module

        real, ended = module.segment, []

        def interrupted(*args, **kwargs):
            try:
                step = yield from real(*args, **kwargs)
                if ended:
                    return step
                ended.append("first")
                raise KeyboardInterrupt
            finally:
                ended.append("closed")

        monkeypatch.setattr(module, "segment", interrupted)
        out = tmp_path / "o"
        status, _, complaints = run("segment", images, "--model", bright_model, "-o", out)
        assert status == 130
        assert complaints.strip().endswith("are kept.")
        assert ended == ["first", "closed"]
        assert not list(out.iterdir())

    @pytest.mark.parametrize(
        ("options", "status", "words"),
        [
            (["--set", "post.min_aera=3"], 2, "min_aera"),
            (["--set", "post.min_area=red"], 2, "min_area"),
            (["--set", "min_area"], 2, "NAME=VALUE"),
            (["--channels", "red"], 2, "numbers from 0"),
            (["--diameter", "-3"], 2, "diameter"),
            (["--device", "quantum"], 2, "quantum"),
            (["--model", "brihgt"], 1, "Did you mean 'bright'"),
            (["--recipe", "none.json"], 2, "none.json"),
            (["--overwrite", "perhaps"], 2, "perhaps"),
        ],
    )
    def test_wrong_options(self, run, images, bright_model, tmp_path, options, status, words):
        base = ["segment", images, "-o", tmp_path / "o"]
        if "--model" not in options:
            base += ["--model", bright_model]
        found, _, complaints = run(*base, *options)
        assert found == status
        assert words in complaints


class TestNames:
    def test_equal_stems_stay_apart(self, tmp_path):
        paths = [
            tmp_path / one
            for one in ("a/x.tif", "b/x.tif", "b/y.png", "c/z.tif", "c/z.png", "c/Z.ome.tif")
        ]
        assert list(result_names(paths).values()) == [
            "a_x",
            "b_x",
            "y",
            "c_z_tif",
            "c_z_png",
            "c_Z_ome_tif",
        ]

    def test_names_are_unique_whatever_happens(self, tmp_path):
        paths = [tmp_path / one for one in ("p/a/x.tif", "q/a/x.tif", "a_x_tif.png", "r/a_x.tif")]
        names = list(result_names(paths).values())
        assert len({name.casefold() for name in names}) == 4


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    for number in (3, 4):
        tifffile.imwrite(folder / f"images/f{number}.tif", squares(number))
        true = label(squares(number)).astype(np.uint16)
        tifffile.imwrite(folder / f"labels/f{number}.tif", true)
    (folder / "split.json").write_text(json.dumps({"train": ["f3"], "val": ["f4"]}))
    return folder


class TestEvaluate:
    def test_model(self, run, data, bright_model, tmp_path):
        status, said, _ = run(
            "evaluate", "--data", data, "--model", bright_model, "-o", tmp_path / "scores"
        )
        assert status == 0
        assert "1.000" in said
        with (tmp_path / "scores/evaluation.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        assert [row["name"] for row in rows] == ["f4"]

    def test_labels_made_elsewhere(self, run, data):
        status, said, _ = run(
            "evaluate", "--data", data, "--labels", data / "labels", "--part", "all", "--json"
        )
        assert status == 0
        assert json.loads(said)["overall"]["images"] == 2

    def test_no_data(self, run, tmp_path, bright_model):
        status, _, complaints = run("evaluate", "--data", tmp_path / "no", "--model", bright_model)
        assert status == 1
        assert str(tmp_path / "no") in complaints


class TestModels:
    def test_list_and_show(self, run, bright_model):
        status, said, _ = run("models")
        assert status == 0
        assert "bright" in said
        assert "Bright things" in said
        status, said, _ = run("models", "show", bright_model)
        assert status == 0
        assert "Network: brightness" in said
        before = run("models", "show", "--json", bright_model)
        status, said, _ = run("models", "show", bright_model, "--json")
        assert before == (status, said, "")
        for words in ((bright_model, "--json", bright_model), ("--json", bright_model, "more")):
            assert run("models", "show", *words)[0] == 2
        assert run("segment", bright_model, "--no-such")[0] == 2
        assert json.loads(said)["architecture"] == "brightness"
        assert "bright" in [one["name"] for one in json.loads(run("models", "--json")[1])]

    def test_show_what(self, run):
        for action in ("show", "install", "export", "remove"):
            assert run("models", action)[0] == 2
        assert run("models", "show", "unknown")[0] == 1

    def test_check(self, run, bright_model, cellseg_home):
        assert "it has no self-test" in run("models", "show", bright_model, "--check")[2]
        folder = cellseg_home / "models/bright"
        add_self_test(folder, squares())
        status, said, told = run("models", "show", bright_model, "--check", "--device", "cpu")
        assert status == 0
        assert "Self-test: yes" in said
        assert "self-test right on cpu (mean difference 0.0000" in told
        assert "weights intact, self-test right" in run("doctor")[1]
        (folder / "self_test.safetensors").unlink()
        assert run("models", "show", bright_model, "--check")[0] == 1
        status, said, _ = run("doctor")
        assert status == 1
        assert "self-test of the model 'bright' is missing" in said

    def test_from_hand_to_hand(self, run, bright_model, tmp_path, images):
        status, said, _ = run("models", "export", bright_model, "-o", tmp_path)
        assert (status, said.strip()) == (0, str(tmp_path / "bright.zip"))
        assert run("models", "export", bright_model, "-o", tmp_path)[0] == 1
        assert run("models", "export", bright_model, "-o", tmp_path, "--replace")[0] == 0
        assert run("models", "install", said.strip())[0] == 1, "the name is taken"
        assert run("models", "remove", bright_model)[0] == 0
        assert run("models", "show", bright_model)[0] == 1
        digest = hashlib.sha256((tmp_path / "bright.zip").read_bytes()).hexdigest()
        arguments = ("models", "install", tmp_path / "bright.zip", "--sha256", digest)
        assert run(*arguments[:-1], "0" * 64)[0] == 1
        assert run(*arguments, "--name", "given")[0] == 0
        assert "given" in run("models")[1]
        for model in ("given", tmp_path / "bright.zip"):
            out = tmp_path / f"out {Path(model).stem}"
            assert run("segment", images / "field5.tif", "--model", model, "-o", out)[0] == 0
            assert read_labels(out / "field5_labels.tif").data.max() == 5

    def test_options_of_another_action(self, run, bright_model):
        status, _, told = run("models", "show", bright_model, "--replace")
        assert status == 2
        assert "goes with 'models install or export' only" in told


class TestDoctor:
    def test_what_it_finds(self, run, bright_model):
        _, said, _ = run("doctor")
        for subject in ("Python", "torch", "Device", "numba", "imagecodecs", "Model bright"):
            assert subject in said

    def test_json_and_damaged_model(self, run, bright_model, cellseg_home):
        weights = cellseg_home / "models/bright/weights.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"?")
        status, said, _ = run("doctor", "--json")
        findings = {one["subject"]: one for one in json.loads(said)}
        assert status == 1
        assert findings["Model bright"]["status"] == "error"
        assert "damaged" in findings["Model bright"]["text"]

    def test_missing_packages_have_a_remedy(self, run, monkeypatch):
        from napari_cellseg.core import doctor

        monkeypatch.setattr(doctor, "find_spec", lambda name: None)
        _, said, _ = run("doctor", "--json")
        findings = {one["subject"]: one for one in json.loads(said)}
        for package in ("numba", "imagecodecs"):
            assert findings[package]["status"] == "warning"
            assert f"pip install {package}" in findings[package]["remedy"]


class TestTrain:
    def test_settings_arrive(self, run, tmp_path, monkeypatch):
        from napari_cellseg.core.workflows import train as module

        seen = {}

        def train(config, folders, output, *, unlabelled, resume, device):
            seen.update(config=config, folders=folders, output=output, resume=resume)
            seen["unlabelled"] = unlabelled
            yield Progress("Training", 1, 2, metrics={"loss": 0.5})
            return module.TrainResult(output, ({"ap50": 0.9},), {"ap50": 0.9})

        monkeypatch.setattr(module, "train", train)
        monkeypatch.setattr(console, "LOG_INTERVAL", 0)
        status, said, complaints = run(
            *("train", "--data", tmp_path / "a", tmp_path / "b", "--data", tmp_path / "c"),
            *("-o", tmp_path / "mine", "--model", "attention-unet", "--minutes", "2.5"),
            *("--steps", "7", "--set", "model_params.width=small", "--resume"),
            *("--set", "normalization.high=99", "--recipe", "unetpp-attention"),
            *("--unlabelled", tmp_path / "u", "--set", "augment.noise=0.5"),
        )
        assert status == 0, complaints
        assert "ap50 0.9" in said
        assert "Training 1/2; loss 0.5" in complaints
        config = seen["config"]
        assert (config.minutes, config.steps, config.normalization.high) == (2.5, 7, 99)
        assert config.model_params == {"width": "small"}
        # the recipe's, but for what is given beside it
        assert (config.learning_rate, config.post) == (1e-4, {"closing": 2})
        assert (config.augment.noise, config.augment.blur) == (0.5, 0.0)
        assert (config.model, config.loss) == ("attention-unet", "dice-focal")
        assert seen["unlabelled"] == [tmp_path / "u"]
        assert [path.name for path in seen["folders"]] == ["a", "b", "c"]
        assert seen["resume"]

    def test_a_trained_model_can_be_used(self, run, data, tmp_path, cellseg_home):
        bundle = cellseg_home / "models" / "mine"
        bundle.parent.mkdir(parents=True)
        status, said, complaints = run(
            *("train", "--data", data, "-o", bundle, "--steps", "2", "--epoch-steps", "2"),
            *("--patch-size", "32", "--batch-size", "2", "--set", "model_params.width=0.1"),
        )
        assert status == 0, complaints
        assert "ap50" in said
        assert "mine" in run("models")[1]
        image = data / "images/f4.tif"
        assert run("segment", image, "--model", "mine", "-o", tmp_path / "o")[0] == 0
        assert read_labels(tmp_path / "o/f4_labels.tif").data.shape == (96, 128)
        assert run("evaluate", "--data", data, "--model", "mine")[0] == 0

    @pytest.mark.parametrize(
        ("option", "words"),
        [
            (["--steps", "many"], "steps"),
            (["--steps", "0"], "steps"),
            (["--set", "augment.nonsense=1"], "nonsense"),
            (["--set", "steps.more=1"], "steps"),
            (["--recipe", "haru-nett"], "Did you mean 'haru-net'"),
        ],
    )
    def test_wrong_settings(self, run, tmp_path, option, words):
        status, _, complaints = run("train", "--data", tmp_path, "-o", tmp_path / "m", *option)
        assert status == 2
        assert words in complaints


class TestDemo:
    @pytest.fixture
    def without_display(self, monkeypatch):
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setattr(demo, "find_spec", lambda name: True)
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)

    def test_without_napari(self, run, monkeypatch):
        monkeypatch.setattr(demo, "find_spec", lambda name: None)
        status, _, complaints = run("demo")
        assert status == 1
        assert "pip install" in complaints

    def test_without_any_display(self, run, without_display, monkeypatch):
        monkeypatch.setattr(demo.shutil, "which", lambda name: None)
        status, _, complaints = run("demo")
        assert status == 1
        assert "apt-get install xvfb" in complaints

    def test_on_a_virtual_display(self, run, without_display, monkeypatch, tmp_path):
        commands = []

        def called(command, check):
            commands.append(command)
            return subprocess.CompletedProcess(command, 7)

        monkeypatch.setattr(demo.shutil, "which", lambda name: f"/bin/{name}")
        monkeypatch.setattr(demo.subprocess, "run", called)
        assert run("demo", "--sample", "dense", "-o", tmp_path)[0] == 7
        [command] = commands
        assert command[0] == "/bin/xvfb-run"
        assert command[-5:] == ["--headless", "--output", str(tmp_path), "--sample", "dense"]


class TestConsole:
    def test_a_log_gets_messages_at_once_and_progress_now_and_then(self, capsys, monkeypatch):
        def workflow():
            yield Progress("Predicting", 0, 3, message="The batch was halved.")
            yield Progress("Predicting", 1, 3)
            yield Progress("Post-processing")
            return 7

        assert follow(workflow()) == 7
        assert capsys.readouterr().err.splitlines() == ["The batch was halved."]
        monkeypatch.setattr(console, "LOG_INTERVAL", 0)
        assert follow(workflow(), "field.tif") == 7
        lines = capsys.readouterr().err.splitlines()
        assert lines == [
            "The batch was halved.",
            "field.tif: Predicting 0/3",
            "field.tif: Predicting 1/3",
            "field.tif: Post-processing",
        ]

    def test_metrics_have_words_for_names(self, capsys, monkeypatch):
        def workflow():
            yield Progress("Segmenting", 1, 3, metrics={"seconds_left": 11.8})

        monkeypatch.setattr(console, "LOG_INTERVAL", 0)
        follow(workflow())
        assert capsys.readouterr().err == "Segmenting 1/3; seconds left 11.8\n"

    def test_bar_on_a_terminal(self, capsys, monkeypatch):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

        def workflow():
            yield Progress("Predicting", 0, 4)
            yield Progress("Predicting", 3, 4, metrics={"loss": 0.25})

        follow(workflow())
        drawn = capsys.readouterr().err
        assert "3/4" in drawn
        assert "75%" in drawn
        assert "loss 0.25" in drawn

    def test_bugs_are_reported_in_a_sentence(self, run, monkeypatch):
        from napari_cellseg.cli import models

        def broken(arguments):
            raise ZeroDivisionError("by zero")

        monkeypatch.setattr(models, "run", broken)
        status, _, complaints = run("models")
        assert status == 1
        assert "ZeroDivisionError: by zero" in complaints
        assert "--debug" in complaints
        with pytest.raises(ZeroDivisionError):
            cli.main(["models", "--debug"])

    def test_letters_that_the_console_lacks_end_nothing(self, monkeypatch):
        terminal = io.TextIOWrapper(io.BytesIO(), "cp1252")
        monkeypatch.setattr(sys, "stdout", terminal)
        assert cli.main(["models", "show", "nuclei"]) == 0
        say("細胞.tif: 7 objects, 1 µm")
        written = terminal.buffer.getvalue().decode("cp1252")
        assert written.endswith("\\u7d30\\u80de.tif: 7 objects, 1 µm\n")

    def test_nobody_reads_the_rest(self, monkeypatch, capsys):
        class Closed(io.StringIO):
            def flush(self):
                raise BrokenPipeError

        monkeypatch.setattr(sys, "stdout", Closed())
        assert cli.main(["models"]) == 1
        assert capsys.readouterr().err == ""

    def test_debug_shows_the_error(self, tmp_path):
        with pytest.raises(CellsegError):
            cli.main(["models", "show", "unknown", "--debug"])


@pytest.mark.parametrize("arguments", [[], ["unknown"], ["segment"], ["segment", "a.tif"]])
def test_wrong_usage(run, arguments):
    status, _, complaints = run(*arguments)
    assert status == 2
    assert "usage:" in complaints


@pytest.mark.parametrize("command", [[], *([name] for name in cli.COMMANDS)])
def test_help(run, command):
    status, said, _ = run(*command, "--help")
    assert status == 0
    assert "usage: napari-cellseg" in said


def test_help_loads_nothing_heavy():
    script = (
        "import sys; from napari_cellseg import cli; cli.main(['--help']); "
        "heavy = {'torch', 'numpy', 'napari', 'skimage'} & set(sys.modules); "
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


class TestApi:
    def test_arrays_paths_and_images(self, bright_model, images):
        path = images / "field5.tif"
        reference = api.segment(path, bright_model).labels.data
        assert reference.max() == 5
        steps = []
        for image in (squares(5), read_image(path), str(path)):
            result = api.segment(image, bright_model, progress=steps.append)
            np.testing.assert_array_equal(result.labels.data, reference)
        assert steps
        assert all(isinstance(step, Progress) for step in steps)

    def test_settings_by_name(self, bright_model):
        result = api.segment(squares(5), bright_model, min_area=1000, tile=128, low=0.0)
        assert result.labels.n_objects == 0
        assert result.recipe.post.min_area == 1000
        assert result.recipe.preparation.low == 0
        assert result.recipe.tiling.tile == 128

    def test_channels_and_axes(self, bright_model):
        stack = np.stack([squares(2), squares(4)])
        assert api.segment(stack, bright_model, axes="CYX", channels=1).labels.n_objects == 4
        assert api.segment(stack, bright_model, axes="TYX").labels.n_objects == 6
        with pytest.raises(CellsegError, match="not clear"):
            api.segment(stack, bright_model)

    def test_wrong_names(self, bright_model):
        with pytest.raises(CellsegError, match=r"min_aera.*Did you mean 'min_area'"):
            api.segment(squares(), bright_model, min_aera=3)
        with pytest.raises(CellsegError, match="leave axes out"):
            api.segment(read_image_of(squares()), bright_model, axes="XY")

    def test_progress_can_cancel(self, bright_model):
        def cancel(step):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            api.segment(squares(), bright_model, progress=cancel)


def read_image_of(pixels):
    from napari_cellseg.core.reading import image_from_array

    return image_from_array(pixels)


def test_included_model_finds_the_nuclei_of_the_sample(run, tmp_path):
    if "nuclei" not in [entry.name for entry in list_models()]:
        pytest.skip("the included model is not in this copy of the package")
    sample = Path(samples.__file__).with_name("fluorescence.png")
    assert run("segment", sample, "-o", tmp_path)[0] == 0
    labels = read_labels(tmp_path / "fluorescence_labels.tif")
    assert abs(labels.n_objects - 183) < 20  # counted by the annotators of the data set
    by_api = api.segment(sample, recipe=tmp_path / "fluorescence_recipe.json")
    np.testing.assert_array_equal(by_api.labels.data, labels.data)
