"""While the preview of a large image is shown, edits are seen in it, and locked objects stay."""

import threading

import numpy as np
import pytest

from napari_cellseg.core.editing.edit import Edit
from napari_cellseg.session.run import Run

from .conftest import discs


@pytest.fixture
def held_up(tab, monkeypatch):
    """A large image whose whole updates wait until they are let go: only its preview moves."""
    from napari_cellseg.gui.segment import live

    tab.viewer.add_image(discs((300, 300)))
    tab.run()
    monkeypatch.setattr(live, "WHOLE_AT_ONCE", 1000)
    gate, real = threading.Event(), Run.relabelled

    def slow(run, *arguments):
        gate.wait(60)
        return (yield from real(run, *arguments))

    monkeypatch.setattr(Run, "relabelled", slow)
    tab.layer.corner_pixels = np.array([[0, 0], [149, 149]])
    yield tab, gate
    gate.set()
    tab.settle()


def slide(tab, value):
    control = tab.panel.view.live.form.controls["min_area"]
    control.set_value(value)
    control.changed.emit(control.value())


def preview(tab):
    found = [layer for layer in tab.viewer.layers if layer.name.endswith("(preview)")]
    return np.asarray(found[0].data) if found else None


def wait_for(tab, condition):
    tab.qtbot.waitUntil(
        lambda: preview(tab) is not None and condition(preview(tab)), timeout=30_000
    )


def test_an_edit_is_seen_in_the_preview_and_stays_in_it(held_up):
    tab, gate = held_up
    document = tab.panel.result.binding.document
    before = tab.labels[:150, :150].copy()
    areas = np.bincount(before.ravel())
    small, large = (int(i) for i in (areas.argmin(), areas[1:].argmax() + 1))
    assert areas[small] < 60 < areas[large]
    # Edited after the last whole update: a small object that the slider would take, and grown.
    drawn = np.where(before == small, small, 0)
    drawn[100:104, 144:148] = small
    document.edit(
        "Draw", (), [Edit((slice(0, 150), slice(0, 150)), np.where(drawn, drawn, before))]
    )
    slide(tab, 60)
    wait_for(tab, lambda shown: (shown[drawn > 0] > 0).all())
    assert (preview(tab)[100:104, 144:148] == small).all()

    # And one while the preview is shown: the labels under it are hidden.
    gone = np.where(before == large, 0, document.plane(())[:150, :150])
    document.edit("Delete", (), [Edit((slice(0, 150), slice(0, 150)), gone)])
    wait_for(tab, lambda shown: not shown[before == large].any())
    assert not tab.layer.visible
    document.undo()
    wait_for(tab, lambda shown: (shown[before == large] > 0).all())

    gate.set()
    tab.settle()
    assert preview(tab) is None
    assert (tab.labels[:150, :150][drawn > 0] == small).all()
    assert (tab.labels[:150, :150][before == large] > 0).all()


def test_an_erased_place_stays_empty_in_the_preview(held_up):
    tab, _ = held_up
    document = tab.panel.result.binding.document
    before = tab.labels[:150, :150].copy()
    large = int(np.bincount(before.ravel())[1:].argmax() + 1)
    region = (slice(0, 150), slice(0, 150))
    document.edit("Delete", (), [Edit(region, np.where(before == large, 0, before))])
    slide(tab, 20)
    wait_for(tab, lambda shown: shown.any())
    assert not preview(tab)[before == large].any()
