"""What each column of a table of measurements means, in one sentence."""

from __future__ import annotations

DEFINITIONS = {
    "image": "Name of the image.",
    "group": "What the image is counted to.",
    "t": "Time point, from 0.",
    "z": "Slice, from 0.",
    "label": "Number of the object in the label image.",
    "area": "Pixels of the object, all its pieces together, holes not counted.",
    "perimeter": (
        "Length of all outlines, holes too, along the centres of the outline pixels (Benkrid and "
        "Crookes 2000, 4-neighbourhood); 0 for a single pixel."
    ),
    "major_axis": "Major axis of the ellipse with the same second moments; 0 for a single pixel.",
    "minor_axis": "Minor axis of the ellipse with the same second moments; 0 for a straight line.",
    "equivalent_diameter": "Diameter of the circle of the same area.",
    "feret_max": "Largest distance between two points of the convex hull.",
    "eccentricity": "0 for a circle, towards 1 the longer the ellipse; from µm where known.",
    "solidity": "Area over the area of the convex hull; 1 without dents.",
    "orientation": (
        "Angle from the vertical to the major axis, -90 to 90, positive counter-clockwise on the "
        "screen; none for an object without a longer side."
    ),
    "centroid_y": "Mean row of the pixels; the centre of the first pixel is 0.",
    "centroid_x": "Mean column of the pixels; the centre of the first pixel is 0.",
    "z_position": "Slice times the distance of the slices.",
    "bbox_top": "First row of the bounding box.",
    "bbox_left": "First column of the bounding box.",
    "bbox_bottom": "Row after the last one of the bounding box.",
    "bbox_right": "Column after the last one of the bounding box.",
    "touches_edge": "Whether the object has a pixel on the edge of the image.",
    "edge": "Pixels of the object on the edge of the image.",
    "neighbours": "Other objects with a pixel within the neighbour distance of one of its own.",
    "nearest": "Distance from centroid to centroid of the nearest other object of the plane.",
    "score": "Score that the model gave the object, 0 to 1.",
    "margin": "By how much the class leads before the second one, 0 to 1.",
    "class": "Class of the object.",
    "locked": "Whether the object is locked against changes by the model.",
    "edited": "Whether a person edited the object.",
    "accepted": "Whether a person accepted the object as it is.",
}

PER_CHANNEL = {
    "mean_minus_ring": "Mean minus the mean of the ring of background around the object.",
    "ring_mean": "Mean of the background in a ring around the object.",
    "mean": "Mean of the channel in the object.",
    "median": "Median of the channel in the object.",
    "min": "Least value of the channel in the object.",
    "max": "Greatest value of the channel in the object.",
    "sum": "Sum of the channel over the object.",
    "std": "Standard deviation of the channel in the object (divided by n).",
}

UNITS = {"px": "px", "um2": "µm²", "um": "µm", "deg": "°"}


def unit(column: str) -> str:
    """Return the unit that the name of a column states, "" for none.

    Examples
    --------
    >>> unit("area_um2"), unit("solidity")
    ('µm²', '')
    """
    name, _, ending = column.rpartition("_")
    return UNITS[ending] if name in DEFINITIONS and ending in UNITS else ""


def definition(column: str) -> str:
    """Return what a column means, in a sentence; "" for a foreign one.

    Examples
    --------
    >>> definition("sum_DAPI")
    'Sum of the channel over the object.'
    """
    if column in DEFINITIONS:
        return DEFINITIONS[column]
    if unit(column):
        return DEFINITIONS[column.rpartition("_")[0]]
    return next((text for name, text in PER_CHANNEL.items() if column.startswith(f"{name}_")), "")
