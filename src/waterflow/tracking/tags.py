"""Names in MLflow: tags, artifact paths and prefixes of metrics.

Each is defined here once. The module imports nothing, so that every layer above can use it at no cost.
"""

OWN_PREFIX = "waterflow."

# Tags of MLflow's own.
MLFLOW_DATASET_CONTEXT = "mlflow.data.context"
MLFLOW_EXPERIMENT_KIND = "mlflow.experimentKind"
MLFLOW_NOTE = "mlflow.note.content"
MLFLOW_PARENT_RUN_ID = "mlflow.parentRunId"
MLFLOW_RUN_NAME = "mlflow.runName"
MLFLOW_SOURCE_TYPE = "mlflow.source.type"

# Identity of a run and of its action.
ACTION_KEY = "waterflow.action_key"
MANIFEST_PREFIX = "waterflow.manifest."  # the sha256 of what each step logged
RECORD_DIGEST = "waterflow.record_digest"
RECORD_SIGNATURE_PREFIX = "waterflow.signature."  # of each record, by the stem of its file
RUN_IDENTITY = "waterflow.run_identity"
RUN_KIND = "waterflow.kind"
DIVISION_DIGEST = "waterflow.division_digest"
DIVISION_KEY = "waterflow.division_key"
SETTING_KEY = "waterflow.setting_key"  # shared by runs of equal configuration, code and environment, whatever the rows
SUPERSEDED = "waterflow.superseded"

# Origin of a run.
AIRFLOW_URL = "waterflow.airflow_url"
CANDIDATE = "waterflow.candidate"
CLEAR_NUMBER = "waterflow.clear_number"
DAG_ID = "waterflow.dag_id"
DAG_RUN_ID = "waterflow.dag_run_id"
FORCE = "waterflow.force"
GIT_COMMIT = "waterflow.git_commit"
GIT_DIRTY = "waterflow.git_dirty"
HOST = "waterflow.host"
LOCK_DIGEST = "waterflow.lock_digest"
PROVENANCE_DIGEST = "waterflow.provenance_digest"
MAP_INDEX = "waterflow.map_index"
PARENT_RUN_ID = "waterflow.parent_run_id"
PIPELINE = "waterflow.pipeline"
RUNNER = "waterflow.runner"
SCENARIO = "waterflow.scenario"
SEED = "waterflow.seed"
SPLIT_SEED = "waterflow.split_seed"
STRATEGY = "waterflow.strategy"
TRY_NUMBER = "waterflow.try_number"

# Data and configuration.
CONFIG_DIGEST = "waterflow.config_digest"
CONTRACT_BREAKS = "waterflow.contract_breaks"
DATA_DIGEST = "waterflow.data_digest"
DATA_READ_AT = "waterflow.data_read_at"
LEAK_WARNING = "waterflow.warning.leak"
SOURCE_PREFIX = "waterflow.source_"
WINDOW_END = "waterflow.window_end"
WINDOW_START = "waterflow.window_start"

# Training.
DECISION_RULE = "waterflow.decision_rule"
FIT_WARNINGS = "waterflow.fit_warnings"
FITTED_ON = "waterflow.fitted_on"
MODEL_DIGEST = "waterflow.model_digest"
MODEL_ID = "waterflow.model_id"
TRIALS_PREFIX = "waterflow.trials_"
TUNING_NOTE = "waterflow.tuning_note"
UNUSED_COLUMNS = "waterflow.unused_columns"

# Logged models.
MODEL_FILES_DIGEST = "waterflow.files_sha256"
MODEL_SIGNATURE = "waterflow.signature"

# Evaluation.
EVALUATED_DIGEST = "waterflow.evaluated_digest"
EVALUATED_FROM = "waterflow.evaluated_from"
EVALUATED_KEY = "waterflow.evaluated_key"
EXPLORATORY = "waterflow.exploratory"
GATE = "waterflow.gate"
MISSING_CANDIDATES = "waterflow.missing_candidates"
PREDICTIONS = "waterflow.predictions"
VERDICT = "waterflow.verdict"
VERDICT_REASON = "waterflow.verdict_reason"
WINNER = "waterflow.winner"

# Promotion.
DECISION = "waterflow.decision"
LEDGER_SEQUENCE = "waterflow.ledger_sequence"
# All tags of a version but those that lists show, as JSON.
VERSION_FACTS = "waterflow.facts"
METRIC_PREFIX = "metric."  # a tag of a version for each metric shown in listings
COMPARED_MODELS = "waterflow.compared_models"  # ids of the fits whose predictions were compared, the latest last
HOLDOUT_START = "waterflow.holdout_start"
NOTHING_NEW = "waterflow.nothing_new"
SELECTED_MODEL_ID = "waterflow.selected_model_id"  # of the fit that selection chose, before it was fitted again
RECIPE = "waterflow.recipe"  # of the settings that decide a fit, tuned values apart
ROWS_UNTIL = "waterflow.rows_until"  # time of the last row that the served model was fitted on
REGISTERED = "waterflow.registered"
VERSION_SIGNATURE = "waterflow.version_signature"  # of all tags that a version was registered with
STAGING_CONDITIONS = "waterflow.staging_conditions"
STAGING_DIGEST = "waterflow.staging_digest"
STAGING_PREFIX = "waterflow.staging."

# What a run reuses, reproduces, or failed of.
CACHED = "waterflow.cached"
CACHED_FROM = "waterflow.cached_from"
FAILURE = "waterflow.failure"
REPRODUCED = "waterflow.reproduced"
REPRODUCED_CODE = "waterflow.code"
REPRODUCES = "waterflow.reproduces"

# Experiments, by name.
EXPERIMENT_PREFIX = "waterflow/"

# Artifacts of a run.
RECORD_FOLDER = "waterflow"
ACTION_FILE = "waterflow/action_{step}.json"
CONFIG_FILE = "waterflow/config.json"
DIVISION_FILE = "waterflow/division.json"
DIFF_FILE = "waterflow/uncommitted.diff"
INSTALLED_FILE = "waterflow/installed.txt"
EVALUATED_FILE = "waterflow/evaluated.json"
LINEAGE_FILE = "waterflow/lineage.json"
MANIFEST_FILE = "waterflow/manifest_{step}.json"
PROVENANCE_FILE = "waterflow/provenance.json"
RECORD_FILE = "waterflow/record.json"
STAGING_FILE = "waterflow/staging.json"
COMPARISON_FILE = "comparison.json"
CONFUSION_FILE = "confusion_matrix_{part}.json"
CARD_FILE = "model_card.md"
CONTRACT_FOLDER = "contract"
DIFFERING_ROWS_FILE = "differing_rows.parquet"
PLOT_FOLDER = "plots"
TUNING_FOLDER = "tuning"
VERDICT_FOLDER = "verdict"
REPORT_FILE = "verdict/report.html"
VERDICT_AGAINST_FOLDER = "verdict_against_{champion}"

# Prefixes of a run's metrics.
FOLDS_METRIC = "folds_"
TEST_METRIC = "test_"
VALIDATION_METRIC = "validation_"
VERDICT_METRIC = "verdict_"
