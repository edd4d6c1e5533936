"""The state of one open Segment tab: what is chosen and what the last run left."""

from __future__ import annotations

from typing import Any

from psygnal import Signal

from napari_cellseg.core.recipe import Recipe
from napari_cellseg.session.presets import changes_of
from napari_cellseg.session.run import Run
from napari_cellseg.session.settings import SegmentSettings
from napari_cellseg.session.stages import needs_network


class Session:
    """Settings and run, changed by the main thread only; emits what changed.

    Signals
    -------
    settings_changed(SegmentSettings)
        The user chose something.
    run_changed(Run | None)
        There is another result, or none any more.
    """

    settings_changed = Signal(SegmentSettings)
    run_changed = Signal(object)

    def __init__(self) -> None:
        self._settings = SegmentSettings()
        self._start = self._settings.recipe
        self._run: Run | None = None

    @property
    def settings(self) -> SegmentSettings:
        """What is chosen."""
        return self._settings

    @property
    def recipe(self) -> Recipe:
        """What a run would use."""
        return self._settings.recipe

    @property
    def start(self) -> Recipe:
        """What the chosen model brings along, before the user changed anything."""
        return self._start

    @property
    def run(self) -> Run | None:
        """The last result that is still on screen."""
        return self._run

    def change(self, **changes: Any) -> None:
        """Change settings by name.

        Raises
        ------
        SettingsError
            If a value is not allowed; nothing is changed then.
        """
        self._take(self._settings.replace(**changes))

    def change_recipe(self, **changes: Any) -> None:
        """Change parts of the recipe by name, such as ``post=...``."""
        self.change(recipe=self.recipe.replace(**changes))

    def choose_model(self, start: Recipe) -> None:
        """Take another model's recipe, with what the user had changed in the last one's."""
        post = start.post.replace(**changes_of(self.recipe.post, self._start.post))
        recipe = start.replace(
            preparation=start.preparation.replace(
                channels=self.recipe.preparation.channels,
                diameter=self.recipe.preparation.diameter,
            ),
            post=post,
        )
        self._start = start
        self.change(recipe=recipe)

    def _take(self, settings: SegmentSettings) -> None:
        if settings != self._settings:
            self._settings = settings
            self.settings_changed.emit(settings)

    def accept(self, run: Run | None) -> None:
        """Keep another result, or forget the last one."""
        self._run = run
        self.run_changed.emit(run)

    @property
    def outdated(self) -> bool:
        """Whether the result was made with choices that only another run can change."""
        return self._run is not None and needs_network(self._run.recipe, self.recipe)
