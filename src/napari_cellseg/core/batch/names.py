"""Names of results: one for each image, told apart where file names are the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from napari_cellseg.core.reading import stem

_FORBIDDEN = '<>:"/\\|?*'  # in names of files, on one system or another
_LONGEST = 100  # letters


def file_name(title: str) -> str:
    """Return a name for files that all systems take.

    Examples
    --------
    >>> file_name("GFP / day 1.")
    'GFP _ day 1'
    """
    clean = "".join("_" if c in _FORBIDDEN or ord(c) < 32 else c for c in title)
    return clean.strip(" .")[:_LONGEST] or "image"


def result_names(paths: list[Path]) -> dict[Path, str]:
    """Give each image a name for its results; equal stems get their folder, suffix, or a number.

    Examples
    --------
    >>> list(result_names([Path("a/x.tif"), Path("b/x.tif"), Path("b/y.png")]).values())
    ['a_x', 'b_x', 'y']
    """
    forms = [
        {path: stem(path) for path in paths},
        {path: f"{path.resolve().parent.name}_{stem(path)}" for path in paths},
        {path: f"{path.resolve().parent.name}_{path.name.replace('.', '_')}" for path in paths},
    ]
    # Folded: some file systems do not tell upper from lower case.
    counts = [Counter(name.casefold() for name in form.values()) for form in forms]
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        unique = (
            form[path]
            for form, count in zip(forms, counts, strict=True)
            if count[form[path].casefold()] == 1
        )
        names[path] = unused(next(unique, forms[-1][path]), taken)
    return names


def unused(wanted: str, taken: set[str]) -> str:
    """Return a name, with a number where it is `taken`, and note that it is taken now."""
    name, number = wanted, 2
    while name.casefold() in taken:
        name = f"{wanted}_{number}"
        number += 1
    taken.add(name.casefold())
    return name
