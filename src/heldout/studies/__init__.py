"""Sets of trainings that one question needs: planned, run or gone on with, and told."""
