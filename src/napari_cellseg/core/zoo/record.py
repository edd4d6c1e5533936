"""Which self-tests have succeeded on this computer, so that none is run at every load."""

from __future__ import annotations

import json
from contextlib import suppress

from napari_cellseg import __version__
from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.files import make_folder, write_text
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.store import home_folder

RECORD_FILE = "self_tests.json"
_REMEMBERED = 200


def succeeded_before(card: Card, torch_version: str) -> bool:
    """Tell whether the self-test of these weights succeeded here, with the same versions."""
    return _key(card, torch_version) in _remembered()


def remember_success(card: Card, torch_version: str) -> None:
    """Note that the self-test of a bundle succeeded here."""
    key = _key(card, torch_version)
    keys = [one for one in _remembered() if one != key]
    text = json.dumps([*keys, key][-_REMEMBERED:], indent=1)
    with suppress(OutputError):  # without the note the test is only run again
        write_text(make_folder(home_folder()) / RECORD_FILE, text)


def _key(card: Card, torch_version: str) -> str:
    identity = f"{card.weights_sha256} {card.self_test_sha256}"
    return f"{identity} napari-cellseg {__version__} torch {torch_version}"


def _remembered() -> list[str]:
    try:
        keys = json.loads((home_folder() / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return keys if isinstance(keys, list) else []
