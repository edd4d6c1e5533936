"""Zips of bundles: what is honest is read, wherever it lies; nothing escapes, nothing is a bomb."""

import stat
import zipfile

import pytest

from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.zoo import contents
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import CARD_FILE, read_all, read_entry, write_zip

CARD = Card(name="a", architecture="b").to_json().encode()


def pack(path, entries, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_what_is_written_comes_back_and_is_the_same_every_time(tmp_path):
    files = {CARD_FILE: CARD, "weights.safetensors": b"\0" * 1000}
    for name in ("one.zip", "two.ZIP"):
        with (tmp_path / name).open("wb") as stream:
            write_zip(stream, files)
    assert read_all(tmp_path / "one.zip") == files == read_all(tmp_path / "two.ZIP")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.ZIP").read_bytes()


def test_files_may_lie_in_one_folder_beside_others(tmp_path):
    entries = {
        "tiny/": b"",
        "tiny/card.json": CARD,
        "tiny/notes.txt": b"hello",
        "tiny/deeper/thumbnail.png": b"not this one",
        "thumbnail.png": b"nor this one",
        "__MACOSX/card.json": b"rubbish",
    }
    assert read_all(pack(tmp_path / "a.zip", entries)) == {CARD_FILE: CARD}


@pytest.mark.parametrize(
    "name",
    ["../card.json", "a/../../x", "/etc/passwd", "..\\x", "C:\\x", "C:x", "a/..", "\\\\host\\x"],
)
def test_paths_that_escape_are_refused(tmp_path, name):
    path = pack(tmp_path / "a.zip", {CARD_FILE: CARD, name: b"x"})
    with pytest.raises(ModelError, match="outside of its folder"):
        Card.load(path)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
@pytest.mark.parametrize("name", ["weights.safetensors", "other"])
def test_links_and_devices_are_refused(tmp_path, kind, name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    path = pack(tmp_path / "a.zip", {CARD_FILE: CARD})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ModelError, match="link or device"):
        Card.load(path)


def test_large_files_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    path = pack(tmp_path / "a.zip", {CARD_FILE: b" " * (2**20 + 1)})
    with pytest.raises(ModelError, match=r"card\.json has 1 MB, more than the 1 MB"):
        Card.load(path)
    (tmp_path / CARD_FILE).write_bytes(b" " * (2**20 + 1))
    with pytest.raises(ModelError, match=r"card\.json has"):
        Card.load(tmp_path)
    many = pack(tmp_path / "many.zip", {CARD_FILE: CARD} | {str(k): b"" for k in range(1000)})
    with pytest.raises(ModelError, match="holds 1001 files"):
        Card.load(many)


def test_a_size_that_lies_does_not_help(tmp_path):
    content = pack(tmp_path / "a.zip", {CARD_FILE: b" " * 5000}).read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace((5000).to_bytes(4, "little"), b"\x0a\0\0\0"))
    with pytest.raises(ModelError, match="not a readable zip"):
        read_entry(tmp_path / "a.zip", CARD_FILE)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_which_file_is_meant_must_be_clear(tmp_path):
    path = pack(tmp_path / "a.zip", {"one/card.json": CARD, "two/card.json": CARD})
    with pytest.raises(ModelError, match=r"more than one card\.json"):
        Card.load(path)
    path = pack(tmp_path / "b.zip", {CARD_FILE: CARD, "thumbnail.png": b"1"})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("thumbnail.png", b"2")
    with pytest.raises(ModelError, match=r"thumbnail\.png twice"):
        Card.load(path)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({}, r"holds no card\.json"),
        ({"weights.safetensors": b""}, r"holds no card\.json"),
        ({"deep/er/card.json": CARD}, r"holds no card\.json"),
        ({"bioimageio.yaml": b"", "net.pt": b""}, "BioImage.IO model that napari-cellseg did not"),
    ],
)
def test_a_zip_of_something_else(tmp_path, entries, words):
    with pytest.raises(ModelError, match=words):
        Card.load(pack(tmp_path / "a.zip", entries))


def test_damaged_zips(tmp_path):
    path = pack(tmp_path / "a.zip", {CARD_FILE: CARD}, zipfile.ZIP_STORED)
    content = path.read_bytes()
    for damaged in (b"", b"PK", content[: len(content) // 2], content.replace(b"name", b"game", 1)):
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"not a readable zip.*download or copy it again"):
            Card.load(path)
    deflated = bytearray(pack(path, {CARD_FILE: CARD}).read_bytes())
    deflated[60:120] = b"\xff" * 60
    path.write_bytes(deflated)
    with pytest.raises(ModelError, match="not a readable zip"):
        Card.load(path)


def test_passwords_are_not_asked_for(tmp_path):
    content = bytearray(pack(tmp_path / "a.zip", {CARD_FILE: CARD}).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ModelError, match="without a password"):
        Card.load(tmp_path / "a.zip")


def test_the_limits_name_every_file():
    assert set(contents.LARGEST) == {
        "card.json",
        "weights.safetensors",
        "self_test.safetensors",
        "thumbnail.png",
        "replay.npz",
    }
