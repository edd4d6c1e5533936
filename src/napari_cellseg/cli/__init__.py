"""The command line: napari-cellseg and one word for what to do, such as segment or train."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from types import ModuleType

from napari_cellseg import __version__
from napari_cellseg.cli.console import OutputClosedError, accept_any_letter, complain
from napari_cellseg.core.errors import CellsegError, SettingsError

COMMANDS = {
    "segment": "find the cells in images and write label images",
    "batch": "find the cells in many images, and go on where a crash or you stopped it",
    "train": "train a model on labelled images",
    "finetune": "train a model on corrected labels, and keep it if it is better",
    "evaluate": "score a model, or labels made elsewhere, against true labels",
    "fit": "fit the post-processing to corrected labels, without training",
    "compare": "score, time and measure several models on the same labelled images",
    "report": "compare label images with a reference: scores, errors, a page with pictures",
    "measure": "measure the objects of label images and write a table",
    "export": "write labels in other formats, or read them from these",
    "models": "list, show, check, install, export or remove models",
    "doctor": "say what is installed, which device is used and why, and what is wrong",
    "demo": "open napari with a sample image and segment it",
}

SUCCESS, FAILURE, USAGE, CANCELLED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        Arguments without the program's name; None takes those of the process.

    Returns
    -------
    0 on success, 1 if something failed, 2 for a wrong command line or setting, 130 if cancelled.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    accept_any_letter()
    try:
        arguments = _parse(argv)
    except SystemExit as stop:  # argparse ends the process; a function must not
        return int(stop.code or 0)
    if not arguments.debug:
        # It reports to the log what arrives here as an exception anyway.
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        complain("Cancelled; files that were finished before are kept.")
        return CANCELLED
    except OutputClosedError:
        return FAILURE
    except CellsegError as error:
        if arguments.debug:
            raise
        complain(str(error))
        return USAGE if isinstance(error, SettingsError) else FAILURE
    except Exception as error:  # the outermost boundary: a sentence, no traceback
        if arguments.debug:
            raise
        complain(
            f"Something went wrong that should not have ({type(error).__name__}: {error}): run "
            "the same command with --debug and report what it prints."
        )
        return FAILURE


def _parse(argv: list[str]) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser = argparse.ArgumentParser(
        prog="napari-cellseg",
        description="Segment cells in microscopy images, without opening napari.",
        epilog="'napari-cellseg COMMAND --help' explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"napari-cellseg {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chosen = next((word for word in argv if word in COMMANDS), None)
    for name, text in COMMANDS.items():
        command = commands.add_parser(
            name, help=text, description=_sentence(text), parents=[common]
        )
        if (
            name == chosen
        ):  # the other commands' modules are not needed, and some are slow to import
            module = _module(name)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    arguments, more = parser.parse_known_args(argv)
    late: str | None = getattr(arguments, "late", None)
    if late and getattr(arguments, late) is None and more and not more[0].startswith("-"):
        setattr(arguments, late, more.pop(0))
    if more:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    return arguments


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{command}")


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
