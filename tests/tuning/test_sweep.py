"""A sweep of trainings: what it leaves on disk and in MLflow, and how it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from tests.tuning.conftest import Sweep, children_of, journal, parent_of_sweep, runs_in_mlflow, trials

from heldout.data.test_split import count_openings
from heldout.record import Record, find_records
from heldout.training.outcome import LEDGER

pytestmark = pytest.mark.timeout(200)

# a classical model where nothing depends on epochs: its worker is ready sooner
CLASSICAL = ("data=digits", "model=logistic", "model.max_iter=50", "sweep.name=s")
PENALTIES = "model.C=tag(log, interval(1e-3, 1e2))"
NETWORK = ("data=digits", "model=mlp", "model.hidden=[16]", "sweep.name=s")
RATES = "model.learning_rate=tag(log, interval(1e-4, 1e-1))"


@pytest.mark.slow
def test_a_sweep_ends_as_tables_and_a_run_a_trial_and_goes_on_with_more_but_not_with_others(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(*CLASSICAL, PENALTIES, "sweep.trials=3") == 0

    first = trials("s")
    assert first["trial"].tolist() == [0, 1, 2]
    assert set(first["status"]) == {"finished"}
    assert first["epochs"].tolist() == [1, 1, 1]
    for row in first.itertuples():
        record = Record.load(Path("sweeps/s") / str(row.record))
        history = record.history
        kept = history[(history["epoch"] == record.info["kept_epoch"]) & (history["split"] == "validation")]
        assert row.objective == pytest.approx(float(kept["loss"].iloc[0]))
        assert record.info["mlflow"]["run_id"] == row.run_id
    best = yaml.safe_load(Path("sweeps/s/best.yaml").read_text())
    assert best["trial"] == int(first["objective"].idxmin())
    assert best["params"]["model.C"] == first["param.model.C"][best["trial"]]

    # a target, not an increment: two more
    assert sweep(*CLASSICAL, PENALTIES, "sweep.trials=5") == 0
    second = trials("s")
    assert second["trial"].tolist() == [0, 1, 2, 3, 4]
    assert second.loc[:2, "objective"].tolist() == first["objective"].tolist()
    assert sum(event["event"] == "started" for event in journal("s")) == 5

    parent = parent_of_sweep()
    assert parent.info.status == "FINISHED"
    children = children_of(parent)
    assert [run.data.tags["heldout.trial"] for run in children] == ["0", "1", "2", "3", "4"]
    assert {run.info.status for run in children} == {"FINISHED"}
    assert len({run.data.params["model.C"] for run in children}) == 5

    # another search space is refused, and nothing is touched
    before = {path: path.read_bytes() for path in Path("sweeps").rglob("*") if path.is_file()}
    assert sweep(*CLASSICAL, "model.C=1,2", "sweep.trials=6") == 2
    said = capsys.readouterr().err
    assert "- search model.C: tag(log,interval(0.001,100.0))" in said
    assert "+ search model.C: choice(1,2)" in said
    assert "sweep.name" in said
    assert "resume=never" in said
    changed = {path for path, content in before.items() if path.read_bytes() != content}
    assert changed <= {Path("sweeps/s/.sweep.lock")}


@pytest.mark.slow
def test_the_best_are_fitted_again_and_the_winner_alone_sees_the_test_set(sweep: Sweep) -> None:
    refit = ("sweep.refit.top=2", "sweep.refit.seeds=[7,8]")
    assert sweep(*CLASSICAL, PENALTIES, "sweep.trials=4", *refit) == 0

    folder = Path("sweeps/s")
    summary = json.loads((folder / "sweep.json").read_text())
    best_two = trials("s").sort_values("objective")["trial"].tolist()[:2]
    assert sorted({entry["trial"] for entry in summary["refits"]}) == sorted(best_two)
    assert {entry["seed"] for entry in summary["refits"]} == {7, 8}
    winner = summary["winner"]["trial"]
    means = {t: sum(e["objective"] for e in summary["refits"] if e["trial"] == t) / 2 for t in best_two}
    assert winner == min(means, key=lambda trial: means[trial])

    openings = {
        entry["record"]: Record.load(folder / entry["record"]).info["test_openings"] for entry in summary["refits"]
    }
    assert {record: 1 if record.startswith("winner/") else 0 for record in openings} == openings
    record = Record.load(folder / next(iter(openings)))
    assert count_openings(LEDGER, record.info["hashes"]["data"]) == 2

    assert yaml.safe_load((folder / "best.yaml").read_text())["trial"] == winner
    assert "fresh seeds" in (folder / "sweep.html").read_text()
    parent = parent_of_sweep()
    assert parent.data.metrics["selection/seen"] == pytest.approx(trials("s")["objective"].min())
    assert "test" in parent.data.tags["heldout.selection"]
    # nested below their trials, so that the sweep has a child a trial and no more
    assert len(children_of(parent)) == 4
    nested = {
        run.data.tags["mlflow.parentRunId"]
        for run in runs_in_mlflow()
        if run.data.tags["heldout.kind"] == "configuration"
    }
    by_trial = {int(run.data.tags["heldout.trial"]): run.info.run_id for run in children_of(parent)}
    assert nested == {by_trial[trial] for trial in best_two}


@pytest.mark.slow
def test_pruned_failed_and_finished_trials_are_told_apart(sweep: Sweep) -> None:
    diverging = "model.learning_rate=0.01,0.003,0.001,0.0001,1e30"
    arguments = ("sweep.searcher.name=grid", "sweep.scheduler.grace_epochs=1", "sweep.scheduler.reduction_factor=2")
    assert sweep(*NETWORK, "trainer.max_epochs=4", diverging, "optimizer=sgd", *arguments) == 0
    table = trials("s")
    assert table["status"].iloc[4] == "failed"
    assert "the loss became" in table["error"].iloc[4]
    assert "pruned" in set(table["status"])
    by_status = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
    for run, status in zip(children_of(parent_of_sweep()), table["status"], strict=True):
        assert run.info.status == by_status[status]
        assert run.data.tags["heldout.outcome"] == status


@pytest.mark.slow
def test_folds_fit_each_trial_on_every_part_of_train_and_validation(sweep: Sweep) -> None:
    assert sweep(*CLASSICAL, "model.C=0.1,10", "sweep.searcher.name=grid", "sweep.folds=3") == 0
    table = trials("s")
    assert table["epochs"].tolist() == [3, 3]  # a report a fold
    held_out: set[str] = set()
    losses = []
    for folder in find_records(Path("sweeps/s/0")):
        record = Record.load(folder)
        ids = set(record.predictions_of("validation").ids)
        assert not held_out & ids
        held_out |= ids
        history = record.history
        kept = history[(history["epoch"] == record.info["kept_epoch"]) & (history["split"] == "validation")]
        losses.append(float(kept["loss"].iloc[0]))
    counts = record.info["counts"]
    assert len(held_out) == counts["train"] + counts["validation"]
    assert table["objective"][0] == pytest.approx(sum(losses) / 3)


@pytest.mark.slow
def test_population_based_training_changes_rates_within_a_trial_and_says_so(sweep: Sweep) -> None:
    pbt = ("sweep.scheduler.name=pbt", "sweep.scheduler.interval=2", "sweep.scheduler.quantile=0.5")
    assert sweep(*NETWORK, "trainer.max_epochs=10", RATES, "sweep.trials=4", *pbt) == 0
    changed = [event for event in journal("s") if event["event"] == "changed"]
    assert changed
    assert all(1e-4 <= event["params"]["model.learning_rate"] <= 1e-1 for event in changed)
    assert set(trials("s")["status"]) == {"finished"}
    by_trial = {int(run.data.tags["heldout.trial"]): run for run in children_of(parent_of_sweep())}
    assert len(by_trial) == 4
    run = by_trial[changed[-1]["job"]]
    assert run.data.metrics["searched/model.learning_rate"] == pytest.approx(
        changed[-1]["params"]["model.learning_rate"]
    )
