"""Say something about an object by a click: its class, or that it is locked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_cellseg.gui.tools.registry import TOOLS, Tool

_NO_CLASSES = (
    "These labels have no classes: choose a model in the tab Segment that tells classes apart."
)


@TOOLS.register("class")
class ClassTool(Tool):
    """A number key chooses a class, a click gives it."""

    title = "Class"
    key = "Shift-C"
    help = (
        "Press 1 to 9 for a class of the model, then click the objects that have it: they are "
        "locked."
    )
    place = 10

    _chosen = ""

    def begin(self) -> None:
        """Tell the classes."""
        names = self.bench.class_names()
        if self._chosen not in names:
            self._chosen = ""
        listed = ", ".join(f"{k} {name}" for k, name in enumerate(names[:9], 1))
        self.bench.told.emit(f"Press a number, then click: {listed}." if names else _NO_CLASSES)

    def press(self, key: str) -> None:
        """Choose the class with that number."""
        names = self.bench.class_names()
        if not key.isdigit():
            return
        if 0 < int(key) <= len(names):
            self._chosen = names[int(key) - 1]
            self.bench.told.emit(f"Click the objects of class '{self._chosen}'.")
        elif names:
            self.bench.told.emit(f"There is no class {key}: press 1 to {min(len(names), 9)}.")

    def click(self, position: Sequence[float], modifiers: frozenset[str]) -> None:
        """Give the object that was clicked the chosen class."""
        label, binding = self.bench.object_at(position), self.bench.binding
        if not label or binding is None:
            self.bench.told.emit("Click an object.")
        elif not self._chosen:
            names = self.bench.class_names()
            self.bench.told.emit("Press the number of a class first." if names else _NO_CLASSES)
        else:
            state = binding.document.states[label].classed(self._chosen)
            step = binding.document.decide(f"Class '{self._chosen}'", {label: state})
            told = "now" if step is not None else "already"
            self.bench.told.emit(f"Object {label} is {told} '{self._chosen}', and locked.")


@TOOLS.register("lock")
class LockTool(Tool):
    """A click accepts an object as it is; another one gives it back to the sliders."""

    title = "Lock"
    key = "Shift-L"
    help = "Click an object to accept and lock it, or to unlock it: sliders change it again."
    place = 11

    def click(self, position: Sequence[float], modifiers: frozenset[str]) -> None:
        """Lock or unlock the object that was clicked."""
        label, binding = self.bench.object_at(position), self.bench.binding
        if not label or binding is None:
            self.bench.told.emit("Click an object.")
            return
        state = binding.document.states[label]
        if state.locked:
            name, new = "Unlock", replace(state, decision="", locked=False)
        else:
            name, new = "Accept", replace(state, decision="accepted", locked=True)
        binding.document.decide(name, {label: new})
        self.bench.told.emit(f"Object {label} is {'locked' if new.locked else 'unlocked'}.")
