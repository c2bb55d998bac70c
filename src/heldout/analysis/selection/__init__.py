"""How far a sweep fools itself, from the files it leaves. See docs/explanation/selection-bias.md."""

from heldout.analysis.selection.selection import Selection, analyse
from heldout.analysis.selection.sentences import sentences
from heldout.analysis.selection.tables import REPORTS_FILE, SWEEP_FILE, TRIALS_FILE, Sweep, SweepFilesError, read_sweep
from heldout.analysis.selection.winner import NoWinnerError, Refit, choose_winner

__all__ = [
    "REPORTS_FILE",
    "SWEEP_FILE",
    "TRIALS_FILE",
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
