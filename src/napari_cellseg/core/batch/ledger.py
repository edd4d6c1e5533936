"""What is finished in a folder of results, kept so that a crash loses nothing of it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import DataError, SettingsError
from napari_cellseg.core.files import output_error, write_text
from napari_cellseg.core.recipe import Recipe

SCHEMA_VERSION = 1


class Finished(Params):
    """An image whose results are on disk.

    Attributes
    ----------
    key, state
        Which input, and what it was like, see `BatchInput`.
    recipe
        Hash of the recipe.
    measured
        Hash of the settings that it was measured with, "" if it was not.
    formats
        Other formats that it was written in.
    size
        Bytes of its label image: a power cut may cut a file short. None if nobody noted it.
    name
        Of its results.
    row
        Its row of the table over all images.
    """

    schema_version: Literal[1] = 1
    key: str
    state: str
    recipe: str
    measured: str = ""
    formats: tuple[str, ...] = ()
    size: int | None = None
    name: str
    row: dict[str, str | int | float | None]

    def same(self, other: Finished) -> bool:
        """Tell whether `other` would be done in the same way from the same pixels."""
        mine = (self.key, self.state, self.recipe, self.name)
        theirs = (other.key, other.state, other.recipe, other.name)
        enough = other.measured in ("", self.measured) and set(other.formats) <= set(self.formats)
        return bool(self.state) and mine == theirs and enough


def hash_of(params: Params | Recipe) -> str:
    """Return the hash of settings."""
    text = json.dumps(params.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


class Ledger:
    """The list of finished images: a line of JSON each.

    It is written anew, whole or not at all, when it is opened, and grows by a line at a time from
    then on: a crash in the middle of a line costs that image alone.

    Raises
    ------
    DataError
        If a newer version of the plugin has written it.
    OutputError
        If it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._finished: dict[str, Finished] = {}
        self._keys: dict[str, str] = {}  # by name of the results
        for one in _read(path):
            self._note(one)
        write_text(path, "".join(_line(one) for one in self._finished.values()))

    def knows(self, key: str) -> bool:
        """Tell whether an image was finished at all; in what way, `find` tells."""
        return key in self._finished

    def of_other_recipes(self, recipe: str) -> int:
        """Return how many images were finished under other recipes than that with this hash."""
        return sum(one.recipe != recipe for one in self._finished.values())

    def of_other_images(self, names: Iterable[tuple[str, str]]) -> list[Finished]:
        """Return what is finished of images that a batch lacks, under names that it will use.

        Parameters
        ----------
        names
            Key and name of the results of each image of the batch.
        """
        wanted = {name.casefold(): key for key, name in names}
        keys = set(wanted.values())
        found = [self._keys.get(name) for name in wanted]
        return [self._finished[key] for key in found if key is not None and key not in keys]

    def keep_only(self, recipe: str) -> None:
        """Forget the images that were finished under other recipes; their files stay.

        Raises
        ------
        OutputError
            If that cannot be written.
        """
        with self._lock:
            kept = {key: one for key, one in self._finished.items() if one.recipe == recipe}
            write_text(self._path, "".join(_line(one) for one in kept.values()))
            self._finished = kept
            self._keys = {one.name.casefold(): key for key, one in kept.items()}

    def find(self, wanted: Finished) -> Finished | None:
        """Return the entry of the same work as `wanted`, None if that is still to be done."""
        found = self._finished.get(wanted.key)
        return found if found is not None and found.same(wanted) else None

    def add(self, finished: Finished) -> None:
        """Note that the results of an image are on disk; from any thread.

        Raises
        ------
        OutputError
            If that cannot be written.
        """
        with self._lock:
            try:
                with self._path.open("ab") as stream:
                    # Not synced: the image is done again if a power cut takes the line.
                    stream.write(_line(finished).encode())
            except OSError as error:
                raise output_error(self._path, error) from error
            self._note(finished)

    def _note(self, finished: Finished) -> None:
        """Take in an image; another one whose results had the same name lies there no more."""
        name, before = finished.name.casefold(), self._finished.pop(finished.key, None)
        if before is not None and self._keys.get(before.name.casefold()) == finished.key:
            del self._keys[before.name.casefold()]
        replaced = self._keys.pop(name, None)
        if replaced is not None:
            self._finished.pop(replaced, None)
        self._finished[finished.key], self._keys[name] = finished, finished.key


def _line(finished: Finished) -> str:
    return json.dumps(finished.model_dump(mode="json"), ensure_ascii=False) + "\n"


def _read(path: Path) -> list[Finished]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise output_error(path, error) from error
    found = []
    for line in lines:
        try:
            values = json.loads(line)
            version = values.get("schema_version")
        except (ValueError, AttributeError):
            continue  # cut off by a crash
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise DataError(
                f"The folder '{path.parent.parent}' was written by a newer version of this plugin: "
                "update napari-cellseg, or choose another folder."
            )
        try:
            found.append(Finished.parse(values))
        except SettingsError:
            continue  # the image is done again
    return found
