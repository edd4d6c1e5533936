"""Synthetic pictures of touching cells, and the maps that a good network would give for them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi

CELLS = {512: 150, 1024: 720, 2048: 3000}
"""Cells by picture side; larger pictures are mosaics of the 2048 px one."""

MEAN_RADIUS = 16.5


def touching_cells(side: int, n_cells: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Return labels (side, side): dense clumps of ellipses, a pixel to the one it is deepest in.

    Centres lie on a jittered hexagonal grid, kept where a smooth random field is highest; none is
    so near the edge that a cell could cross it.
    """
    pitch = 1.72 * MEAN_RADIUS
    rows = np.arange(pitch, side - pitch, 0.866 * pitch)
    columns = [np.arange(pitch * (1 + k % 2 / 2), side - pitch, pitch) for k in range(len(rows))]
    centres = np.array([(y, x) for y, row in zip(rows, columns, strict=True) for x in row])
    centres += rng.normal(0, 0.13 * pitch, centres.shape)
    centres = centres.clip(1.32 * MEAN_RADIUS, side - 1.32 * MEAN_RADIUS)
    density = ndi.gaussian_filter(rng.normal(size=(side // 8, side // 8)), 8)
    at = np.minimum(centres // 8, side // 8 - 1).astype(int)
    densest = np.argsort(-density[at[:, 0], at[:, 1]])[:n_cells]
    labels = np.zeros((side, side), np.int32)
    depth = np.ones((side, side))
    for number, (cy, cx) in enumerate(centres[np.sort(densest)], start=1):
        _draw_ellipse(labels, depth, number, cy, cx, rng)
    return _largest_pieces(labels)


def _draw_ellipse(
    labels: npt.NDArray[np.int32],
    depth: npt.NDArray[np.float64],
    number: int,
    cy: float,
    cx: float,
    rng: np.random.Generator,
) -> None:
    a, b = MEAN_RADIUS * rng.uniform(0.85, 1.3), MEAN_RADIUS * rng.uniform(0.75, 1.05)
    turn = np.exp(1j * rng.uniform(0, np.pi))
    reach = int(max(a, b)) + 2
    window = np.s_[
        max(0, int(cy) - reach) : int(cy) + reach + 1, max(0, int(cx) - reach) : int(cx) + reach + 1
    ]
    y, x = np.ogrid[window]
    offset = ((x - cx) + 1j * (y - cy)) * turn
    distance = (offset.real / a) ** 2 + (offset.imag / b) ** 2
    deeper = distance < depth[window]
    depth[window][deeper] = distance[deeper]
    labels[window][deeper] = number


def _largest_pieces(labels: npt.NDArray[np.int32], least: int = 60) -> npt.NDArray[np.int32]:
    """Keep of every cell its largest connected piece, if it has `least` px, and renumber."""
    kept = np.zeros_like(labels)
    number = 0
    for index, box in enumerate(ndi.find_objects(labels), start=1):
        if box is None:
            continue
        pieces, n = ndi.label(labels[box] == index)
        area = np.bincount(pieces.ravel())[1:]
        if n and area.max() >= least:
            number += 1
            kept[box][pieces == 1 + area.argmax()] = number
    return kept


def network_maps(
    labels: npt.NDArray[np.int32], rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return foreground and contour probability x 255: soft edges, gaps, smooth noise."""
    highest = ndi.maximum_filter(labels, 3)
    lowest = ndi.minimum_filter(labels, 3)
    edge = ndi.binary_dilation((highest != lowest) & (labels > 0), np.ones((2, 2)))
    maps = []
    for truth, sigma, gain, noise in ((labels > 0, 1.0, 1.0, 0.10), (edge, 0.8, 1.15, 0.14)):
        grain = ndi.gaussian_filter(rng.standard_normal(labels.shape, np.float32), 2)
        soft = gain * ndi.gaussian_filter(truth.astype(np.float32), sigma)
        noisy = np.clip(soft, 0, 1) + noise * grain / grain.std()
        maps.append((np.clip(noisy, 0, 1) * 255).round().astype(np.uint8))
    return maps[0], maps[1]


def fluorescence(labels: npt.NDArray[np.int32], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return a noisy fluorescence-like picture of the cells."""
    brightness = np.append(12.0, rng.uniform(70, 190, labels.max())).astype(np.float32)
    picture = ndi.gaussian_filter(brightness[labels], 1.2)
    picture += 6 * rng.standard_normal(labels.shape, np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8)


def packed_cells(side: int, pitch: int = 20) -> npt.NDArray[np.int32]:
    """Return labels (side, side) of blobs of up to `pitch` px that touch, numbered row by row.

    Every pixel belongs to the nearest point of a jittered grid, if it is near enough.
    """
    rng = np.random.default_rng(side)
    count = side // pitch
    grid = np.stack(np.mgrid[:count, :count], axis=-1).reshape(-1, 2) * pitch + pitch / 2
    centres = np.round(grid + rng.uniform(-3, 3, grid.shape)).astype(int).clip(0, side - 1)
    points = np.zeros((side, side), np.int32)
    points[centres[:, 0], centres[:, 1]] = np.arange(1, len(centres) + 1)
    distance, (y, x) = ndi.distance_transform_edt(points == 0, return_indices=True)
    return np.where(distance <= 0.55 * pitch, points[y, x], 0).astype(np.int32)


def packed_picture(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.uint16]:
    """Return a noisy 16-bit picture of packed cells, of another brightness each."""
    noise = np.random.default_rng(0).integers(0, 500, labels.shape, np.uint16)
    return ((labels % 251) * 200).astype(np.uint16) + noise


def write(side: int, folder: Path) -> None:
    """Write ``labels``, ``foreground``, ``contour`` and ``image`` of one size, unless present."""
    if (folder / f"image_{side}.npy").exists():
        return
    if side > 2048:
        write(2048, folder)
        repeats = side // 2048
        parts = {n: np.load(folder / f"{n}_2048.npy") for n in ("foreground", "contour", "image")}
        pictures = {name: np.tile(part, (repeats, repeats)) for name, part in parts.items()}
        labels = np.load(folder / "labels_2048.npy")
        which = np.arange(repeats**2, dtype=np.int32).reshape(repeats, repeats)
        shift = np.kron(which, np.full_like(labels, labels.max()))
        pictures["labels"] = np.where(np.tile(labels, (repeats, repeats)) > 0, shift, 0)
        pictures["labels"] += np.tile(labels, (repeats, repeats))
    else:
        rng = np.random.default_rng(side)
        labels = touching_cells(side, CELLS[side], rng)
        foreground, contour = network_maps(labels, rng)
        image = fluorescence(labels, rng)
        pictures = {"labels": labels, "foreground": foreground, "contour": contour, "image": image}
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("labels", "foreground", "contour", "image"):
        np.save(folder / f"{name}_{side}.npy", pictures[name])


if __name__ == "__main__":
    write(int(sys.argv[1]), Path(sys.argv[2]))
