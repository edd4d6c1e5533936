"""Labels are written whole, calibrated and without loss, or not at all."""

import errno
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.core import files
from napari_cellseg.core.arrays import Labels
from napari_cellseg.core.errors import OutputError
from napari_cellseg.core.export.label_tiff import LabelTiff, LabelTiffParams, write_labels
from napari_cellseg.core.export.registry import EXPORTERS
from napari_cellseg.core.reading import read_labels

LABELS = Labels(
    np.arange(24, dtype=np.int32).reshape(4, 6),
    "YX",
    (0.25, 0.5),
    provenance={"model": "nuclei", "note": 'µ "quoted" <tag> & {brace}', "seconds": 1.5},
)


@given(
    st.sampled_from(["YX", "ZYX", "TYX", "TZYX"]).flatmap(
        lambda axes: st.tuples(
            st.just(axes),
            hnp.arrays(
                np.int32,
                hnp.array_shapes(min_dims=len(axes), max_dims=len(axes), max_side=5),
                elements=st.integers(0, 2**31 - 1),
            ),
        )
    )
)
def test_round_trip_is_bit_equal(tmp_path_factory, case):
    axes, data = case
    path = tmp_path_factory.getbasetemp() / "round_trip.tif"
    write_labels(Labels(data, axes, (0.1, 0.3), 2.0 if "Z" in axes else None), path)
    again = read_labels(path)
    np.testing.assert_array_equal(again.data, data)
    assert again.axes == axes
    assert again.pixel_size == pytest.approx((0.1, 0.3))
    assert again.z_step == (2.0 if "Z" in axes else None)


def test_provenance_is_kept(tmp_path):
    write_labels(LABELS, tmp_path / "a.tif")
    assert read_labels(tmp_path / "a.tif").provenance == LABELS.provenance


def test_other_programs_find_the_scale(tmp_path):
    """ImageJ reads the resolution tags, Bio-Formats (QuPath) the OME-XML."""
    write_labels(LABELS, tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page = file.pages.first
        assert page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert page.resolutionunit == tifffile.RESUNIT.CENTIMETER
        assert page.resolution == pytest.approx((1e4 / 0.5, 1e4 / 0.25))  # (X, Y)
        assert 'PhysicalSizeX="0.5" PhysicalSizeXUnit="µm"' in file.ome_metadata
        assert 'PhysicalSizeY="0.25" PhysicalSizeYUnit="µm"' in file.ome_metadata


@pytest.mark.parametrize(("highest", "dtype"), [(1, "u2"), (65535, "u2"), (65536, "u4")])
def test_smallest_lossless_type(tmp_path, highest, dtype):
    write_labels(Labels(np.int32([[0, highest]]), "YX"), tmp_path / "a.tif")
    assert tifffile.imread(tmp_path / "a.tif").dtype == dtype


@pytest.mark.parametrize(("highest", "dtype"), [(256, "uint8"), (65536, "uint16")])
def test_lossy_type_is_refused_and_writes_nothing(tmp_path, highest, dtype):
    labels = Labels(np.int32([[0, highest]]), "YX")
    with pytest.raises(OutputError, match=rf"up to {highest} do not fit into {dtype}"):
        LabelTiff(LabelTiffParams(dtype=dtype)).write(labels, tmp_path / "a.tif")
    assert not list(tmp_path.iterdir())
    LabelTiff(LabelTiffParams(dtype=dtype)).write(
        Labels(labels.data - (labels.data > 0), "YX"), tmp_path / "a.tif"
    )
    assert tifffile.imread(tmp_path / "a.tif").dtype == dtype


def test_negative_numbers_are_refused(tmp_path):
    with pytest.raises(OutputError, match="below 0"):
        write_labels(Labels(np.int32([[-1]]), "YX"), tmp_path / "a.tif")


def test_big_tiff_where_needed(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_cellseg.core.export.label_tiff._CLASSIC_BYTES", 10)
    write_labels(LABELS, tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif").data, LABELS.data)


def test_file_is_readable_by_everybody_that_the_umask_allows(tmp_path):
    write_labels(LABELS, tmp_path / "a.tif")
    (tmp_path / "b").touch()
    assert (tmp_path / "a.tif").stat().st_mode == (tmp_path / "b").stat().st_mode


@pytest.mark.parametrize("name", EXPORTERS.names())
def test_every_exporter_describes_itself(name):
    exporter = EXPORTERS[name]
    assert exporter.title
    assert exporter.suffix.startswith(".")
    params = exporter.Params()
    assert exporter.Params.model_validate_json(params.model_dump_json()) == params


class TestFailure:
    @pytest.fixture
    def earlier(self, tmp_path):
        path = tmp_path / "a.tif"
        path.write_bytes(b"earlier")
        return path

    @pytest.mark.parametrize(
        ("number", "words"),
        [
            (errno.ENOSPC, "the disk is full"),
            (errno.EDQUOT, "quota"),
            (errno.EROFS, "read-only"),
            (errno.EACCES, "write-protected"),
            (None, "check that the disk is not full"),
        ],
    )
    @pytest.mark.parametrize("where", ["open", "write", "fsync", "replace"])
    def test_leaves_the_earlier_file_and_no_other(self, earlier, monkeypatch, number, words, where):
        def fail(*args, **kwargs):
            raise OSError(number, "told by the system") if number else OSError("10 of 20 written")

        target = {
            "open": (type(earlier), "open"),
            "write": (tifffile, "imwrite"),
            "fsync": (os, "fsync"),
            "replace": (type(earlier), "replace"),
        }[where]
        with monkeypatch.context() as patch:
            patch.setattr(*target, fail)
            with pytest.raises(OutputError, match=words) as error:
                write_labels(LABELS, earlier)
        assert str(earlier) in str(error.value)
        assert str(error.value).endswith(".")
        assert earlier.read_bytes() == b"earlier"
        assert list(earlier.parent.iterdir()) == [earlier]

    def test_on_cancelling_too(self, earlier):
        def write():
            with files.atomic_file(earlier) as stream:
                stream.write(b"half")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write()
        assert list(earlier.parent.iterdir()) == [earlier]
        assert earlier.read_bytes() == b"earlier"

    def test_bugs_are_not_dressed_up_as_output_errors(self, earlier):
        with pytest.raises(ZeroDivisionError), files.atomic_file(earlier):
            raise ZeroDivisionError
        assert list(earlier.parent.iterdir()) == [earlier]

    def test_below_a_file(self, earlier):
        with pytest.raises(OutputError, match="is a file, not a folder"):
            write_labels(LABELS, earlier / "b.tif")
        with pytest.raises(OutputError, match="is a file, not a folder"):
            files.make_folder(earlier / "folder")

    def test_missing_folder(self, tmp_path):
        with pytest.raises(OutputError, match="does not exist"):
            write_labels(LABELS, tmp_path / "none" / "a.tif")

    def test_folder_in_the_way(self, tmp_path):
        (tmp_path / "a.tif").mkdir()
        with pytest.raises(OutputError, match=r"folder of that name|write-protected"):
            write_labels(LABELS, tmp_path / "a.tif")
        assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]

    @pytest.mark.skipif(sys.platform == "win32", reason="file sizes are limited on POSIX only")
    def test_disk_that_takes_no_more_bytes(self, tmp_path):
        """A real short write: the process may write no file beyond 2 kB."""
        script = """
            import resource, signal, sys
            from pathlib import Path
            import numpy as np
            from napari_cellseg.core.arrays import Labels
            from napari_cellseg.core.errors import OutputError
            from napari_cellseg.core.export.label_tiff import write_labels
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
            data = np.random.default_rng(0).integers(0, 60000, (99, 99), dtype=np.int32)
            try:
                write_labels(Labels(data, "YX"), Path(sys.argv[1]) / "a.tif")
            except OutputError as error:
                sys.exit(7)
        """
        code = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
        assert subprocess.run(code, check=False).returncode == 7
        assert not list(tmp_path.iterdir())
