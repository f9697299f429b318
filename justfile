# The commands that contributors use. Each is one line that works without just, too.

default:
    @just --list

# Format, clippy and documentation, without warnings
check:
    cargo fmt --check && cargo clippy --locked --all-targets -- -D warnings && RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

# All tests
test:
    cargo test --locked

# Writes golden files and reference pages anew
golden:
    UPDATE_EXPECT=1 cargo test --locked --test api --test docs

# Pages over HTTP, and the cost of finding them
bench:
    cargo bench --bench serve && cargo bench --bench place

# The documentation as a book, in target/book
book:
    mdbook build

# Serves, rebuilt in the development profile
serve *FLAGS:
    cargo run -- {{FLAGS}}

# What a change must pass
ci:
    bash .ci/run
