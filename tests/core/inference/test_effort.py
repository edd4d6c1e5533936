"""What is tried when memory runs out: batch, tile, CPU, and then a clear sentence."""

import pytest

from napari_cellseg.core._torch import torch
from napari_cellseg.core.errors import DeviceError
from napari_cellseg.core.inference.effort import Effort, is_out_of_memory
from napari_cellseg.core.inference.tiling import Tiling

SHAPE = (1024, 1024)


def ladder(effort, shape=SHAPE):
    while True:
        yield effort.device, effort.batch(shape), effort.grid(shape).shape[0]
        try:
            effort, told = effort.reduced(shape)
        except DeviceError:
            return
        assert told.startswith("Out of memory on ")


def test_batch_then_tile_then_cpu():
    steps = list(ladder(Effort.of("cuda:0", Tiling(tile=544))))
    assert steps[:4] == [("cuda:0", batch, 448) for batch in (20, 4, 2, 1)]  # 9 tiles
    devices = [device for device, _, _ in steps]
    moved = devices.index("cpu")
    assert set(devices[moved:]) == {"cpu"}
    assert steps[moved] == ("cpu", 1, 448), "the CPU starts from the tile that was asked for"
    for part in (steps[3:moved], steps[moved:]):
        sides = [side for _, _, side in part]
        assert sides == sorted(sides, reverse=True)
        assert len(set(sides)) == len(sides), "a step that changes nothing"
        assert sides[-1] == 128


def test_a_cpu_computes_one_tile_at_once_unless_told_otherwise():
    assert Effort.of("cpu", Tiling()).batch(SHAPE) == 1
    assert Effort.of("cpu", Tiling(batch=3)).batch(SHAPE) == 3


def test_small_images_do_not_climb_down_from_a_tile_they_never_had():
    steps = list(ladder(Effort.of("cpu", Tiling()), (300, 200)))
    assert [side for _, _, side in steps] == [320, 128]
    with pytest.raises(DeviceError, match="close other programs"):
        Effort.of("cpu", Tiling()).reduced((100, 100))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("DefaultCPUAllocator"), False),
    ],
)
def test_what_is_out_of_memory(error, expected):
    assert is_out_of_memory(error) is expected
