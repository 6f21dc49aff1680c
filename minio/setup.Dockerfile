# One-shot that makes buckets and keys, for MinIO and for any store with the same API.
ARG PYTHON_IMAGE=python:3.13-slim-trixie
FROM ${PYTHON_IMAGE}
# Empty: pip's own defaults.
ARG PIP_INDEX_URL
ARG SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
RUN groupadd --gid 1000 minio \
 && useradd --uid 1000 --gid 1000 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin minio
COPY setup-requirements.txt .
RUN [ -n "$PIP_INDEX_URL" ] || unset PIP_INDEX_URL; PIP_CERT=$SSL_CERT_FILE \
    pip install --no-cache-dir --root-user-action=ignore --require-hashes --only-binary :all: -r setup-requirements.txt
COPY setup.py /opt/setup.py
USER minio
ENTRYPOINT ["python", "/opt/setup.py"]
