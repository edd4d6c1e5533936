"""Which object classes a run learns: those of its settings, or those that the data name."""

from __future__ import annotations

from collections.abc import Sequence

from napari_cellseg.core.data.classes import FILE
from napari_cellseg.core.data.sources import Pair
from napari_cellseg.core.errors import DataError, SettingsError
from napari_cellseg.core.models.detector import Detector, find_architecture
from napari_cellseg.core.training.config import TrainConfig


def with_object_types(config: TrainConfig, pairs: Sequence[Pair]) -> TrainConfig:
    """Settle the map ``"classes"`` and its types in the settings of a run.

    Where the settings name no maps, data with classes add the map ``"classes"``. Where they name no
    types, these are the names in the data, in alphabetical order. A type that the data lack is
    allowed (a parent may know it), a name that the types lack is not.

    Parameters
    ----------
    config
        Settings as given.
    pairs
        All images of the run, those for validation too.

    Returns
    -------
    The settings, with ``maps`` and ``types`` in ``model_params`` if classes are learnt. Networks
    that find objects one by one have no such map: for them nothing changes.

    Raises
    ------
    DataError
        If classes are asked for and the data have none, or have one that is not among the types.
    SettingsError
        If the map ``"classes"`` is asked for without ``"foreground"``, which the objects come from.
    """
    architecture = find_architecture(config.model)
    if issubclass(architecture, Detector):
        return config
    params = config.model_params
    names = sorted({name for pair in pairs for name in pair.classes.values()})
    maps = params.get("maps")
    if maps is None:
        maps = list(architecture.Params.model_fields["maps"].default)
        maps += ["classes"] if names or params.get("types") else []
    if "classes" not in maps:
        return config
    if "foreground" not in maps:
        raise SettingsError("Objects come from the map 'foreground'. Add it beside 'classes'.")
    if not names:
        raise DataError(f"The model is to learn classes, but no data folder has any in {FILE}.")
    types = list(params.get("types") or names)
    foreign = [name for name in names if name not in types]
    if foreign:
        raise DataError(
            f"{FILE} names the class '{foreign[0]}', which is not among the model's object types "
            f"({', '.join(types)}). Correct the file or model_params.types."
        )
    return config.replace(model_params={**params, "maps": list(maps), "types": types})


def object_types(config: TrainConfig) -> tuple[str, ...]:
    """Return the classes that a run with settled settings learns, in the network's order."""
    return tuple(config.model_params.get("types", ()))
