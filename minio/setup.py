"""Give the store its buckets, and each consumer a key that opens its own bucket alone.

Runs once at every start and ends in the same state whatever it finds: a bucket deleted by hand is made again, a changed
policy is written again, a key that was replaced stops working.

MinIO's Python client rather than `mc`: it is a small wheel instead of a second server-sized Go build, one program speaks
to both stores, and secrets go from file to request without a command line on which `ps` could see them.
"""

import json
import os
import sys
import time
from io import BytesIO
from pathlib import Path

from minio.commonconfig import ENABLED, Filter
from minio.credentials import StaticProvider
from minio.error import MinioAdminException, MinioException, S3Error
from minio.lifecycleconfig import Expiration, LifecycleConfig, NoncurrentVersionExpiration, Rule
from minio.versioningconfig import VersioningConfig
from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from minio import Minio, MinioAdmin

CONSUMERS = ("mlflow", "waterflow", "dvc")  # Also the names of their buckets.
COLLECTED = ("waterflow", "dvc")  # Objects there are named by their content, and a collector deletes those without use.
MARK_BUCKET, MARK_KEY = "installation", "id"  # no consumer's key opens it
WAIT_SECONDS = 60


def main() -> None:
    """Set up the store at STORE_ENDPOINT, of the kind STORE_KIND: minio or seaweedfs."""
    endpoint = os.environ.get("STORE_ENDPOINT", "minio:9000")
    root = StaticProvider(read_secret("root_user"), read_secret("root_password"))
    http = PoolManager(timeout=Timeout(connect=2, read=30), retries=Retry(total=6, backoff_factor=0.5))
    store = Minio(endpoint=endpoint, credentials=root, secure=False, http_client=http)

    wait_until_ready(store, endpoint)
    claim_store(store, endpoint, is_adopted=sys.argv[1:] == ["adopt"])
    for bucket in CONSUMERS:
        make_bucket(store, bucket)
    if os.environ.get("STORE_KIND", "minio") == "minio":  # SeaweedFS reads its keys and their rights from s3.json.
        admin = MinioAdmin(endpoint=endpoint, credentials=root, secure=False, http_client=http)
        for consumer in CONSUMERS:
            grant_key(admin, consumer, bucket_policy(consumer))
        grant_key(admin, "serving", reader_policy("waterflow", "blobs/*"))
        for bucket in COLLECTED:
            forget_deleted(store, bucket, keep_deleted_days())
    print(
        f"store-setup: {endpoint} has the buckets {', '.join(CONSUMERS)}, each with a key of its own",
        flush=True,
    )


def read_secret(name: str) -> str:
    """Return the content of one secret's file."""
    path = Path(os.environ.get("SECRETS_DIR", "/run/secrets"), name)
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        sys.exit(f"store-setup: cannot read the secret {path}: {error.strerror}; the secrets service writes it")


def wait_until_ready(store: Minio, endpoint: str) -> None:
    """Return when the store answers the root key; end the program when it refuses the key or stays away."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            store.list_buckets()
        except S3Error as error:
            if error.code in {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied"}:
                sys.exit(
                    f"store-setup: {endpoint} refuses the root key ({error.code}): does it run with other secrets?"
                )
            last = error.code  # Such as XMinioServerNotInitialized.
        except HTTPError as error:
            last = type(error).__name__
        else:
            return
        if time.monotonic() > deadline:
            sys.exit(f"store-setup: {endpoint} is not ready after {WAIT_SECONDS} s ({last}): see the store's log")
        time.sleep(0.5)


def claim_store(store: Minio, endpoint: str, *, is_adopted: bool) -> None:
    """Mark the store with the id of this installation; end the program when it is not this installation's.

    The volume `installation` remembers that the store was marked. A store without the mark is then no first start but a
    lost volume, which `adopt` takes all the same.
    """
    expected, found = read_secret("installation_id"), read_mark(store)
    record = Path(os.environ.get("INSTALLATION_DIR", "/installation"), "store", "id")
    problem = "is that of another installation" if found else "is new, but an earlier start of this stack filled one"
    if found != expected and (found or record.exists()) and not is_adopted:
        sys.exit(
            f"store-setup: the store at {endpoint} {problem}: its volume was lost or replaced; nothing was changed\n"
            "store-setup: restore the volume from a backup, or go on with what is there: "
            "docker compose run --rm minio-setup adopt"
        )
    if found != expected:
        if not store.bucket_exists(bucket_name=MARK_BUCKET):
            store.make_bucket(bucket_name=MARK_BUCKET)
        content = expected.encode()
        store.put_object(bucket_name=MARK_BUCKET, object_name=MARK_KEY, data=BytesIO(content), length=len(content))
    record.write_text(expected, encoding="utf-8")


def read_mark(store: Minio) -> str | None:
    """Return the id of the installation that a store is marked with; None without a mark."""
    try:
        answer = store.get_object(bucket_name=MARK_BUCKET, object_name=MARK_KEY)
    except S3Error as error:
        if error.code in {"NoSuchBucket", "NoSuchKey"}:
            return None
        raise
    with answer:
        return answer.read().decode()


def make_bucket(store: Minio, bucket: str) -> None:
    """Make sure that the bucket is there and keeps every version of an object."""
    if not store.bucket_exists(bucket_name=bucket):
        store.make_bucket(bucket_name=bucket)
        print(f"store-setup: made the bucket {bucket}", flush=True)
    if store.get_bucket_versioning(bucket_name=bucket).status != ENABLED:
        store.set_bucket_versioning(bucket_name=bucket, config=VersioningConfig(ENABLED))


def keep_deleted_days() -> int:
    """Return for how many days what was deleted is kept."""
    text = os.environ.get("KEEP_DELETED_DAYS", "30")
    if not text.isdecimal() or int(text) == 0:
        sys.exit(f"store-setup: KEEP_DELETED_DAYS: {text!r} is no number of days; write it like 30")
    return int(text)


def forget_deleted(store: Minio, bucket: str, days: int) -> None:
    """Let the store itself destroy, after so many days, what was deleted; no consumer's key can, and nothing else does.

    An object that was never deleted has no older version: blobs are not overwritten.
    """
    rule = Rule(
        ENABLED,
        rule_filter=Filter(prefix=""),
        rule_id="forget-deleted",
        expiration=Expiration(expired_object_delete_marker=True),
        noncurrent_version_expiration=NoncurrentVersionExpiration(noncurrent_days=days),
    )
    store.set_bucket_lifecycle(bucket_name=bucket, config=LifecycleConfig([rule]))


def grant_key(admin: MinioAdmin, consumer: str, rights: dict[str, object]) -> None:
    """Let the consumer's key, and no other of its name's keys, do what a policy allows."""
    policy, key = f"bucket-{consumer}", read_secret(f"{consumer}_access_key")
    admin.policy_add(policy, policy=rights)
    for other, user in json.loads(admin.user_list() or "{}").items():
        if user.get("policyName") == policy and other != key:
            admin.user_remove(other)
    admin.user_add(key, read_secret(f"{consumer}_secret_key"))
    admin.policy_set(policy, user=key)


def bucket_policy(bucket: str) -> dict[str, object]:
    """Return the policy of a consumer: everything it needs in its own bucket, nothing anywhere else.

    It may delete an object but not a version: what a program deletes by mistake, the root key can restore; from the
    buckets of COLLECTED only for as long as `forget_deleted` keeps it.
    """
    in_bucket = [
        "s3:GetBucketLocation",
        "s3:GetBucketVersioning",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:ListBucketVersions",
    ]
    on_objects = [
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:GetObjectAttributes",
        "s3:GetObjectTagging",
        "s3:GetObjectVersion",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
        "s3:PutObjectTagging",
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": in_bucket, "Resource": [f"arn:aws:s3:::{bucket}"]},
            {"Effect": "Allow", "Action": on_objects, "Resource": [f"arn:aws:s3:::{bucket}/*"]},
            # MinIO takes the right to delete an object for the right to delete its versions unless told otherwise.
            {
                "Effect": "Deny",
                "Action": ["s3:DeleteObjectVersion"],
                "Resource": [f"arn:aws:s3:::{bucket}/*"],
            },
        ],
    }


def reader_policy(bucket: str, added: str) -> dict[str, object]:
    """Return the policy of who reads a bucket and adds objects of some names. It deletes nothing.

    Objects there are named by the sha256 of their content, which readers verify: one that is put over another changes
    nothing that is believed, and the older version stays.
    """
    objects = f"arn:aws:s3:::{bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:ListBucket"], "Resource": [objects]},
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{objects}/*"]},
            {
                "Effect": "Allow",
                "Action": ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"],
                "Resource": [f"{objects}/{added}"],
            },
        ],
    }


if __name__ == "__main__":
    try:
        main()
    except (HTTPError, MinioAdminException, MinioException) as error:
        sys.exit(f"store-setup: the store did not do what was asked: {error}")
