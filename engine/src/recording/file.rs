//! Reels on disk: the only file of this folder that touches files.
//!
//! Belongs here: opening, positional reads, creating. Does not belong here: what the bytes mean.

use super::error::ReelError;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// An open reel file, read by position; several readers may share a growing one.
#[derive(Debug)]
pub struct ReelFile {
    file: File,
    path: PathBuf,
}

impl ReelFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`ReelError::NotAFile`] for folders, pipes and devices, [`ReelError::Io`] where the system refuses.
    pub fn open(path: &Path) -> Result<Self, ReelError> {
        // Before opening: to open a pipe is to wait for its writer.
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(ReelError::NotAFile { found: "a folder" });
        }
        if !metadata.is_file() {
            return Err(ReelError::NotAFile {
                found: "a pipe or device",
            });
        }
        Ok(Self {
            file: File::open(path)?,
            path: path.to_owned(),
        })
    }

    /// Its length now, in bytes.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// True where another file, or none, has its name by now.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn is_replaced(&self) -> io::Result<bool> {
        match std::fs::metadata(&self.path) {
            Ok(named) => Ok(!is_same(&named, &self.file.metadata()?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Reads at `offset` until `buffer` is full or the file ends; gives the number of bytes read.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset.saturating_add(filled as u64);
            match read_once(&self.file, at, buffer.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(bytes) => filled = filled.saturating_add(bytes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

#[cfg(unix)]
fn read_once(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(unix)]
fn is_same(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// An open file keeps its name there.
#[cfg(windows)]
fn is_same(_a: &std::fs::Metadata, _b: &std::fs::Metadata) -> bool {
    true
}

#[cfg(windows)]
fn read_once(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Creates (or empties) a file for a reel. Blocks are written whole, so no buffer is put before it.
///
/// # Errors
/// Where the system refuses.
pub fn create(path: &Path) -> io::Result<File> {
    File::create(path)
}

/// True where both names lead to the same file.
///
/// # Errors
/// Where a name that exists cannot be followed.
pub fn is_same_file(a: &Path, b: &Path) -> io::Result<bool> {
    if !b.exists() {
        return Ok(false);
    }
    Ok(std::fs::canonicalize(a)? == std::fs::canonicalize(b)?)
}
