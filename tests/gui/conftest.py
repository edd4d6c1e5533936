"""A model whose answer is known, and the tab in a viewer without and with a window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

SIDE = 14


@pytest.fixture
def valleys(cellseg_home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Install a network that finds bright things and the dark valleys between them."""
    return install_valleys(cellseg_home, monkeypatch)


def install_valleys(home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    from napari_cellseg.core._torch import torch
    from napari_cellseg.core.models.registry import MODELS, DenseModel, ModelParams
    from napari_cellseg.core.zoo.bundle import save_bundle
    from napari_cellseg.core.zoo.card import Card, DataSource

    class Valleys(DenseModel):
        Params = ModelParams
        stride = 1

        def __init__(self, params: ModelParams) -> None:
            super().__init__(params)
            self.filter = torch.nn.Conv2d(params.in_channels, 2, 5, padding=2)
            blur = torch.full((5, 5), 1 / 25)
            bend = blur.clone()
            bend[2, 2] -= 1
            with torch.no_grad():
                self.filter.weight[0] = 30 * blur / params.in_channels
                self.filter.weight[1] = 200 * bend / params.in_channels
                self.filter.bias[:] = torch.tensor([-7.0, -6.0])

        def forward_padded(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
            return self.split(self.filter(image))

    MODELS.names()
    monkeypatch.setitem(MODELS._members, "valleys", Valleys)
    card = Card(
        name="valleys",
        title="Bright things",
        description="Bright round things on a dark ground, any microscope.",
        architecture="valleys",
        licence="CC0-1.0",
        data=(DataSource(name="Simulated discs", licence="CC0-1.0", images=12),),
        scores={"Simulated discs": {"AP@0.5": 0.91, "Dice": 0.95}},
        diameter_range=(2.0, 200.0),
    )
    save_bundle(home / "models" / "valleys", Valleys(ModelParams()), card)
    return "valleys"


def discs(shape: tuple[int, int] = (160, 200), seed: int = 0) -> np.ndarray:
    """Return an 8-bit image of bright discs of several sizes."""
    rng = np.random.default_rng(seed)
    image = np.zeros(shape, np.float32)
    y, x = np.mgrid[: shape[0], : shape[1]]
    for row in range(12, shape[0] - 8, 26):
        for column in range(12, shape[1] - 8, 26):
            radius = rng.choice([2.5, 6, 8, 9])
            image = np.maximum(image, 220 * (np.hypot(y - row, x - column) < radius))
    return (image + rng.integers(0, 12, shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def field(tmp_path: Path) -> Path:
    """An image of discs in a file."""
    path = tmp_path / "field.tif"
    tifffile.imwrite(path, discs())
    return path


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open the tab without loading libraries in the background."""
    from napari_cellseg.gui.panels import segment
    from napari_cellseg.gui.preferences import Models, Preferences, Runtime

    preferences = Preferences(runtime=Runtime(warm_up=False), models=Models(default="valleys"))
    monkeypatch.setattr(segment, "read_preferences", lambda: preferences)


@pytest.fixture
def move_mouse():
    """Tell a canvas that the mouse moved, at once, and by default with the left button down.

    QTest moves the pointer of the screen instead, and is told by the server of the screen when it
    gets to it: on a busy machine after the release.
    """
    from qtpy.QtCore import QEvent, QPointF, Qt
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    def move(canvas, place, buttons=Qt.MouseButton.LeftButton) -> None:
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            QPointF(place),
            QPointF(canvas.mapToGlobal(place)),
            Qt.MouseButton.NoButton,
            buttons,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(canvas, event)
        QApplication.processEvents()

    return move


class Tab:
    """The tab Segment in a viewer, driven as a user would."""

    def __init__(self, qtbot, viewer) -> None:
        from napari_cellseg.gui.panels.segment import SegmentPanel

        self.qtbot = qtbot
        self.viewer = viewer
        self.panel = SegmentPanel(viewer)

    @property
    def layer(self):
        return self.panel.result.layer

    @property
    def labels(self) -> np.ndarray:
        return np.asarray(self.layer.data)

    def run(self) -> None:
        self.panel.run()
        self.settle()

    def settle(self) -> None:
        """Wait until neither network nor live updates are under way."""
        panel = self.panel
        self.qtbot.waitUntil(lambda: not panel.network.running, timeout=60_000)
        self.qtbot.waitUntil(lambda: not panel.live.busy, timeout=60_000)

    def move(self, name: str, value) -> None:
        """Move a control of the live panel and wait for its effect."""
        control = self.panel.view.live.form.controls[name]
        control.set_value(value)
        control.changed.emit(control.value())
        self.settle()

    def close(self) -> None:
        self.panel.shut_down()
        self.qtbot.waitUntil(lambda: not self.panel.runner.busy, timeout=60_000)
        self.panel.deleteLater()


@pytest.fixture
def tab(qtbot, valleys, cold):
    """The tab in a viewer without a window."""
    from napari.components import ViewerModel

    tab = Tab(qtbot, ViewerModel())
    yield tab
    tab.close()
