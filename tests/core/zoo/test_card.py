"""Cards: round trip, and what is refused."""

import json

import pytest
from pydantic import ValidationError

from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.zoo.card import Card, DataSource


def test_round_trip(tmp_path):
    card = Card(
        name="zellen",
        architecture="attention-unet",
        title="Zellkerne ü",
        data=(DataSource(name="BBBC039", licence="CC0", images=200),),
        scores={"BBBC039": {"ap50": 0.9}},
        post={"min_area": 30},
        lineage=("nuclei",),
    )
    (tmp_path / "card.json").write_text(card.to_json(), encoding="utf-8")
    assert Card.load(tmp_path) == card
    assert "ü" in card.to_json()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "../evil"}, "name"),
        ({"name": ""}, "name"),
        ({"object_diameter": 5.0}, "diameter_range"),
        ({"enlarged_diameter": 7.0}, "enlarged_diameter must lie"),
        ({"enlarged_diameter": 81.0}, "enlarged_diameter must lie"),
        ({"channels": ["rgb"], "in_channels": 1}, "3 input channels"),
        ({"channels": ["cmyk"]}, "channels"),
        ({"weights_sha256": "xyz"}, "weights_sha256"),
        ({"surprise": 1}, "surprise"),
        ({"schema_version": 3}, "newer.*update"),
        ({"schema_version": "x"}, "schema_version"),
    ],
)
def test_wrong_cards_are_worded(change, words):
    values = {**Card(name="a", architecture="b").model_dump(mode="json"), **change}
    with pytest.raises(ModelError, match=words):
        Card.from_json(json.dumps(values))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"card"'])
def test_what_is_no_card_is_refused(text):
    with pytest.raises(ModelError, match="install the model again"):
        Card.from_json(text)


def test_a_folder_without_a_card_is_no_model(tmp_path):
    with pytest.raises(ModelError, match=r"holds no card\.json"):
        Card.load(tmp_path)
    (tmp_path / "card.json").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(ModelError, match="cannot be read"):
        Card.load(tmp_path)


def test_a_card_is_frozen():
    with pytest.raises(ValidationError):
        Card(name="a", architecture="b").name = "c"
