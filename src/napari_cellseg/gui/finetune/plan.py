"""What would be trained next: parent, settings, name, and what that would take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject

from napari_cellseg.core.finetuning.settings import FineTuneSettings
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.store import ModelEntry, list_models
from napari_cellseg.gui.boxes.run import remaining
from napari_cellseg.gui.boxes.training import TrainingBox
from napari_cellseg.gui.finetune.runs import Order
from napari_cellseg.gui.finetune.sources import Sources
from napari_cellseg.gui.job_runner import JobRunner, LatestJob, single_step
from napari_cellseg.gui.preferences import Preferences

if TYPE_CHECKING:
    from napari_cellseg.core.finetuning.estimate import Estimate
    from napari_cellseg.core.finetuning.material.source import Source

NO_MODEL = "No model is installed: install one, or choose one in the tab Segment."
NO_SOURCE = "Tick what the model shall learn from; so far nothing that is ticked is reviewed."
WAIT = "What there is to learn from is being counted."


class Plan(QObject):
    """Keeps the box that starts a training in step with models and sources."""

    def __init__(
        self,
        sources: Sources,
        runner: JobRunner,
        box: TrainingBox,
        preferences: Preferences,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._sources, self._box = sources, box
        self._preferences = preferences
        self._entries: dict[str, ModelEntry] = {}
        self._parent = ""
        self._picked = False
        self._jobs = LatestJob(runner, self)
        self._jobs.failed.connect(lambda error: box.show_estimate(str(error)))
        box.parent_chosen.connect(self._on_parent)
        box.settings_changed.connect(lambda _: self._follow())
        sources.changed.connect(lambda _: self._on_sources())

    @property
    def device(self) -> str:
        """What is to compute."""
        return self._preferences.runtime.device

    @property
    def parent_entry(self) -> ModelEntry | None:
        """The model that would learn."""
        return self._entries.get(self._parent)

    def refresh_models(self) -> None:
        """List the models that are installed now."""
        self._entries = {str(entry.folder): entry for entry in list_models()}
        self._choose()

    def follow_labels(self) -> None:
        """Take the model of the labels again as the parent, whatever was chosen."""
        self._picked = False
        self._choose()

    def _choose(self) -> None:
        """Take the model of the labels as the parent, unless the user picked another one."""
        if not (self._picked and self._parent in self._entries):
            self._picked = False
            wanted = (self._sources.parent_model(), self._preferences.models.default)
            keys = [key for name in wanted for key in self._entries if name and self._is(key, name)]
            self._parent = next(iter(keys), next(iter(self._entries), ""))
        self._box.show_models(self._entries, self._parent)
        self._follow()

    def _is(self, key: str, name: str) -> bool:
        return name in (key, self._entries[key].name)

    def _on_parent(self, key: str) -> None:
        if key in self._entries:
            self._parent, self._picked = key, True
            self._follow()

    def _on_sources(self) -> None:
        if not self._picked:
            self._choose()
        self._follow()

    def _follow(self) -> None:
        entry = self.parent_entry
        card = entry.card if entry is not None else None
        self._sources.prepare_for(card, self._box.settings)
        if card is not None:
            self._box.show_name(free_name(card.name, [e.card.name for e in self._entries.values()]))
        self._box.allow(self.why_not())
        self._estimate(card)

    def why_not(self) -> str:
        """Return why no training can start, "" if one can."""
        if self.parent_entry is None:
            return NO_MODEL
        if not self._sources.overview.sources:
            return WAIT if self._sources.counting else NO_SOURCE
        return ""

    def order(self) -> Order | None:
        """Return what to train, everything frozen as it is now; None if nothing can be."""
        entry, materials = self.parent_entry, self._sources.chosen()
        if entry is None or not materials:
            return None
        return Order(self._box.model_name, entry, self._box.settings, tuple(materials))

    def _estimate(self, card: Card | None) -> None:
        sources, settings, device = self._sources.overview.sources, self._box.settings, self.device
        if card is None or not sources:
            self._jobs.clear()
            self._box.show_estimate("")
            return
        self._jobs.submit(
            single_step(lambda: _estimated(settings, card, sources, device)),
            lambda found: self._box.show_estimate(words(found)),
        )

    def shut_down(self) -> None:
        """Forget what is under way."""
        self._jobs.clear()


def _estimated(
    settings: FineTuneSettings, card: Card, sources: Sequence[Source], device: str
) -> Estimate:
    from napari_cellseg.core.finetuning.estimate import estimate

    return estimate(settings, card, sources, device)


def words(found: Estimate) -> str:
    """Return an estimate as a sentence."""
    memory = found.memory_bytes / 2**30
    size = f"{memory:.1f} GB" if memory >= 0.95 else f"{1024 * memory:.0f} MB"
    note = f" {found.note}" if found.note else ""
    return f"About {remaining(found.seconds)} and {size} of memory.{note}"


def free_name(parent: str, taken: Sequence[str]) -> str:
    """Return a name for a child that no model has: ``nuclei-tuned``, ``nuclei-tuned-2``."""
    stem, _, last = parent.rpartition("-tuned")
    base = f"{stem if stem and not last.strip('-0123456789') else parent}-tuned"
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name
