"""Labelled images, targets and augmentation for training."""
