//! A segment's file on the disk.
//!
//! Belongs here: writing, syncing beside the recorder, the change of its name. Does not belong here: when.
//!
//! A sync may take as long as the disk likes; it runs on a thread of its own, so that flushes go on.

use super::Sink;
use crate::telemetry::segment::part_of;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The file; its lock says that this process writes it.
#[derive(Debug)]
pub(in crate::telemetry) struct DiskFile {
    file: Arc<File>,
    /// How the sync beside ended; `None` while one is running.
    synced: Arc<Mutex<Option<std::io::Result<()>>>>,
    /// Kept until this file has its name: a segment that another process must not go on with.
    before: Option<File>,
    /// The folder that does not know the file's name for good yet.
    new_name_in: Option<PathBuf>,
}

impl DiskFile {
    pub(in crate::telemetry) fn new(file: File, before: Option<File>) -> Self {
        Self {
            file: Arc::new(file),
            synced: Arc::new(Mutex::new(Some(Ok(())))),
            before,
            new_name_in: None,
        }
    }
}

impl Drop for DiskFile {
    fn drop(&mut self) {
        // A sync that still runs keeps the file open, and nobody else need wait for it.
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "a recording stays locked until its last sync ends: {error}");
        }
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        (&*self.file).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for DiskFile {
    fn sync(&mut self) -> std::io::Result<()> {
        sync_all(&self.file, self.new_name_in.take().as_deref())
    }

    fn sync_beside(&mut self) {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if synced.is_none() {
            // The disk is slow: what is written now waits for the next one.
            return;
        }
        *synced = None;
        let (file, result) = (Arc::clone(&self.file), Arc::clone(&self.synced));
        let folder = self.new_name_in.take();
        let begun = std::thread::Builder::new()
            .name("recorder-sync".to_owned())
            .spawn(move || {
                let ended = sync_all(&file, folder.as_deref());
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
            });
        if begun.is_err() {
            // No thread to be had: better late than never.
            *synced = Some(self.file.sync_data());
        }
    }

    fn sync_ended(&mut self) -> Option<std::io::Result<()>> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = synced.as_mut()?;
        Some(std::mem::replace(ended, Ok(())))
    }

    fn publish(&mut self, path: &Path) -> std::io::Result<()> {
        std::fs::rename(part_of(path), path)?;
        self.before = None;
        self.new_name_in = path.parent().map(Path::to_owned);
        self.sync_beside();
        Ok(())
    }

    fn is_there(&self, path: &Path) -> bool {
        let own = self.file.metadata().map(|it| (it.dev(), it.ino()));
        let named = std::fs::metadata(path).map(|it| (it.dev(), it.ino()));
        matches!((own, named), (Ok(own), Ok(named)) if own == named)
    }
}

/// The bytes, and the name where it is new.
fn sync_all(file: &File, folder: Option<&Path>) -> std::io::Result<()> {
    file.sync_data()?;
    match folder.filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
