"""How far a sweep fools itself, from the files it leaves. See docs/explanation/selection-bias.md."""

from heldout.analysis.selection.selection import Selection, analyse
from heldout.analysis.selection.sentences import sentences
from heldout.analysis.selection.tables import Sweep, SweepFilesError, read_sweep
from heldout.analysis.selection.winner import NoWinnerError, Refit, choose_winner

__all__ = [
    "NoWinnerError",
    "Refit",
    "Selection",
    "Sweep",
    "SweepFilesError",
    "analyse",
    "choose_winner",
    "read_sweep",
    "sentences",
]
