"""Parameters that describe themselves, and registries that find their members."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from napari_cellseg.core.errors import SettingsError, UnknownNameError

T = TypeVar("T")


class Params(BaseModel):
    """Frozen, validated parameters of one component.

    A subclass declares one ``pydantic.Field`` a parameter, with ``title``, ``description``,
    bounds and ``json_schema_extra={"unit": ...}``: form, tooltip, command-line flag, recipe and
    documentation are all made from it.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some values changed.

        Raises
        ------
        SettingsError
            If a name is unknown or a value out of range.
        """
        return self.parse({**self.model_dump(), **changes})

    @classmethod
    def parse(cls, values: Any) -> Self:
        """Validate plain values (a dict, as read from JSON) and word what is wrong with them.

        Raises
        ------
        SettingsError
            If a name is unknown or a value out of range.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or cls.__name__
            known = list(cls.model_fields)
            if first["type"] == "extra_forbidden":
                raise SettingsError(
                    f"There is no setting called '{where}'.{_did_you_mean(where, known)}"
                ) from error
            why = first["msg"].removeprefix("Value error, ")
            if first["type"] == "value_error" and not first["loc"]:
                raise SettingsError(f"The settings do not go together: {why}.") from error
            raise SettingsError(
                f"The setting '{where}' cannot be {first['input']!r}: {why}."
            ) from error


class Registry(Generic[T]):
    """Named components that live as modules of one package.

    Parameters
    ----------
    kind
        What a member is called in messages, such as ``"model"``.
    package
        Dotted name of the package whose modules register themselves on import; it is scanned
        once, at the first look-up.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._members: dict[str, T] = {}
        self._scanned = False

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that enters its object under `name`."""

        def enter(member: T) -> T:
            if self._members.get(name, member) is not member:
                raise ValueError(f"two {self.kind}s are called '{name}'")
            self._members[name] = member
            return member

        return enter

    def _scan(self) -> None:
        if self._scanned:
            return
        self._scanned = True
        package = importlib.import_module(self._package)
        # A registry whose members all live in one module names that module: it has no path.
        for module in pkgutil.iter_modules(getattr(package, "__path__", [])):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self._package}.{module.name}")

    def __getitem__(self, name: str) -> T:
        self._scan()
        try:
            return self._members[name]
        except KeyError:
            raise UnknownNameError(
                f"There is no {self.kind} called '{name}'.{_did_you_mean(name, self.names())} "
                f"Known: {', '.join(self.names())}."
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def names(self) -> list[str]:
        """Return the names of all members, in the order of registration."""
        self._scan()
        return list(self._members)

    def items(self) -> list[tuple[str, T]]:
        """Return all (name, member) pairs, in the order of registration."""
        self._scan()
        return list(self._members.items())


def _did_you_mean(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean '{close[0]}'?" if close else ""
