"""Who chooses the configurations: grid, random, Optuna's TPE and CMA-ES, HyperOpt's TPE.

Each can be told of all past trials when a sweep is continued: what is asked of it then depends on the past and the seed
only, not on how often the sweep was interrupted.
"""

from __future__ import annotations

import importlib.util
import logging
import random
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from hydra_plugins.ray_tune_sweeper._config import Mode, Searcher
from hydra_plugins.ray_tune_sweeper._errors import SettingError
from hydra_plugins.ray_tune_sweeper._journal import ENDED, Status, Trial
from hydra_plugins.ray_tune_sweeper._space import Choice, Interval, Params, Space, Value

if TYPE_CHECKING:
    import optuna

# draws that may repeat what was drawn before, until what is left of a finite space is counted out
MAX_REPEATS = 100


class Sampler(Protocol):
    """Chooses configurations."""

    def ask(self, job: int) -> Params | None:
        """The configuration of trial `job`; None when there are no more."""

    def tell(self, trial: Trial) -> None:
        """What has become of a trial, drawn here or in an earlier process."""


class Grid:
    """Every combination, in order."""

    def __init__(self, space: Space) -> None:
        self._combinations = list(space.grid())

    def ask(self, job: int) -> Params | None:
        return self._combinations[job] if job < len(self._combinations) else None

    def tell(self, trial: Trial) -> None:
        """Plays no part."""


class Random:
    """Independent draws; from a finite space, each combination at most once."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._drawn: set[tuple[tuple[str, Value], ...]] = set()

    def ask(self, job: int) -> Params | None:
        # a generator of its own for each job: the sequence goes on where an earlier process broke off
        rng = random.Random(f"{self._seed}/{job}")
        if not self._space.is_finite:
            return self._space.sample(rng)
        for _ in range(MAX_REPEATS):
            params = self._space.sample(rng)
            if tuple(params.items()) not in self._drawn:
                break
        else:
            # nearly all are drawn, so that there are not many more to look at
            left = [params for params in self._space.grid() if tuple(params.items()) not in self._drawn]
            if not left:
                return None
            params = rng.choice(left)
        self._drawn.add(tuple(params.items()))
        return params

    def tell(self, trial: Trial) -> None:
        self._drawn.add(tuple(trial.params.items()))


class Optuna:
    """Optuna's samplers on a define-by-run space, so that conditions are known to it."""

    def __init__(self, space: Space, sampler: optuna.samplers.BaseSampler, mode: Mode) -> None:
        import optuna
        from optuna.study import StudyDirection

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        direction = StudyDirection.MAXIMIZE if mode is Mode.max else StudyDirection.MINIMIZE
        self.study = optuna.create_study(sampler=sampler, direction=direction)
        self._asked: dict[int, optuna.trial.Trial] = {}

    def ask(self, job: int) -> Params | None:
        trial = self._asked[job] = self.study.ask()
        params: Params = {}
        for index, parameter in enumerate(self._space.parameters):
            if parameter.applies(params):
                # a key may have several domains, by condition; Optuna wants one a name
                params[parameter.key] = _suggest(trial, f"{parameter.key}@{index}", parameter.domain)
        return params

    def tell(self, trial: Trial) -> None:
        from optuna.trial import TrialState

        state = {Status.finished: TrialState.COMPLETE, Status.pruned: TrialState.PRUNED}.get(
            trial.status, TrialState.FAIL
        )
        value = trial.objective
        if state is TrialState.COMPLETE and (value is None or value != value):
            state = TrialState.FAIL
        asked = self._asked.pop(trial.job, None)
        if asked is None:
            self.study.add_trial(past_trial(self._space, trial, state.name))
            return
        for report in trial.reports:
            if report.objective is not None:
                asked.report(report.objective, report.step)
        self.study.tell(asked, value if state is TrialState.COMPLETE else None, state=state)


def past_trial(space: Space, trial: Trial, state: str, only_numbers: bool = False) -> optuna.trial.FrozenTrial:
    """A trial that an earlier process drew, as Optuna keeps it; state: name of one of Optuna's."""
    from optuna.trial import TrialState, create_trial

    distributions = {}
    params = {}
    for index, parameter in enumerate(space.parameters):
        is_wanted = isinstance(parameter.domain, Interval) and not parameter.when if only_numbers else True
        if is_wanted and parameter.applies(trial.params) and parameter.key in trial.params:
            name = f"{parameter.key}@{index}"
            params[name], distributions[name] = trial.params[parameter.key], _distribution(parameter.domain)
    return create_trial(
        state=TrialState[state],
        params=params,
        distributions=distributions,
        value=trial.objective if state == "COMPLETE" else None,
        intermediate_values={r.step: r.objective for r in trial.reports if r.objective is not None},
    )


class HyperOpt:
    """HyperOpt's TPE, through Ray's own wrapper. It does not know conditions."""

    def __init__(self, space: Space, settings: Searcher, mode: Mode, past: list[Trial]) -> None:
        from ray.tune.search.hyperopt import HyperOptSearch

        conditional = next((parameter for parameter in space.parameters if parameter.when), None)
        if conditional is not None:
            raise SettingError(
                f"hydra.sweeper.searcher.name=hyperopt cannot search conditional keys such as {conditional.key}; "
                "expected tpe, cmaes or random."
            )
        self._sign = -1.0 if mode is Mode.max else 1.0
        self._search = HyperOptSearch(
            metric="objective",
            mode="min",
            n_initial_points=settings.startup_trials,
            random_state_seed=settings.seed + len(past),
            # what earlier processes drew is drawn again, to be told of
            points_to_evaluate=[trial.params for trial in past] or None,
        )
        self._search.set_search_properties("objective", "min", {p.key: tune_domain(p.domain) for p in space.parameters})
        for trial in past:
            self._search.suggest(str(trial.job))

    def ask(self, job: int) -> Params | None:
        drawn: dict[str, Any] = self._search.suggest(str(job)) or {}
        # plain numbers in place of numpy's
        return {
            key: value if isinstance(value, str) else value.item() if hasattr(value, "item") else value
            for key, value in drawn.items()
        }

    def tell(self, trial: Trial) -> None:
        value = trial.objective
        failed = trial.status is Status.failed or value is None
        result = None if failed else {"objective": self._sign * (value or 0.0), "training_iteration": trial.steps}
        self._search.on_trial_complete(str(trial.job), result, error=failed)


def build_sampler(settings: Searcher, space: Space, mode: Mode, past: list[Trial]) -> Sampler:
    """The sampler of a config, told of the trials that have ended.

    Raises:
        SettingError: no sampler of this name, or its package is not installed.
        SpaceError: a grid over an interval.
    """
    makers: dict[str, Callable[[], Sampler]] = {
        "grid": lambda: Grid(space),
        "random": lambda: Random(space, settings.seed),
        "tpe": lambda: Optuna(space, _tpe(settings, len(past)), mode),
        "cmaes": lambda: Optuna(space, _cmaes(settings, space, past), mode),
        "hyperopt": lambda: HyperOpt(space, settings, mode, past),
    }
    if settings.name not in makers:
        raise SettingError(f"hydra.sweeper.searcher.name={settings.name}: expected one of: {', '.join(makers)}.")
    for searcher, package in (("tpe", "optuna"), ("cmaes", "optuna"), ("cmaes", "cmaes"), ("hyperopt", "hyperopt")):
        if settings.name == searcher and importlib.util.find_spec(package) is None:
            raise SettingError(
                f"hydra.sweeper.searcher.name={searcher} needs the package {package}: pip install {package}."
            )
    sampler = makers[settings.name]()
    for trial in past:
        if trial.status in ENDED or settings.name in ("random", "grid"):
            sampler.tell(trial)
    return sampler


def tune_domain(domain: Choice | Interval) -> Any:
    """The domain in Ray Tune's terms."""
    from ray import tune

    if isinstance(domain, Choice):
        return tune.choice(list(domain.values))
    if domain.integer:
        # Tune leaves the upper end out
        low, high = int(domain.low), int(domain.high) + 1
        return tune.lograndint(low, high) if domain.log else tune.randint(low, high)
    return (tune.loguniform if domain.log else tune.uniform)(domain.low, domain.high)


def _tpe(settings: Searcher, past: int) -> optuna.samplers.BaseSampler:
    import optuna

    with warnings.catch_warnings():
        # `constant_liar` is marked experimental; without it, trials that run at the same time are drawn alike
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            # a start of its own for each process: else a continued sweep would draw again what it drew first
            seed=settings.seed + past,
            n_startup_trials=settings.startup_trials,
            constant_liar=True,
            multivariate=True,
            group=True,
        )


def _cmaes(settings: Searcher, space: Space, past: list[Trial]) -> optuna.samplers.BaseSampler:
    import optuna

    finished = [trial for trial in past if trial.status is Status.finished and trial.objective is not None]

    # choices and conditional keys, which CMA-ES does not know, are drawn by its independent sampler
    logging.getLogger("cmaes").setLevel(logging.ERROR)
    seed = settings.seed + len(past)
    independent = optuna.samplers.TPESampler(seed=seed, n_startup_trials=settings.startup_trials)
    with warnings.catch_warnings():
        # `source_trials` is marked experimental
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.CmaEsSampler(
            seed=seed,
            # its state ended with the process that had it; the best of the past are where it starts
            source_trials=[past_trial(space, trial, "COMPLETE", only_numbers=True) for trial in finished] or None,
            n_startup_trials=settings.startup_trials,
            independent_sampler=independent,
            warn_independent_sampling=False,
        )


def _suggest(trial: optuna.trial.Trial, name: str, domain: Choice | Interval) -> Value:
    if isinstance(domain, Choice):
        return str(trial.suggest_categorical(name, domain.values))
    if domain.integer:
        return trial.suggest_int(name, int(domain.low), int(domain.high), log=domain.log)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.log)


def _distribution(domain: Choice | Interval) -> optuna.distributions.BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.values)
    if domain.integer:
        return IntDistribution(int(domain.low), int(domain.high), log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)
