"""The box of the object diameter says to which size a model is shown the objects."""

import pytest

pytest.importorskip("qtpy.QtWidgets")

from napari_cellseg.core.zoo.card import Card
from napari_cellseg.gui.boxes.diameter import DiameterBox
from napari_cellseg.gui.boxes.model import card_html

CARD = Card(
    name="m",
    architecture="unet",
    object_diameter=20.0,
    diameter_range=(12.0, 80.0),
    enlarged_diameter=15.0,
)


@pytest.mark.parametrize(
    ("pixels", "note"),
    [(10.0, "× 1.50 to the model's 15 px"), (12.0, "× 1.67 to the model's 20 px")],
)
def test_the_note_knows_that_small_objects_are_shown_smaller_than_others(qtbot, pixels, note):
    box = DiameterBox()
    qtbot.addWidget(box)
    box.show_model(CARD)
    assert box.note.isHidden()
    box.set_pixels(pixels)
    assert not box.note.isHidden()
    assert note in box.note.text()
    box.set_pixels(None)
    assert box.note.isHidden()


def test_what_a_card_says_of_small_objects_is_shown():
    assert "smaller ones shown enlarged to 15 px" in card_html(CARD)
    assert "smaller" not in card_html(CARD.replace(enlarged_diameter=None))
