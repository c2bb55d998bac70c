"""Three small sets of the UCR and UEA archives of time series."""

from __future__ import annotations

from heldout.config.data import DataConfig
from heldout.data.raw import RawData
from heldout.data.sources._archive import load_archive
from heldout.data.sources._registry import source

# neither archive names a licence of its own
LICENSE = "not stated by the archive, which is published for research; shipped with aeon, BSD-3-Clause"
UCR = "H. A. Dau et al.: The UCR Time Series Archive. IEEE/CAA Journal of Automatica Sinica 6(6), 2019"
UEA = "A. Bagnall et al.: The UEA Multivariate Time Series Classification Archive. arXiv 1811.00075, 2018"


@source("gunpoint")
def gunpoint(config: DataConfig) -> RawData:
    """50 + 150 series of one channel and 150 steps."""
    return load_archive(
        "GunPoint",
        license=LICENSE,
        citation=UCR,
        description="Height of the hand of two actors who draw a replica of a gun and point it (class 1), or only "
        "point (class 2).",
    )


@source("italy_power_demand")
def italy_power_demand(config: DataConfig) -> RawData:
    """67 + 1,029 series of one channel and 24 steps."""
    return load_archive(
        "ItalyPowerDemand",
        license=LICENSE,
        citation=UCR,
        description="Demand of power in Italy over the hours of a day, from October to March (class 1) or from April "
        "to September (class 2).",
    )


@source("basic_motions")
def basic_motions(config: DataConfig) -> RawData:
    """40 + 40 series of six channels and 100 steps."""
    return load_archive(
        "BasicMotions",
        license=LICENSE,
        citation=UEA,
        description="Acceleration and rotation of a watch whose wearer stands, walks, runs or plays badminton.",
    )
