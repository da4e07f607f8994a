# One image for every service; the command chooses which. It runs as user 65532 and writes nowhere but to /data.
#
#   docker build -t ashlar .                              builds from source
#   docker build -t ashlar --target prebuilt .            takes the binary from target/container/ashlar
#
# Both need BuildKit, which leaves out the stages that are not asked for.

FROM rust:1.95.0-bookworm AS build
# The toolchain of the image as it is, without the components that rust-toolchain.toml wants for development.
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p ashlar && strip --strip-debug -o /ashlar target/release/ashlar

FROM debian:bookworm-slim AS runtime
# Authorities for HTTPS to key servers, remote buckets and webhooks. A named volume takes the owner of the directory that it is mounted on.
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ca-certificates >/dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o 65532 -g 65532 /data
USER 65532:65532
# Where clients reach `ashlar server`, and a gateway that is told to listen there.
EXPOSE 9000
# `ashlar server` listens on every address in a container, as nobody but its own processes reaches loopback there.
ENV ASHLAR_IN_CONTAINER=true
# Of `ashlar server` as it is run by default; the services of a cluster have checks of their own in docker-compose.yml and the chart.
# With a certificate for clients it speaks HTTPS there, of which the name is not what is asked for.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["/bin/sh", "-c", "ashlar admin health http://127.0.0.1:9000/health/ready || ashlar admin health --insecure https://127.0.0.1:9000/health/ready"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/ashlar"]
CMD ["server", "/data"]

FROM runtime AS prebuilt
COPY target/container/ashlar /usr/local/bin/ashlar

FROM runtime AS release
COPY --from=build /ashlar /usr/local/bin/ashlar
