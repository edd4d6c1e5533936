"""Records come back as they were; torn and wrong ones are dropped, and never believed."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_cellseg.session.corrections._generation import Damaged, read_generation, write_base
from napari_cellseg.session.corrections._record import (
    BadRecord,
    decode,
    encode,
    frame,
    frames,
    plain_dtype,
)

plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
metas = st.dictionaries(st.text(), st.one_of(plain, st.lists(plain, max_size=3)), max_size=3)
dtypes = st.sampled_from(["int32", "int64", "uint8", "bool", ">i4", "float32"])
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
named_arrays = st.dictionaries(st.text(), hnp.arrays(dtypes, shapes), max_size=3)


@settings(deadline=None, max_examples=40)
@given(st.text(), metas, named_arrays)
def test_a_record_comes_back_as_it_was(name, meta, arrays):
    record = decode(encode(name, meta, arrays))
    assert (record.name, record.meta) == (name, meta)
    assert list(record.arrays) == list(arrays)
    for key, array in arrays.items():
        assert record.arrays[key].dtype == array.dtype
        assert record.arrays[key].flags.aligned
        np.testing.assert_array_equal(record.arrays[key], array)


def test_a_view_is_kept_as_what_it_shows():
    whole = np.arange(24).reshape(4, 6)
    for view in (whole[::2, 1::2], whole.T, whole[::-1]):
        np.testing.assert_array_equal(decode(encode("x", {}, {"a": view})).arrays["a"], view)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=4), st.data())
def test_frames_up_to_the_first_wrong_byte(payloads, data):
    whole = b"".join(frame(payload) for payload in payloads)
    at = data.draw(st.integers(0, len(whole) - 1))
    wrong = bytearray(whole)
    wrong[at] ^= data.draw(st.integers(1, 255))
    ends = np.cumsum([len(frame(payload)) for payload in payloads])
    intact = int((ends <= at).sum())
    assert list(frames(io.BytesIO(wrong), len(wrong))) == payloads[:intact]
    assert list(frames(io.BytesIO(whole[:at]), at)) == payloads[:intact]
    assert list(frames(io.BytesIO(whole), len(whole))) == payloads


def test_a_tail_of_zeros_is_no_record():
    # Some file systems leave zeros behind after a power cut.
    whole = frame(b"one") + bytes(64)
    assert list(frames(io.BytesIO(whole), len(whole))) == [b"one"]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x02\x00\x00\x00{}",
        b"\x09\x00\x00\x00not json!",
        encode("x", {}, {"a": np.arange(3)}) + b"more",
        encode("x", {}, {"a": np.arange(3)})[:-1],
    ],
)
def test_a_payload_that_makes_no_sense_is_refused(payload):
    with pytest.raises(BadRecord):
        decode(payload)


@pytest.mark.parametrize("name", ["object", "O", "V8", "U3", "M8[s]", "nonsense", "i4,i4"])
def test_no_dtype_but_numbers(name):
    with pytest.raises(BadRecord):
        plain_dtype(name)


@pytest.fixture
def generation(tmp_path):
    """Return a file of one generation, where its labels end, and where each record ends."""
    path = tmp_path / "00000001.journal"
    with path.open("wb") as stream:
        write_base(stream, np.arange(20, dtype=np.int32).reshape(4, 5), {"a": 1}, 7)
        base = stream.tell()
        ends = []
        for step in range(3):
            arrays = {"positions": np.arange(step), "after": np.ones(step, np.int32)}
            stream.write(frame(encode("paint", {"step": step}, arrays)))
            ends.append(stream.tell())
    return path, base, np.array(ends)


def steps(path):
    read = read_generation(path)
    np.testing.assert_array_equal(read.labels(), np.arange(20).reshape(4, 5))
    assert (read.meta, read.earlier) == ({"a": 1}, 7)
    return [record.meta["step"] for record in read.records]


def test_cut_at_every_byte(generation):
    path, base, ends = generation
    data = path.read_bytes()
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        if cut < base:
            with pytest.raises(Damaged):
                read_generation(path)
        else:
            assert steps(path) == list(range((ends <= cut).sum()))


def test_wrong_at_every_byte(generation):
    path, base, ends = generation
    data = path.read_bytes()
    for at in range(len(data)):
        wrong = bytearray(data)
        wrong[at] ^= 1 << (at % 8)
        path.write_bytes(wrong)
        if at < base:
            with pytest.raises(Damaged):
                read_generation(path)
        else:
            assert steps(path) == list(range((ends <= at).sum()))


def test_what_follows_a_senseless_record_is_dropped(generation):
    path, _, _ = generation
    with path.open("ab") as stream:
        stream.write(frame(b"\x02\x00\x00\x00{}"))
        stream.write(frame(encode("paint", {"step": 9}, {})))
    assert steps(path) == [0, 1, 2]


def test_pieces_of_another_array_are_damage(tmp_path):
    path = tmp_path / "00000001.journal"
    with path.open("wb") as stream:
        write_base(stream, np.arange(20, dtype=np.int32), {}, 0)
    honest = read_generation(path)
    for pieces in (honest.pieces * 2, (b"no zlib",), ()):
        wrong = type(honest)({}, 0, honest.shape, honest.dtype, pieces, ())
        with pytest.raises(Damaged):
            wrong.labels()
