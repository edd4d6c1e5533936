"""Classes of objects in a data folder: read, checked, drawn into targets, ignored where unknown."""

import json

import numpy as np
import pytest
import tifffile

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.data.augment_params import AugmentParams
from napari_cellseg.core.data.classes import read_classes, read_object_classes
from napari_cellseg.core.data.patches import PatchSampler
from napari_cellseg.core.data.sources import LabelledImage, find_pairs, load_pairs
from napari_cellseg.core.data.targets import TargetParams, class_map, make_targets
from napari_cellseg.core.errors import DataError
from napari_cellseg.core.inference.preparation import Normalization
from napari_cellseg.core.losses import LOSSES, UNKNOWN, total_loss
from napari_cellseg.core.progress import finish


def write(folder, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "classes.csv").write_text(text, encoding="utf-8-sig")
    return folder


def test_rows_become_classes_by_image_and_object(tmp_path):
    text = "note,class,id,label\nx, small ,a,3\n,large,a,7\n,small,b,1\n,small,b,1\n"
    found = read_classes(write(tmp_path, text), {"a", "b", "c"})
    assert found == {"a": {3: "small", 7: "large"}, "b": {1: "small"}}
    assert read_classes(tmp_path / "none", {"a"}) == {}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("id,label\na,1\n", "no column 'class'"),
        ("id,label,class\nz,1,x\n", "Row 2 .* 'z'"),
        ("id,label,class\na,1,x\na,0,x\n", "Row 3 .* label '0'"),
        ("id,label,class\na,1.5,x\n", "label '1.5'"),
        ("id,label,class\na,1\n", "no class"),
        ("id,label,class\na,1,x\na,1,y\n", "Row 3 .* 'y'.* 'x'"),
        ("", "no column 'id'"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path, rows, told):
    with pytest.raises(DataError, match=told):
        read_classes(write(tmp_path, rows), {"a"})


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "classes.csv").write_bytes(b"id,label,class\na,1,\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        read_classes(tmp_path, {"a"})


def test_classes_reach_the_loaded_image_and_must_fit_its_labels(tmp_path):
    labels = np.zeros((20, 20), np.uint16)
    labels[2:6, 2:6], labels[10:16, 10:16] = 3, 9
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
        tifffile.imwrite(tmp_path / kind / "a.tif", labels)
    write(tmp_path, "id,label,class\na,9,large\n")
    (pair,) = find_pairs(tmp_path)
    (loaded,) = finish(load_pairs([pair], Normalization()))
    assert loaded.classes == pair.classes == {9: "large"}
    write(tmp_path, "id,label,class\na,4,large\n")
    with pytest.raises(DataError, match="object 4 of 'a'"):
        finish(load_pairs(find_pairs(tmp_path), Normalization()))


def test_the_target_has_the_place_of_the_type_and_marks_the_unknown():
    labels = np.array([[0, 8, 8, 0, 500, 2]])
    drawn = class_map(labels, {8: "b", 500: "a"}, ("a", "b", "c"))
    assert drawn.tolist() == [[0, 2, 2, 0, 1, UNKNOWN]]
    assert drawn.dtype == np.int64
    assert "classes" not in make_targets(labels, TargetParams(), {8: "b"}, ())


def test_batches_carry_classes_that_move_with_their_objects():
    labels = np.zeros((80, 80), np.int32)
    labels[:, :30], labels[:, 30:60], labels[:, 60:] = 11, 4, 7
    image = np.repeat((labels == 4)[..., None], 3, 2).astype(np.float16)
    source = LabelledImage("x", "g", image, labels, 20.0, {4: "lit", 11: "dark"})
    still = AugmentParams(gamma=0, contrast=0, noise=0, blur=0, invert=0, stain=0, to_gray=0)
    sampler = PatchSampler([source], 64, 3, still, TargetParams(), 0.0, 0, ("dark", "lit"))
    pixels, targets = sampler.batch(0, 6)
    target = targets["classes"]
    assert target.dtype == torch.int64
    assert target.shape == (6, 1, 64, 64)
    assert set(target.unique().tolist()) == {UNKNOWN, 1, 2}
    lit = pixels[:, :1] > 0.5
    assert ((target == 2) == lit).float().mean() > 0.98


@pytest.mark.parametrize("name", LOSSES.names())
def test_unknown_pixels_change_neither_loss_nor_gradient(name):
    torch.manual_seed(0)
    loss = LOSSES[name]()
    logits = torch.randn(2, 4, 6, 5)
    target = torch.randint(0, 4, (2, 1, 6, 5))
    target[:, :, :, 3:] = UNKNOWN
    logits.requires_grad_(True)
    value = total_loss(loss, [{"classes": logits}], {"classes": target})
    known = total_loss(loss, [{"classes": logits[..., :3]}], {"classes": target[..., :3]})
    assert value.item() == pytest.approx(known.item(), rel=1e-5)
    torch.autograd.backward(value)
    assert logits.grad[..., 3:].abs().max() == 0
    assert logits.grad[..., :3].abs().min() > 0


def test_a_batch_without_any_known_pixel_costs_nothing():
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    target = torch.full((1, 1, 4, 4), UNKNOWN)
    value = total_loss(LOSSES["combo"](), [{"classes": logits}], {"classes": target})
    torch.autograd.backward(value)
    assert value.item() == 0
    assert not logits.grad.any()


def test_a_table_of_found_objects_must_name_them_all(tmp_path):
    path = tmp_path / "a_objects.csv"
    labels = np.array([[1, 0, 4]])
    assert read_object_classes(path, labels) == {}
    path.write_text("label,class,margin\n1,x,0.5\n4,y,0.1\n")
    assert read_object_classes(path, labels) == {1: "x", 4: "y"}
    with pytest.raises(DataError, match="lacks object 9"):
        read_object_classes(path, labels + 5 * (labels == 4))
    path.write_text(json.dumps({"label": 1}))
    with pytest.raises(DataError, match="segment again"):
        read_object_classes(path, labels)
