"""The card of a model: what it is, what it was trained on, how to use it; needs no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from napari_cellseg import __version__
from napari_cellseg.core.components import Params
from napari_cellseg.core.errors import ModelError
from napari_cellseg.core.inference.preparation import Normalization
from napari_cellseg.core.zoo.contents import CARD_FILE, read_entry

SCHEMA_VERSION = 2

ChannelKind = Literal["gray", "rgb", "multi"]


class DataSource(Params):
    """One data set that a model was trained on."""

    name: str
    licence: str = ""
    source: str = ""
    images: int = Field(0, ge=0)


class Card(Params):
    """What a model bundle says about itself.

    Attributes
    ----------
    name, title, description
        Unique short name (also the folder's name), its form for people, a few sentences.
    architecture, params
        Name in the MODELS registry and the parameters of its constructor.
    channels
        Kinds of image that it takes: one grey channel, red-green-blue, or exactly `in_channels`
        channels in the order of training ("multi").
    in_channels
        Channels of the network's input; a grey image is repeated to fill them.
    normalization
        Percentiles that become 0 and 1, as in training.
    object_diameter, diameter_range
        Diameter in px that the model sees best, and the range that it handles without rescaling.
    enlarged_diameter
        Diameter in px to which objects below the range are enlarged, in use and when a model is
        trained from this one. None: to `object_diameter` in use, and not at all in training.
    expected_diameter
        Typical diameter in px of the objects in the images that it is made for, where it is shown
        them rescaled: what the setting "diameter" starts from. None: it is shown them as they are.
    pixel_size
        Typical pixel size of the training images in µm, or None.
    maps
        Names of the probability maps that it predicts; ``("instances",)`` for a network that finds
        objects one by one.
    post
        Post-processing settings that differ from the general defaults.
    licence, data, recipe, seed, lineage
        Terms of use; where the training data come from; training settings; names of the parents.
    scores
        Held-out scores: data set → metric → value.
    seconds_per_megapixel
        Time that one processor core takes from image to maps where the model was made; for
        comparing models.
    weights_sha256, weights_dtype
        Hash of the weights file and how it stores the weights.
    self_test_sha256
        Hash of the file with the self-test, or "" where the bundle has none.
    replay_sha256
        Hash of the file with patches of its training data, or "" where there is none; it lies in
        the bundle or, for the included models, beside the bundles.
    axes
        Axes that the network sees at once; all others (time, depth) are independent slices.
    created, version
        ISO time of creation and the package version that wrote it.
    """

    schema_version: Literal[2] = 2
    name: str = Field(pattern=r"^\w[\w.\- ]*$", max_length=100)
    title: str = ""
    description: str = ""
    architecture: str
    params: dict[str, Any] = Field(default_factory=dict)
    channels: tuple[ChannelKind, ...] = Field(("gray", "rgb"), min_length=1)
    in_channels: int = Field(3, ge=1, le=64)
    normalization: Normalization = Normalization()
    object_diameter: float = Field(20.0, gt=0)
    diameter_range: tuple[float, float] = (8.0, 80.0)
    enlarged_diameter: float | None = Field(None, gt=0, le=1000)
    expected_diameter: float | None = Field(None, gt=0, le=10_000)
    pixel_size: float | None = Field(None, gt=0)
    maps: tuple[str, ...] = Field(("foreground", "contour"), min_length=1)
    post: dict[str, Any] = Field(default_factory=dict)
    licence: str = ""
    data: tuple[DataSource, ...] = ()
    recipe: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = None
    scores: dict[str, dict[str, float]] = Field(default_factory=dict)
    seconds_per_megapixel: float | None = Field(None, gt=0)
    weights_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    weights_dtype: Literal["float16", "float32"] = "float16"
    self_test_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    replay_sha256: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    axes: Literal["YX"] = "YX"
    created: str = ""
    lineage: tuple[str, ...] = ()
    version: str = __version__

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        low, high = self.diameter_range
        if not 0 < low <= self.object_diameter <= high:
            raise ValueError("object_diameter must be positive and lie within diameter_range")
        if self.enlarged_diameter and not low <= self.enlarged_diameter <= high:
            raise ValueError("enlarged_diameter must lie within diameter_range")
        if "rgb" in self.channels and self.in_channels != 3:
            raise ValueError("a model that takes rgb has 3 input channels")
        return self

    def shown_diameter(self, diameter: float) -> float:
        """Return the diameter in px at which the network is shown objects of `diameter` px."""
        small = diameter < self.diameter_range[0]
        return (self.enlarged_diameter if small else None) or self.object_diameter

    @property
    def types(self) -> tuple[str, ...]:
        """Names of the object classes that the model tells apart, in the network's order."""
        return tuple(self.params.get("types", ())) if "classes" in self.maps else ()

    def to_json(self) -> str:
        """Return the card as indented JSON."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a card from JSON; one of an older version becomes one of today's.

        Raises
        ------
        ModelError
            If the text is no card, or one of a newer version of the plugin.
        """
        try:
            values = json.loads(text)
            version = values.get("schema_version", SCHEMA_VERSION)
        except (ValueError, AttributeError) as error:
            raise ModelError(
                "The model's card.json is not readable JSON: install the model again."
            ) from error
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise ModelError(
                f"The model's card has version {version}, newer than this plugin reads: "
                "update napari-cellseg."
            )
        if version == 1:  # it lacks axes and self_test_sha256, whose defaults are right for it
            values["schema_version"] = SCHEMA_VERSION
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "card"
            raise ModelError(
                f"The model's card is not valid at '{where}' ({first['msg']}): "
                "install the model again."
            ) from error

    @classmethod
    def load(cls, bundle: Path) -> Self:
        """Read the card of a bundle, which is a folder or a zip.

        Raises
        ------
        ModelError
            If there is none or it cannot be read.
        """
        try:
            text = read_entry(bundle, CARD_FILE).decode("utf-8")
        except FileNotFoundError as error:
            raise ModelError(
                f"'{bundle}' is not a model: it holds no {CARD_FILE}. "
                "Choose a folder that napari-cellseg has written."
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"The card '{bundle / CARD_FILE}' cannot be read: {error}.") from error
        return cls.from_json(text)
