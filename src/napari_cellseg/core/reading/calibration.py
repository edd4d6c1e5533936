"""Pixel size, channel names and description, as the kinds of TIFF file state them."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from typing import Any

import tifffile

_MICROMETRES = {
    "µm": 1.0, "μm": 1.0, "um": 1.0, "\\u00b5m": 1.0, "micron": 1.0, "microns": 1.0,
    "micrometer": 1.0, "micrometre": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6,
}  # fmt: skip
_COARSEST = 20.0  # µm; a plain TIFF with larger pixels states the resolution of a screen or printer


def pixel_size(
    file: tifffile.TiffFile, series: int
) -> tuple[tuple[float, float] | None, float | None]:
    """Return ((Y, X), Z) in µm, as far as the file says."""
    if file.is_ome:
        pixels = _ome_image(file, series).find("{*}Pixels")
        x, y, z = (_ome_length(pixels, axis) for axis in "XYZ")
        return ((y, x) if x and y else None), z
    page = file.series[series].keyframe
    if file.is_svs:
        found = re.search(r"MPP = ([0-9.]+)", page.description)
        size = float(found[1]) if found else 0.0
        return ((size, size) if size else None), None
    if file.is_imagej:
        metadata = file.imagej_metadata or {}
        factor = _MICROMETRES.get(str(metadata.get("unit", "")).lower())
        if factor is not None:
            step = _positive(metadata.get("spacing"))
            return _tag_size(page, factor), (step * factor if step else None)
    unit = page.resolutionunit
    factor = {tifffile.RESUNIT.INCH: 25400.0, tifffile.RESUNIT.CENTIMETER: 10000.0}.get(unit, 0.0)
    plain = _tag_size(page, factor)
    return (plain if plain and max(plain) < _COARSEST else None), None


def _tag_size(page: Any, factor: float) -> tuple[float, float] | None:
    """Return the (Y, X) pixel size from the resolution tags, in units of `factor` µm."""
    if "XResolution" not in page.tags or "YResolution" not in page.tags or not factor:
        return None
    x, y = (_positive(value) for value in page.resolution)
    return (factor / y, factor / x) if x and y else None


def _ome_image(file: tifffile.TiffFile, series: int) -> ET.Element:
    empty = ET.Element("Image")
    try:
        # tifffile has parsed the same text before; current expat stops entity expansion attacks.
        root = ET.fromstring(file.ome_metadata or "<OME/>")  # noqa: S314
    except ET.ParseError:
        return empty
    images = root.findall("{*}Image")
    return images[series] if series < len(images) else empty


def _ome_length(pixels: ET.Element | None, axis: str) -> float | None:
    if pixels is None:
        return None
    value = _positive(pixels.get(f"PhysicalSize{axis}"))
    factor = _MICROMETRES.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").lower())
    return value * factor if value and factor else None


def texts(file: tifffile.TiffFile, series: int) -> tuple[tuple[str, ...], str]:
    """Return the names of the channels of an OME image, and what that or ImageJ's says about it."""
    if file.is_imagej and not file.is_ome:
        return (), str((file.imagej_metadata or {}).get("Info", ""))
    if not file.is_ome:
        return (), ""
    image = _ome_image(file, series)
    names = tuple(one.get("Name", "") for one in image.iterfind("{*}Pixels/{*}Channel"))
    return (names if any(names) else ()), image.findtext("{*}Description", "")


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
