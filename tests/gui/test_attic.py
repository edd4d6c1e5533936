"""Maps of earlier runs leave the memory, and the way back to them stays open."""

import numpy as np

from napari_cellseg.core.errors import OutputError
from napari_cellseg.session.planes import Planes

from .conftest import discs


def run_again(tab, diameter):
    """Run the network at another scale: another run with maps of its own."""
    tab.panel.view.model.diameter.set_pixels(diameter)
    tab.run()
    tab.qtbot.waitUntil(lambda: not tab.panel.desk.journals.runner.busy, timeout=60_000)


def start(tab):
    tab.viewer.add_image(discs(), name="field")
    tab.run()
    history = tab.panel.result.binding.document.history
    history._maps = (0, 10**9)
    return history


def test_maps_of_earlier_runs_are_put_on_disk_and_work_from_there(tab):
    history = start(tab)
    shown, held = [tab.labels.copy()], [tab.panel.session.run.planes]
    for diameter in (17.0, 31.0, 23.0):
        run_again(tab, diameter)
        shown.append(tab.labels.copy())
        held.append(tab.panel.session.run.planes)
    assert [planes.nbytes[0] > 0 for planes in held] == [False, False, False, True]
    assert [planes.nbytes[1] > 0 for planes in held] == [True, True, True, False]
    assert [step.name for step in history.done] == ["Run again"] * 3

    binding = tab.panel.result.binding
    for before in reversed(shown[:-1]):
        binding.undo()
        np.testing.assert_array_equal(tab.labels, before)
    run = tab.panel.session.run
    assert run.planes is held[0]
    tab.move("min_area", run.recipe.post.min_area + 60)
    assert 0 < len(np.unique(tab.labels)) < len(np.unique(shown[0]))
    tab.move("min_area", run.recipe.post.min_area)
    np.testing.assert_array_equal(tab.labels, shown[0])


def test_without_room_on_the_disk_undo_ends_before_that_run(tab, monkeypatch):
    history = start(tab)

    def full(planes):
        raise OutputError("The disk is full: free some space.")

    monkeypatch.setattr(Planes, "put_away", full)
    run_again(tab, 17.0)
    assert len(history) == 0
    assert tab.panel.session.run.planes.nbytes[0] > 0
