"""Registers the schema with Hydra, so that every config is typed from the first line."""

from __future__ import annotations

from hydra.core.config_store import ConfigStore

from heldout.config.analysis import AnalysisConfig
from heldout.config.data import (
    AudioData,
    CorpusData,
    DataConfig,
    FashionMNISTData,
    ImageData,
    InteractionsData,
    MlbenchData,
    PairsData,
    QualityConfig,
    RatingsData,
    RecallData,
    SeriesData,
    SP500Data,
    SpeechesData,
    SpokenDigitsData,
    TableData,
    TextData,
    TextFilesData,
    TransDeEnData,
)
from heldout.config.explain import ExplainConfig
from heldout.config.model import FAMILIES
from heldout.config.predict import PredictConfig
from heldout.config.stages import (
    CompareConfig,
    EvaluateConfig,
    PrepareConfig,
    ReportConfig,
    StudyRunConfig,
    TrainConfig,
    ValidateConfig,
)
from heldout.config.study import StudyConfig
from heldout.config.sweep import ClusterConfig, SweepConfig
from heldout.config.tracking import TrackingConfig
from heldout.config.training import (
    AdamConfig,
    AdamWConfig,
    ClassifyConfig,
    ConstantConfig,
    CosineConfig,
    GenerateConfig,
    LanguageConfig,
    RecommendConfig,
    RegressConfig,
    SGDConfig,
    TrainerConfig,
    TranslateConfig,
)
from heldout.config.transfer import TransferConfig

PREFIX = "schema_"

STAGES: dict[str, type] = {
    "prepare": PrepareConfig,
    "validate": ValidateConfig,
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "compare": CompareConfig,
    "report": ReportConfig,
    "study": StudyRunConfig,
    "explain": ExplainConfig,
    "predict": PredictConfig,
}

# every schema a group file may name in its defaults list as `schema_<name>`
GROUPS: dict[str, dict[str, type]] = {
    "data": {
        "data": DataConfig,
        "mlbench": MlbenchData,
        "fashion_mnist": FashionMNISTData,
        "sp500": SP500Data,
        "ratings": RatingsData,
        "interactions": InteractionsData,
        "table": TableData,
        "series": SeriesData,
        "images": ImageData,
        "audio": AudioData,
        "spoken_digits": SpokenDigitsData,
        "recall": RecallData,
        "texts": TextData,
        "text": TextFilesData,
        "corpus": CorpusData,
        "speeches": SpeechesData,
        "pairs": PairsData,
        "trans_de_en": TransDeEnData,
    },
    "quality": {"quality": QualityConfig},
    "model": {str(family.family): family for family in FAMILIES},
    "task": {
        "classify": ClassifyConfig,
        "regress": RegressConfig,
        "recommend": RecommendConfig,
        "language": LanguageConfig,
        "translate": TranslateConfig,
        "generate": GenerateConfig,
    },
    "optimizer": {"adam": AdamConfig, "adamw": AdamWConfig, "sgd": SGDConfig},
    "schedule": {"constant": ConstantConfig, "cosine": CosineConfig},
    "trainer": {"trainer": TrainerConfig},
    "transfer": {"transfer": TransferConfig},
    "tracking": {"tracking": TrackingConfig},
    "analysis": {"analysis": AnalysisConfig},
    "sweep": {"sweep": SweepConfig},
    "cluster": {"cluster": ClusterConfig},
    "study": {"study": StudyConfig},
}


def schema_name(group: str, node_type: type) -> str:
    """The name under which `node_type` is registered in `group`.

    Raises:
        KeyError: no schema of that group has this type.
    """
    for name, registered in GROUPS[group].items():
        if registered is node_type:
            return name
    raise KeyError(f"{node_type.__name__} is not registered in group '{group}'")


def register() -> None:
    """Puts all schemas into Hydra's ConfigStore; calling it again changes nothing."""
    store = ConfigStore.instance()
    for stage, schema in STAGES.items():
        store.store(name=f"{PREFIX}{stage}", node=schema)
    for group, schemas in GROUPS.items():
        for name, schema in schemas.items():
            store.store(group=group, name=f"{PREFIX}{name}", node=schema)
