"""Fetch a model's zip from the web: checksum, progress, cancel; nothing partial is left."""

from __future__ import annotations

import re
import threading
from collections.abc import Generator
from pathlib import Path

from napari_cellseg.core.errors import Cancelled, CellsegError, ModelError, SettingsError
from napari_cellseg.core.files import output_error
from napari_cellseg.core.progress import Progress

STAGE = "Downloading"
LARGEST_DOWNLOAD = 2**31
"""Bytes that a download may have."""

_TIMEOUT = 30  # seconds without a byte
_CHUNK = 2**16
_INTERVAL = 0.2  # seconds between two steps of progress
_HASH = re.compile(r"[0-9a-f]{64}")
_REASONS = {  # by the class of the error, or one of its parents
    "SSLError": "its certificate is not valid",
    "Timeout": "the server does not answer",
    "ChunkedEncodingError": "the connection broke off",
    "ConnectionError": "the server cannot be reached, or the connection broke off",
}


def is_url(source: str) -> bool:
    """Tell whether a source is a web address rather than a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) is not None


def download(url: str, folder: Path, sha256: str | None = None) -> Generator[Progress, None, Path]:
    """Download a file; closing the generator stops the download.

    Parameters
    ----------
    url
        ``https://...``, or ``http://...`` together with a checksum; it may carry the checksum
        itself, as ``#sha256=...`` at its end.
    folder
        Where the file is put.
    sha256
        What the file must hash to, 64 hexadecimal digits.

    Yields
    ------
    Progress in bytes.

    Returns
    -------
    The file, complete.

    Raises
    ------
    SettingsError
        If the address or the checksum is none.
    ModelError
        If the download fails, is too large, or is not the file that the checksum belongs to.
    """
    address, checksum = _checked(url, sha256)
    transfer = _Transfer(address, checksum, folder)
    transfer.start()
    try:
        yield Progress(STAGE)
        while transfer.is_alive():
            transfer.join(_INTERVAL)
            yield Progress(STAGE, transfer.bar.done, transfer.bar.total)
    finally:
        transfer.bar.cancelled.set()
        transfer.join(_INTERVAL)  # one that waits for the server ends by itself, in the background
    if transfer.error is not None:
        raise transfer.error
    return transfer.path


def _checked(url: str, sha256: str | None) -> tuple[str, str | None]:
    address, _, fragment = url.partition("#")
    checksum = (sha256 or fragment.removeprefix("sha256=") or "").lower() or None
    if checksum and not _HASH.fullmatch(checksum):
        raise SettingsError(
            f"'{checksum}' is no checksum: give the file's SHA-256, 64 hexadecimal digits."
        )
    scheme = address.partition("://")[0].lower()
    if scheme not in ("http", "https"):
        raise SettingsError(
            f"Addresses that begin with '{scheme}://' cannot be opened: give one that begins with "
            "https://, or download the file and give its path."
        )
    if scheme == "http" and not checksum:
        raise SettingsError(
            "An http address is not protected on its way: give the file's checksum too "
            "(--sha256), or use https."
        )
    return address, checksum


class _Bar:
    """What pooch takes for a progress bar: it counts, and stops the download when asked to."""

    def __init__(self) -> None:
        self.done = 0
        self.cancelled = threading.Event()
        self._total = 0

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, value: int) -> None:
        self._total = value
        self._check()

    def update(self, count: int) -> None:
        self.done += count
        self._check()

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled("The download was cancelled; nothing was kept.")
        if max(self.done, self._total) > LARGEST_DOWNLOAD + _CHUNK:
            raise ModelError(
                f"The download is larger than {LARGEST_DOWNLOAD / 2**30:.0f} GB: this is no model. "
                "Check the address."
            )


class _Transfer(threading.Thread):
    """The download itself, in a thread, so that a slow server does not keep anybody waiting."""

    def __init__(self, url: str, checksum: str | None, folder: Path) -> None:
        super().__init__(daemon=True, name="model download")
        self.bar = _Bar()
        self.path = folder / "download.zip"
        self.error: Exception | None = None
        self._url = url
        self._checksum = checksum

    def run(self) -> None:
        import pooch

        logger = pooch.get_logger()
        level = logger.level
        logger.setLevel("WARNING")
        fetch = pooch.HTTPDownloader(progressbar=self.bar, chunk_size=_CHUNK, timeout=_TIMEOUT)
        try:
            pooch.retrieve(
                self._url,
                known_hash=f"sha256:{self._checksum}" if self._checksum else None,
                fname=self.path.name,
                path=self.path.parent,
                downloader=fetch,
            )
        except CellsegError as error:
            self.error = error
        except (OSError, ValueError) as error:
            self.error = _worded(self._url, self.path, error)
        finally:
            logger.setLevel(level)


def _worded(url: str, path: Path, error: OSError | ValueError) -> CellsegError:
    """Say in words what pooch, or requests below it, complains about."""
    if not isinstance(error, OSError):
        return ModelError(
            f"What '{url}' delivers is not the file that the checksum belongs to: check address "
            "and checksum, and download it again."
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    parents = {parent.__name__ for parent in type(error).__mro__}
    if "RequestException" not in parents:
        return output_error(path, error)
    known = (words for name, words in _REASONS.items() if name in parents)
    reason = f"the server answers {status}" if status else next(known, str(error))
    return ModelError(
        f"'{url}' cannot be downloaded: {reason}. Check the address and the connection, or "
        "download the file in a browser and give its path."
    )
