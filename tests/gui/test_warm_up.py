"""What is loaded in the background before the first layer."""

import pint
import pytest
from pint.registry import LazyRegistry

from napari_cellseg.gui.segment import warm_up


@pytest.fixture(autouse=True)
def units():
    """Give the table of units that napari uses back afterwards."""
    before = pint.get_application_registry().get()
    yield
    pint.set_application_registry(before)


def test_units_are_made_apart_until_they_are_ready():
    lazy = LazyRegistry()
    pint.set_application_registry(lazy)
    warm_up.load_layer_parts()
    assert type(lazy) is LazyRegistry
    assert pint.get_application_registry().pixel is not None


def test_units_that_the_window_makes_just_now_are_waited_for(monkeypatch):
    half = pint.UnitRegistry.__new__(pint.UnitRegistry)
    half.__init__(on_redefinition="raise")
    pint.set_application_registry(half)
    waited = []

    def sleep(_):
        waited.append(True)
        half._after_init()

    monkeypatch.setattr(warm_up.time, "sleep", sleep)
    warm_up.load_layer_parts()
    assert waited == [True]
    assert pint.get_application_registry().get() is half


def test_units_in_use_stay():
    before = pint.get_application_registry().get()
    assert before.pixel is not None
    warm_up.load_units()
    assert pint.get_application_registry().get() is before
