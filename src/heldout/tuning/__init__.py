"""Sweeps: `-m` on Ray Tune, with trials that are Heldout trainings."""
