"""Every kind of image file becomes pixels with the right axes and pixel size."""

import json

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.reading import find_images, image_from_array, read_image, read_labels
from napari_cellseg.core.reading import tiff as tiff_module

RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 255, (5, 24, 20), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, (24, 20, 3), dtype=np.uint8)


def test_real_files_have_the_axes_of_the_manifest(shared_data):
    folder = shared_data / "readers"
    for entry in json.loads((folder / "MANIFEST.json").read_text()):
        image = read_image(folder / entry["file"])
        assert image.axes == entry["axes"].replace("S", "C"), entry["file"]
        assert image.shape == tuple(entry["shape"])
        assert image.dtype == entry["dtype"]
        pixels = tifffile.imread(folder / entry["file"])
        last = image.leading and tuple(n - 1 for n in image.leading)
        expected = Pixels(pixels, image.axes).plane(last)
        np.testing.assert_array_equal(image.plane(last), expected)


class Pixels:
    """An independent way of taking a plane."""

    def __init__(self, pixels, axes):
        order = [axes.index(a) for a in "TZYXC" if a in axes]
        self.pixels = pixels.transpose(order)
        if "C" not in axes:
            self.pixels = self.pixels[..., None]

    def plane(self, index):
        return self.pixels[tuple(index)]


@pytest.mark.parametrize(
    ("file", "rgb", "pixel_size", "z_step"),
    [
        ("xyc_16bit__hela-cells.tif", False, 0.0514931, None),
        ("xyz_8bit__nuclei_autothresh.tif", False, 0.8286432, 4.0),
        ("xyzc_16bit__dna_conf_wf.tif", False, 0.5118779, 0.4994126),
        ("xy_rgb__cells.tif", True, None, None),
        ("ExampleHuman_D03f00d0_PACKBITS.tif", False, None, None),  # 72 dpi is a screen
        ("CMU-1-Small-Region.svs", True, 0.499, None),
    ],
)
def test_real_files_tell_colour_from_channels_and_their_scale(
    shared_data, file, rgb, pixel_size, z_step
):
    image = read_image(shared_data / "readers" / file)
    assert image.rgb is rgb
    expected = None if pixel_size is None else pytest.approx((pixel_size, pixel_size), rel=1e-6)
    assert image.pixel_size == expected
    assert image.z_step == (z_step if z_step is None else pytest.approx(z_step, rel=1e-6))


def test_channel_names_of_ome_are_kept(shared_data):
    assert read_image(shared_data / "readers/bbbc022_3ch.ome.tif").channel_names == (
        "w1",
        "w2",
        "w3",
    )


@pytest.mark.parametrize(
    ("unit", "factor"), [("um", 1), ("µm", 1), ("micron", 1), ("nm", 1e-3), ("mm", 1e3)]
)
def test_imagej_scale_in_any_unit_becomes_micrometres(tmp_path, unit, factor):
    path = tmp_path / "ij.tif"
    metadata = {"axes": "ZYX", "unit": unit.replace("µ", "\\u00B5"), "spacing": 3.0}
    tifffile.imwrite(path, STACK, imagej=True, resolution=(1 / 0.5, 1 / 0.25), metadata=metadata)
    image = read_image(path)
    assert image.pixel_size == pytest.approx((0.25 * factor, 0.5 * factor))  # (Y, X)
    assert image.z_step == pytest.approx(3 * factor)


def test_imagej_pixels_without_a_length_unit_have_no_size(tmp_path):
    path = tmp_path / "ij.tif"
    tifffile.imwrite(path, STACK[0], imagej=True, resolution=(2, 2), metadata={"unit": "pixel"})
    assert read_image(path).pixel_size is None


def test_ome_scale_and_names(tmp_path):
    path = tmp_path / "field.ome.tif"
    metadata = {
        "axes": "ZCYX",
        "PhysicalSizeX": 500.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.25,
        "PhysicalSizeZ": 2.0,
        "Channel": {"Name": ["DAPI", "GFP"]},
    }
    pixels = RNG.integers(0, 255, (3, 2, 24, 20), dtype=np.uint8)
    tifffile.imwrite(path, pixels, ome=True, metadata=metadata)
    image = read_image(path)
    assert (image.axes, image.name) == ("ZCYX", "field")
    assert image.pixel_size == pytest.approx((0.25, 0.5))
    assert image.z_step == 2.0
    assert image.channel_names == ("DAPI", "GFP")
    assert image.source == path


def test_plain_resolution_counts_only_where_a_microscope_can_be_meant(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], resolution=(2e4, 4e4), resolutionunit="CENTIMETER")
    assert read_image(path).pixel_size == pytest.approx((0.25, 0.5))
    tifffile.imwrite(path, STACK[0], resolution=(300, 300), resolutionunit="INCH")
    assert read_image(path).pixel_size is None


def test_unnamed_stack_is_not_guessed_silently(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, STACK, metadata=None)
    with pytest.raises(ImageError, match=r"axes of 'stack'.*perhaps ZYX.*axes='ZYX'"):
        read_image(path)
    assert read_image(path, axes="TYX").leading_axes == "T"
    guessed = read_image(path, guess=True)
    assert guessed.axes == "ZYX"
    assert "other readings" in guessed.axes_note


def test_given_axes_overrule_the_file(tmp_path):
    path = tmp_path / "ij.tif"
    tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "ZYX"})
    assert read_image(path, axes="cyx").axes == "CYX"
    with pytest.raises(ImageError, match="do not fit"):
        read_image(path, axes="TZYX")


def test_alpha_is_dropped(tmp_path):
    rgba = np.dstack([COLOUR, np.full((24, 20), 7, np.uint8)])
    tifffile.imwrite(tmp_path / "a.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    Pillow.fromarray(rgba).save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        image = read_image(tmp_path / name)
        assert image.rgb
        np.testing.assert_array_equal(image.plane(), COLOUR)


def test_planar_colour_has_its_samples_last(tmp_path):
    path = tmp_path / "planar.tif"
    tifffile.imwrite(path, np.moveaxis(COLOUR, -1, 0), photometric="rgb", planarconfig="separate")
    image = read_image(path)
    assert (image.axes, image.rgb) == ("YXC", True)
    np.testing.assert_array_equal(image.data, COLOUR)


def test_samples_that_are_not_colours_are_channels(tmp_path):
    path = tmp_path / "five.tif"
    pixels = RNG.integers(0, 255, (24, 20, 5), dtype=np.uint8)
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
    image = read_image(path)
    assert (image.axes, image.rgb, image.size("C")) == ("YXC", False, 5)


def test_palette_is_looked_up_but_not_for_labels(tmp_path):
    indices = RNG.integers(0, 4, (24, 20), dtype=np.uint8)
    palette = np.zeros((3, 256), np.uint16)
    palette[:, :4] = np.array([[255, 0, 9, 1], [0, 255, 8, 2], [0, 0, 7, 3]]) * 257
    path = tmp_path / "palette.tif"
    tifffile.imwrite(path, indices, photometric="palette", colormap=palette)
    image = read_image(path)
    assert image.rgb
    np.testing.assert_array_equal(image.data, (palette.T[indices] // 257).astype(np.uint8))
    np.testing.assert_array_equal(read_labels(path).data, indices)

    picture = Pillow.fromarray(indices).convert("P")
    picture.putpalette((palette.T // 257).astype(np.uint8).tobytes())
    picture.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png").data, image.data)
    np.testing.assert_array_equal(read_labels(tmp_path / "palette.png").data, indices)


def test_palette_that_is_an_intensity_scale_stays_grey(tmp_path):
    green = np.zeros((3, 256), np.uint16)
    green[1] = np.arange(256) * 257
    path = tmp_path / "green.tif"
    tifffile.imwrite(path, STACK[0], photometric="palette", colormap=green)
    image = read_image(path)
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.data, STACK[0])


@pytest.mark.parametrize("dtype", [">u2", ">f4", "<i4", "f8", "u1"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_number_type_and_byte_order(tmp_path, dtype, order):
    path = tmp_path / "a.tif"
    pixels = RNG.integers(0, 200, (24, 20)).astype(dtype)
    tifffile.imwrite(path, pixels, byteorder=order)
    image = read_image(path)
    assert image.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(image.plane()[..., 0], pixels)


@pytest.mark.parametrize("kind", ["big", "tiled", "strips"])
def test_other_layouts(tmp_path, kind):
    options = {
        "big": {"bigtiff": True},
        "tiled": {"tile": (16, 16), "compression": "zlib"},
        "strips": {"rowsperstrip": 5, "compression": "packbits"},
    }[kind]
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], **options)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").data, STACK[0])


def test_pyramid_is_read_at_full_resolution(tmp_path):
    path = tmp_path / "pyramid.ome.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(COLOUR, photometric="rgb", subifds=1, tile=(16, 16))
        writer.write(COLOUR[::2, ::2], photometric="rgb", subfiletype=1, tile=(16, 16))
    assert read_image(path).shape == COLOUR.shape


def test_thumbnails_do_not_count_but_equals_must_be_chosen_from(tmp_path):
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(STACK[0, :4, :4], metadata=None)
        writer.write(STACK[0], metadata=None)
    assert read_image(path).shape == (24, 20)
    with tifffile.TiffWriter(path) as writer:
        writer.write(STACK[0, :20], metadata=None)
        writer.write(STACK[0], metadata=None)
    with pytest.raises(ImageError, match=r"holds 2 images \(0: \(20, 20\), 1: \(24, 20\)\)"):
        read_image(path)
    assert read_image(path, series=0).shape == (20, 20)
    assert read_image(path, series=1).shape == (24, 20)
    with pytest.raises(ImageError, match="choose 0 to 1"):
        read_image(path, series=2)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_large_stack_is_read_plane_by_plane(tmp_path, monkeypatch, options):
    path = tmp_path / "large.tif"
    pixels = RNG.integers(0, 999, (3, 2, 24, 20)).astype(np.uint16)
    metadata = {"axes": "ZCYX"}
    tifffile.imwrite(path, pixels, byteorder=">", ome=True, metadata=metadata, **options)
    monkeypatch.setattr(tiff_module, "LAZY_BYTES", 1000)
    decoded = []
    whole = tifffile.TiffPageSeries.asarray
    monkeypatch.setattr(
        tifffile.TiffPageSeries, "asarray", lambda *a, **k: decoded.append(1) or whole(*a, **k)
    )
    image = read_image(path)
    assert not isinstance(image.data, np.ndarray) or isinstance(image.data, np.memmap)
    assert image.axes == "ZCYX"
    assert image.plane((1,)).dtype == np.uint16
    for z in range(3):
        np.testing.assert_array_equal(image.plane((z,)), np.moveaxis(pixels[z], 0, -1))
    np.testing.assert_array_equal(image.data[..., 3:5, 1], pixels[..., 3:5, 1])
    np.testing.assert_array_equal(image.data[1:, 0], pixels[1:, 0])
    np.testing.assert_array_equal(np.asarray(image.data), pixels)
    assert not decoded


@pytest.mark.parametrize(
    ("mode", "rgb"), [("L", False), ("LA", False), ("1", False), ("RGB", True), ("CMYK", True)]
)
def test_pictures_of_every_mode(tmp_path, mode, rgb):
    suffix = "tif" if mode == "CMYK" else "png"
    path = tmp_path / f"a.{'jpg' if mode == 'CMYK' else suffix}"
    Pillow.fromarray(COLOUR).convert(mode).save(path)
    image = read_image(path)
    assert image.rgb is rgb
    assert image.axes == ("YXC" if rgb else "YX")
    assert image.dtype == np.uint8


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_pictures_keep_their_pixels(tmp_path, name):
    Pillow.fromarray(COLOUR).save(tmp_path / name)
    np.testing.assert_array_equal(read_image(tmp_path / name).data, COLOUR)


def test_16_bit_grey_png(tmp_path):
    pixels = RNG.integers(0, 65535, (24, 20)).astype(np.uint16)
    Pillow.fromarray(pixels).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image.data, pixels)


def test_16_bit_colour_png_keeps_its_depth(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    pixels = RNG.integers(0, 65535, (24, 20, 3)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(pixels))
    image = read_image(tmp_path / "a.png")
    assert image.rgb
    np.testing.assert_array_equal(image.data, pixels)


def test_content_decides_not_the_suffix(tmp_path):
    path = tmp_path / "wrong.tif"
    Pillow.fromarray(COLOUR).save(path, format="PNG")
    np.testing.assert_array_equal(read_image(path).data, COLOUR)


def test_numpy_files(tmp_path):
    np.save(tmp_path / "a.npy", STACK[0].astype(float))
    assert read_image(tmp_path / "a.npy").dtype == np.float64
    np.save(tmp_path / "b.npy", STACK)
    assert read_image(tmp_path / "b.npy", axes="ZYX").axes == "ZYX"


def test_8_bit_arrays_with_three_or_four_samples_last_are_colour():
    assert image_from_array(COLOUR).rgb
    assert image_from_array(np.dstack([COLOUR, COLOUR[..., 0]])).shape == COLOUR.shape
    with pytest.raises(ImageError, match="not clear"):
        image_from_array(COLOUR.astype(float))
    assert not image_from_array(COLOUR, "YXC").rgb
    assert image_from_array(COLOUR.astype(float), "YXS").rgb


def test_lists_become_arrays():
    assert image_from_array([[1, 2], [3, 4]]).shape == (2, 2)


@pytest.mark.parametrize("path_name", ["zelle_äß 細胞.tif", "with space.tif"])
def test_names_beyond_ascii(tmp_path, path_name):
    tifffile.imwrite(tmp_path / path_name, STACK[0])
    assert read_image(tmp_path / path_name).name == path_name[:-4]


class TestLabels:
    def test_whole_numbers_in_floating_point(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", np.float32([[0, 1], [70000, 2]]))
        labels = read_labels(tmp_path / "a.tif")
        assert labels.data.dtype == np.int32
        assert labels.data.tolist() == [[0, 1], [70000, 2]]
        assert labels.provenance == {}

    def test_unnamed_axes_are_slices(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", STACK, metadata=None)
        assert read_labels(tmp_path / "a.tif").axes == "ZYX"
        np.save(tmp_path / "b.npy", STACK.reshape(1, 5, 1, 24, 20))
        assert read_labels(tmp_path / "b.npy").axes == "ZYX"

    def test_axes_are_put_in_order(self, tmp_path):
        tifffile.imwrite(tmp_path / "a.tif", STACK, ome=True, metadata={"axes": "TYX"})
        assert read_labels(tmp_path / "a.tif").axes == "TYX"

    @pytest.mark.parametrize(
        ("pixels", "message"),
        [
            (np.float32([[0.5, 1]] * 2), "fractions"),
            (np.float32([[np.nan, 1]] * 2), "below 0 or above"),
            (np.int16([[-1, 1]] * 2), "below 0"),
            (np.uint32([[2**31, 1]] * 2), "above 2147483647"),
            (COLOUR, "not a label image"),
        ],
    )
    def test_what_holds_no_object_numbers_is_refused(self, tmp_path, pixels, message):
        options = {"photometric": "rgb"} if pixels.ndim == 3 else {}
        tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
        with pytest.raises(ImageError, match=message):
            read_labels(tmp_path / "a.tif")


class TestFindImages:
    def test_files_and_folders_in_order_and_once(self, tmp_path):
        for name in ("b.tif", "a.PNG", "a_labels.tif", "notes.txt", ".hidden.tif"):
            (tmp_path / name).touch()
        (tmp_path / "sub.tif").mkdir()
        found = find_images([tmp_path / "b.tif", tmp_path])
        assert [path.name for path in found] == ["b.tif", "a.PNG"]

    def test_folder_without_images(self, tmp_path):
        with pytest.raises(ImageError, match="holds no image"):
            find_images([tmp_path])
