"""Mask R-CNN: the paper's sizes, parts that can be switched, losses worked out by hand."""

import math
import subprocess
import sys

import pytest

pytest.importorskip("torch")

from napari_cellseg.core._torch import gated_import, torch
from napari_cellseg.core.errors import SettingsError, UnknownNameError
from napari_cellseg.core.models.blocks import CrossSpatialAttention, EfficientChannelAttention
from napari_cellseg.core.models.detector import DETECTORS, ObjectTargets, build_network
from napari_cellseg.core.models.mask_heads import Regions
from napari_cellseg.core.models.registry import MODELS

TINY = {"width": 0.05, "in_channels": 2}
FULL = "mask-rcnn-msfl-csam"


def targets(*boxes, side=64):
    masks = torch.zeros(len(boxes), side, side, dtype=torch.uint8)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[int(y0) : int(y1), int(x0) : int(x1)] = 1
    return ObjectTargets(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), masks)


@pytest.fixture(scope="module")
def tiny():
    """One network with all parts, for tests that do not change it."""
    torch.manual_seed(0)
    return build_network(FULL, TINY)


def counted(backbone, msfl, csam):
    values = {"backbone": backbone, "msfl": msfl, "csam": csam}
    with torch.device("meta"):
        model = build_network(FULL, values)
    return sum(p.numel() for n, p in model.named_parameters() if ".guide." not in n) / 1e6


@pytest.mark.parametrize(
    ("backbone", "paper"),
    [("resnet50", (43.9, 44.4, 44.5)), ("resnext101", (107.0, 107.5, 107.6))],
)
def test_parameters_are_as_many_as_in_the_paper(backbone, paper):
    """Table 1; the guide is not counted there."""
    ours = [counted(backbone, *parts) for parts in ((False, False), (True, False), (True, True))]
    assert ours == pytest.approx(paper, rel=0.02)
    assert 0.3 < ours[1] - ours[0] < 0.7  # the paper: 0.5
    assert 0 < ours[2] - ours[1] < 0.15  # the paper: 0.1


def test_without_its_parts_it_is_the_plain_network():
    with torch.device("meta"):
        plain = build_network("mask-rcnn").state_dict()
        same = build_network(FULL, {"msfl": False, "csam": False}).state_dict()
    shapes = [{name: value.shape for name, value in state.items()} for state in (plain, same)]
    assert shapes[0] == shapes[1]


def test_a_part_that_is_switched_on_changes_nothing_else():
    def state(**parts):
        torch.manual_seed(0)
        return build_network(FULL, {**TINY, **parts}).state_dict()

    none, msfl, both = state(msfl=False, csam=False), state(csam=False), state()
    for fewer, more, new in ((none, msfl, "mask_head"), (msfl, both, "mask_head")):
        shared = fewer.keys() & more.keys()
        assert all(torch.equal(fewer[name], more[name]) for name in shared)
        assert all(new in name for name in fewer.keys() ^ more.keys())
    added = both.keys() - msfl.keys()
    assert not msfl.keys() - both.keys()
    assert {n.split("mask_head.")[1].split(".")[0] for n in added} == {
        "guide", "of_guide", "attend"
    }  # fmt: skip


@pytest.mark.parametrize(("parts", "side"), [({"msfl": False, "csam": False}, 28), ({}, 32)])
def test_masks_have_the_size_of_the_papers(parts, side):
    model = build_network(FULL, {**TINY, **parts}).eval()
    model.roi_heads.detections_per_img = 3
    with torch.inference_mode():
        (found,) = model(torch.rand(1, 2, 64, 64))
    assert found.masks.shape == (len(found.scores), side, side)
    assert found.masks.min() >= 0
    assert found.masks.max() <= 1


def test_each_box_is_pooled_from_three_scales(tiny):
    head = tiny.roi_heads.mask_head
    ramp = torch.arange(128.0).expand(1, 1, 128, 128)
    features = {str(k): torch.nn.functional.avg_pool2d(ramp, 4 * 2**k) for k in range(3)} | {
        "image": ramp
    }
    pooled = head.pooled(Regions(features, [torch.tensor([[32.0, 16, 96, 112]])], [(128, 128)]))
    assert [p.shape[-1] for p in pooled] == [64, 32, 16]
    for part in pooled:  # each sees the same part of the image, but for half a pixel of its map
        assert part[..., 0].mean().item() == pytest.approx(32, abs=10)
        assert part.mean().item() == pytest.approx(64, abs=9)


@pytest.mark.parametrize("name", DETECTORS.names())
@pytest.mark.parametrize("shape", [(1, 1), (16, 40), (70, 33)])
def test_any_image_is_looked_at(name, shape):
    model = build_network(name, TINY).eval()
    model.roi_heads.detections_per_img = 5
    with torch.inference_mode():
        found = model(torch.rand(2, 2, *shape))
    assert len(found) == 2
    for one in found:
        x0, y0, x1, y1 = one.boxes.T
        assert ((x0 >= 0) & (y0 >= 0) & (x1 <= shape[1]) & (y1 <= shape[0])).all()
        assert (one.scores.diff() <= 0).all()
        assert len(one.boxes) == len(one.scores) == len(one.masks)


def test_masks_of_few_boxes_at_a_time_are_those_of_all(tiny, monkeypatch):
    head = tiny.eval().roi_heads.mask_head
    features = {k: torch.rand(2, 16, 64 // s, 64 // s) for k, s in (("0", 4), ("1", 8), ("2", 16))}
    features["image"] = torch.rand(2, 2, 64, 64)
    low = torch.rand(5, 2) * 30
    boxes = [torch.cat([low, low + 20], 1), torch.cat([low[:3], low[:3] + 9], 1)]
    regions = Regions(features, boxes, [(64, 64)] * 2)
    with torch.inference_mode():
        whole = head.logits(regions)
        monkeypatch.setattr("napari_cellseg.core.models.mask_heads._AT_ONCE", 2)
        torch.testing.assert_close(head(regions), whole, rtol=1e-4, atol=1e-5)


def zero(*modules):
    for module in modules:
        for parameter in module.parameters():
            torch.nn.init.zeros_(parameter)


def test_losses_are_those_worked_out_by_hand():
    """With all last layers at 0 each cross-entropy is log 2, and proposals are the anchors."""
    torch.manual_seed(0)
    model = build_network(FULL, TINY).train()
    zero(model.rpn.head.cls_logits, model.rpn.head.bbox_pred, model.roi_heads.box_predictor)
    zero(model.roi_heads.mask_head.predict)
    # exactly the anchor of 8 px around (16, 16), and one that lies 1 px off
    on, off = targets((12, 12, 20, 20)), targets((13, 12, 21, 20))
    image = torch.rand(1, 2, 64, 64)
    losses = model.losses(image, [on])
    for name in ("loss_objectness", "loss_classifier", "loss_mask"):
        assert losses[name].item() == pytest.approx(math.log(2), rel=1e-5), name
    assert losses["loss_rpn_box_reg"].item() == 0
    # IoU 7/9: dx = 1/8, smooth L1 with beta 1/9, over the 256 anchors that are looked at
    expected = (1 / 8 - 1 / 18) / 256
    assert model.losses(image, [off])["loss_rpn_box_reg"].item() == pytest.approx(
        expected, rel=1e-4
    )


def test_every_weight_learns_but_those_of_the_guide():
    model = build_network(FULL, TINY).train()
    before = {n: b.clone() for n, b in model.guide.named_buffers()}
    pair = [targets((12, 12, 20, 20), (30, 30, 50, 60)), targets()]
    losses = model.losses(torch.rand(2, 2, 64, 64), pair)
    assert all(torch.isfinite(loss) for loss in losses.values())
    sum(losses.values()).backward()
    idle = {n for n, p in model.named_parameters() if p.grad is None}
    assert idle == {n for n, _ in model.named_parameters() if ".guide." in n}
    assert not model.guide.training
    assert all(torch.equal(before[n], b) for n, b in model.guide.named_buffers())


def test_an_image_without_objects_trains():
    model = build_network("mask-rcnn", TINY).train()
    losses = model.losses(torch.rand(1, 2, 64, 64), [targets()])
    sum(losses.values()).backward()
    assert losses["loss_mask"].item() == 0
    assert losses["loss_objectness"].item() > 0


def test_channel_attention_is_timms():
    """And its kernel that of the paper: 3 at 64 channels, 5 at 192 and 256."""
    timm = gated_import("timm.layers")
    torch.manual_seed(0)
    for channels, kernel in ((8, 3), (64, 3), (192, 5), (384, 5)):
        ours, theirs = EfficientChannelAttention(channels), timm.EcaModule(channels)
        assert ours.conv.kernel_size == (kernel,)
        theirs.conv.weight.data = ours.conv.weight.data
        image = torch.rand(2, channels, 5, 6)
        torch.testing.assert_close(ours(image), theirs(image))


def test_cross_attention_equals_its_description():
    torch.manual_seed(0)
    block = CrossSpatialAttention()
    guided, guiding = torch.rand(2, 6, 8, 8), torch.rand(2, 3, 16, 16)
    coarse = guiding.reshape(2, 3, 8, 2, 8, 2)
    highest = coarse.amax(dim=(1, 3, 5))
    mean = coarse.mean(dim=(1, 3, 5))
    one = torch.stack([guided.amax(1), guided.mean(1)], 1)
    two = torch.stack([highest, mean], 1)
    conv = torch.nn.functional.conv2d
    parts = [
        torch.relu(conv(x, c[0].weight, c[0].bias, padding=1))
        for x, c in ((one, block.of_guided), (two, block.of_guiding))
    ]
    joined = conv(torch.cat(parts, 1), block.join.weight, block.join.bias, padding=1)
    expected = guided / (1 + torch.exp(-joined))
    torch.testing.assert_close(block(guided, guiding), expected)
    assert [c[0].out_channels for c in (block.of_guided, block.of_guiding)] == [4, 4]


@pytest.mark.parametrize("name", DETECTORS.names())
def test_parameters_survive_json(name):
    params = DETECTORS[name].Params(width="small", in_channels=2, backbone="resnext101")
    assert type(params).model_validate_json(params.model_dump_json()) == params
    assert params.maps == ("instances",)


def test_small_is_at_most_a_quarter():
    with torch.device("meta"):
        base, small = (build_network("mask-rcnn", {"width": w}) for w in ("base", "small"))
    heads = [sum(p.numel() for p in m.roi_heads.parameters()) for m in (base, small)]
    assert heads[1] * 4 <= heads[0]
    assert small.backbone.body.layer1[0].conv1.kernel_size == (3, 3)  # ResNet-18's basic block


def test_wrong_settings_are_explained():
    with pytest.raises(SettingsError, match=r"^The settings do not go together: .csam.*msfl"):
        build_network(FULL, {"msfl": False})
    with pytest.raises(SettingsError, match="width"):
        build_network("mask-rcnn", {"width": 100.0})
    with pytest.raises(SettingsError, match="no setting called 'maps'"):
        build_network("mask-rcnn", {"maps": ["foreground"]})
    with pytest.raises(UnknownNameError):
        build_network("mask-rcn")


def test_both_kinds_of_network_are_built_by_name():
    assert not set(DETECTORS.names()) & set(MODELS.names())
    assert type(build_network("attention-unet", {"width": 0.1})) is MODELS["attention-unet"]


def test_listing_networks_does_not_import_torchvision():
    code = (
        "import sys; from napari_cellseg.core.models.detector import DETECTORS;"
        "DETECTORS['mask-rcnn'].Params(); print('torchvision' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
