"""Which recipe, which folder, and which batch is taken up: what the order is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog

from napari_cellseg.core.recipe import Recipe
from napari_cellseg.gui.boxes.batch_order import FILE, OTHER, PRESENT, BatchOrderBox, show
from napari_cellseg.gui.correct.desk import Desk
from napari_cellseg.gui.job_runner import JobRunner, single_step
from napari_cellseg.gui.preferences import Preferences

if TYPE_CHECKING:
    from napari_cellseg.core.batch.plan import Plan

RESULTS = "cellseg"
"""Folder that is proposed for the results, beside the first image."""
# Formats that hold only what the table over all images holds, or that are written anyway.
_NOT_OFFERED = ("label-tiff", "measurements-csv", "measurements-parquet")
Known = tuple[Recipe | None, list[tuple[str, str]], tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class TakenUp:
    """A batch that is to be taken up."""

    folder: Path
    plan: Plan
    recipe: Recipe


class Choices(QObject):
    """Keeps the choices.

    Signals: ``changed()``, ``told(str)`` with one sentence, ``taken_up(TakenUp)``.
    """

    changed = Signal()
    told = Signal(str)
    taken_up = Signal(object)

    def __init__(
        self,
        desk: Desk,
        runner: JobRunner,
        box: BatchOrderBox,
        preferences: Preferences,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._desk, self._runner, self._box = desk, runner, box
        self._preferences = preferences
        self._start: Recipe | None = None  # of the default model, for want of a tab Segment
        self._file: tuple[str, Recipe] | None = None
        self._which = PRESENT
        self._proposed = ""
        self._known = False
        self.suffixes: tuple[str, ...] = ()
        box.recipe_chosen.connect(self._on_recipe)
        box.browse_requested.connect(self._on_browse)
        box.resume_requested.connect(self._on_resume)
        box.folder.textChanged.connect(lambda _: self.changed.emit())

    def wake(self) -> None:
        """Look at the tab Segment again; load what loads slowly, once."""
        if not self._known:
            self._known = True
            name = self._preferences.models.default
            self._in_worker(lambda: look_around(name), self._on_known)
        self.refresh()

    def _on_known(self, found: Known) -> None:
        recipe, formats, self.suffixes = found
        if recipe is not None:
            tiling = recipe.tiling.replace(tile=self._preferences.runtime.tile)
            self._start = recipe.replace(tiling=tiling)
        self._box.show_formats(formats)
        self.refresh()

    def _in_worker(self, function: Any, deliver: Any) -> None:
        job = self._runner.create(single_step(function))
        job.succeeded.connect(deliver)
        job.failed.connect(lambda error: self.told.emit(str(error)))
        job.start()

    # What is chosen

    @property
    def recipe(self) -> Recipe | None:
        """What is to be done, None while nobody knows."""
        if self._which == FILE and self._file is not None:
            return self._file[1]
        settings = self._desk.settings
        return settings.recipe if settings is not None else self._start

    @property
    def device(self) -> str:
        """What computes."""
        settings = self._desk.settings
        return str(settings.device if settings is not None else self._preferences.runtime.device)

    @property
    def folder(self) -> Path | None:
        """Where the results go, None if that is not chosen."""
        text = self._box.folder.text().strip()
        return Path(text).expanduser() if text else None

    def refresh(self) -> None:
        """Show what is chosen now; the tab Segment may have changed."""
        present = "As set in Segment" if self._desk.settings is not None else "The default model"
        known = [(PRESENT, present)]
        if self._file is not None:
            known.append((FILE, self._file[0]))
        self._box.show_recipes([*known, (OTHER, "Recipe file…")], self._which)
        recipe = self.recipe
        show(self._box.about, "" if recipe is None else describe(recipe))
        self.changed.emit()

    def propose(self, first: Path | None) -> None:
        """Propose a folder beside the first image, if nobody has chosen one."""
        if first is not None and self._box.folder.text().strip() in ("", self._proposed):
            self._proposed = str(first.parent / RESULTS)
            self._box.folder.setText(self._proposed)

    # What a person does

    def _on_recipe(self, which: str) -> None:
        if which != OTHER:
            self._which = which
            self.refresh()
            return
        text, _ = QFileDialog.getOpenFileName(
            self._box, "Recipe", str(self.folder or Path.home()), "Recipes (*.json);;All files (*)"
        )
        if text:
            self.load_recipe(Path(text))
        else:
            self.refresh()

    def load_recipe(self, path: Path) -> None:
        """Take the recipe in a file."""
        self._in_worker(lambda: Recipe.load(path), lambda one: self.take_recipe(path.name, one))

    def take_recipe(self, title: str, recipe: Recipe) -> None:
        """Choose a recipe that comes from a file."""
        self._file, self._which = (title, recipe), FILE
        self.told.emit("")
        self.refresh()

    def _on_browse(self) -> None:
        start = self.folder or Path.home()
        text = QFileDialog.getExistingDirectory(self._box, "Results in", str(start))
        if text:
            self._box.folder.setText(text)

    def _on_resume(self) -> None:
        start = self.folder if self.folder is not None and self.folder.is_dir() else Path.home()
        text = QFileDialog.getExistingDirectory(self._box, "Go on with the batch in", str(start))
        if text:
            self.take_up(Path(text))

    def take_up(self, folder: Path) -> None:
        """Read what the batch in a folder was to do."""
        self._in_worker(lambda: read(folder), self._on_read)

    def _on_read(self, found: TakenUp) -> None:
        self._box.folder.setText(str(found.folder))
        self._box.show_settings(found.plan.settings)
        self.take_recipe(f"{found.folder.name}/recipe.json", found.recipe)
        self.taken_up.emit(found)


def describe(recipe: Recipe) -> str:
    """Return the most telling settings of a recipe in one line."""
    post, preparation = recipe.post, recipe.preparation
    size = f"{preparation.diameter:g} px" if preparation.diameter else "automatic"
    told = [f"model {Path(recipe.model).name}", f"diameter {size}"]
    told.append(f"foreground above {post.foreground_threshold:g}")
    if preparation.channels:
        told.append(f"channels {', '.join(map(str, preparation.channels))}")
    return "; ".join(told)


def read(folder: Path) -> TakenUp:
    """Read what the batch in a folder was to do (for a worker).

    Raises
    ------
    DataError
        As of `read_plan`.
    """
    from napari_cellseg.core.batch.plan import read_plan

    return TakenUp(folder, *read_plan(folder))


def look_around(model: str) -> Known:
    """Return the default model's recipe, formats, and endings of images (for a worker)."""
    from napari_cellseg.core.errors import ModelError
    from napari_cellseg.core.export.registry import EXPORTERS
    from napari_cellseg.core.reading import SUFFIXES
    from napari_cellseg.core.zoo.store import find_model

    titles = [(name, one.title) for name, one in EXPORTERS.items() if name not in _NOT_OFFERED]
    formats = sorted(titles, key=lambda one: one[1])
    try:
        entry = find_model(model)
    except ModelError:
        return None, formats, SUFFIXES
    return Recipe.for_model(entry.card, entry.name), formats, SUFFIXES
