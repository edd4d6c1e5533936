"""Objects as outlines and as runs of pixels, and back to labels; all objects of a plane at once."""
