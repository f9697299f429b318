//! Runs the fuzz targets without libFuzzer: on the committed corpus, and on mutations of it by proptest.
//!
//! `PROPTEST_CASES` is the number of mutations per target, 256 by default. `cargo fuzz run TARGET` fuzzes further.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a library for cargo-fuzz")]
mod targets;

use std::{fs, path::Path};

use proptest::{collection::vec, prelude::*, sample::Index, test_runner::Config};

use targets::TARGETS;

/// Tokens with a meaning in the input of at least one target.
const WORDS: [&str; 28] = [
    "\"",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\\u0000",
    "null",
    "-1",
    "0",
    "1e400",
    "9223372036854775808",
    "%",
    "%00",
    "&",
    "=",
    "\n",
    "ü",
    "\u{feff}",
    "true",
    "2026-01-15T12:00:00Z",
    "token",
    "access_token",
    "limit",
    "1.5",
    "''",
    "../",
];

/// A mutation of an input.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Remove(Index, Index),
    Repeat(Index, Index),
    Insert(Index, &'static str),
    /// Replaces the end of the input by the end of another input.
    Graft(Index, Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Remove(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (any::<Index>(), proptest::sample::select(&WORDS[..])).prop_map(|(at, word)| Change::Insert(at, word)),
        (any::<Index>(), any::<Index>(), any::<Index>()).prop_map(|(of, from, at)| Change::Graft(of, from, at)),
    ]
}

impl Change {
    fn apply(&self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let place = |index: &Index, length: usize| index.index(length + 1);
        match self {
            Self::Set(at, byte) if !input.is_empty() => {
                let at = at.index(input.len());
                input[at] = *byte;
            }
            Self::Set(..) => {}
            Self::Remove(a, b) | Self::Repeat(a, b) => {
                let (a, b) = (place(a, input.len()), place(b, input.len()));
                let part = a.min(b)..a.max(b);
                if matches!(self, Self::Remove(..)) {
                    input.drain(part);
                } else {
                    let again = input[part.clone()].to_vec();
                    input.splice(part.end..part.end, again);
                }
            }
            Self::Insert(at, word) => {
                let at = place(at, input.len());
                input.splice(at..at, word.bytes());
            }
            Self::Graft(of, from, at) => {
                let other = &corpus[of.index(corpus.len())];
                let (from, at) = (place(from, other.len()), place(at, input.len()));
                input.splice(at.., other[from..].iter().copied());
            }
        }
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).expect("a corpus").map(|file| file.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("an input")).collect()
}

/// Runs a target on its corpus, then on mutations of it.
fn fuzz(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).expect("a target of this name");
    let corpus = corpus(name);
    assert!(corpus.len() >= 3, "the corpus of {name} has fewer than 3 inputs");
    for input in &corpus {
        target(input);
    }
    let config = Config { failure_persistence: None, ..Config::default() };
    proptest!(config, |(seed in any::<Index>(), changes in vec(change(), 1..6))| {
        let mut input = seed.get(&corpus).clone();
        for change in &changes {
            change.apply(&mut input, &corpus);
        }
        // For the failure message.
        let shown = String::from_utf8_lossy(&input).into_owned();
        let outcome = std::panic::catch_unwind(|| target(&input));
        prop_assert!(outcome.is_ok(), "{name} panicked over {shown:?}");
    });
}

macro_rules! fuzz {
    ($($name:ident),*) => {
        $(
            #[test]
            fn $name() {
                fuzz(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_run_and_has_a_binary() {
            let run = [$(stringify!($name)),*];
            assert_eq!(TARGETS.map(|(name, _)| name), run);
            for name in run {
                let binary = format!("{}/fuzz/fuzz_targets/{name}.rs", env!("CARGO_MANIFEST_DIR"));
                assert!(fs::read_to_string(binary).expect("a binary").contains(&format!("opswat_mock_fuzz::{name}(")));
            }
        }
    };
}

fuzz!(query, form, activities, logs, earlier_logs, look_ups, page_token, control, audit, config_file);
