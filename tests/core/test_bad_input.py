"""Bad files end in one clear sentence, never in a wrong result or a stray exception."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow

from napari_cellseg.core.errors import ImageError
from napari_cellseg.core.reading import image_from_array, read_image, read_labels
from napari_cellseg.core.reading import tiff as tiff_module

PIXELS = np.random.default_rng(0).integers(0, 255, (5, 64, 64), dtype=np.uint8)


def assert_one_sentence(error):
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    assert "Traceback" not in text


def tiff_bytes(**options):
    stream = io.BytesIO()
    tifffile.imwrite(stream, PIXELS, **options)
    return stream.getvalue()


@pytest.mark.parametrize("read", [read_image, read_labels])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.tif", b"", "is empty"),
        ("text.tif", b"these are my notes", "not an image"),
        ("short.tif", b"II*\0", "damaged"),
        ("header.tif", b"II*\0\xff\xff\xff\xff", "damaged"),
        ("big.tif", b"II+\0\x08\0\0\0", "damaged"),
        ("bad.png", b"\x89PNG\r\n\x1a\n", "damaged"),
        ("bad.jpg", b"\xff\xd8\xff\xe0abc", "damaged"),
        ("bad.bmp", b"BM123", "damaged"),
        ("bad.npy", b"\x93NUMPY\x01", "damaged"),
    ],
)
def test_hopeless_files(tmp_path, read, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=message) as error:
        read(tmp_path / name)
    assert_one_sentence(error)
    assert name in str(error.value)


def test_folder_and_missing_file(tmp_path):
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="no file"):
        read_image(tmp_path / "none.tif")


def test_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff_bytes())

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(ImageError, match=r"Permission denied.*may read it"):
        read_image(path)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.999])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"metadata": None},
        {"metadata": None, "compression": "zlib"},
        {"imagej": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "ZYX"}},
        {"ome": True, "metadata": {"axes": "ZYX"}, "compression": "zlib"},
        {"bigtiff": True, "metadata": None},
    ],
    ids=["shaped", "plain", "zlib", "imagej", "ome", "ome-zlib", "bigtiff"],
)
def test_truncated_tiff_never_gives_fewer_or_black_planes(tmp_path, share, options):
    content = tiff_bytes(**options)
    path = tmp_path / "cut.tif"
    path.write_bytes(content[: int(len(content) * share)])
    try:
        image = read_image(path, axes="ZYX")
    except ImageError as error:
        assert "damaged" in str(error)  # noqa: PT017
    else:
        # Only the tail of the metadata was lost: every pixel must be there.
        np.testing.assert_array_equal(image.data, PIXELS)


def test_stack_cut_in_its_first_half_is_called_damaged(tmp_path):
    content = tiff_bytes(metadata=None)
    path = tmp_path / "cut.tif"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ImageError, match=r"'cut\.tif' is damaged.*copy or export it again"
    ) as error:
        read_image(path)
    assert_one_sentence(error)


def test_damaged_plane_of_a_lazy_stack(tmp_path, monkeypatch):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, PIXELS, ome=True, metadata={"axes": "ZYX"}, compression="zlib")
    with tifffile.TiffFile(path) as file:
        offset = file.pages[3].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 40] = b"\xaa" * 40
    path.write_bytes(content)
    monkeypatch.setattr(tiff_module, "LAZY_BYTES", 1000)
    image = read_image(path)
    np.testing.assert_array_equal(image.plane((2,))[..., 0], PIXELS[2])
    with pytest.raises(ImageError, match="damaged"):
        image.plane((3,))


def test_loop_of_pages_ends(tmp_path):
    content = bytearray(tiff_bytes(metadata=None))
    with tifffile.TiffFile(io.BytesIO(bytes(content))) as file:
        first, last = file.pages[0].offset, file.pages[-1].offset
        tags = len(file.pages[-1].tags)
    link = last + 2 + 12 * tags
    content[link : link + 4] = first.to_bytes(4, "little")
    (tmp_path / "loop.tif").write_bytes(content)
    image = read_image(tmp_path / "loop.tif", axes="ZYX")
    np.testing.assert_array_equal(image.data, PIXELS)


def test_missing_decoder_names_the_package(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS[0])

    def fail(*args, **kwargs):
        raise ValueError("<COMPRESSION.JPEG: 7> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", fail)
    monkeypatch.setattr(tiff_module, "find_spec", lambda name: None)
    with pytest.raises(ImageError, match="pip install imagecodecs") as error:
        read_image(path)
    assert_one_sentence(error)


def test_truncated_pictures(tmp_path):
    for suffix in ("png", "jpg", "bmp"):
        path = tmp_path / f"a.{suffix}"
        Pillow.fromarray(PIXELS[0]).save(path)
        path.write_bytes(path.read_bytes()[:-300])
        with pytest.raises(ImageError, match="damaged"):
            read_image(path)


def test_huge_picture_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 1000)
    Pillow.fromarray(PIXELS[0]).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="save it as TIFF"):
        read_image(tmp_path / "a.png")


def test_pickled_numpy_is_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError, match="plain numbers"):
        read_image(tmp_path / "a.npy")


def test_complex_pixels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[0].astype(np.complex64))
    with pytest.raises(ImageError, match="complex64"):
        read_image(tmp_path / "a.tif")


def test_channels_of_colours(tmp_path):
    pixels = np.zeros((2, 64, 64, 3), np.uint8)
    with pytest.raises(ImageError, match="save each channel"):
        image_from_array(pixels, "CYXS")
