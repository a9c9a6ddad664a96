"""The mechanism behind every plugin family: explicit built-ins, entry points, no silent overrides.

Built-ins stand in a visible tuple in each family's `__init__` and load through the same door as third-party
plugins. A broken third-party plugin is remembered in `broken` and does not end the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
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

    def add(self, name: str, factory: Factory[T], origin: str = "built-in") -> None:
        """Register a factory; a name that is taken is refused."""
        if name in self._factories:
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
            except Exception as problem:  # noqa: BLE001 - a stranger's plugin may raise anything
                self.broken[point.name] = f"{origin}: {problem}"

    def names(self) -> list[str]:
        """All names, built-ins first."""
        self.scan()
        return list(self._factories)

    def origin(self, name: str) -> str:
        """Where a plugin comes from: "built-in" or a distribution."""
        return self._origins[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def factory(self, name: str) -> Factory[T]:
        """The factory of a name; an unknown one lists the choices, the nearest first."""
        if name not in self._factories:
            self.scan()
        if name not in self._factories:
            raise UnknownName(self.family, name, self._factories)
        return self._factories[name]

    def create(self, spec: str | Mapping[str, Any]) -> T:
        """Make a plugin from `"name"` or `{"name": {setting: value}}`; a bad setting raises here."""
        name, settings = parse_spec(self.family, spec)
        factory = self.factory(name)
        if is_dataclass(factory):
            allowed = [f.name for f in fields(factory) if f.init]
            for key in settings:
                if key not in allowed:
                    raise UnknownName(f"setting of {self.family} {name!r}", key, allowed)
        try:
            return factory(**settings)
        except TypeError as problem:
            raise BadValue(
                f"settings of {self.family} {name!r}", dict(settings), f"valid ({problem})"
            ) from problem


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
        if getattr(plugin, f.name) != f.default
    ]
    return f"{name}({', '.join(changed)})" if changed else name
