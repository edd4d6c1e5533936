"""Objects with something wrong come first, and the reason says what."""

import json

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from napari_cellseg.core.errors import DataError
from napari_cellseg.core.overlap import overlap_table
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.review.outliers import robust_z
from napari_cellseg.core.review.risk import SIGNS, object_risks, rate_objects

STEP = 24
ODD = 12  # the object that is made different


def cells(change=None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return 5 x 5 good cells away from the border with their maps; `change` spoils one."""
    labels = np.zeros((5 * STEP + 8, 5 * STEP + 8), np.int32)
    y, x = np.mgrid[:STEP, :STEP] - STEP // 2
    for k in range(25):
        radius = 7.5 + 0.1 * (k % 5)
        top, left = 4 + k // 5 * STEP, 4 + k % 5 * STEP
        part = labels[top : top + STEP, left : left + STEP]
        part[y**2 + x**2 <= radius**2] = k + 1
    foreground = (labels > 0).astype(np.float32)
    contour = np.zeros_like(foreground)
    top, left = 4 + (ODD - 1) // 5 * STEP, 4 + (ODD - 1) % 5 * STEP
    box = (slice(top, top + STEP), slice(left, left + STEP))
    if change is not None:
        change(labels, foreground, contour, box)
    return labels, foreground, contour


def shrink(labels, foreground, contour, box):
    inner = np.zeros_like(labels, bool)
    inner[box][9:14, 9:14] = True
    labels[(labels == ODD) & ~inner] = 0
    foreground[...] = labels > 0


def swell(labels, foreground, contour, box):
    labels[box] = ODD
    foreground[...] = labels > 0


def stretch(labels, foreground, contour, box):
    labels[box] = 0
    labels[box][8:15, :] = ODD
    foreground[...] = labels > 0


def notch(labels, foreground, contour, box):
    labels[box][:13, 11:14] = 0
    foreground[...] = labels > 0


def blur(labels, foreground, contour, box):
    halo = (foreground[box] == 0) & (gaussian_filter(foreground[box], 2) > 0.02)
    foreground[box][halo] = 0.6


def fade(labels, foreground, contour, box):
    foreground[labels == ODD] = 0.8


def line(labels, foreground, contour, box):
    contour[box][5:20, 10:14] = 0.6


def halve(labels, foreground, contour, box):
    labels[box][12:][labels[box][12:] > 0] = 99


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        (shrink, "small"),
        (swell, "large"),
        (stretch, "elongated"),
        (notch, "irregular"),
        (blur, "unsure_edge"),
        (fade, "unsure_inside"),
        (line, "contour_inside"),
        (halve, "open_contact"),
    ],
)
def test_the_odd_one_comes_first_and_its_sign_stands_out(change, sign):
    labels, foreground, contour = cells(change)
    table = object_risks(labels, foreground, contour)
    odd = np.isin(table.ids, (ODD, 99))
    assert table.risk[odd].min() > table.risk[~odd].max()
    part = table.parts[sign]
    assert part[odd].min() > part[~odd].max() + 0.1
    reasons = [text for text, mine in zip(table.reasons(), odd, strict=True) if mine]
    assert all(SIGNS[sign].reason in text for text in reasons)


def test_good_cells_have_low_risks_and_no_reasons():
    table = object_risks(*cells())
    assert table.risk.max() < 0.1
    assert set(table.reasons()) == {""}


def test_an_object_at_the_border_says_so():
    labels, foreground, contour = cells()
    labels, foreground, contour = labels[11:], foreground[11:], contour[11:]
    table = object_risks(labels, foreground, contour)
    at_border = np.isin(table.ids, labels[0])
    assert [SIGNS["border"].reason in text for text in table.reasons()] == at_border.tolist()


def test_a_flipped_run_that_differs_raises_the_risk():
    labels, foreground, contour = cells()
    again = foreground.copy()
    again[labels == ODD] = 0.5
    once = object_risks(labels, foreground, contour)
    twice = object_risks(labels, foreground, contour, (again, None))
    more = twice.risk - once.risk
    assert more[ODD - 1] > 0.02
    np.testing.assert_allclose(np.delete(more, ODD - 1), 0, atol=1e-12)


def test_labels_alone_are_rated_by_size_and_shape():
    table = object_risks(cells(swell)[0])
    assert table.ids[np.argmax(table.risk)] == ODD
    assert table.risk[ODD - 1] > 0.25


def test_a_stack_is_rated_as_one_and_an_object_in_two_planes_by_its_worst():
    first, spoilt = cells(), cells(fade)
    stacks = [np.stack(pair) for pair in zip(first, spoilt, strict=True)]
    table = object_risks(*stacks)
    assert table.ids.tolist() == list(range(1, 26))
    assert table.plane[ODD - 1] == 1
    assert table.risk[ODD - 1] == table.risk.max()
    alone = object_risks(*spoilt)
    np.testing.assert_allclose(table.risk, alone.risk)
    np.testing.assert_allclose((table.y, table.x, table.area), (alone.y, alone.x, alone.area))


def test_numbers_of_the_objects_do_not_matter():
    labels, foreground, contour = cells(notch)
    renamed = np.where(labels > 0, 2**31 - 1 - labels, 0).astype(np.int32)
    ours, theirs = (
        object_risks(labels, foreground, contour),
        object_risks(renamed, foreground, contour),
    )
    np.testing.assert_allclose(ours.risk, theirs.risk[::-1])
    assert theirs.ids.max() == 2**31 - 2


@pytest.mark.parametrize("shape", [(4, 5), (2, 4, 5)])
def test_no_objects_give_an_empty_table(shape):
    table = object_risks(np.zeros(shape, np.int32), np.zeros(shape, np.uint8))
    assert len(table.ids) == len(table.risk) == 0
    assert table.reasons() == []


def test_progress_counts_the_planes():
    steps = list(rate_objects(np.ones((2, 3, 4, 4), np.int32)))
    assert steps[-1] == Progress("Rating objects", 5, 6)


def test_maps_of_another_image_are_refused():
    with pytest.raises(DataError, match="differ in shape"):
        object_risks(np.ones((4, 5), np.int32), np.zeros((5, 4), np.uint8))


def test_robust_z_ignores_a_few_outliers_and_few_objects():
    values = np.append(np.random.default_rng(0).normal(5, 2, 2000), [1e6] * 20)
    z = robust_z(values, 1e-3)
    assert np.std(z[:2000]) == pytest.approx(1, abs=0.1)
    assert robust_z(np.array([1.0, 1.0, 9.0]), 0.1).tolist() == [0, 0, 0]
    assert np.abs(robust_z(np.append(np.ones(9), 1.1), 0.1)).max() == pytest.approx(1)


@pytest.mark.slow
def test_wrong_objects_of_the_included_model_come_first(shared_data):
    from napari_cellseg.api import segment
    from napari_cellseg.core.reading import read_labels

    risk, wrong = [], []
    for source in ("nuclei_bbbc039", "nuclei_dsb2018"):
        split = json.loads((shared_data / source / "split.json").read_text(encoding="utf-8"))
        for name in split["val"][:8]:
            image = next((shared_data / source / "images").glob(name + ".*"))
            path = shared_data / source / "labels" / f"{name}.tif"
            result = segment(image, device="cpu")
            maps = result.prediction.maps
            table = object_risks(result.labels.data, maps["foreground"], maps["contour"])
            overlap = overlap_table(read_labels(path).data, result.labels.data)
            best = dict.fromkeys(table.ids.tolist(), 0.0)
            for k, iou in zip(overlap.pred_ids[overlap.pred_index], overlap.iou, strict=True):
                best[int(k)] = max(best[int(k)], iou)
            risk.append(table.risk)
            wrong += [value < 0.5 for value in best.values()]
    ranks, is_wrong = rankdata(np.concatenate(risk)), np.array(wrong)
    n = is_wrong.sum()
    auc = (ranks[is_wrong].sum() - n * (n + 1) / 2) / (n * (len(ranks) - n))
    assert auc > 0.8
