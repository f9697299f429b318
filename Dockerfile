# One static binary and nothing else.
#   docker build -t opswat-mock . && docker run --rm -p 127.0.0.1:8080:8080 opswat-mock
FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock README.md ./
COPY benches benches
COPY examples examples
COPY fixtures fixtures
COPY scenarios scenarios
COPY src src
# The target is named, although it is this machine's, so that what runs during the build is not static, too. Packed relocations
# and, where the linker is LLD, one copy of equal functions are half a megabyte less.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
 && case $target in x86_64-*) equal='-C link-arg=-Wl,--icf=all' ;; *) equal= ;; esac \
 && RUSTFLAGS="-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs $equal" \
    cargo build --profile dist --locked --no-default-features --features cli --bin opswat-mock --target "$target" \
 && mkdir /out && cp "target/$target/dist/opswat-mock" /out/

FROM scratch
LABEL org.opencontainers.image.title="opswat-mock" \
      org.opencontainers.image.description="A local server that answers like the OPSWAT MetaDefender IT Access log APIs"
COPY --from=build /out/opswat-mock /opswat-mock
# Inside a container, the port is reached from outside of it only where it is published.
ENV OPSWAT_MOCK_HOST=0.0.0.0
EXPOSE 8080
USER 65532:65532
HEALTHCHECK --interval=2s --timeout=3s --retries=3 CMD ["/opswat-mock", "healthcheck"]
ENTRYPOINT ["/opswat-mock"]
