//! Where a connector gets the time from.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use crate::clock::Instant;

/// How many times faster than the machine's clock a fake clock runs, so that nobody waits for the waits of a connector.
pub(super) const FAKE_RATE: u32 = 30;
/// The same during the wait that a 429 asks for.
pub(super) const REFUSED_RATE: u32 = 600;
/// Where packages install libfaketime.
const FOLDERS: [&str; 7] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib64/faketime",
    "/usr/lib/faketime",
    "/usr/local/lib/faketime",
    "/usr/lib/libfaketime",
    "/usr/local/lib",
];
/// The library for programs with threads, and the usual one.
const NAMES: [&str; 2] = ["libfaketimeMT.so.1", "libfaketime.so.1"];

/// The value of `--time`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum TimeFlag {
    /// The connector takes the time from a variable, or from the header `Date` of answers
    Env,
    /// The connector asks the machine, and libfaketime answers
    Fake,
    /// The time is the machine's, and the scenarios happen on a small scale: polls are a second apart
    Real,
}

/// Where the connector gets the time from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum TimeSource {
    /// From a variable.
    Env,
    /// From the machine's clock, which this library replaces.
    Fake(PathBuf),
    /// From the machine's clock, and so does the account.
    Real,
}

impl TimeSource {
    /// The source that a flag asks for, or the best one that works for a program; then with the reason why it is no fake clock.
    pub(super) fn choose(
        flag: Option<TimeFlag>,
        library: Option<&Path>,
        program: &OsStr,
    ) -> Result<(Self, Option<String>), String> {
        if flag == Some(TimeFlag::Env) {
            return Ok((Self::Env, None));
        }
        if flag == Some(TimeFlag::Real) {
            return Ok((Self::Real, None));
        }
        match (fake(library, program), flag) {
            (Ok(library), _) => Ok((Self::Fake(library), None)),
            (Err(why), Some(TimeFlag::Fake)) => Err(why),
            (Err(why), _) if library.is_some() => Err(why),
            (Err(why), _) => Ok((Self::Env, Some(why))),
        }
    }

    /// The word of the flag.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::Fake(_) => "fake",
            Self::Real => "real",
        }
    }
}

/// The library, if a program can be run with it.
fn fake(library: Option<&Path>, program: &OsStr) -> Result<PathBuf, String> {
    let library = match library {
        Some(path) if path.is_file() && !is_library(path) => {
            return Err(format!("--faketime: {} is no library", path.display()));
        }
        Some(path) if path.is_file() => path.to_owned(),
        Some(path) => return Err(format!("--faketime: there is no file {}", path.display())),
        None => found().ok_or_else(|| {
            "--time fake needs libfaketime (package libfaketime or faketime); --faketime names its file".to_owned()
        })?,
    };
    let path = resolved(program).ok_or_else(|| format!("there is no program {}", program.to_string_lossy()))?;
    match is_dynamic(&path, 3) {
        Ok(true) => Ok(library),
        Ok(false) => Err(format!(
            "--time fake needs a program that is linked dynamically, and {} is static; use --time env",
            path.display()
        )),
        Err(error) => Err(format!("cannot read {}: {error}", path.display())),
    }
}

/// Whether a file begins as a library of Linux or macOS does.
fn is_library(path: &Path) -> bool {
    let mut head = [0; 4];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && [*b"\x7fELF", [0xcf, 0xfa, 0xed, 0xfe], [0xca, 0xfe, 0xba, 0xbe]].contains(&head)
}

/// The library where packages install it.
fn found() -> Option<PathBuf> {
    let candidates = FOLDERS.iter().flat_map(|folder| NAMES.map(|name| Path::new(folder).join(name)));
    candidates.into_iter().find(|path| path.is_file())
}

/// The file of a program.
fn resolved(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return path.is_file().then(|| path.to_owned());
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(path)).find(|path| path.is_file())
}

/// Whether a program loads libraries. A script is what its interpreter is.
fn is_dynamic(path: &Path, depth: u32) -> io::Result<bool> {
    let mut head = vec![0; 4096];
    let read = fs::File::open(path)?.read(&mut head)?;
    head.truncate(read);
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line).into_owned();
        let mut words = line.split_whitespace();
        let interpreter = words.next().unwrap_or_default();
        let named = if interpreter.ends_with("/env") { words.find(|word| !word.starts_with('-')) } else { None };
        return match resolved(OsStr::new(named.unwrap_or(interpreter))) {
            Some(path) if depth > 0 => is_dynamic(&path, depth - 1),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
    }
    Ok(has_interpreter(&head).unwrap_or(false))
}

/// Whether an ELF file of 64 bits in little endian names a dynamic linker.
fn has_interpreter(head: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, length: usize| {
        let bytes = head.get(at..at + length)?;
        Some(bytes.iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte)))
    };
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    Some((0..count).any(|nth| number(table + nth * size, 4) == Some(PT_INTERP as usize)))
}

/// The file that leads the clock of a program, and the variables with which it is run.
#[derive(Debug)]
pub(super) struct FakeClock {
    file: PathBuf,
}

impl FakeClock {
    pub(super) fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// Sets the clock. It runs on from there so many times as fast as the machine's, or stands still.
    pub(super) fn set(&self, now: Instant, rate: Option<u32>) -> io::Result<()> {
        let at = now.millis().0;
        let seconds = format!("{}.{:03}", at.div_euclid(1_000), at.rem_euclid(1_000));
        let text = rate.map_or_else(|| format!("{seconds}\n"), |rate| format!("@{seconds} x{rate}\n"));
        // Replaced as a whole, so that nobody reads a part of it.
        let next = self.file.with_extension("new");
        fs::write(&next, text)?;
        fs::rename(next, &self.file)
    }

    pub(super) fn variables(&self, library: &Path) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", library.to_string_lossy().into_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_string_lossy().into_owned()),
            ("FAKETIME_FMT", "%s".to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_scripts_are_told_from_static_ones() {
        let folder = env::temp_dir().join(format!("opswat-mock-time-source-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let script = folder.join("script");
        fs::write(&script, "#!/bin/sh\n").expect("a file");
        assert!(is_dynamic(&script, 3).expect("a script"));
        let this = env::current_exe().expect("a test");
        assert!(is_dynamic(&this, 0).expect("a program"));
        let lost = folder.join("lost");
        fs::write(&lost, "#!/nowhere/python\n").expect("a file");
        assert!(is_dynamic(&lost, 3).is_err());
        let other = folder.join("other");
        // An ELF file without program headers.
        let mut bytes = b"\x7fELF\x02\x01".to_vec();
        bytes.resize(64, 0);
        fs::write(&other, bytes).expect("a file");
        assert!(!is_dynamic(&other, 0).expect("a static program"));
        fs::remove_dir_all(folder).expect("the folder");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let why = TimeSource::choose(Some(TimeFlag::Fake), Some(Path::new("/nowhere.so")), OsStr::new("sh"));
        assert_eq!(why, Err("--faketime: there is no file /nowhere.so".to_owned()));
        assert_eq!(
            TimeSource::choose(Some(TimeFlag::Env), None, OsStr::new("nothing-of-that-name")),
            Ok((TimeSource::Env, None))
        );
    }
}
