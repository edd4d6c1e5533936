"""Weights between those of a parent and what was learnt from it."""

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import torch
from napari_cellseg.core.finetuning.mixing import mixed


def network(value, count=3):
    made = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
    for tensor in made.state_dict().values():
        tensor.fill_(value if tensor.is_floating_point() else count)
    return made


@pytest.mark.parametrize(("share", "wanted"), [(0.0, 5.0), (0.25, 4.0), (1.0, 1.0)])
def test_weights_means_and_variances_lie_between(share, wanted):
    learnt, parent = network(5.0), network(1.0, count=7)
    found = mixed(learnt, parent, share).state_dict()
    assert len(found) == 7
    for name, value in found.items():
        expected = wanted if value.is_floating_point() else 3  # of what was learnt: a counter
        assert torch.all(value == expected), name
    for one, value in ((learnt, 5.0), (parent, 1.0)):
        floats = [t for t in one.state_dict().values() if t.is_floating_point()]
        assert all(torch.all(tensor == value) for tensor in floats)


def test_a_parent_of_less_precision_is_taken_as_it_is():
    learnt, parent = network(5.0), network(1.0).to(torch.bfloat16)
    found = mixed(learnt, parent, 0.5).state_dict()
    assert found["0.weight"].dtype == torch.float32
    assert torch.all(found["0.weight"] == 3.0)
