"""Labels of cellpose: read without unpickling, and nothing in a file does anything."""

import os
import pickle
import struct
from pathlib import Path, PosixPath

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.reading import find_images, inert_pickle, read_image, read_labels
from napari_cellseg.core.reading.cellpose_seg import is_pickled, read_masks

MASKS = np.arange(20, dtype=np.uint16).reshape(4, 5)


def like_cellpose(masks):
    """Return what cellpose saves beside an image."""
    return {
        "outlines": np.zeros(np.shape(masks), np.uint16),
        "colors": np.random.default_rng(0).integers(0, 255, (7, 3), np.uint8),
        "masks": masks,
        "chan_choose": [0, 0],
        "ismanual": np.zeros(19, bool),
        "filename": PosixPath("/images/a.tif"),
        "flows": [np.zeros((1, 4, 5, 3), np.uint8), np.ones((2, 2), np.float32), [], None],
        "manual_changes": [["11/20/2026, 10:00:00", "removed mask", [3, 4]]],
        "est_diam": np.float64(30.5),
        "diameter": 17.0,
        "normalize_params": {"lowhigh": None, "percentile": (1.0, 99.0), "invert": False},
        5: 2**70,
    }


def save(path, content):
    np.save(path, content, allow_pickle=True)
    return path


def with_pickle(path, content):
    """Write a file of NumPy whose header announces objects, with any pickle in it."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        file.write(content)
    return path


def saved_as(path, content, protocol):
    array = np.empty((), object)
    array[()] = content
    return with_pickle(path, pickle.dumps(array, protocol))


class Evil:
    """Pickled as a call of whatever is given."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_masks_become_labels(tmp_path):
    labels = read_labels(save(tmp_path / "a_seg.npy", like_cellpose(MASKS)))
    np.testing.assert_array_equal(labels.data, MASKS)
    assert (labels.data.dtype, labels.axes, labels.name) == (np.int32, "YX", "a_seg")
    assert labels.data.flags.writeable


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "<u4", ">i4", "i8", "f4", "bool"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_type_and_order_of_numbers(tmp_path, dtype, order):
    masks = np.asarray(MASKS.clip(0, 1 if dtype == "bool" else 99), dtype, order=order)
    found = read_masks(save(tmp_path / "a_seg.npy", like_cellpose(masks)))
    assert found.dtype == masks.dtype
    np.testing.assert_array_equal(found, masks)


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_protocol_of_python_3(tmp_path, protocol, order):
    content = like_cellpose(np.asarray(MASKS, order=order))
    path = saved_as(tmp_path / "a_seg.npy", content, protocol)
    np.testing.assert_array_equal(read_labels(path).data, MASKS)


def test_files_of_older_numpy(tmp_path):
    path = saved_as(tmp_path / "a_seg.npy", like_cellpose(MASKS), 3)
    content = path.read_bytes()
    assert b"numpy._core.multiarray\n" in content  # in protocol 3 names end at the line
    path.write_bytes(content.replace(b"numpy._core.", b"numpy.core."))
    np.testing.assert_array_equal(read_masks(path), MASKS)


@pytest.mark.parametrize(("shape", "axes"), [((3, 4, 5), "ZYX"), ((1, 4, 5), "YX")])
def test_stacks(tmp_path, shape, axes):
    masks = np.resize(MASKS, shape)
    labels = read_labels(save(tmp_path / "a_seg.npy", like_cellpose(masks)))
    assert labels.axes == axes
    np.testing.assert_array_equal(labels.data, masks.squeeze())


def test_many_objects(tmp_path):
    masks = np.random.default_rng(0).integers(0, 70_000, (300, 300), np.int32)
    content = {**like_cellpose(masks), "zdraw": [[1, 2.5, None]] * 1000}
    np.testing.assert_array_equal(read_masks(save(tmp_path / "a_seg.npy", content)), masks)


def test_they_are_no_images(tmp_path):
    path = save(tmp_path / "a_seg.npy", like_cellpose(MASKS))
    with pytest.raises(ImageError, match="plain numbers"):
        read_image(path)
    np.save(tmp_path / "a.npy", MASKS)
    np.save(tmp_path / "b_segment.npy", MASKS)
    assert [one.name for one in find_images([tmp_path])] == ["a.npy", "b_segment.npy"]
    np.save(path, MASKS)  # somebody's array of that name
    assert not is_pickled(path)
    np.testing.assert_array_equal(read_labels(path).data, MASKS)


@pytest.mark.parametrize(
    "evil",
    [
        Evil(os.system, "touch PWNED"),
        Evil(eval, "open('PWNED', 'w')"),
        Evil(Path.touch, Path("PWNED")),
        Evil(np.load, "PWNED"),
        Evil(np.zeros, 10**12),
    ],
)
@pytest.mark.parametrize("protocol", [3, 4])
def test_foreign_code_is_refused_in_words(tmp_path, monkeypatch, evil, protocol):
    monkeypatch.chdir(tmp_path)
    for content in (evil, {"masks": evil}, {"masks": MASKS, "flows": [evil]}):
        path = saved_as(tmp_path / "a_seg.npy", content, protocol)
        with pytest.raises(ImageError, match=r"a_seg.npy.* asks for '.*', which may be foreign"):
            read_labels(path)
    assert not (tmp_path / "PWNED").exists()


def test_a_bare_pickle_of_a_call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for protocol in range(6):
        dumped = pickle.dumps(Evil(os.system, "touch PWNED"), protocol)
        with pytest.raises(ImageError, match="cannot be read as labels of cellpose"):
            read_labels(with_pickle(tmp_path / "a_seg.npy", dumped))
    assert not (tmp_path / "PWNED").exists()


def test_allowed_names_are_not_called_either(tmp_path):
    """NumPy's own would fill the memory here."""
    huge = b"cnumpy\nndarray\n" + b"(\x8a\x06" + (10**13).to_bytes(6, "little") + b"tR."
    with pytest.raises(ImageError, match="no array of numbers"):
        read_masks(with_pickle(tmp_path / "a_seg.npy", b"\x80\x03" + huge))


LENGTH = struct.pack("<Q", 2**40)


@pytest.mark.parametrize(
    "program",
    [
        b"\x8e" + LENGTH + b"abc",  # bytes that are not there
        b"\x8d" + LENGTH + b"abc",  # text
        b"\x96" + LENGTH + b"abc",  # a bytearray
        b"\x95" + LENGTH + b"N.",  # a frame
        b"Nr\xff\xff\xff\x7f.",  # the 2**31st note
        b"\x8b\xff\xff\xff\x7f1",  # a number of 2 GB
        b"h\x07.", b"0.", b".", b"R.", b"N)R.", b"Nb.", b"e.", b"]Ne.", b"(N", b"s.", b"t.",
        b"N}\x86s.", b"}(Nu.", b"\x82\x01.", b"P1\n.", b"NQ.", b"\x97.", b"(cos\nsystem\no.",
        b"(ios\nsystem\n.", b"\x8c\x02os\x8c\x06system\x93.", b"\xff.", b"\x85" * 40, b"",
        b"N" + b"\x85" * 20_000 + b"}r\0\0\0\0" + b"N\x86s.",  # nested very deeply
        b"}" + b"]" + b"\x85" * 20_000 + b"Ns.",  # as a key
    ],
)  # fmt: skip
def test_programs_that_are_no_results(tmp_path, program):
    for start in (b"\x80\x04", b""):
        with pytest.raises(ImageError, match="cannot be read as labels of cellpose"):
            read_masks(with_pickle(tmp_path / "a_seg.npy", start + program))


def test_a_program_without_end_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(inert_pickle, "MOST_PARTS", 1000)
    path = with_pickle(tmp_path / "a_seg.npy", b"\x80\x04" + b"]" * 2000 + b".")
    with pytest.raises(ImageError, match="too many parts"):
        read_masks(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"K\x04K\x05\x86", b"K\x04K\x06\x86"),  # columns
        (b"K\x04K\x05\x86", b"M\xff\xffM\xff\xff\x86"),
        (b"K\x04K\x05\x86", b"J\xff\xff\xff\xffJ\xec\xff\xff\xff\x86"),  # -1 by -20
        (b"K\x04K\x05\x86", b"N\x88\x86"),
        (b"K\x04K\x05\x86", b"K\x14\x85"),  # of one dimension
        (b"\x8c\x02u2", b"\x8c\x02u3"),
        (b"\x8c\x02u2", b"\x8c\x02V2"),
        (b"\x8c\x02u2", b"\x8c\x02O8"),
        (b"\x8c\x02u2", b"\x8c\x02u4"),
        (b"\x8c\x05masks", b"\x8c\x05musks"),
        (b"\x8c\x07ndarray", b"\x8c\x05dtype"),
    ],
)
def test_what_contradicts_itself(tmp_path, old, new):
    path = saved_as(tmp_path / "a_seg.npy", {"masks": MASKS}, 4)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(ImageError, match="cannot be read as labels of cellpose"):
        read_masks(path)


@pytest.mark.parametrize("content", [None, 5, [MASKS], {"masks": 3}, {"masks": [MASKS]}, {}])
def test_other_objects(tmp_path, content):
    with pytest.raises(ImageError, match="cannot be read as labels of cellpose"):
        read_labels(saved_as(tmp_path / "a_seg.npy", content, 4))


def test_masks_that_are_no_object_numbers(tmp_path):
    for masks in (MASKS - 0.5, MASKS.astype(int) - 1, np.zeros((0, 4), int)):
        with pytest.raises(ImageError, match="object numbers"):
            read_labels(save(tmp_path / "a_seg.npy", like_cellpose(masks)))


def test_a_file_cut_short_anywhere(tmp_path):
    content = save(tmp_path / "a_seg.npy", {"masks": MASKS, "more": [1.5]}).read_bytes()
    cut = tmp_path / "cut_seg.npy"
    for length in range(1, len(content)):
        cut.write_bytes(content[:length])
        with pytest.raises(ImageError):
            read_labels(cut)


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=60)
def test_anything_else_is_refused(tmp_path_factory, program):
    path = tmp_path_factory.mktemp("any") / "a_seg.npy"
    with pytest.raises(ImageError):
        read_masks(with_pickle(path, program))
