"""Has napari delete what a layer was drawn with in the OpenGL context that drew it.

When a layer goes, napari hands its programs, textures and buffers to OpenGL for deletion at once,
outside of a drawing, whichever context is current: as a rule that in which Qt puts its widgets
together, not that of the canvas. The numbers are valid in both, as they share their objects, but
Mesa's software OpenGL (llvmpipe, Mesa 22) keeps the state of the deleted program in the other
context, and crashes in `glDrawArrays` one or two drawings later.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from weakref import ref

from napari.components import ViewerModel


def delete_in_own_context(viewer: ViewerModel) -> None:
    """Make the context of the viewer's canvas current whenever a layer is about to go."""
    window = getattr(viewer, "window", None)
    canvas = getattr(getattr(window, "_qt_viewer", None), "canvas", None)
    native = getattr(canvas, "native", None)
    if not hasattr(native, "makeCurrent"):
        return  # no window, or one that draws by other means
    known = ref(native)

    def enter(_: Any) -> None:
        widget = known()
        if widget is not None:
            with suppress(RuntimeError):  # the window is being taken apart
                widget.makeCurrent()

    viewer.layers.events.removing.connect(enter)
