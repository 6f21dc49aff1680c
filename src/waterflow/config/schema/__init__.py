"""The validated configuration of a pipeline, frozen, without unused keys.

Credentials and server addresses belong to `profile.py`. The configuration is stored with every run, and its sections
enter the digests that decide what is computed again.
"""

from waterflow.config.schedule import DURATION, Schedule
from waterflow.config.schema.base import Duration, Fraction, Section
from waterflow.config.schema.candidates import CandidateConfig, Dimension, SearchConfig, TuningConfig
from waterflow.config.schema.contract import ColumnContract, ContractConfig, ContractType
from waterflow.config.schema.metrics import (
    Calibration,
    CostsConfig,
    Decision,
    GateConfig,
    MetricsConfig,
    OwnMetric,
    RecallDecision,
)
from waterflow.config.schema.pipeline import USUALLY_SHOWN, PipelineConfig
from waterflow.config.schema.preprocessing import DEFAULT_PREPROCESSING, Block, Clip, DatePart, Selector, Tfidf
from waterflow.config.schema.promotion import (
    BASELINES,
    DependenceConfig,
    EvidenceConfig,
    PromotionConfig,
    SliceConfig,
    StagingConfig,
    StrategyConfig,
)
from waterflow.config.schema.score import ScoreConfig
from waterflow.config.schema.serving import LogConfig, ServingConfig
from waterflow.config.schema.sources import (
    SOURCE_KINDS,
    CsvSection,
    CsvSource,
    DuckdbSource,
    DvcSource,
    ExcelSource,
    FileSource,
    JsonLinesSource,
    PackageSource,
    ParquetSource,
    PythonSource,
    ReadingSection,
    Source,
    SqlSource,
    TimeUnit,
    setting_for,
)
from waterflow.config.schema.split import OwnFeatures, RowsConfig, SplitConfig, SplitKind, WindowConfig
