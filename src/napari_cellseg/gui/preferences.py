"""What the user chose on the plugin's page of napari's preferences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import SettingsError
from napari_cellseg.session.settings import Device

_FILE = "napari-cellseg.yaml"


class Runtime(Params):
    """The section Computing."""

    device: Device = "auto"
    tile: int = Field(1664, ge=128, le=8192)
    threads: int = Field(0, ge=0, le=256)
    warm_up: bool = True


class Models(Params):
    """The section Models."""

    default: str = "nuclei"


class Preferences(Params):
    """Defaults of the dock, as the manifest declares them; the command line ignores them."""

    runtime: Runtime = Runtime()
    models: Models = Models()


def read_preferences() -> Preferences:
    """Return the preferences, or the defaults where nothing readable was saved.

    napari keeps them in a file beside its own settings and writes every change at once. Its
    ``get_plugin_settings`` would give the same, but reads the manifests of all plugins first,
    which takes longer than opening the dock may.
    """
    from napari.settings import get_settings

    config = get_settings().config_path
    if not config:
        return Preferences()
    return _parse(Path(config).with_name(_FILE))


def _parse(file: Path) -> Preferences:
    import yaml  # type: ignore[import-untyped,unused-ignore]

    try:
        found: Any = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        known = {key: found[key] for key in Preferences.model_fields if key in found}
        return Preferences.parse(known)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, SettingsError, TypeError):
        return Preferences()
