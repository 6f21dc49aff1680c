"""Files of predictions on an object store."""

import contextlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.s3_server import BUCKET, KEY, SECRET, s3_client

from waterflow.serving.batch_output import open_output

TABLE = pa.table({"prediction": ["yes", "no"]})


def test_an_object_appears_when_all_is_written(s3_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error before leaves none, and a repetition replaces it."""
    client = s3_client(s3_port)
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    output = f"s3://{BUCKET}/scored/out.parquet"
    with contextlib.suppress(KeyError), open_output(output, tmp_path) as writer:
        writer.write(TABLE)
        raise KeyError("in the middle")
    assert "Contents" not in client.list_objects_v2(Bucket=BUCKET, Prefix="scored/")
    for tables in ([TABLE], [TABLE, TABLE]):
        with open_output(output, tmp_path) as writer:
            for table in tables:
                writer.write(table)
    client.download_file(BUCKET, "scored/out.parquet", str(tmp_path / "out.parquet"))
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 4
