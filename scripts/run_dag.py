"""Run a pipeline's real DAG in this process, without Airflow's servers: what `make demo` calls."""

import argparse
import json
import sys

from waterflow.orchestration.in_process import run_in_process


def main() -> int:
    """Run the DAG of the named pipeline and print its result; return 0 when a model was registered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline")
    parser.add_argument("--conf", type=json.loads, default={}, help="values of the trigger form, as JSON")
    arguments = parser.parse_args()
    registered = run_in_process(arguments.pipeline, arguments.conf)
    if registered is None:
        return 1
    from waterflow.cli.run import print_result
    from waterflow.workflow import open_resources

    print_result(registered, open_resources())
    return 0


if __name__ == "__main__":
    sys.exit(main())
