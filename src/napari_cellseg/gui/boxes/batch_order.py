"""What a batch is to do and where its results go; the button that starts and cancels it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.core.batch.queue import Item, State
from napari_cellseg.core.batch.settings import BatchSettings
from napari_cellseg.gui.boxes.batch_model import words
from napari_cellseg.gui.boxes.group import wide_button
from napari_cellseg.gui.boxes.run import remaining
from napari_cellseg.gui.elided_combo import ElidedCombo

_LINK = "#3b82f6"  # to be read on dark and light ground
PRESENT, FILE, OTHER = "present", "file", "other"
"""Which recipe: that of the tab Segment, that of the chosen file, or a file still to be chosen."""


class BatchOrderBox(QWidget):
    """Chooses recipe, folder and tables; starts and cancels.

    Signals: ``recipe_chosen(str)`` with one of the choices, ``folder_edited(str)``,
    ``browse_requested()``, ``start_requested()``, ``cancel_requested()``,
    ``resume_requested()``, ``failed_requested()`` to see the next failed image.
    """

    recipe_chosen = Signal(str)
    folder_edited = Signal(str)
    browse_requested = Signal()
    start_requested = Signal()
    cancel_requested = Signal()
    resume_requested = Signal()
    failed_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self._formats: dict[str, str] = {}
        fields = BatchSettings.model_fields
        self.recipe = ElidedCombo(Qt.TextElideMode.ElideMiddle)
        self.about = _label("About the recipe")
        self.folder = QLineEdit()
        self.browse = QToolButton()
        self.axes = QLineEdit()
        self.measure = _tick("Measure every object", fields["measure"].description or "")
        self.formats = QPushButton()
        self.again = _tick(fields["again"].title or "", fields["again"].description or "")
        self.choices = QWidget()
        self.start = QPushButton()
        self.resume = wide_button(
            "Resume…", "Go on with a batch that was cancelled or broken off: choose its folder."
        )
        self.bar = QProgressBar()
        self.status = _label("State of the batch")
        self.message = _label("Message about the batch")
        self._menu = QMenu(self)
        self._dress()
        self._lay_out()
        self._connect()
        self.show_recipes([])
        self.show_formats([])
        self.show_running(False)
        for label in (self.about, self.status, self.message):
            show(label, "")

    def _dress(self) -> None:
        self.recipe.setAccessibleName("Recipe")
        self.recipe.setToolTip(
            "What is done with every image: as the tab Segment is set now, or as a recipe file of "
            "an earlier run says."
        )
        self.folder.setAccessibleName("Folder of the results")
        self.folder.setPlaceholderText("Choose a folder…")
        self.folder.setToolTip(
            "Where labels and tables are written. What is finished there under the same recipe is "
            "not done again."
        )
        self.browse.setText("…")
        self.browse.setToolTip("Choose the folder of the results.")
        self.browse.setAccessibleName("Choose the folder of the results")
        self.axes.setAccessibleName("Axes")
        self.axes.setPlaceholderText("as the files say")
        self.axes.setToolTip(
            "What the dimensions are where files and layers do not say: a letter each of T, Z, C, "
            "Y, X (S: colour samples), such as ZYX. Holds for all images."
        )
        self.formats.setAccessibleName("Other formats")
        self.formats.setToolTip(BatchSettings.model_fields["formats"].description or "")
        self.formats.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.formats.setMenu(self._menu)
        self.start.setMinimumHeight(32)
        self.bar.setAccessibleName("Progress of the batch")

    def _lay_out(self) -> None:
        place = QHBoxLayout()
        place.addWidget(self.folder, 1)
        place.addWidget(self.browse)
        form = QFormLayout(self.choices)
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Recipe", self.recipe)
        form.addRow(self.about)
        form.addRow("Results in", place)
        form.addRow("Axes", self.axes)
        form.addRow("Write also", self.formats)
        form.addRow(self.measure)
        form.addRow(self.again)
        buttons = QHBoxLayout()
        buttons.addWidget(self.start, 2)
        buttons.addWidget(self.resume, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.choices)
        column.addLayout(buttons)
        for widget in (self.bar, self.status, self.message):
            column.addWidget(widget)

    def _connect(self) -> None:
        self.recipe.activated.connect(lambda _: self.recipe_chosen.emit(self.recipe.currentData()))
        self.folder.editingFinished.connect(lambda: self.folder_edited.emit(self.folder.text()))
        self.browse.clicked.connect(lambda: self.browse_requested.emit())
        self.start.clicked.connect(self._on_clicked)
        self.resume.clicked.connect(lambda: self.resume_requested.emit())
        self.status.linkActivated.connect(lambda _: self.failed_requested.emit())

    def _on_clicked(self) -> None:
        (self.cancel_requested if self._running else self.start_requested).emit()

    # What is chosen

    @property
    def settings(self) -> BatchSettings:
        """What is written, and whether everything is done again."""
        chosen = [action.data() for action in self._menu.actions() if action.isChecked()]
        return BatchSettings(
            measure=self.measure.isChecked(), formats=tuple(chosen), again=self.again.isChecked()
        )

    def show_settings(self, settings: BatchSettings) -> None:
        """Tick what `settings` ask for."""
        self.measure.setChecked(settings.measure)
        self.again.setChecked(settings.again)
        for action in self._menu.actions():
            action.setChecked(action.data() in settings.formats)
        self._name_formats()

    # What is shown

    def show_recipes(self, choices: Sequence[tuple[str, str]], chosen: str = "") -> None:
        """List recipes by key and title."""
        blocked = self.recipe.blockSignals(True)
        self.recipe.clear()
        for key, title in choices:
            self.recipe.addItem(title, key)
        self.recipe.setCurrentIndex(max(self.recipe.findData(chosen), 0))
        self.recipe.blockSignals(blocked)

    def show_formats(self, formats: Sequence[tuple[str, str]]) -> None:
        """Offer formats by name and title."""
        chosen = self.settings.formats
        self._menu.clear()
        self._formats = dict(formats)
        for name, title in formats:
            action = self._menu.addAction(title)
            action.setCheckable(True)
            action.setData(name)
            action.setChecked(name in chosen)
            action.toggled.connect(lambda _: self._name_formats())
        self.formats.setEnabled(bool(formats))
        self._name_formats()

    def _name_formats(self) -> None:
        names = [self._formats[name].split(" (")[0] for name in self.settings.formats]
        self.formats.setText("no other format" if not names else ", ".join(names))

    def show_running(self, on: bool) -> None:
        """Turn Start into Cancel, or back; what was chosen stays as it is meanwhile."""
        self._running = on
        self.choices.setEnabled(not on)
        self.resume.setVisible(not on)
        self.bar.setVisible(on)
        self.bar.setRange(0, 0)
        self.start.setText("Cancel all" if on else "Start")
        self.start.setEnabled(True)

    def show_cancelling(self) -> None:
        """Wait for the image that runs."""
        self.start.setEnabled(False)
        show(self.status, "Cancelling…")

    def allow(self, reason: str) -> None:
        """Enable Start, or say in its tooltip why it is not."""
        if not self._running:
            self.start.setEnabled(not reason)
            self.start.setToolTip(reason or "Segment all images of the list.")
        else:
            self.start.setToolTip("Stop; images that are finished stay, and Start goes on.")

    def show_progress(self, done: int, total: int, seconds: float | None, failed: int) -> None:
        """Show how many images are settled, how long the rest takes, and how many failed."""
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        text = f"{done} of {total} images"
        if seconds is not None and done < total:
            text += f", about {remaining(seconds)} left"
        show(self.status, text + failed_link(failed))

    def show_counts(self, items: Sequence[Item]) -> None:
        """Show how a batch has ended, in numbers."""
        found = Counter(words(item) for item in items)
        failed = found.pop(str(State.FAILED), 0)
        told = [f"{number} {word}" for word, number in found.items() if word]
        show(self.status, "; ".join(told) + failed_link(failed) if told or failed else "")


def failed_link(failed: int) -> str:
    """Return how many failed, as a link to the next of them."""
    return f'; <a href="failed" style="color: {_LINK}">{failed} failed</a>' if failed else ""


def show(label: QLabel, text: str) -> None:
    """Show a sentence; "" hides the line."""
    label.setText(text)
    label.setVisible(bool(text))


def _label(name: str) -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setAccessibleName(name)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
    return label


def _tick(title: str, tip: str) -> QCheckBox:
    box = QCheckBox(title)
    box.setToolTip(tip)
    box.setAccessibleName(title)
    return box
