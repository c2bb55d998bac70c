"""Heldout as Jobs on Kubernetes: what a laptop sends there, and what runs there only."""
