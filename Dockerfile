# syntax=docker/dockerfile:1
# With Docker, `docker build .` makes everything. Where the binary was built already, an image that
# holds it at /cio replaces the compile stage: --build-arg BINARY=that-image.
ARG BINARY=build
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
COPY src src
COPY tests/it/main.rs tests/it/main.rs
# The binary holds the list of what it was built from: `cargo audit bin` and image scanners read it.
RUN cargo install --locked cargo-auditable@0.7.7 \
  && cargo auditable build --release --locked --bin cio \
  && cp target/release/cio /cio

FROM ${BINARY} AS binary

FROM ${RUNTIME}
COPY --from=binary /cio /cio
USER 65532:65532
ENTRYPOINT ["/cio"]
