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
# A named volume takes the owner of the directory that it is mounted on.
RUN install -d -o 65532 -g 65532 /data
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/ashlar"]
CMD ["--help"]

FROM runtime AS prebuilt
COPY target/container/ashlar /usr/local/bin/ashlar

FROM runtime AS release
COPY --from=build /ashlar /usr/local/bin/ashlar
