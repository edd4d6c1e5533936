"""The typical diameter of the objects: left to the model, typed, or measured with a line."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_cellseg.core.zoo.card import Card

_HELP = (
    "Typical diameter of your objects. The image is rescaled to the size that the model knows; "
    "'auto' finds the size from a first look."
)


class DiameterBox(QWidget):
    """Automatic, in pixels or in µm; ``measure_requested`` asks for a line in the viewer."""

    changed = Signal()
    measure_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pixel_size: float | None = None
        self._model: Card | None = None
        self._proposed: float | None = None
        self.mode = QComboBox()
        self.mode.addItem("auto", "auto")
        self.mode.addItem("px", "px")
        self.mode.setToolTip(_HELP)
        self.mode.setAccessibleName("Object diameter: automatic, in pixels or in micrometres")
        self.spin = QDoubleSpinBox()
        self.spin.setRange(0.5, 10_000)
        self.spin.setDecimals(1)
        self.spin.setValue(30)
        self.spin.setToolTip(_HELP)
        self.spin.setAccessibleName("Object diameter")
        self.spin.setKeyboardTracking(False)
        self.measure = QPushButton("Measure")
        self.measure.setToolTip("Draw a line across one object in the viewer.")
        self.note = QLabel()
        self.note.setWordWrap(True)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.mode)
        row.addWidget(self.spin, 1)
        row.addWidget(self.measure)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(row)
        column.addWidget(self.note)
        self.mode.currentIndexChanged.connect(self._on_changed)
        self.spin.valueChanged.connect(self._on_changed)
        self.measure.clicked.connect(self.measure_requested)
        self._show_note()

    @property
    def pixels(self) -> float | None:
        """The diameter in pixels of the image, None for automatic."""
        unit = self.mode.currentData()
        if unit == "auto":
            return None
        value = float(self.spin.value())
        return value / self._pixel_size if unit == "um" and self._pixel_size else value

    def set_pixels(self, diameter: float | None) -> None:
        """Show a diameter given in pixels of the image; None is automatic."""
        if diameter is None:
            self.mode.setCurrentIndex(0)
            return
        if self.mode.currentData() == "um" and self._pixel_size:
            self.spin.setValue(diameter * self._pixel_size)
            return
        self.spin.setValue(diameter)
        self.mode.setCurrentIndex(self.mode.findData("px"))

    def propose(self, diameter: float | None) -> None:
        """Show what a model starts from, unless the user has chosen something else.

        Parameters
        ----------
        diameter
            In pixels of the image; None is automatic.
        """
        untouched = self.pixels == self._proposed
        self._proposed = diameter
        if untouched:
            self.set_pixels(diameter)
            self._proposed = self.pixels  # as the box rounds it

    def show_pixel_size(self, pixel_size: float | None) -> None:
        """Offer µm if the image has a pixel size (µm)."""
        self._pixel_size = pixel_size
        row = self.mode.findData("um")
        if pixel_size and row < 0:
            self.mode.addItem("µm", "um")
        elif not pixel_size and row >= 0:
            if self.mode.currentIndex() == row:
                self.mode.setCurrentIndex(0)
            self.mode.removeItem(row)
        self._show_note()

    def show_model(self, card: Card) -> None:
        """Say by how much the image is rescaled for a model."""
        self._model = card
        self._show_note()

    def _on_changed(self) -> None:
        self._show_note()
        self.changed.emit()

    def _show_note(self) -> None:
        pixels = self.pixels
        self.spin.setVisible(pixels is not None)
        text = ""
        if pixels is not None and self._model:
            target = self._model.shown_diameter(pixels)
            text = f"The image will be scaled × {target / pixels:.2f} to the model's {target:g} px."
        self.note.setText(text)
        self.note.setVisible(bool(text))
