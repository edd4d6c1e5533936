"""Which labels are measured in which images, what takes long, and the button."""

from __future__ import annotations

from collections.abc import Sequence

from napari.layers import Image as ImageLayer
from napari.layers import Labels as LabelsLayer
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.core.measure.settings import Kind, MeasureSettings
from napari_cellseg.core.progress import Progress
from napari_cellseg.gui.elided_combo import ElidedCombo
from napari_cellseg.gui.form import Form

_MOST_ROWS = 4
_RING = ("ring_gap", "ring_width")
_NO_IMAGE = "No image lies below these labels: shapes are measured, and no brightness."


class MeasureBox(QWidget):
    """Measures on request.

    Signals: ``chosen(LabelsLayer | None)``, ``ticked(ImageLayer, bool)``,
    ``measure_requested()``, ``cancel_requested()``.
    """

    chosen = Signal(object)
    ticked = Signal(object, bool)
    measure_requested = Signal()
    cancel_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._running = False
        self._layers: list[ImageLayer] = []
        self.combo = ElidedCombo(Qt.TextElideMode.ElideMiddle)
        self.combo.setAccessibleName("Labels to measure")
        self.combo.setToolTip("The labels layer whose objects are measured.")
        self.combo.activated.connect(lambda _: self.chosen.emit(self.combo.currentData()))
        self.images = QListWidget()
        self.images.setAccessibleName("Images to measure in")
        self.images.setToolTip(
            "Tick the images whose brightness is measured in each object; those that lie below "
            "the labels are listed."
        )
        self.images.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.images.setSpacing(1)
        self.images.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.images.itemChanged.connect(self._on_item)
        self.no_image = QLabel(_NO_IMAGE)
        self.no_image.setWordWrap(True)
        self.hulls = _tick(
            "Feret diameter and solidity", "Takes about 10 s for 40,000 objects; runs afterwards."
        )
        self.rings = _tick(
            "Median and local background",
            "The median, and the mean above a ring of background around each object; runs "
            "afterwards.",
        )
        self.form = Form(MeasureSettings(), {"": ["neighbour_distance", *_RING]})
        self.rings.toggled.connect(lambda _: self._follow_rings())
        self._follow_rings()
        self.button = QPushButton()
        self.button.clicked.connect(self._on_clicked)
        self.bar = QProgressBar()
        self.bar.setAccessibleName("Progress of the measurement")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setAccessibleName("Message about the measurement")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for widget in (
            *(self.combo, self.images, self.no_image, self.hulls, self.rings, self.form),
            *(self.button, self.bar, self.message),
        ):
            column.addWidget(widget)
        self.show_running(False)
        self.show_message("")
        self.show_layers([], None)
        self.show_images([])

    @property
    def settings(self) -> MeasureSettings:
        """Distances as they are set."""
        found: MeasureSettings = self.form.params
        return found

    @property
    def slow_kinds(self) -> tuple[Kind, ...]:
        """Kinds of which the slow columns are measured too."""
        kinds: list[Kind] = []
        if self.hulls.isChecked():
            kinds.append("shape")
        if self.rings.isChecked() and self.rings.isEnabled():
            kinds.append("intensity")
        return tuple(kinds)

    def _on_clicked(self) -> None:
        (self.cancel_requested if self._running else self.measure_requested).emit()

    def _on_item(self, item: QListWidgetItem) -> None:
        layer = self._layers[self.images.row(item)]
        self.ticked.emit(layer, item.checkState() == Qt.CheckState.Checked)

    def _follow_rings(self) -> None:
        self.form.hide_fields(() if self.rings.isChecked() else _RING)

    # What is shown

    def show_layers(self, layers: Sequence[LabelsLayer], chosen: LabelsLayer | None) -> None:
        """List the labels layers and mark the chosen one."""
        blocked = self.combo.blockSignals(True)
        self.combo.clear()
        for layer in layers:
            self.combo.addItem(layer.name, layer)
        if not layers:
            self.combo.addItem("No labels yet: run a model, or add a labels layer", None)
        places = [k for k, layer in enumerate(layers) if layer is chosen]
        self.combo.setCurrentIndex(places[0] if places else (-1 if layers else 0))
        self.combo.setEnabled(bool(layers))
        self.button.setEnabled(bool(places))
        self.combo.blockSignals(blocked)

    def show_images(self, rows: Sequence[tuple[ImageLayer, str, bool]]) -> None:
        """List image layers, each with its axes and whether it is measured."""
        blocked = self.images.blockSignals(True)
        self.images.clear()
        self._layers = [layer for layer, _, _ in rows]
        for layer, axes, on in rows:
            item = QListWidgetItem(layer.name)
            item.setToolTip(f"{layer.name}, axes {' '.join(axes)}")
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
            self.images.addItem(item)
        self.images.blockSignals(blocked)
        self.images.setVisible(bool(rows))
        self.no_image.setVisible(not rows and self.combo.isEnabled())
        self.rings.setEnabled(bool(rows))
        height = max(self.images.sizeHintForRow(0), self.fontMetrics().height())
        self.images.setFixedHeight((height + 2) * min(max(len(rows), 1), _MOST_ROWS) + 8)

    def show_running(self, on: bool) -> None:
        """Show the progress, or how to start."""
        self._running = on
        text = "Cancel" if on else "Measure"
        self.button.setText(text)
        self.button.setAccessibleName(f"{text} measuring" if on else "Measure the objects")
        self.button.setToolTip(
            "Stop; columns that are there stay."
            if on
            else "Measure every object, plane by plane; the ticked columns follow when they are "
            "ready."
        )
        self.bar.setVisible(on)
        self.bar.setRange(0, 0)

    def show_progress(self, step: Progress) -> None:
        """Show how far it is."""
        self.bar.setRange(0, step.total)
        self.bar.setValue(step.done)
        self.bar.setFormat(f"{step.stage} %p%")

    def show_message(self, text: str) -> None:
        """Show a sentence; "" hides the line."""
        self.message.setText(text)
        self.message.setVisible(bool(text))


def _tick(title: str, tip: str) -> QCheckBox:
    box = QCheckBox(title)
    box.setToolTip(tip)
    box.setAccessibleName(title)
    return box
