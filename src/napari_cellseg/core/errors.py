"""Errors that are shown to a person: one clear sentence, with its remedy."""

from __future__ import annotations


class CellsegError(Exception):
    """Base of every error that the user may see; the text says what to do about it."""


class SettingsError(CellsegError, ValueError):
    """A setting has an unknown name or a value that is not allowed."""


class UnknownNameError(SettingsError, LookupError):
    """A model, step, loss or format of that name does not exist."""


class ImageError(CellsegError, ValueError):
    """An image cannot be used: unreadable, empty, or of a wrong kind."""


class ChannelError(ImageError):
    """The image's channels are not those that the model was trained on."""


class ModelError(CellsegError):
    """A model bundle is missing, damaged, or not of a kind that can be loaded safely."""


class OutputError(CellsegError, OSError):
    """A result cannot be written: folder read-only, disk full, name taken."""


class DataError(CellsegError, ValueError):
    """Training data cannot be used: no pairs, wrong shapes, no objects."""


class DeviceError(CellsegError, RuntimeError):
    """The chosen device is missing or ran out of memory even for the smallest piece of work."""


class TrainingError(CellsegError, RuntimeError):
    """Training cannot go on: loss is not finite, nothing to resume, run interrupted."""


class EditError(CellsegError, ValueError):
    """A correction cannot be done as asked: no object there, or nothing would be left of it."""


class JournalError(CellsegError, OSError):
    """The journal of corrections cannot be written or read."""


class Cancelled(CellsegError):  # noqa: N818 - it is no fault
    """The user cancelled; nothing partial was left behind."""
