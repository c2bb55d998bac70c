"""What a trial imports, for workers that do so before their first trial is drawn: seconds that would pass in it."""

import mlflow.store.tracking.sqlalchemy_store
import mlflow.tracking

import heldout.training.deep
import heldout.training.outcome
import heldout.tuning.trial

__all__ = ["heldout", "mlflow"]
