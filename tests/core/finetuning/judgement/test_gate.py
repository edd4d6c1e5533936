"""The gate: a child is accepted for a gain beyond chance that costs its parent's skill little."""

from __future__ import annotations

import numpy as np
import pytest

from napari_cellseg.core.errors import DataError, OutputError, SettingsError
from napari_cellseg.core.finetuning.judgement.chance import Tallied
from napari_cellseg.core.finetuning.judgement.gate import (
    Comparison,
    Gain,
    GateReport,
    comparison,
    judge,
)


def gain(parent=0.4, child=0.7, low=0.1, high=0.5) -> Gain:
    return Gain(parent=parent, child=child, difference=child - parent, low=low, high=high)


def result(quality: Gain, *, ap=None, objects=40, images=2, chance=0.001) -> Comparison:
    return Comparison(
        images=images,
        objects=objects,
        level="objects",
        units=objects,
        metrics={"ap50": ap or quality, "pq": quality},
        quality=quality,
        chance=chance,
    )


def test_a_gain_beyond_chance_is_accepted():
    verdict = judge(result(gain()), result(gain(0.8, 0.79, -0.02, 0.0)), 0.02)
    assert verdict.accepted
    assert "AP 0.40 → 0.70" in verdict.reason
    assert "40 objects of 2 images" in verdict.reason
    assert "AP 0.800 → 0.790" in verdict.reason


def test_without_replay_the_reason_says_so():
    verdict = judge(result(gain(), images=1), None, 0.02)
    assert verdict.accepted
    assert "brings no data" in verdict.reason
    assert "of 1 image;" in verdict.reason


def test_nothing_is_told_to_be_less_than_zero_by_nothing():
    verdict = judge(result(gain(0.9, 0.899, -0.002, 0.001)), None, 0.02)
    assert "mean gain +0.00, 95 % interval +0.00 to +0.00" in verdict.reason


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (result(gain(), objects=0), "is no object to judge by"),
        (result(gain(), objects=1), "is only 1 object to judge by"),
        (result(gain(), objects=5), "are only 5 objects to judge by"),
        (result(gain(0.5, 0.5, 0.0, 0.0)), "not better"),
        (result(gain(0.5, 0.4, -0.2, 0.1)), "not better"),
        (result(gain(0.5, 0.6, 0.0, 0.3)), "may be chance"),
        (result(gain(0.5, 0.6, 0.01, 0.3), chance=0.03), "may be chance"),
    ],
)
def test_what_proves_no_gain_is_refused_with_a_remedy(new, words):
    verdict = judge(new, result(gain(0.8, 0.8, 0.0, 0.0)), 0.02)
    assert not verdict.accepted
    assert words in verdict.reason
    assert "correct more" in verdict.reason
    assert "use it anyway" in verdict.reason


@pytest.mark.parametrize(
    ("objects", "words"),
    [(0, "some 24 objects"), (3, "some 12 objects"), (5, "some 4 objects")],
)
def test_too_few_objects_say_how_many_are_missing(objects, words):
    reason = judge(result(gain(), objects=objects), None, 0.02).reason
    assert "at least 6 are needed" in reason
    assert words in reason


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        (gain(0.5, 0.6, -0.1, 0.3), "about 4.0 times as many objects"),
        (gain(0.5, 0.6, -0.002, 0.2), "a few more objects"),
        (gain(0.5, 0.51, -0.2, 0.2), "more than 10 times as many objects"),
    ],
)
def test_what_may_be_chance_says_what_would_tell(quality, words):
    assert words in judge(result(quality), None, 0.02).reason


@pytest.mark.parametrize(
    ("low", "high", "accepted"),
    [(-0.05, 0.001, True), (-0.015, -0.001, True), (-0.05, -0.001, False)],
)
def test_a_sure_loss_that_may_exceed_the_margin_is_forgetting(low, high, accepted):
    replay = result(gain(0.9, 0.9, 0, 0), ap=gain(0.8, 0.79, low, high))
    verdict = judge(result(gain()), replay, 0.02)
    assert verdict.accepted is accepted
    assert f"interval {low:+.3f} to {high:+.3f}" in verdict.reason
    assert ("surely lower, and maybe by more than 0.02" in verdict.reason) is not accepted


@pytest.mark.parametrize(("after", "accepted"), [(0.781, True), (0.779, False), (0.9, True)])
def test_forgetting_is_refused_beyond_the_margin(after, accepted):
    replay = result(gain(0.9, 0.9, 0, 0), ap=gain(0.8, after, -0.1, 0.1))
    verdict = judge(result(gain()), replay, 0.02)
    assert verdict.accepted is accepted
    assert ("forgets" in verdict.reason) is not accepted
    assert judge(result(gain()), replay, 0.05).accepted


def test_a_margin_is_not_negative():
    with pytest.raises(SettingsError, match="0 or more"):
        judge(result(gain()), None, -0.1)


def tallied(before: float, after: float, n: int) -> Tallied:
    rows = np.ones((2, n, 13, 2))
    rows[0, ..., 0], rows[1, ..., 0] = before, after
    return Tallied(rows[0], rows[1], np.zeros(n, np.int64), n)


def test_a_comparison_counts_images_and_objects_and_keeps_its_numbers_as_json(tmp_path):
    new = comparison([tallied(0.5, 0.8, 7), tallied(0.4, 0.9, 3)], seed=5)
    assert (new.images, new.objects, new.level, new.units) == (2, 10, "objects", 10)
    assert list(new.metrics) == ["ap50", "map", "pq", "aji", "dice"]
    assert new.metrics["ap50"].parent == pytest.approx(0.47)
    assert new.quality.difference == pytest.approx(0.36)
    report = GateReport.of(new, None, 0.02)
    assert report.verdict == judge(new, None, 0.02)
    report.save(tmp_path / "gate.json")
    assert GateReport.load(tmp_path / "gate.json") == report


def test_an_unreadable_report_is_said_in_words(tmp_path):
    path = tmp_path / "gate.json"
    with pytest.raises(DataError, match="compare the models again"):
        GateReport.load(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="compare the models again"):
        GateReport.load(path)
    report = GateReport.of(result(gain()), None, 0.02)
    with pytest.raises(OutputError):
        report.save(tmp_path / "missing" / "gate.json")
