"""The search space, read from Hydra's own sweep syntax."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override

from hydra_plugins.ray_tune_sweeper._errors import SpaceError

Value = str | int | float
# searched keys and their values in one trial
Params = dict[str, Value]


@dataclass(frozen=True)
class Choice:
    """One of a list of values, each as it stands in an override."""

    values: tuple[str, ...]

    def sample(self, rng: random.Random) -> Value:
        return rng.choice(self.values)

    def __str__(self) -> str:
        return f"choice({','.join(self.values)})"


@dataclass(frozen=True)
class Interval:
    """A number from low to high, both included; with `log`, each power of ten is as likely as any other."""

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def sample(self, rng: random.Random) -> Value:
        if self.integer and not self.log:
            return rng.randint(int(self.low), int(self.high))
        if not self.log:
            return rng.uniform(self.low, self.high)
        # half a step more at each end gives the end values of whole numbers their share
        margin = 0.5 if self.integer else 0.0
        drawn = math.exp(rng.uniform(math.log(self.low - margin), math.log(self.high + margin)))
        return self.clip(round(drawn)) if self.integer else min(max(drawn, self.low), self.high)

    def clip(self, value: float) -> Value:
        """The nearest number of the interval."""
        inside = min(max(value, self.low), self.high)
        return round(inside) if self.integer else float(inside)

    def __str__(self) -> str:
        low, high = (int(self.low), int(self.high)) if self.integer else (self.low, self.high)
        text = f"interval({low},{high})"
        text = f"int({text})" if self.integer else text
        return f"tag(log,{text})" if self.log else text


Domain = Choice | Interval


@dataclass(frozen=True)
class Parameter:
    """A searched key; it applies when every key of `when` has one of the values given there."""

    key: str
    domain: Domain
    when: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def applies(self, params: Mapping[str, Value]) -> bool:
        return all(str(params.get(key)) in values for key, values in self.when.items())

    def __str__(self) -> str:
        conditions = "".join(f" when {key}={'|'.join(sorted(values))}" for key, values in self.when.items())
        return f"{self.domain}{conditions}"


@dataclass(frozen=True)
class Space:
    """All searched keys, those that others depend on first, and the overrides that every trial has."""

    parameters: tuple[Parameter, ...]
    fixed: tuple[str, ...]

    @property
    def is_finite(self) -> bool:
        return all(isinstance(parameter.domain, Choice) for parameter in self.parameters)

    def sample(self, rng: random.Random) -> Params:
        params: Params = {}
        for parameter in self.parameters:
            if parameter.applies(params):
                params[parameter.key] = parameter.domain.sample(rng)
        return params

    def grid(self) -> Iterator[Params]:
        """Every combination, the last key varying fastest.

        Raises:
            SpaceError: a key has infinitely many values.
        """
        for parameter in self.parameters:
            if isinstance(parameter.domain, Interval):
                raise SpaceError(
                    f"{parameter.key}={parameter.domain}: a grid needs values that can be counted; expected a choice "
                    "or a range, or another searcher than grid."
                )
        return self._combinations({}, 0)

    def _combinations(self, params: Params, index: int) -> Iterator[Params]:
        if index == len(self.parameters):
            yield dict(params)
            return
        parameter = self.parameters[index]
        if not parameter.applies(params):
            yield from self._combinations(params, index + 1)
            return
        assert isinstance(parameter.domain, Choice)
        for value in parameter.domain.values:
            yield from self._combinations({**params, parameter.key: value}, index + 1)

    def covering(self) -> Iterator[Params]:
        """A few configurations in which every value of a choice and both ends of every interval occur."""
        lengths = [len(_ends(parameter.domain)) for parameter in self.parameters]
        conditions = {key for parameter in self.parameters for key in parameter.when}
        switches = [p for p in self.parameters if p.key in conditions]
        for chosen in itertools.product(*(_ends(p.domain) for p in switches)):
            given = dict(zip((p.key for p in switches), chosen, strict=True))
            for index in range(max(lengths, default=1)):
                params: Params = {}
                for parameter in self.parameters:
                    if parameter.applies(params):
                        values = _ends(parameter.domain)
                        params[parameter.key] = given.get(parameter.key, values[index % len(values)])
                yield params

    def overrides(self, params: Mapping[str, Value]) -> list[str]:
        """What Hydra is to compose the config of a trial from."""
        return [*self.fixed, *(f"{key}={value}" for key, value in params.items())]

    def to_plain(self) -> dict[str, str]:
        """The space as text by key, for comparison with that of an earlier start."""
        plain: dict[str, str] = {}
        for parameter in self.parameters:
            before = f"{plain[parameter.key]}; " if parameter.key in plain else ""
            plain[parameter.key] = f"{before}{parameter}"
        return plain


def read_space(
    params: Mapping[str, Any], conditions: Sequence[Any], arguments: Sequence[str], loader: ConfigLoader
) -> Space:
    """The space that `hydra.sweeper.params`, `hydra.sweeper.conditions` and the command line describe.

    What the command line says of a key replaces what the config says of it.

    Raises:
        SpaceError: the space is empty, or a domain or condition cannot be understood.
    """
    parser = OverridesParser.create(config_loader=loader)
    given = {override.get_key_element(): override for override in parser.parse_overrides(list(arguments))}
    base = parser.parse_overrides([f"{key}={value}" for key, value in params.items() if key not in given])
    unconditional = [*base, *given.values()]
    parameters = [Parameter(o.get_key_element(), _domain(o)) for o in unconditional if o.is_sweep_override()]
    fixed = [_text(o) for o in unconditional if not o.is_sweep_override()]
    for condition in conditions:
        parameters += _conditional(condition, parser, given)
    if not parameters:
        raise SpaceError(
            "there is nothing to search. Expected a key with several values, such as model.width=16,32 or "
            "optimizer.lr='tag(log, interval(1e-4, 1e-1))', or hydra.sweeper.params in the config."
        )
    return Space(tuple(_ordered(parameters)), tuple(fixed))


def _text(override: Override) -> str:
    return override.input_line or f"{override.get_key_element()}={override.get_value_element_as_str()}"


def _domain(override: Override) -> Domain:
    key, value = override.get_key_element(), override.value()
    if isinstance(value, IntervalSweep):
        return _interval(key, value)
    values = tuple(override.sweep_string_iterator())
    if not values:
        raise SpaceError(f"{override.input_line}: there is no value to choose from.")
    if twice := sorted({v for v in values if values.count(v) > 1}):
        raise SpaceError(f"{override.input_line}: {', '.join(twice)} is given more than once; expected each once.")
    return Choice(values)


def _interval(key: str, value: IntervalSweep) -> Interval:
    assert value.start is not None
    assert value.end is not None
    low, high = value.start, value.end
    unknown = sorted(value.tags - {"log", "int"})
    if unknown:
        raise SpaceError(f"{key}: the tag '{unknown[0]}' is not known; expected log, int or both.")
    log = "log" in value.tags
    integer = "int" in value.tags or (isinstance(low, int) and isinstance(high, int))
    if low > high:
        raise SpaceError(f"{key}=interval({low}, {high}): the ends are swapped; expected interval({high}, {low}).")
    if low == high:
        raise SpaceError(f"{key}=interval({low}, {high}) has one value; expected two different ends.")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise SpaceError(f"{key}=interval({low}, {high}): expected two finite ends.")
    if log and low <= 0:
        raise SpaceError(f"{key}=tag(log, interval({low}, {high})): a logarithm needs a lower end above 0.")
    if integer and (low != int(low) or high != int(high)):
        raise SpaceError(f"{key}=tag(int, interval({low}, {high})): expected whole numbers as ends.")
    return Interval(float(low), float(high), log, integer)


def _conditional(condition: Any, parser: OverridesParser, given: Mapping[str, Override]) -> list[Parameter]:
    if not isinstance(condition, Mapping) or set(condition) != {"when", "params"}:
        raise SpaceError(
            f"hydra.sweeper.conditions holds {condition}; expected items such as "
            "{when: {model: [cnn]}, params: {model.width: '16,32'}}."
        )
    when = {
        str(key): frozenset(str(v) for v in (values if isinstance(values, list | tuple) else [values]))
        for key, values in condition["when"].items()
    }
    overrides = parser.parse_overrides([f"{k}={v}" for k, v in condition["params"].items() if k not in given])
    for override in overrides:
        if not override.is_sweep_override():
            raise SpaceError(
                f"hydra.sweeper.conditions: '{override.input_line}' has one value; expected several, as in "
                f"{override.get_key_element()}=1,2."
            )
    return [Parameter(o.get_key_element(), _domain(o), when) for o in overrides]


def _ordered(parameters: Sequence[Parameter]) -> Iterator[Parameter]:
    """Those without conditions first, then those whose conditions are known by then."""
    placed: dict[str, list[Domain]] = {}
    waiting = list(parameters)
    while waiting:
        ready = [p for p in waiting if all(key in placed for key in p.when)]
        if not ready:
            first = waiting[0]
            missing = next(key for key in first.when if key not in placed)
            raise SpaceError(
                f"hydra.sweeper.conditions: {first.key} depends on {missing}, which is not searched; expected one of: "
                f"{', '.join(p.key for p in parameters if not p.when)}."
            )
        for parameter in ready:
            _check_condition(parameter, placed)
            placed.setdefault(parameter.key, []).append(parameter.domain)
            waiting.remove(parameter)
            yield parameter


def _check_condition(parameter: Parameter, placed: Mapping[str, list[Domain]]) -> None:
    for key, values in parameter.when.items():
        known = [v for domain in placed[key] if isinstance(domain, Choice) for v in domain.values]
        for value in sorted(values - set(known)):
            raise SpaceError(
                f"hydra.sweeper.conditions: {parameter.key} depends on {key}={value}, a value that is never drawn; "
                f"expected one of: {', '.join(known) or 'a choice'}."
            )


def _ends(domain: Domain) -> Sequence[Value]:
    return domain.values if isinstance(domain, Choice) else (domain.clip(domain.low), domain.clip(domain.high))
