//! The reel's file: bytes go out in order, or wait here while the disk refuses them.
//!
//! Belongs here: creating, appending, syncing, what happens when the disk says no. Does not belong
//! here: what the bytes mean (engine), which events they hold (recorder.rs).
//!
//! The file always holds a prefix of the reel. Every flush hands the bytes to the system, so a crash of
//! this process loses at most the last flush interval; every [`SYNC_INTERVAL_NS`] and at the end the
//! file is synced to the disk, so a power failure loses at most that. While the disk refuses bytes they
//! wait in memory up to [`PENDING_BYTES_MAX`]; past that the recorder drops events, with a count and a
//! gap in the reel, until the disk takes bytes again.

use super::stream::Published;
use flowreel_engine::model::time::TimeNs;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Longest time between two syncs to the disk.
const SYNC_INTERVAL_NS: u64 = 5_000_000_000;
/// Bytes kept while the disk refuses them.
const PENDING_BYTES_MAX: usize = 32 << 20;

/// Where the reel writer puts its bytes; they are taken from here to the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Outbox {
    fn take(&self) -> Vec<u8> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *bytes)
    }
}

impl Write for Outbox {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One reel's file and the bytes on their way to it.
#[derive(Debug)]
pub(super) struct Spool<F> {
    file: F,
    path: PathBuf,
    outbox: Outbox,
    pending: Vec<u8>,
    written_bytes: u64,
    synced_bytes: u64,
    synced_at: TimeNs,
    fault_count: u64,
    is_refused: bool,
    published: Arc<Published>,
}

/// What a spool needs of its file; a test gives it one that refuses.
pub(super) trait Sink: Write {
    /// Brings what was written to the disk.
    fn sync(&mut self) -> std::io::Result<()>;
}

impl Sink for File {
    fn sync(&mut self) -> std::io::Result<()> {
        self.sync_data()
    }
}

/// Creates the reel's file, which must not exist yet, and its folder.
pub(super) fn create(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new().write(true).create_new(true).open(path)
}

impl<F: Sink> Spool<F> {
    pub(super) fn new(file: F, path: PathBuf, outbox: Outbox, published: Arc<Published>) -> Self {
        Self {
            file,
            path,
            outbox,
            pending: Vec::new(),
            written_bytes: 0,
            synced_bytes: 0,
            synced_at: TimeNs::ZERO,
            fault_count: 0,
            is_refused: false,
            published,
        }
    }

    /// Hands what the writer produced to the system, as far as it takes it, and tells the followers.
    pub(super) fn write_out(&mut self, now: TimeNs) {
        let fresh = self.outbox.take();
        if self.pending.is_empty() {
            self.pending = fresh;
        } else {
            self.pending.extend_from_slice(&fresh);
        }
        let mut taken = 0;
        let mut refusal = None;
        while let Some(rest) = self.pending.get(taken..)
            && !rest.is_empty()
        {
            match self.file.write(rest) {
                Ok(0) => {
                    refusal = Some(std::io::ErrorKind::WriteZero.into());
                    break;
                }
                Ok(count) => taken += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    refusal = Some(error);
                    break;
                }
            }
        }
        self.pending.drain(..taken);
        self.written_bytes += taken as u64;
        self.note(refusal);
        if taken > 0 {
            self.published.advance(self.written_bytes);
        }
        if now.since_ns(self.synced_at) >= SYNC_INTERVAL_NS {
            self.sync(now);
        }
    }

    /// Brings what was written to the disk.
    pub(super) fn sync(&mut self, now: TimeNs) {
        self.synced_at = now;
        if self.synced_bytes == self.written_bytes {
            return;
        }
        match self.file.sync() {
            Ok(()) => self.synced_bytes = self.written_bytes,
            Err(error) => self.note(Some(error)),
        }
    }

    /// True while more bytes wait than are kept; events must be dropped until it is false again.
    pub(super) fn is_overfull(&self) -> bool {
        self.pending.len() > PENDING_BYTES_MAX
    }

    /// True while some bytes wait for a disk that refused them.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Bytes handed to the system so far.
    pub(super) fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Refusals so far.
    pub(super) fn fault_count(&self) -> u64 {
        self.fault_count
    }

    fn note(&mut self, refusal: Option<std::io::Error>) {
        let Some(error) = refusal else {
            if self.is_refused {
                tracing::info!("the recording {} is written again", self.path.display());
            }
            self.is_refused = false;
            return;
        };
        self.fault_count += 1;
        if !self.is_refused {
            tracing::error!(
                %error,
                "cannot write the recording {}: {error}; free space on that disk, up to 32 MiB of the \
                 recording wait in memory until then",
                self.path.display()
            );
        }
        self.is_refused = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.bytes.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Disk {
        fn sync(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_delays_bytes_and_neither_loses_nor_repeats_any() {
        let mut outbox = Outbox::default();
        let disk = Disk {
            room: 5,
            ..Disk::default()
        };
        let published = Arc::new(Published::default());
        let path = PathBuf::from("run.reel");
        let mut spool = Spool::new(disk, path, outbox.clone(), published);
        outbox.write_all(b"0123456789").expect("memory");
        spool.write_out(TimeNs(1));
        assert_eq!((spool.written_bytes(), spool.fault_count()), (5, 1));
        assert!(spool.has_pending());
        outbox.write_all(b"abc").expect("memory");
        spool.write_out(TimeNs(2));
        assert_eq!(spool.fault_count(), 2);
        spool.file.room = 100;
        spool.write_out(TimeNs(3));
        assert_eq!(spool.file.bytes, b"0123456789abc");
        assert!(!spool.has_pending());
    }

    #[test]
    fn past_the_limit_events_must_be_dropped() {
        let mut outbox = Outbox::default();
        let published = Arc::new(Published::default());
        let path = PathBuf::from("run.reel");
        let mut spool = Spool::new(Disk::default(), path, outbox.clone(), published);
        let block = vec![0; 1 << 20];
        for _ in 0..33 {
            outbox.write_all(&block).expect("memory");
        }
        spool.write_out(TimeNs(1));
        assert!(spool.is_overfull());
        spool.file.room = usize::MAX;
        spool.write_out(TimeNs(2));
        assert!(!spool.is_overfull());
    }
}
