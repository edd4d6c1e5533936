"""Channel attention by neighbourhood: small images as trained, no far effects in large."""

import pytest

from napari_cellseg.core._torch import torch
from napari_cellseg.core.inference.local_pooling import LocalPooling
from napari_cellseg.core.models.blocks import CBAM

nn = torch.nn
functional = torch.nn.functional


class Gated(nn.Module):
    """A strided convolution, a gate made from one global pooling, and back to full size."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool
        self.down = nn.Conv2d(3, 8, 4, stride=4)
        self.squeeze = nn.Conv2d(8, 4, 1)
        self.excite = nn.Conv2d(4, 8, 1)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, image):
        x = self.down(image)
        gate = self.pool(x, 1)
        x = torch.sigmoid(self.excite(torch.relu(self.squeeze(gate)))) * x
        return {"foreground": functional.interpolate(self.head(x), scale_factor=4.0)}


class Attended(nn.Module):
    """The same with CBAM: both poolings, then attention to pixels."""

    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(3, 8, 4, stride=4)
        self.attention = CBAM(8)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, image):
        x = self.attention(self.down(image))
        return {"foreground": functional.interpolate(self.head(x), scale_factor=4.0)}


@pytest.fixture(params=["mean", "maximum", "cbam"])
def net(request):
    torch.manual_seed(0)
    if request.param == "cbam":
        return Attended().eval()
    pools = {"mean": functional.adaptive_avg_pool2d, "maximum": functional.adaptive_max_pool2d}
    return Gated(pools[request.param]).eval()


def output(net, image):
    with torch.inference_mode():
        return net(image)["foreground"]


def picture(*size):
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1)) * 5


def test_an_image_of_one_cell_is_pooled_as_in_training(net):
    image = picture(64, 64)
    torch.testing.assert_close(output(LocalPooling(net), image), output(net, image))


def test_what_is_far_away_does_not_matter(net):
    image = picture(128, 960)
    changed = image.clone()
    changed[..., 640:] += 3
    before, after = (output(LocalPooling(net), i)[..., :320] for i in (image, changed))
    torch.testing.assert_close(before, after)
    before, after = (output(net, i)[..., :320] for i in (image, changed))
    assert (before - after).abs().max() > 1e-3, "the global mean would have been affected"


def test_neighbours_do_matter(net):
    image = picture(128, 960)
    changed = image.clone()
    changed[..., 400:] += 3
    before, after = (output(LocalPooling(net), i)[..., :320] for i in (image, changed))
    assert (before - after).abs().max() > 1e-3


@pytest.mark.parametrize("size", [(640, 640), (672, 704), (608, 1000)])
def test_a_crop_at_a_cell_gives_the_same_inside(net, size):
    image = picture(*size)
    whole = output(LocalPooling(net), image)
    crop = output(LocalPooling(net), image[..., 64:576, 64:576])
    torch.testing.assert_close(crop[..., 192:320, 192:320], whole[..., 256:384, 256:384])


def test_the_mode_ends_with_the_call(net):
    image = picture(256, 512)
    expected = output(net, image)
    output(LocalPooling(net), image)
    torch.testing.assert_close(output(net, image), expected)


class Pooled(nn.Module):
    """What a network sees of the two global poolings."""

    def forward(self, image):
        pools = {"mean": functional.adaptive_avg_pool2d, "maximum": functional.adaptive_max_pool2d}
        return {name: pool(image, 1) for name, pool in pools.items()}


def test_a_maximum_is_taken_over_five_by_five_cells():
    image = -1 - picture(64 * 3, 64 * 8)  # negative: padding must not count
    image[0, 0, 70, 64 * 5 + 10] = 100
    cells = LocalPooling(Pooled())(image)["maximum"]
    assert cells.shape == (1, 3, 3, 8)
    for column in range(8):
        window = image[..., 64 * max(column - 2, 0) : 64 * (column + 3)]
        expected = window.amax((2, 3))
        assert torch.equal(cells[..., 0, column], expected)  # three rows are in reach of each
        assert torch.equal(cells[..., 2, column], expected)


def test_a_mean_is_taken_over_five_by_five_cells():
    image = picture(64, 64 * 8)
    cells = LocalPooling(Pooled())(image)["mean"]
    for column in range(8):
        window = image[..., 64 * max(column - 2, 0) : 64 * (column + 3)]
        torch.testing.assert_close(cells[..., 0, column], window.mean((2, 3)))
