//! What a connector keeps in one scenario: its state, its records, and what it says.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use crate::{clock::Instant, scenario::ReadApi};

/// How much of what a connector said is in the results, in bytes. The folder has all of it.
const MAX_SAID_BYTES: u64 = 4_000;
/// How much a connector may write in one scenario, in bytes.
const MAX_WRITTEN_BYTES: u64 = 256 << 20;

/// The folder of a connector that reads one API.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) api: ReadApi,
    pub(super) folder: PathBuf,
    /// The time of the last poll. What happens while the connector waits is for the next one.
    pub(super) until: Option<Instant>,
}

impl Store {
    /// Makes the folder, which must not be there.
    pub(super) fn create(api: ReadApi, folder: PathBuf) -> Result<Self, String> {
        if folder.exists() {
            return Err(format!("{} is there already: remove it, or choose another --work-dir", folder.display()));
        }
        let store = Self { api, folder, until: None };
        fs::create_dir_all(store.state()).map_err(|error| format!("cannot use {}: {error}", store.folder.display()))?;
        Ok(store)
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether the connector has written too much.
    pub(super) fn is_too_large(&self) -> bool {
        let length = |name: &str| self.path(name).metadata().map_or(0, |file| file.len());
        ["out.ndjson", "stdout", "stderr"].into_iter().map(length).sum::<u64>() > MAX_WRITTEN_BYTES
    }

    /// An error of a file in the folder.
    pub(super) fn unusable(&self, error: &io::Error) -> String {
        format!("cannot use {}: {error}", self.folder.display())
    }

    /// Copies the state, to be put back.
    pub(super) fn keep_state(&self) -> io::Result<()> {
        copy_folder(&self.state(), &self.path("state.before"))
    }

    /// Puts the state back that was kept.
    pub(super) fn put_state_back(&self) -> io::Result<()> {
        fs::remove_dir_all(self.state())?;
        fs::rename(self.path("state.before"), self.state())
    }

    /// The records: the file of `OPSWAT_OUT`, or else the standard output. `None` if the connector never ran.
    pub(super) fn records(&self) -> io::Result<Option<File>> {
        let paths = [self.path("out.ndjson"), self.path("stdout")];
        if fs::symlink_metadata(&paths[0]).is_ok() && !paths[0].is_file() {
            return Err(io::Error::other("OPSWAT_OUT is no file any more"));
        }
        paths.iter().find(|path| path.is_file()).map(File::open).transpose()
    }

    /// The end of what the connector wrote to its standard error.
    pub(super) fn said(&self) -> String {
        let path = self.path("stderr");
        let end = if path.is_file() { end_of(&path).unwrap_or_default() } else { Vec::new() };
        // What it says must not control the terminal on which it is shown.
        let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
        String::from_utf8_lossy(&end).replace("\r\n", "\n").chars().map(shown).collect()
    }

    /// The last line that the connector wrote to its standard error, and that is not empty.
    pub(super) fn last_error(&self) -> String {
        let text = self.said();
        text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().chars().take(200).collect()
    }
}

/// The end of a file, which can have any size.
fn end_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_SAID_BYTES)))?;
    let mut end = Vec::new();
    file.take(MAX_SAID_BYTES).read_to_end(&mut end)?;
    Ok(end)
}

#[cfg(unix)]
fn copy_link(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::read_link(from)?, to)
}

#[cfg(not(unix))]
fn copy_link(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to).map(drop)
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            copy_link(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
        // A socket or a pipe is of a process that has ended.
    }
    Ok(())
}
