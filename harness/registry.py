"""The mechanism behind every plugin family: explicit built-ins, entry points, no silent overrides.

Built-ins stand in a visible tuple in each family's `__init__` and load through the same door as third-party
plugins. A broken third-party plugin is remembered in `broken` and does not end the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from harness.exceptions import BadValue, InputError, UnknownName

T = TypeVar("T")
Factory = Callable[..., T]


@dataclass
class Registry(Generic[T]):
    """Names to factories of one plugin family; `group` is the entry-point group."""

    family: str
    group: str
    _factories: dict[str, Factory[T]] = field(default_factory=dict)
    _origins: dict[str, str] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    _scanned: bool = False

    def add(self, name: str, factory: Factory[T], origin: str = "built-in", *, again: bool = False) -> None:
        """Register a factory; a name that is taken is refused.

        again: the same origin may give the name once more, as a notebook cell does that is run twice.
        """
        if name in self._factories and not (again and self._origins[name] == origin):
            raise InputError(
                f"The {self.family} {name!r} from {origin} has the name of one from {self._origins[name]}; "
                "rename one of them."
            )
        self._factories[name] = factory
        self._origins[name] = origin

    def scan(self) -> None:
        """Load third-party plugins from entry points, once."""
        if self._scanned:
            return
        self._scanned = True
        for point in entry_points(group=self.group):
            origin = point.dist.name if point.dist else point.value
            try:
                self.add(point.name, point.load(), origin)
            except InputError as problem:
                self.broken[point.name] = str(problem)
            except (Exception, SystemExit) as problem:  # noqa: BLE001 - a stranger's plugin may raise anything
                self.broken[point.name] = f"{origin}: {type(problem).__name__}: {problem}"

    def names(self) -> list[str]:
        """All names, built-ins first."""
        self.scan()
        return list(self._factories)

    def origin(self, name: str) -> str:
        """Where a plugin comes from: "built-in", a distribution, or a user's file."""
        self.factory(name)
        return self._origins[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def factory(self, name: str) -> Factory[T]:
        """Find the factory of a name; an unknown one lists the choices, the nearest first."""
        if name not in self._factories:
            self.scan()
        if name not in self._factories and name in self.broken:
            raise InputError(
                f"The {self.family} {name!r} is installed but cannot be used: {self.broken[name]}"
            )
        if name not in self._factories:
            raise UnknownName(self.family, name, self._factories)
        return self._factories[name]

    def create(self, spec: str | Mapping[str, Any]) -> T:
        """Make a plugin from `"name"` or `{"name": {setting: value}}`; a bad setting raises here.

        Lists become tuples, since YAML has no tuples and settings are frozen.
        """
        name, given = parse_spec(self.family, spec)
        factory = self.factory(name)
        settings = {str(key): tuple(v) if isinstance(v, list) else v for key, v in given.items()}
        if is_dataclass(factory):
            types = {f.name: f.type for f in fields(factory) if f.init}
            for key, value in settings.items():
                if key not in types:
                    raise UnknownName(f"setting of {self.family} {name!r}", key, types)
                _check_type(f"{key} of {self.family} {name!r}", value, types[key])
        try:
            return factory(**settings)
        except TypeError as problem:
            raise InputError(
                f"The {self.family} {name!r} refuses the settings {settings!r}: {problem}."
            ) from problem


_PLAIN: Mapping[str, tuple[tuple[type, ...], str]] = {
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((str,), "text"),
    "tuple[str, ...]": ((tuple,), "a list of texts"),
}


def _check_type(setting: str, value: object, annotation: object) -> None:
    """Refuse a value of another type where the annotation is plain: "no" in quotes would count as true."""
    name = annotation.__name__ if type(annotation) is type else str(annotation)
    if name not in _PLAIN:
        return
    types, allowed = _PLAIN[name]
    fits = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    if fits and isinstance(value, tuple):
        fits = all(isinstance(item, str) for item in value)
    if not fits:
        raise BadValue(setting, value, allowed)


def parse_spec(family: str, spec: str | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Split a spec from YAML into name and settings."""
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping) and len(spec) == 1:
        ((name, settings),) = spec.items()
        if settings is None:
            return str(name), {}
        if isinstance(settings, Mapping):
            return str(name), settings
    raise BadValue(f"{family} spec", spec, "a name or one {name: {setting: value}}")


def spec_text(name: str, plugin: object) -> str:
    """Name plus non-default settings: "exact_match" or "exact_match(ignore_case=True)"."""
    if not is_dataclass(plugin):
        return name
    changed = [
        f"{f.name}={getattr(plugin, f.name)!r}"
        for f in fields(plugin)
        if getattr(plugin, f.name) != (f.default if f.default_factory is MISSING else f.default_factory())
    ]
    return f"{name}({', '.join(changed)})" if changed else name
