# Stand-in for golang:<version>-trixie: the same Debian, with this machine's Go.
ARG DEBIAN
FROM $DEBIAN
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates git g++ gcc libc6-dev make pkg-config \
 && rm -rf /var/lib/apt/lists/*
ENV GOTOOLCHAIN=local GOPATH=/go
ENV PATH=$GOPATH/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY go /usr/local/go
RUN mkdir -p "$GOPATH/src" "$GOPATH/bin" && chmod -R 1777 "$GOPATH"
WORKDIR $GOPATH
CMD ["bash"]
