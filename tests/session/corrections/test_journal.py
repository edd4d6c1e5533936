"""The journal keeps every operation, and says in words when it cannot."""

import errno
import json
import os
import sys

import numpy as np
import pytest

from napari_cellseg.core import folder_lock
from napari_cellseg.core.errors import JournalError
from napari_cellseg.core.folder_lock import FolderLock
from napari_cellseg.session.corrections import _generation, _snapshot
from napari_cellseg.session.corrections import journal as journal_module
from napari_cellseg.session.corrections._record import frame
from napari_cellseg.session.corrections.journal import Journal
from napari_cellseg.session.corrections.recovery import journals_folder, recoverable

META = {"name": "nuclei", "source": "a/b.tif"}


def start() -> np.ndarray:
    return np.arange(30, dtype=np.int32).reshape(5, 6)


def paint(journal: Journal, labels: np.ndarray, at: int, value: int) -> None:
    """Change one pixel of `labels` and journal it."""
    arrays = {"positions": np.array([at]), "after": np.array([value], np.int32)}
    journal.append("paint", {"value": value}, arrays)
    labels.reshape(-1)[at] = value


def replay(found) -> np.ndarray:
    _, labels, records = found.read()
    for record in records:
        labels.reshape(-1)[record.arrays["positions"]] = record.arrays["after"]
    return labels


def files(journal: Journal) -> list[str]:
    return sorted(path.name for path in journal.folder.iterdir())


def test_a_journal_that_was_not_closed_is_recovered(tmp_path):
    labels = start()
    journal = Journal.create(tmp_path, META, labels.copy())
    for step in range(4):
        paint(journal, labels, step, 100 + step)
    journal.close(keep=True)
    (found,) = recoverable(tmp_path)
    assert (found.operations, found.complete, found.meta) == (4, True, META)
    meta, base, records = found.read()
    assert meta == META
    np.testing.assert_array_equal(base, start())
    assert base.dtype == np.int32
    assert [record.name for record in records] == ["paint"] * 4
    assert [record.meta["value"] for record in records] == [100, 101, 102, 103]
    np.testing.assert_array_equal(replay(found), labels)


def test_a_saved_layer_leaves_nothing(tmp_path):
    journal = Journal.create(tmp_path, META, start())
    paint(journal, start(), 0, 9)
    journal.close()
    journal.close()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(JournalError, match="open the labels again"):
        paint(journal, start(), 0, 9)
    journal.sync()  # there is nothing to wait for


def test_closing_what_is_kept_does_not_remove_it(tmp_path):
    journal = Journal.create(tmp_path, META, start())
    journal.close(keep=True)
    journal.close()
    assert len(recoverable(tmp_path)) == 1


def test_a_journal_in_use_is_not_offered(tmp_path):
    journal = Journal.create(tmp_path, META, start())
    other = Journal.create(tmp_path, META, start())
    other.close(keep=True)
    (found,) = recoverable(tmp_path)
    assert found.folder == other.folder
    assert recoverable(tmp_path / "missing") == []
    journal.close(keep=True)
    assert len(recoverable(tmp_path)) == 2


def test_found_cannot_be_read_or_removed_while_another_reads_it(tmp_path):
    Journal.create(tmp_path, META, start()).close(keep=True)
    (found,) = recoverable(tmp_path)
    lock = FolderLock.take(found.folder)
    for call in (found.read, found.discard):
        with pytest.raises(JournalError, match="in use"):
            call()
    lock.release()
    found.discard()
    found.discard()
    assert not found.folder.exists()
    with pytest.raises(JournalError, match="cannot be opened"):
        found.read()


def test_the_newest_comes_first(tmp_path):
    for seconds in (100, 300, 200):
        journal = Journal.create(tmp_path, {"age": seconds}, start())
        (path,) = _generation.generations(journal.folder)
        journal.close(keep=True)
        os.utime(path, (seconds, seconds))
    assert [found.meta["age"] for found in recoverable(tmp_path)] == [300, 200, 100]


@pytest.mark.parametrize("shape", [(0, 4), (7,), (2, 3, 4, 5)])
@pytest.mark.parametrize("dtype", ["uint8", ">i4", "int64", "bool"])
def test_labels_of_any_shape_and_integer_dtype(tmp_path, shape, dtype, monkeypatch):
    monkeypatch.setattr(_generation, "_PIECE", 7)
    labels = np.random.default_rng(0).integers(0, 99, shape).astype(dtype)
    turned = labels.T.copy().T
    Journal.create(tmp_path, {}, turned).close(keep=True)
    _, read, records = recoverable(tmp_path)[0].read()
    np.testing.assert_array_equal(read, labels)
    assert (read.dtype, records) == (labels.dtype, ())
    assert read.flags.writeable


def test_compaction_keeps_two_generations_and_all_operations(tmp_path):
    labels = start()
    journal = Journal.create(tmp_path, META, labels)
    for step in range(3):
        paint(journal, labels, step, 50 + step)
        journal.compact(labels, {"step": step})
        assert len(_generation.generations(journal.folder)) == 2
    paint(journal, labels, 9, 77)
    assert files(journal) == ["00000003.journal", "00000004.journal", "lock"]
    assert journal.operations == 4
    journal.close(keep=True)
    (found,) = recoverable(tmp_path)
    assert (found.operations, found.meta) == (4, {"step": 2})
    np.testing.assert_array_equal(replay(found), labels)


def test_operations_go_on_while_the_labels_are_written_elsewhere(tmp_path):
    labels = start()
    journal = Journal.create(tmp_path, META, labels)
    paint(journal, labels, 0, 50)
    snapshot = journal.start_compaction(META)
    copy = labels.copy()
    paint(journal, labels, 1, 51)
    snapshot.write(copy)
    paint(journal, labels, 2, 52)
    journal.finish_compaction(snapshot)
    paint(journal, labels, 3, 53)
    journal.close(keep=True)
    (found,) = recoverable(tmp_path)
    assert found.operations == 4
    assert len(found.read()[2]) == 3
    np.testing.assert_array_equal(replay(found), labels)


def test_a_snapshot_that_came_too_late_is_dropped(tmp_path):
    labels = start()
    journal = Journal.create(tmp_path, META, labels)
    late, later = journal.start_compaction(META), journal.start_compaction(META)
    late.write(labels)
    paint(journal, labels, 1, 51)
    journal.compact(labels, META)
    journal.finish_compaction(late)
    assert files(journal) == ["00000001.journal", "00000002.journal", "lock"]
    later.write(labels)
    journal.close(keep=True)
    journal.finish_compaction(later)
    assert files(journal) == ["00000001.journal", "00000002.journal", "lock"]
    np.testing.assert_array_equal(replay(recoverable(tmp_path)[0]), labels)


def test_compaction_is_wanted_when_operations_outweigh_the_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "_LEAST", 5000)
    labels = start()
    journal = Journal.create(tmp_path, META, labels)
    sizes = []
    for step in range(300):
        paint(journal, labels, step % 30, step)
        if journal.wants_compaction:
            journal.compact(labels, META)
        sizes.append(sum(path.stat().st_size for path in journal.folder.iterdir()))
    assert 10_000 < max(sizes) < 12_000
    journal.close(keep=True)
    (found,) = recoverable(tmp_path)
    assert found.operations == 300
    np.testing.assert_array_equal(replay(found), labels)


def test_a_large_base_bears_more_operations(tmp_path):
    noise = np.random.default_rng(0).integers(0, 2**31, (1200, 1000)).astype(np.int32)
    journal = Journal.create(tmp_path, META, noise)
    journal.append("x", {}, {"a": np.zeros(5 << 20, np.uint8)})
    assert not journal.wants_compaction  # the noise takes more than 4 MB
    journal.append("x", {}, {"a": np.zeros(5 << 20, np.uint8)})
    assert journal.wants_compaction


def test_a_damaged_newest_generation_falls_back_to_the_one_before(tmp_path):
    labels = start()
    journal = Journal.create(tmp_path, {"which": "first"}, labels)
    paint(journal, labels, 3, 70)
    journal.compact(labels, {"which": "second"})
    then = labels.copy()
    paint(journal, labels, 4, 71)
    journal.close(keep=True)
    newest, older = _generation.generations(journal.folder)
    data = bytearray(newest.read_bytes())
    data[len(_generation.MAGIC) + 40] ^= 1
    newest.write_bytes(data)
    (found,) = recoverable(tmp_path)
    assert (found.complete, found.operations, found.meta) == (False, 1, {"which": "first"})
    np.testing.assert_array_equal(replay(found), then)
    older.write_bytes(b"")
    assert recoverable(tmp_path) == []
    with pytest.raises(JournalError, match="damaged"):
        found.read()
    assert newest.exists()


def test_a_newer_format_is_left_alone(tmp_path):
    Journal.create(tmp_path, META, start()).close(keep=True)
    (found,) = recoverable(tmp_path)
    (path,) = _generation.generations(found.folder)
    path.write_bytes(_generation.MAGIC + frame(json.dumps({"format": 2}).encode()))
    assert recoverable(tmp_path) == []
    with pytest.raises(JournalError, match="newer version"):
        found.read()


def test_only_numbers_are_kept(tmp_path):
    journal = Journal.create(tmp_path, META, start())
    with pytest.raises(TypeError, match="only numbers"):
        journal.append("x", {}, {"a": np.array([object()])})
    with pytest.raises(TypeError):
        journal.append("x", {"a": object()}, {})
    with pytest.raises(TypeError, match="integers"):
        journal.compact(np.array([object()]), META)
    assert files(journal) == ["00000001.journal", "lock"]
    journal.close()
    with pytest.raises(TypeError):
        Journal.create(tmp_path, {"a": object()}, start())
    assert list(tmp_path.iterdir()) == []


def full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_after_a_lost_operation_only_a_compaction_goes_on(tmp_path, monkeypatch):
    labels = start()
    journal = Journal.create(tmp_path, META, labels)
    paint(journal, labels, 0, 60)
    kept = labels.copy()
    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "write_all", full_disk)
        with pytest.raises(JournalError, match="disk is full; free some space"):
            paint(journal, labels, 1, 61)
        with pytest.raises(JournalError, match="disk is full"):
            journal.compact(labels, META)
    labels.reshape(-1)[1] = 61
    with pytest.raises(JournalError, match="an earlier one"):
        paint(journal, labels, 2, 62)
    labels.reshape(-1)[2] = 62
    assert journal.wants_compaction
    assert files(journal) == ["00000001.journal", "lock"]
    assert _generation.read_generation(journal.folder / "00000001.journal").records[0].meta == {
        "value": kept[0, 0]
    }
    journal.compact(labels, META)
    assert not journal.wants_compaction
    paint(journal, labels, 3, 63)
    journal.close(keep=True)
    np.testing.assert_array_equal(replay(recoverable(tmp_path)[0]), labels)


def test_an_operation_lost_during_a_compaction_keeps_the_journal_waiting(tmp_path, monkeypatch):
    labels = start()
    journal = Journal.create(tmp_path, META, labels)
    snapshot = journal.start_compaction(META)
    snapshot.write(labels)
    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "write_all", full_disk)
        with pytest.raises(JournalError):
            paint(journal, labels.copy(), 1, 61)
    journal.finish_compaction(snapshot)
    assert journal.wants_compaction
    with pytest.raises(JournalError):
        paint(journal, labels.copy(), 2, 62)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
def test_a_record_that_was_half_written_is_taken_back(tmp_path):
    import resource

    labels = start()
    journal = Journal.create(tmp_path, META, labels)
    paint(journal, labels, 0, 60)
    path = journal.folder / "00000001.journal"
    size = path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
    try:
        with pytest.raises(JournalError, match="cannot be written"):
            paint(journal, labels.copy(), 1, 61)
        with pytest.raises(JournalError, match="cannot be written"):
            journal.compact(np.random.default_rng(0).integers(0, 99, (50, 50)), META)
        with pytest.raises(JournalError, match="cannot be written"):
            Journal.create(tmp_path, {"a": "x" * 1000}, labels)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.stat().st_size == size
    assert files(journal) == ["00000001.journal", "lock"]
    assert [path.name for path in tmp_path.iterdir()] == [journal.folder.name]
    journal.compact(labels, META)
    paint(journal, labels, 2, 62)
    journal.close(keep=True)
    np.testing.assert_array_equal(replay(recoverable(tmp_path)[0]), labels)


def test_a_removed_folder_is_told(tmp_path):
    journal = Journal.create(tmp_path, META, start())
    for path in journal.folder.iterdir():
        path.unlink()
    journal.folder.rmdir()
    with pytest.raises(JournalError, match="has been removed"):
        journal.compact(start(), META)
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    with pytest.raises(JournalError, match="cannot be written"):
        Journal.create(in_the_way, META, start())


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EIO])
def test_every_failure_has_a_remedy(tmp_path, number):
    text = str(_snapshot.journal_error(tmp_path, OSError(number, os.strerror(number))))
    assert str(tmp_path) in text
    assert "Save your labels often" in text


def test_a_disk_without_locks_asks_the_process_that_is_named(tmp_path, monkeypatch):
    def unsupported(_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock, "_lock", unsupported)
    file = tmp_path / folder_lock.LOCK_FILE
    lock = FolderLock.take(tmp_path)
    assert file.read_text().split()[0] == str(os.getpid())
    assert FolderLock.take(tmp_path) is None
    os.utime(file, (1000, 1000))  # this process is younger than the lock: the number was reused
    again = FolderLock.take(tmp_path)
    assert again is not None
    file.write_text(f"{os.getpid()} of-another-machine")
    assert FolderLock.take(tmp_path) is None
    file.write_text(f"{2**30} {folder_lock.socket.gethostname()}")
    last = FolderLock.take(tmp_path)
    for taken in (lock, again, last):
        taken.release()


def test_journals_lie_in_the_folder_of_user_data(cellseg_home):
    assert journals_folder() == cellseg_home / "journals"
