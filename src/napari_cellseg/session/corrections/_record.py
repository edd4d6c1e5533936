"""One operation as bytes with a checksum, and back; a torn or wrong one is noticed.

A frame is the length of its payload (8 bytes, little endian), the CRC-32 of length and payload
(4 bytes), and the payload. A record is a frame whose payload holds JSON and then plain arrays:
nothing in it is ever executed or unpickled.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

_LENGTH = struct.Struct("<Q")
_NUMBER = struct.Struct("<I")  # the checksum, and the length of a record's JSON
_PLAIN = "biuf"  # kinds of dtype that are numbers and nothing else


class BadRecord(ValueError):  # noqa: N818 - it never leaves this package
    """A frame is whole, but what it holds makes no sense."""


@dataclass(frozen=True, eq=False)
class Record:
    """One operation of the journal.

    Attributes
    ----------
    name
        What was done, such as ``"merge"``.
    meta
        Plain values that JSON holds.
    arrays
        Arrays by name.
    """

    name: str
    meta: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]


def frame(payload: bytes) -> bytes:
    """Return `payload` with its length and checksum in front of it."""
    length = _LENGTH.pack(len(payload))
    return b"".join((length, _NUMBER.pack(zlib.crc32(payload, zlib.crc32(length))), payload))


def frames(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the payloads from where `stream` stands, up to the first that is torn or wrong.

    Parameters
    ----------
    stream
        An open file.
    size
        Bytes of the whole file; a length that goes beyond it is not believed.
    """
    start = _LENGTH.size + _NUMBER.size
    while True:
        head = stream.read(start)
        if len(head) < start:
            return
        (length,) = _LENGTH.unpack_from(head)
        if length > size - stream.tell():
            return
        payload = stream.read(length)
        if head[_LENGTH.size :] != _NUMBER.pack(zlib.crc32(payload, zlib.crc32(head[:8]))):
            return
        yield payload


def encode(name: str, meta: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return the payload of a record.

    Raises
    ------
    TypeError
        If `meta` holds more than JSON does, or an array something other than numbers.
    """
    listed = []
    for key, array in arrays.items():
        if array.dtype.kind not in _PLAIN:
            raise TypeError(f"'{key}' holds {array.dtype}; only numbers can be kept")
        listed.append([key, array.dtype.str, list(array.shape)])
    head = json.dumps({"name": name, "meta": dict(meta), "arrays": listed}).encode()
    parts = [array.tobytes() for array in arrays.values()]
    return b"".join((_NUMBER.pack(len(head)), head, *parts))


def decode(payload: bytes) -> Record:
    """Return the record of a payload.

    Raises
    ------
    BadRecord
        If it was not made by `encode`.
    """
    try:
        (length,) = _NUMBER.unpack_from(payload)
        at = _NUMBER.size + length
        head = json.loads(payload[_NUMBER.size : at])
        arrays = {}
        for key, dtype_name, shape in head["arrays"]:
            dtype = plain_dtype(dtype_name)
            count = math.prod(shape)
            # A copy, as the bytes lie anywhere and compiled code wants aligned numbers.
            values = np.frombuffer(payload, dtype, count, at).copy()
            arrays[str(key)] = values.reshape(shape)
            at += count * dtype.itemsize
        if at != len(payload):
            raise BadRecord("there are bytes that belong to no array")
        return Record(str(head["name"]), dict(head["meta"]), arrays)
    except (KeyError, TypeError, ValueError, struct.error) as error:
        raise BadRecord(str(error)) from error


def plain_dtype(name: str) -> np.dtype[Any]:
    """Return the dtype of that name, if it is one of numbers.

    Raises
    ------
    BadRecord
        If it is not.
    """
    try:
        dtype = np.dtype(name)
    except TypeError as error:
        raise BadRecord(str(error)) from error
    if dtype.kind not in _PLAIN:
        raise BadRecord(f"'{name}' is no dtype of numbers")
    return dtype
