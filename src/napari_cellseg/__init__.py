"""napari-cellseg: segment cells, correct them, and teach the model, in napari."""

__version__ = "0.1.0"
