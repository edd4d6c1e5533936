"""Run a command with a display: the one that is there, or a virtual one (Xvfb) on Linux.

    python scripts/with_display.py [--virtual-flag=FLAG] COMMAND [ARGUMENT ...]

On a Debian or Ubuntu machine, as root, the system libraries that Qt and OpenGL need are installed
first; otherwise the missing ones are named. With ``--virtual-flag=--headless`` the command is told
by ``--headless`` that nobody looks at the display, and gets a virtual one whenever ``--headless``
stands among its arguments. Standard library only.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

SCREEN = "1600x1000x24"

# Debian's names of what Qt 6 (xcb platform) and OpenGL load at run time.
LIBRARIES = (
    "libgl1 libgl1-mesa-dri libglx-mesa0 libegl1 libopengl0 libdbus-1-3 libfontconfig1 "
    "libglib2.0-0 libxkbcommon-x11-0 libx11-xcb1 libxcb-cursor0 libxcb-icccm4 libxcb-image0 "
    "libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-shm0 libxcb-sync1 "
    "libxcb-util1 libxcb-xfixes0 libxcb-xkb1 fonts-dejavu-core"
).split()


def has_display() -> bool:
    """Tell whether windows can be opened as things are."""
    if sys.platform != "linux":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def missing_packages(wanted: Sequence[str]) -> list[str]:
    """Return the wanted Debian packages that are not installed; none where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return []
    listing = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}\t${Package}, ${Provides}\n"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    present: set[str] = set()
    for line in listing.splitlines():
        status, _, names = line.partition("\t")
        if status == "installed":  # a package, or one that stands for it (libglib2.0-0t64)
            present.update(name.split()[0] for name in names.split(",") if name.strip())
    return [package for package in wanted if package not in present]


def install(packages: Sequence[str]) -> bool:
    """Install Debian packages where this is allowed and tell whether it worked."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"Installing system libraries: {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands = (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages],
    )
    return all(subprocess.run(command, env=environment).returncode == 0 for command in commands)


def provide_libraries(virtual: bool) -> None:
    """Install what is missing, or say what is."""
    if sys.platform != "linux":
        return
    missing = missing_packages(["xvfb", *LIBRARIES] if virtual else LIBRARIES)
    if missing and not install(missing):
        print(
            "napari may not be able to open a window: these system packages are missing. Install "
            f"them with: sudo apt-get install {' '.join(missing)}",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def virtual_display() -> Iterator[dict[str, str]]:
    """Start Xvfb on a free number and yield the environment of programs that use it."""
    server = shutil.which("Xvfb")
    if server is None:
        sys.exit(
            "There is no display, and no Xvfb to make a virtual one. Install it (on Debian and "
            "Ubuntu: sudo apt-get install xvfb) or run this where a display is."
        )
    read, write = os.pipe()
    process = subprocess.Popen(
        [server, "-displayfd", str(write), "-screen", "0", SCREEN, "-noreset", "-nolisten", "tcp"],
        pass_fds=[write],
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as answer:
            number = answer.readline().strip()  # empty when the server gave up
        if not number:
            sys.exit(f"Xvfb did not start (exit status {process.wait()}); try it by hand: Xvfb :99")
        environment = {k: v for k, v in os.environ.items() if k != "WAYLAND_DISPLAY"}
        yield {**environment, "DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
    finally:
        process.terminate()
        process.wait()


def run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run the command and return its exit status as a shell would."""
    status = subprocess.run(command, env=environment).returncode
    if status < 0:
        print(f"{shlex.join(command)} was ended by signal {-status}", file=sys.stderr)
        return 128 - status
    return status


def main(arguments: list[str]) -> int:
    """Run the command line described at the top of this file."""
    flag = None
    if arguments and arguments[0].startswith("--virtual-flag="):
        flag = arguments.pop(0).partition("=")[2]
    if not arguments:
        sys.exit((__doc__ or "").strip())
    headless = flag is not None and flag in arguments
    virtual = sys.platform == "linux" and (headless or not has_display())
    provide_libraries(virtual)
    if flag and not headless and virtual:
        arguments.append(flag)
    if not virtual:
        return run(arguments, dict(os.environ))
    with virtual_display() as environment:
        return run(arguments, environment)


def _on_terminate(_signal: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)  # unwinds, so that Xvfb is ended too


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _on_terminate)
    sys.exit(main(sys.argv[1:]))
