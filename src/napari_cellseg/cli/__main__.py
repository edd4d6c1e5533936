"""Lets ``python -m napari_cellseg.cli`` run the command line."""

import sys

from napari_cellseg.cli import main

sys.exit(main())
