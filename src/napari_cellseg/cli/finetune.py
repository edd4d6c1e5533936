"""The command ``finetune``: a model and corrected labels in, a better model out, or none."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_cellseg.cli.choices import add_device_option, read_value
from napari_cellseg.cli.console import follow, say
from napari_cellseg.core.errors import OutputError, SettingsError
from napari_cellseg.core.progress import Progress
from napari_cellseg.core.zoo.contents import is_zip, read_all, write_folder

if TYPE_CHECKING:
    from napari_cellseg.core.finetuning.jobs.job import Job
    from napari_cellseg.core.finetuning.judgement.gate import Comparison
    from napari_cellseg.core.finetuning.requests import Requests
    from napari_cellseg.core.finetuning.settings import FineTuneSettings
    from napari_cellseg.core.workflows.finetune import FineTuneResult

_DATA = {"new": "Held-out part of the new data", "replay": "Data of the parent"}
_SETTING = "settings."  # before the names of settings among the arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options; one flag for each of the settings of fine-tuning."""
    from napari_cellseg.core.finetuning.settings import PRESETS, FineTuneSettings

    parser.add_argument(
        "job",
        nargs="?",
        type=Path,
        metavar="JOB",
        help="folder or zip of a fine-tuning that was prepared in napari; or give --data",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="folders of images/ and labels/, and known/ where not every label is right",
    )
    parser.add_argument(
        "--parent", metavar="NAME", help="with --data: name or folder of the model to start from"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="BUNDLE",
        help="folder of the new model; its last part is the model's name (with JOB: inside it)",
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument(
        "--install",
        action="store_true",
        help="put the new model among your own, if it is better than its parent",
    )
    parser.add_argument(
        "--anyway",
        action="store_true",
        help="with --install: also if it is not; its card says so",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="tell events, one JSON object a line, and take orders (pause, resume, preview, "
        "cancel) from standard input, whose end cancels",
    )
    add_device_option(parser)
    settings = parser.add_argument_group("settings, with --data")
    settings.add_argument("--preset", choices=PRESETS, help=f"default: {PRESETS[0]}")
    for name, field in FineTuneSettings.model_fields.items():
        default = "none" if field.default in (None, "") else field.default
        text = f"{field.description} (default: {default})"
        settings.add_argument(
            f"--{name.replace('_', '-')}",
            dest=_SETTING + name,
            metavar="VALUE",
            help=text.replace("%", "%%"),
        )


def run(arguments: argparse.Namespace) -> int:
    """Fine-tune, and say what came out.

    Returns
    -------
    0, also where the parent stays the better model; with ``--install`` alone 1 in that case.
    """
    from napari_cellseg.core.finetuning.requests import Requests

    requests = Requests()
    if arguments.json:
        from napari_cellseg.cli.events import drive, take_streams

        return drive(_work(arguments, requests), requests, *take_streams())
    result = follow(_work(arguments, requests))
    verdict = result.verdict
    for name, one in result.comparisons.items():
        say(_table(name, one))
    say(f"{result.folder}: {'better' if verdict.accepted else 'not better'}. {verdict.reason}")
    refused = arguments.install and not (verdict.accepted or arguments.anyway)
    return 1 if refused else 0


def _table(name: str, comparison: Comparison) -> str:
    rows = [
        f"  {metric:5} {gain.parent:.3f} → {gain.child:.3f}  "
        f"({gain.difference:+z.3f}, 95 %: {gain.low:+z.3f} to {gain.high:+z.3f})"
        for metric, gain in comparison.metrics.items()
    ]
    count = f"{comparison.images} images, {comparison.objects} objects"
    return "\n".join([f"{_DATA.get(name, name)}, {count}:", *rows])


def _work(
    arguments: argparse.Namespace, requests: Requests
) -> Generator[Progress, None, FineTuneResult]:
    from napari_cellseg.core.workflows.finetune import finetune, install_child

    _check(arguments)
    output: Path | None = arguments.output
    if output is not None and output.exists():
        raise OutputError(f"'{output}' exists already: choose another folder, or remove it.")
    job = yield from _job(arguments)
    result = yield from finetune(
        job, resume=arguments.resume, device=arguments.device, requests=requests
    )
    folder = result.folder
    if output is not None:
        write_folder(output, read_all(folder))
        folder = output
    if arguments.install and (result.verdict.accepted or arguments.anyway):
        folder = install_child(job).folder
    return replace(result, folder=folder)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.anyway and not arguments.install:
        raise SettingsError("--anyway says what is installed: it goes with --install.")
    if bool(arguments.job) == bool(arguments.data):
        raise SettingsError(
            "Say what to learn from: a prepared fine-tuning (JOB), or folders (--data)."
        )
    if arguments.data and not (arguments.parent and arguments.output):
        raise SettingsError(
            "With --data, say which model to start from (--parent) and where the new one is to "
            "lie (--output)."
        )
    if arguments.job:
        for name, value in vars(arguments).items():
            if value is not None and (name in ("parent", "preset") or name.startswith(_SETTING)):
                flag = name.removeprefix(_SETTING).replace("_", "-")
                raise SettingsError(
                    f"--{flag} goes with --data only: a prepared fine-tuning has its own settings."
                )


def _job(arguments: argparse.Namespace) -> Generator[Progress, None, Job]:
    """Open the job, or prepare it beside the model that is to come."""
    from napari_cellseg.core.finetuning.jobs.folders import job_beside, job_of_folders
    from napari_cellseg.core.finetuning.jobs.job import Job

    if arguments.job:
        path: Path = arguments.job
        return Job.load(path, path.with_suffix("") if is_zip(path) else None)
    if arguments.resume:
        return Job.load(job_beside(arguments.output))
    settings = _settings(arguments)
    return (yield from job_of_folders(arguments.data, arguments.output, arguments.parent, settings))


def _settings(arguments: argparse.Namespace) -> FineTuneSettings:
    from napari_cellseg.core.finetuning.settings import PRESETS, FineTuneSettings

    given = {
        name.removeprefix(_SETTING): read_value(text)
        for name, text in vars(arguments).items()
        if name.startswith(_SETTING) and text is not None
    }
    return FineTuneSettings.preset(arguments.preset or PRESETS[0]).replace(**given)
