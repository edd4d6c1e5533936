"""Choose the image, say what its axes are, and which channel to use."""

from __future__ import annotations

import weakref
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image as ImageLayer
from napari.utils.theme import get_theme
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFormLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_cellseg.core.errors import CellsegError
from napari_cellseg.gui import conversion, layers
from napari_cellseg.gui.boxes.axis_bar import AxisBar
from napari_cellseg.gui.elided_combo import ElidedCombo
from napari_cellseg.gui.tab_order import put_in_tab_order

_LAYER_HELP = "The image to segment; the layer selected in the list."
_NUCLEAR = ("dapi", "hoechst", "nuc", "405", "draq", "h2b")


class ImageBox(QWidget):
    """The image layer, its axes and its channel.

    ``changed`` is emitted when any of them is another one.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._known: weakref.WeakKeyDictionary[ImageLayer, tuple[str, bool]] = (
            weakref.WeakKeyDictionary()
        )
        self.problem = ""
        self.layer_combo = ElidedCombo(Qt.TextElideMode.ElideMiddle)
        self.layer_combo.setToolTip(_LAYER_HELP)
        self.layer_combo.setAccessibleName("Image layer")
        self.axis_bar = AxisBar()
        self.hint = QLabel()
        self.hint.setWordWrap(True)
        self.confirm = QPushButton("Yes, these axes are right")
        self.confirm.setToolTip("Use the axes as shown; or choose others above.")
        self.channel_combo = ElidedCombo()
        self.channel_combo.setToolTip("The channel that shows what is to be segmented.")
        self.channel_combo.setAccessibleName("Channel")
        self._lay_out()
        self.layer_combo.currentIndexChanged.connect(self._on_layer_chosen)
        self.axis_bar.changed.connect(self._on_axes_edited)
        self.confirm.clicked.connect(self._on_axes_edited)
        self.channel_combo.currentIndexChanged.connect(lambda _: self.changed.emit())

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setContentsMargins(0, 0, 0, 0)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("&Image", self.layer_combo)
        form.addRow("Axes", self.axis_bar)
        form.addRow("Channel", self.channel_combo)
        self._form = form
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(form)
        column.addWidget(self.hint)
        column.addWidget(self.confirm)

    @property
    def layer(self) -> ImageLayer | None:
        """The chosen layer."""
        chosen = self.layer_combo.currentData()
        return chosen() if chosen is not None else None

    @property
    def axes(self) -> str:
        """One letter a dimension of the chosen layer."""
        return self.axis_bar.axes

    @property
    def channels(self) -> tuple[int, ...] | None:
        """Indices of the chosen channel, None for all."""
        index = self.channel_combo.currentData()
        return None if index is None else (int(index),)

    @property
    def confirmed(self) -> bool:
        """Whether the axes are beyond doubt, by name or shape, or because the user said so."""
        layer = self.layer
        return layer is not None and self._known.get(layer, ("", False))[1]

    def refresh_layers(self) -> None:
        """Show the image layers that exist now and keep the choice, else take the active one."""
        before = self.layer
        found = layers.image_layers(self._viewer)
        wanted = before if before in found else layers.active_image(self._viewer)
        self.layer_combo.blockSignals(True)
        self.layer_combo.clear()
        for layer in found:
            self.layer_combo.addItem(layer.name, weakref.ref(layer))
            if layer is wanted:
                self.layer_combo.setCurrentIndex(self.layer_combo.count() - 1)
        self.layer_combo.blockSignals(False)
        self._name_layer()
        if wanted is not before:
            self._show_layer()
            self.changed.emit()

    def choose(self, layer: ImageLayer) -> None:
        """Choose `layer` as if the user had."""
        for row in range(self.layer_combo.count()):
            if self.layer_combo.itemData(row)() is layer:
                self.layer_combo.setCurrentIndex(row)

    def _name_layer(self) -> None:
        name = self.layer_combo.currentText()
        self.layer_combo.setToolTip(f"{name}\n{_LAYER_HELP}" if name else _LAYER_HELP)

    def _on_layer_chosen(self, _: int) -> None:
        self._name_layer()
        self._show_layer()
        self.changed.emit()

    def _show_layer(self) -> None:
        layer = self.layer
        self.problem = ""
        if layer is None:
            return
        shape = conversion.full_data(layer).shape
        if layer not in self._known:
            try:
                guess = conversion.guess_layer_axes(layer)
            except CellsegError as error:
                self.problem = str(error)
                self.axis_bar.show_axes("", (), False)
                self._show_hint(self.problem, False)
                return
            self._known[layer] = (guess.axes, not guess.ambiguous)
            self._reason = guess.reason
        axes, known = self._known[layer]
        self.axis_bar.show_axes(axes, tuple(shape), bool(layer.rgb))
        put_in_tab_order(self.layer_combo, self.axis_bar.combos)
        self._show_hint("" if known else f"{self._reason} Is that right?", not known)
        self._show_channels(layer, axes)

    def _show_hint(self, text: str, ask: bool) -> None:
        colour = get_theme(self._viewer.theme).warning.as_hex()
        self.hint.setStyleSheet(f"border-left: 3px solid {colour}; padding-left: 6px;")
        self.hint.setText(text)
        self.hint.setVisible(bool(text))
        self.confirm.setVisible(ask)

    def _on_axes_edited(self) -> None:
        layer = self.layer
        if layer is None:
            return
        axes = self.axis_bar.axes
        self.problem = "" if {"Y", "X"} <= set(axes) else "Choose which dimensions are Y and X."
        self._known[layer] = (axes, not self.problem)
        self._show_hint(self.problem, False)
        self._show_channels(layer, axes)
        self.changed.emit()

    def _show_channels(self, layer: ImageLayer, axes: str) -> None:
        combo = self.channel_combo
        combo.blockSignals(True)
        combo.clear()
        if layer.rgb:
            combo.addItem("Colour (red, green, blue)", None)
            for index, name in enumerate(("Red", "Green", "Blue")):
                combo.addItem(f"{name} only", index)
        elif "C" in axes:
            self._add_channels(layer, axes)
        combo.blockSignals(False)
        self._form.setRowVisible(combo, combo.count() > 0)

    def _add_channels(self, layer: ImageLayer, axes: str) -> None:
        count = conversion.full_data(layer).shape[axes.index("C")]
        names: list[Any] = list(layer.metadata.get("channel_names", ()))
        if len(names) != count:
            names = [f"Channel {index + 1}" for index in range(count)]
        for index, name in enumerate(names):
            self.channel_combo.addItem(str(name), index)
        self.channel_combo.addItem("All channels together", None)
        nuclear = [i for i, n in enumerate(names) if any(k in str(n).lower() for k in _NUCLEAR)]
        shown = round(self._viewer.dims.point[axes.index("C") - layer.ndim])
        best = nuclear[0] if nuclear else min(max(shown, 0), count - 1)
        self.channel_combo.setCurrentIndex(best)
