"""`heldout job`: a mistake never reaches the cluster, and what is printed says what it is."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from heldout import cli
from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.data.hashing import hash_json
from heldout.data.prepare import config_hash as data_config_hash
from heldout.data.prepare import prepare
from heldout.jobs.render import MAX_NAME
from heldout.tracking.lineage import config_hash
from heldout.training.identity import content_of
from tests.conftest import ROOT

Job = dict[str, Any]
Print = Callable[..., Job]

with_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")


@pytest.fixture
def printed(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Print:
    """The Job that `heldout job ARGUMENTS` prints."""

    def run(*arguments: str) -> Job:
        assert cli.main(["job", *arguments]) == 0
        (job,) = yaml.safe_load_all(capsys.readouterr().out)
        return dict(job)

    return run


def arguments_of(job: Job) -> list[str]:
    return list(job["spec"]["template"]["spec"]["containers"][0]["args"])


@with_kubectl
def test_a_job_carries_its_overrides_and_says_what_they_make(printed: Print) -> None:
    overrides = ["model=cnn", "data=digits", "trainer.max_epochs=20"]
    job = printed("train", *overrides)
    assert arguments_of(job) == ["heldout", "train", *overrides, "hydra.run.dir=outputs/$(HELDOUT_JOB)"]
    name = job["metadata"]["name"]
    assert re.fullmatch("train-cnn-digits-[0-9a-f]{6}", name)
    with hydra_session():
        config = to_stage(compose_stage("train", overrides))
    notes = job["metadata"]["annotations"]
    expected = config_hash(content_of(config))
    assert notes["heldout.dev/config-hash"] == expected
    assert job["metadata"]["labels"]["heldout.dev/config-hash"] == expected[:16]
    assert notes["heldout.dev/data-hash"] == f"config:{data_config_hash(config.data)}"
    assert notes["heldout.dev/overrides"] == "model=cnn data=digits trainer.max_epochs=20"
    assert notes["heldout.dev/runs"] == f"tags.\"heldout.job\" = '{name}'"
    assert notes["heldout.dev/image"] == job["spec"]["template"]["spec"]["containers"][0]["image"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert notes.get("heldout.dev/commit", "").removesuffix("-dirty") == head.strip()


@with_kubectl
def test_data_that_are_prepared_here_are_named_by_their_own_hash(printed: Print, workplace: Path) -> None:
    with hydra_session():
        data = to_stage(compose_stage("train", ["data=digits"])).data
    card = prepare(data, workplace / "data" / "prepared" / "digits")
    notes = printed("train", "data=digits")["metadata"]["annotations"]
    assert notes["heldout.dev/data-hash"] == f"prepared:{card.data_hash}"


@with_kubectl
def test_name_image_and_namespace_are_taken(printed: Print) -> None:
    job = printed(
        "train", "model=mlp", "--name", "mine", "--image", "example.org/me/heldout@sha256:0", "--namespace", "lab"
    )
    assert (job["metadata"]["name"], job["metadata"]["namespace"]) == ("mine", "lab")
    container = job["spec"]["template"]["spec"]["containers"][0]
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert container["image"] == variables["HELDOUT_IMAGE"] == "example.org/me/heldout@sha256:0"


@with_kubectl
def test_a_sweep_keeps_its_command_and_drops_the_example(printed: Print) -> None:
    job = printed("sweep", "model=mlp,cnn", "sweep.trials=3")
    arguments = arguments_of(job)
    assert arguments[:6] == ["heldout", "train", "-m", "hydra/sweeper=ray_tune", "model=mlp,cnn", "sweep.trials=3"]
    assert not [one for one in arguments if one.startswith("optimizer.")]
    assert "sweep.trials=8" in arguments_of(printed("sweep")), "without overrides it is the example"


@with_kubectl
def test_a_multirun_is_named_by_all_its_configurations(printed: Print) -> None:
    job = printed("train", "-m", "model=mlp,cnn")
    assert arguments_of(job)[-1] == "hydra.sweep.dir=multirun/$(HELDOUT_JOB)"
    hashes = []
    for model in ("mlp", "cnn"):
        with hydra_session():
            hashes.append(config_hash(content_of(to_stage(compose_stage("train", [f"model={model}"])))))
    assert job["metadata"]["annotations"]["heldout.dev/config-hash"] == hash_json(hashes)


@with_kubectl
def test_kubernetes_puts_nothing_into_an_override(printed: Print) -> None:
    assert "name='$$(HELDOUT_JOB)'" in arguments_of(printed("train", "name='$(HELDOUT_JOB)'"))


@with_kubectl
def test_long_names_are_cut(printed: Print) -> None:
    name = printed("pipeline", "snapshot", "prepare", "validate", "evaluate", "compare", "report")["metadata"]["name"]
    assert len(name) <= MAX_NAME
    assert re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "modle=cnn"], ["modle=cnn", "Did you mean 'model'?"]),
        (["train", "trainer.max_epochs=many"], ["trainer.max_epochs", "many"]),
        (["sweep", "sweep.trails=3"], ["'sweep.trails'", "Did you mean 'trials'?"]),
        (["pipeline", "profile=fulll"], ["'fulll'", "Did you mean 'full'?"]),
        (["pipeline", "model=cnn"], ["'model=cnn' is no stage", "come with the image"]),
        (["trian"], ["'trian'", "Did you mean 'train'?"]),
        (["train", "--name", "My_job"], ["My_job", "lower-case"]),
    ],
)
@with_kubectl
def test_a_mistake_is_said_and_nothing_printed(
    workplace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: list[str]
) -> None:
    assert cli.main(["job", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("heldout: ")
    assert all(part in output.err for part in said), output.err


def test_a_missing_kubectl_is_said(
    workplace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(workplace))
    assert cli.main(["job", "train"]) == 2
    assert "kubectl is not installed" in capsys.readouterr().err


@with_kubectl
def test_nothing_heavy_is_imported(workplace: Path) -> None:
    code = (
        "import sys; from heldout import cli; cli.main(['job', 'train', 'model=cnn']);"
        "sys.exit(', '.join({'torch', 'mlflow', 'ray', 'sklearn', 'pandas'} & set(sys.modules)) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@with_kubectl
def test_a_training_over_nodes_has_a_pod_for_each(printed: Print, capsys: pytest.CaptureFixture[str]) -> None:
    job = printed("ddp", "data=digits", "model=mlp")
    assert arguments_of(job)[2:5] == ["data=digits", "model=mlp", "trainer.nodes=2"]
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (2, 2)
    job = printed("ddp", "data=digits", "model=mlp", "trainer.nodes=3")
    assert arguments_of(job)[2:5] == ["data=digits", "model=mlp", "trainer.nodes=3"]
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (3, 3)
    assert cli.main(["job", "train", "data=digits", "trainer.nodes=2"]) == 2
    assert "this job has one pod. Expected a kind with a pod for each node" in capsys.readouterr().err
