"""Daily prices of the S&P 500 index, as arch ships them: windows of the past, and what the next day brings."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from datetime import datetime
from importlib.util import find_spec

import numpy as np

from heldout.config.data import DataConfig, NextDay, SP500Data
from heldout.data.errors import DataError, PackageMissing
from heldout.data.raw import RawData
from heldout.data.sources._packages import package_file
from heldout.data.sources._registry import source

CLASSES = ["down", "up"]
# channels of a window
RETURN, VOLATILITY = 0, 1


@dataclass(frozen=True)
class Prices:
    """Days as 1999-01-04 and prices of each, [days]."""

    day: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray


@source("sp500")
def load(config: DataConfig) -> RawData:
    """A series a day: the last `window` days as log return and log volatility; the target is of the day after.

    An example knows what was known at the close of its last day, and nothing later.

    Raises:
        PackageMissing: arch is not installed.
        DataError: the window is longer than the prices.
    """
    if not isinstance(config, SP500Data):
        raise DataError(
            "data.source=sp500 needs window and next_day; expected data=sp500_direction or sp500_volatility."
        )
    prices = _prices()
    returns, volatility = log_returns(prices.close), log_volatility(prices.high, prices.low)[1:]
    days = prices.day[1:]
    if config.window >= len(days):
        raise DataError(f"data.window={config.window}: there are {len(days)} returns; expected a shorter window.")
    features = np.stack([returns, volatility])
    x = np.lib.stride_tricks.sliding_window_view(features, config.window, axis=1)[:, :-1].transpose(1, 0, 2)
    following = slice(config.window, None)
    is_direction = config.next_day is NextDay.direction
    return RawData(
        ids=days[config.window - 1 : -1],
        inputs={"x": x.astype(np.float32)},
        target=np.array(CLASSES)[(returns[following] > 0).astype(int)] if is_direction else volatility[following],
        classes=CLASSES if is_direction else [],
        # trading days, counted: the embargo is in this unit
        time=np.arange(len(x)),
        license="data of Yahoo Finance, terms not stated; shipped with arch, NCSA",
        citation="K. Sheppard: arch, a package of conditional heteroskedasticity models. doi:10.5281/zenodo.593254",
        description=f"S&P 500, trading days of 1999 to 2018; the last {config.window} days as log return and log "
        f"volatility (Parkinson 1980), to predict the {config.next_day.name} of the next.",
    )


def log_returns(close: np.ndarray) -> np.ndarray:
    """ln(close / close of the day before), [days - 1]."""
    return np.diff(np.log(close))


def log_volatility(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """ln of the volatility of each day by its range, ln(high / low) / sqrt(4 ln 2); [days].

    Parkinson 1980 (Journal of Business 53): five times as efficient as the squared return of the day. Its logarithm is
    near to normal (Alizadeh, Brandt and Diebold 2002, Journal of Finance 57), as that of realised variance is.
    """
    return np.asarray(np.log(np.log(high / low) / np.sqrt(4 * np.log(2))))


def _prices() -> Prices:
    if find_spec("arch") is None:
        raise PackageMissing(
            "the prices ship in the Python package arch, which is not installed; expected the extra `datasets`: pip "
            "install 'heldout[datasets]'."
        )
    with gzip.open(package_file("arch", "data", "sp500", "sp500.csv.gz"), "rt", encoding="ascii") as lines:
        rows = list(csv.DictReader(lines))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in ("High", "Low", "Close")}
    day = np.array([datetime.strptime(row["Date"], "%m/%d/%Y").date().isoformat() for row in rows])
    return Prices(day, columns["High"], columns["Low"], columns["Close"])
