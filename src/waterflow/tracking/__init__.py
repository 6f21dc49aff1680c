"""MLflow: the only part of Waterflow that imports it."""

import os

# Unless it is told not to before it is imported, MLflow reports to its makers what is called.
# Who wants that sets it to false.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
