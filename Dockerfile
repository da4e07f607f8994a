# One image for every service; the command chooses which.
#
#   docker build -t ashlar .                              builds from source
#   docker build -t ashlar --target prebuilt .            takes the binary from target/container/ashlar

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked -p ashlar && cp target/release/ashlar /ashlar

FROM debian:bookworm-slim AS runtime
# Volumes take the owner of the directory that they are mounted on.
RUN install -d -o 65532 -g 65532 /data
USER 65532:65532
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/ashlar"]
CMD ["--help"]

FROM runtime AS prebuilt
COPY target/container/ashlar /usr/local/bin/ashlar

FROM runtime AS release
COPY --from=build /ashlar /usr/local/bin/ashlar
