"""Install, export and remove: whole or not at all, from a folder, a zip or the web."""

import hashlib
import http.server
import json
import shutil
import threading
import time
import zipfile
from contextlib import closing

import numpy as np
import pytest

from napari_cellseg.core.errors import ModelError, OutputError, SettingsError
from napari_cellseg.core.progress import finish
from napari_cellseg.core.zoo import download, store
from napari_cellseg.core.zoo.bundle import load_bundle
from napari_cellseg.core.zoo.card import Card
from napari_cellseg.core.zoo.contents import CARD_FILE, WEIGHTS_FILE, write_folder
from napari_cellseg.core.zoo.export import export_model
from napari_cellseg.core.zoo.install import install_model, remove_model
from napari_cellseg.core.zoo.record import RECORD_FILE
from napari_cellseg.core.zoo.self_test import add_self_test
from napari_cellseg.core.zoo.store import find_model, list_models, user_folder


def install(source, **options):
    return finish(install_model(source, **options))


def own():
    return [entry.name for entry in list_models() if entry.group == "mine"]


def left_over():
    folder = user_folder()
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def include(bundle, folder):
    shutil.copytree(bundle, folder)
    card = Card.load(bundle).replace(name=folder.name)
    (folder / CARD_FILE).write_text(card.to_json(), encoding="utf-8")


@pytest.fixture(scope="module")
def _zipped(_saved, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zipped")
    bundle = shutil.copytree(_saved, folder / "tiny")
    add_self_test(bundle, np.random.default_rng(0).random((32, 32), np.float32))
    return export_model(bundle, folder)


@pytest.fixture
def zipped(_zipped, tmp_path):
    return shutil.copy(_zipped, tmp_path / "tiny.zip")


def test_a_zip_is_loaded_listed_and_installed(zipped, cellseg_home):
    entry = find_model(zipped)
    assert (entry.group, entry.card.name) == ("file", "tiny")
    assert load_bundle(entry.folder).card == entry.card
    (cellseg_home / RECORD_FILE).unlink()
    installed = install(zipped)
    assert (installed.name, installed.group) == ("tiny", "mine")
    assert installed.folder == user_folder() / "tiny"
    assert find_model("tiny") == installed
    assert own() == ["tiny"]
    assert left_over() == []
    assert len(json.loads((cellseg_home / RECORD_FILE).read_text())) == 1, "tested while installed"


def test_a_folder_gets_another_name(bundle):
    (bundle / "secret.txt").write_text("x")
    steps = list(install_model(bundle, name="other one"))
    assert find_model("other one").folder == user_folder() / "other one"
    names = {path.name for path in (user_folder() / "other one").iterdir()}
    assert names == {CARD_FILE, WEIGHTS_FILE}
    assert "brings no self-test" in steps[-1].message
    with pytest.raises(SettingsError, match="no name for a model"):
        install(bundle, name="../evil")


@pytest.mark.parametrize(("title", "shown"), [("tiny", "other"), ("Tiny cells", "Tiny cells")])
def test_a_title_that_is_only_the_name_follows_it(bundle, title, shown):
    card = Card.load(bundle)
    card = card.replace(title=card.name if title == "tiny" else title)
    (bundle / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    install(bundle, name="other")
    assert find_model("other").card.title == shown


def test_names_that_are_taken(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "included_folder", lambda: tmp_path / "included")
    monkeypatch.setattr(
        "napari_cellseg.core.zoo.install.included_folder", lambda: tmp_path / "included"
    )
    include(bundle, tmp_path / "included" / "nuclei")
    with pytest.raises(ModelError, match="'nuclei' comes with the package"):
        install(bundle, name="nuclei")
    install(bundle)
    with pytest.raises(ModelError, match=r"already.*--replace"):
        install(bundle)
    with pytest.raises(ModelError, match="is installed already"):
        install(user_folder() / "tiny", replace=True)
    card = Card.load(bundle).replace(title="Second")
    (bundle / CARD_FILE).write_text(card.to_json(), encoding="utf-8")
    install(bundle, replace=True)
    assert find_model("tiny").card.title == "Second"
    assert left_over() == []


def test_what_is_damaged_is_not_installed(zipped, bundle):
    install(bundle)
    before = (user_folder() / "tiny" / CARD_FILE).read_bytes()
    damaged = zipped.parent / "damaged"
    with zipfile.ZipFile(zipped) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    write_folder(damaged, files | {WEIGHTS_FILE: files[WEIGHTS_FILE][:-1] + b"?"})
    with pytest.raises(ModelError, match="hash differs"):
        install(damaged, replace=True)
    write_folder(damaged, files)
    (damaged / "self_test.safetensors").unlink()
    with pytest.raises(ModelError, match=r"self-test .* is missing or damaged"):
        install(damaged, replace=True)
    (damaged / WEIGHTS_FILE).unlink()
    with pytest.raises(ModelError, match=r"holds no weights\.safetensors"):
        install(damaged, replace=True)
    assert (user_folder() / "tiny" / CARD_FILE).read_bytes() == before
    assert left_over() == []


def test_a_checksum_for_a_local_zip(zipped, bundle):
    digest = hashlib.sha256(zipped.read_bytes()).hexdigest()
    with pytest.raises(ModelError, match="checksum belongs to"):
        install(zipped, sha256="0" * 64)
    with pytest.raises(ModelError, match="that of one zip"):
        install(bundle, sha256=digest)
    assert install(zipped, sha256=digest.upper()).name == "tiny"


def test_what_is_no_model(tmp_path):
    (tmp_path / "net.pt").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="may run foreign code"):
        install(tmp_path / "net.pt")
    with pytest.raises(ModelError, match="no model called"):
        install(tmp_path / "absent.zip")
    assert not user_folder().exists()


def test_export_adds_a_self_test_and_does_not_overwrite(bundle, tmp_path):
    path = export_model(bundle, tmp_path / "new" / "x.zip")
    assert Card.load(path).self_test_sha256
    assert Card.load(bundle).self_test_sha256 == "", "the model itself stays as it is"
    with pytest.raises(OutputError, match="there already"):
        export_model(bundle, path)
    assert export_model(path, path, replace=True) == path
    with pytest.raises(SettingsError, match=r"ends in \.zip"):
        export_model(bundle, tmp_path / "x.tar")
    (bundle / WEIGHTS_FILE).write_bytes(b"")
    with pytest.raises(ModelError, match="damaged"):
        export_model(bundle, tmp_path)
    assert sorted(one.name for one in (tmp_path / "new").iterdir()) == ["x.zip"]


def test_only_own_models_are_removed(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "included_folder", lambda: tmp_path / "included")
    include(bundle, tmp_path / "included" / "nuclei")
    install(bundle)
    broken = shutil.copytree(bundle, user_folder() / "broken")
    (broken / CARD_FILE).write_text("{")
    with pytest.raises(ModelError, match="comes with the package"):
        remove_model("nuclei")
    with pytest.raises(ModelError, match="does not lie among your own"):
        remove_model(str(bundle))
    for name in ("..", ".", "", "absent", "../models"):
        with pytest.raises(ModelError):
            remove_model(name)
    assert remove_model("broken") == broken
    assert remove_model("tiny") == user_folder() / "tiny"
    assert list(user_folder().iterdir()) == []
    assert bundle.exists()


class Handler(http.server.BaseHTTPRequestHandler):
    """A server of models that may be slow, or break off."""

    content = b""
    released = threading.Event()

    def do_GET(self):
        if self.path == "/absent.zip":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        half = len(self.content) // 2
        self.wfile.write(self.content[:half])
        self.wfile.flush()
        if self.path == "/slow.zip":
            self.released.wait(20)
        if self.path != "/torn.zip":
            self.wfile.write(self.content[half:])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(zipped, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    Handler.content, Handler.released = zipped.read_bytes(), threading.Event()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        web.handle_error = lambda *arguments: None  # a client that leaves early is no news
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}"
        Handler.released.set()
        web.shutdown()


def test_install_from_the_web(server):
    digest = hashlib.sha256(Handler.content).hexdigest()
    assert install(f"{server}/a.zip?x=1", sha256=digest.upper()).name == "tiny"
    install(f"{server}/a.zip#sha256={digest}", replace=True)
    assert own() == ["tiny"]
    assert left_over() == []


def test_another_file_than_the_checksum_says(server):
    with pytest.raises(ModelError, match="not the file that the checksum belongs to"):
        install(f"{server}/a.zip", sha256="0" * 64)
    assert own() == left_over() == []


@pytest.mark.parametrize(
    ("name", "words"), [("torn", "broke off"), ("absent", "the server answers 404")]
)
def test_a_download_that_fails(server, name, words):
    with pytest.raises(ModelError, match=words):
        install(f"{server}/{name}.zip", sha256="0" * 64)
    assert own() == left_over() == []


def test_nobody_there():
    with pytest.raises(ModelError, match="cannot be reached"):
        install("http://127.0.0.1:9/a.zip", sha256="0" * 64)


def test_cancelling_stops_at_once_and_leaves_nothing(server):
    digest = hashlib.sha256(Handler.content).hexdigest()
    with closing(install_model(f"{server}/slow.zip", sha256=digest)) as workflow:
        step = next(workflow)
        for _ in range(200):
            step = next(workflow)
            if step.done:
                break
        assert step.total == len(Handler.content)
        assert 0 < step.done < step.total
        start = time.monotonic()
    assert time.monotonic() - start < 5
    assert own() == left_over() == []


def test_too_large_a_download(server, monkeypatch):
    monkeypatch.setattr(download, "LARGEST_DOWNLOAD", -(2**17))
    with pytest.raises(ModelError, match="this is no model"):
        install(f"{server}/a.zip", sha256="0" * 64)
    assert left_over() == []


@pytest.mark.parametrize(
    ("source", "sha256", "words"),
    [
        ("http://example.org/a.zip", None, "not protected on its way"),
        ("ftp://example.org/a.zip", "0" * 64, "cannot be opened"),
        ("file:///etc/passwd", "0" * 64, "cannot be opened"),
        ("https://example.org/a.zip", "abc", "is no checksum"),
        ("https://example.org/a.zip#sha256=xyz", None, "is no checksum"),
    ],
)
def test_addresses_that_are_refused(source, sha256, words):
    with pytest.raises(SettingsError, match=words):
        install(source, sha256=sha256)
