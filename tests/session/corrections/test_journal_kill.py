"""A real process that corrects as fast as it can is killed at random moments."""

import itertools
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from napari_cellseg.session.corrections.journal import Journal
from napari_cellseg.session.corrections.recovery import recoverable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")

SHAPE = (64, 64)


def operation(seed: int, number: int) -> dict[str, np.ndarray]:
    """Return what operation `number` changes; some are so large that a write can be torn."""
    random_numbers = np.random.default_rng([seed, number])
    count = int(random_numbers.integers(1, 200))
    arrays = {
        "positions": random_numbers.choice(SHAPE[0] * SHAPE[1], count, replace=False),
        "after": random_numbers.integers(0, 1000, count).astype(np.int32),
    }
    if number % 5 == 4:
        arrays["ballast"] = np.full(1 << 18, number, np.int32)
    return arrays


def apply(labels: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
    labels.reshape(-1)[arrays["positions"]] = arrays["after"]


def correct(root: Path, told: Path, seed: int) -> None:
    """Correct for ever; `told` is one byte longer after each operation that is safe."""
    file = os.open(told, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    labels = np.zeros(SHAPE, np.int32)
    journal = Journal.create(root, {"seed": seed}, labels)
    os.write(file, b"c")
    for number in itertools.count():
        arrays = operation(seed, number)
        journal.append("paint", {"number": number}, arrays)
        os.write(file, b".")
        apply(labels, arrays)
        if number % 12 == 11:
            journal.compact(labels, {"seed": seed})


def main() -> None:
    """Fork a process that corrects for each line on the standard input."""
    root, told = Path(sys.argv[1]), Path(sys.argv[2])
    for line in sys.stdin:
        child = os.fork()
        if not child:
            correct(root, told, int(line))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


class Victims:
    """Starts processes that correct, one at a time, without loading numpy for each of them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "journals"
        self.told = folder / "told"
        command = [sys.executable, __file__, str(self.root), str(self.told)]
        self.parent = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, seed: int) -> int:
        self.told.unlink(missing_ok=True)
        self.parent.stdin.write(f"{seed}\n")
        self.parent.stdin.flush()
        return int(self.parent.stdout.readline())

    def wait_for(self, operations: int) -> None:
        """Wait until so many operations were told; 0: until the journal was begun."""
        end = time.monotonic() + 60
        while self.safe() < operations:
            assert time.monotonic() < end
            time.sleep(0.001)

    def safe(self) -> int:
        """Return how many operations were told to be safe, -1 before the journal was begun."""
        return self.told.stat().st_size - 1 if self.told.exists() else -1

    def kill(self, child: int) -> int:
        """Kill it and return what `safe` says then."""
        os.kill(child, signal.SIGKILL)
        assert int(self.parent.stdout.readline()) == -signal.SIGKILL
        return self.safe()

    def end(self) -> None:
        self.parent.stdin.close()
        self.parent.stdout.close()
        self.parent.wait(60)


@pytest.fixture
def victims(tmp_path):
    victims = Victims(tmp_path)
    yield victims
    victims.end()


def check(victims: Victims, seed: int, safe: int) -> None:
    """Check that what is recovered is the model after all safe operations, or one more."""
    every = recoverable(victims.root)
    if not every:
        assert safe == -1
        return
    (found,) = every
    assert found.complete
    assert max(safe, 0) <= found.operations <= safe + 1
    meta, labels, records = found.read()
    assert meta == {"seed": seed}
    for record in records:
        apply(labels, record.arrays)
    model = np.zeros(SHAPE, np.int32)
    for number in range(found.operations):
        apply(model, operation(seed, number))
    np.testing.assert_array_equal(labels, model)
    found.discard()
    assert not found.folder.exists()


def kill_often(victims: Victims, times: int) -> None:
    moments = random.Random(4)
    for seed in range(times):
        child = victims.start(seed)
        # Now and then while it begins; as a rule after some operations, however slow they are.
        victims.wait_for(moments.randint(-6, 40))
        time.sleep(moments.uniform(0.0, 0.01))
        check(victims, seed, victims.kill(child))


def test_killed_twenty_times(victims):
    kill_often(victims, 20)


@pytest.mark.slow
def test_killed_two_hundred_times(victims):
    kill_often(victims, 200)


def test_a_living_process_keeps_its_journal(victims):
    child = victims.start(1)
    victims.wait_for(30)
    assert recoverable(victims.root) == []
    safe = victims.kill(child)
    assert safe >= 30
    check(victims, 1, safe)


if __name__ == "__main__":
    main()
