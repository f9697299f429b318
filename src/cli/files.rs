//! The files that `serve` writes.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use crate::config::Config;

/// The time limit of the check whether a server still listens on the port of a port file.
const STALE_CHECK_TIME: Duration = Duration::from_millis(500);

/// The file with the port, from the bind until the server stops.
pub(super) struct PortFile<'a> {
    path: &'a Path,
    port: u16,
}

impl<'a> PortFile<'a> {
    /// Removes the file that a stopped server has left: a client would connect to a port where nothing listens. The file of a
    /// running server stays.
    pub(super) fn remove_stale(path: &Path, host: IpAddr) {
        // Any other content is not a port file, whatever the path leads to.
        let port = fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u16>().ok());
        let Some(port) = port.filter(|_| !is_special(path)) else { return };
        let address = Config::reached(SocketAddr::new(host, port));
        if TcpStream::connect_timeout(&address, STALE_CHECK_TIME).is_err() {
            clear(path);
        }
    }

    pub(super) fn write(path: &'a Path, port: u16) -> io::Result<Self> {
        write_whole(path, &format!("{port}\n"))?;
        Ok(Self { path, port })
    }
}

/// The file of another server that was started since with the same path stays.
impl Drop for PortFile<'_> {
    fn drop(&mut self) {
        let is_own = || fs::read_to_string(self.path).is_ok_and(|text| text.trim() == self.port.to_string());
        if !is_special(self.path) && is_own() {
            clear(self.path);
        }
    }
}

/// Removes a file, or empties the file that a symbolic link leads to.
fn clear(path: &Path) {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    // A file that cannot be removed cannot be written either, and that is reported.
    let _ = if is_link { fs::write(path, "") } else { fs::remove_file(path) };
}

/// Whether the path exists and is not a regular file, such as a pipe.
pub(super) fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file())
}

/// Whether a file can be written, as far as its folder tells: before the work whose result it will have.
#[cfg(feature = "check")]
pub(super) fn check_writable(path: &Path) -> io::Result<()> {
    let found = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let folder = found.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !fs::metadata(folder)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(())
}

/// Writes a file atomically, by a rename of a temporary file in the same directory. Follows a symbolic link. Writes
/// directly to a path that is not a regular file, such as a pipe.
pub(super) fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if is_special(&path) {
        return fs::write(path, text);
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}
