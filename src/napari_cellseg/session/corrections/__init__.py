"""Corrections of one labels array: what changed, how to go back, what is kept on disk."""
