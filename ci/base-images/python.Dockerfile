# Stand-in for python:3.13-slim-trixie: the same Debian, with Debian's own Python 3.13.
ARG DEBIAN
FROM $DEBIAN
ENV LANG=C.UTF-8
# The official image has no EXTERNALLY-MANAGED marker: pip installs there without a venv.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates netbase tzdata python3 python3-venv python3-pip \
 && rm -rf /var/lib/apt/lists/* /usr/lib/python3*/EXTERNALLY-MANAGED \
 && for name in python python3 python3.13; do ln -s /usr/bin/python3.13 /usr/local/bin/$name; done \
 && ln -s /usr/bin/pip3 /usr/local/bin/pip
CMD ["python3"]
