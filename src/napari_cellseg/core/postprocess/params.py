"""The settings of all post-processing steps as one flat, frozen list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import create_model

from napari_cellseg.core.components import Params
from napari_cellseg.core.postprocess.registry import steps_in_order


def build_post_params() -> type[Params]:
    """Make the class that holds the fields of every registered step, in running order.

    Raises
    ------
    ValueError
        If two steps declare a field of the same name.
    """
    steps = steps_in_order()
    names = [name for _, step in steps for name in step.Params.model_fields]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two post-processing steps declare {', '.join(twice)}")
    # pydantic collects fields from the last base to the first
    bases = tuple(step.Params for _, step in reversed(steps))
    return create_model(
        "PostParams",
        __base__=bases,
        __module__=__name__,
        __doc__="Settings of the post-processing, all steps in one flat list.",
    )


if TYPE_CHECKING:

    class PostParams(Params):
        """Settings of the post-processing, all steps in one flat list."""

        def __init__(self, **values: Any) -> None: ...
        def __getattr__(self, name: str) -> Any: ...

else:
    PostParams = build_post_params()
