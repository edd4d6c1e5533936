"""The models of the folder zoo/: what its page says of them is true."""

import hashlib
import re
from pathlib import Path

import pytest

from napari_cellseg.core.zoo.card import Card

FOLDER = Path(__file__).parents[3] / "zoo"


@pytest.mark.skipif(not FOLDER.is_dir(), reason="only in the repository")
def test_checksums_and_cards():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    told = dict(re.findall(r"\| `([\w.-]+\.zip)`.*`([0-9a-f]{64})` \|", text))
    assert set(told) == {path.name for path in FOLDER.glob("*.zip")}
    for name, checksum in told.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == checksum
        card = Card.load(FOLDER / name)
        assert f"{card.name}.zip" == name
        assert card.licence == "BSD-3-Clause"
        assert any(group.startswith("val: ") for group in card.scores)
        assert card.self_test_sha256
