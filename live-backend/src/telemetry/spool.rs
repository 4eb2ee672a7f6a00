//! The reel's file: bytes go out in order, or wait here while the disk refuses them.
//!
//! Belongs here: appending, syncing, the change to another segment, what happens when the disk says no.
//! Does not belong here: names of files (segment.rs), what the bytes mean (engine), which events they
//! hold (recorder.rs).
//!
//! A file always holds a prefix of its segment. Every flush hands the bytes to the system, so a crash of
//! this process loses at most the last flush interval; every [`SYNC_INTERVAL_NS`], at a segment's end and
//! at the run's, the file is synced to the disk, so a power failure loses at most that. While the disk
//! refuses bytes they wait in memory up to [`PENDING_BYTES_MAX`]; past that the recorder drops events,
//! with a count and a gap in the reel, until the disk takes bytes again.

mod disk;

pub(super) use disk::DiskFile;

use super::stream::Published;
use flowreel_engine::model::time::TimeNs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Longest time between two syncs to the disk.
const SYNC_INTERVAL_NS: u64 = 5_000_000_000;
/// Closed segments that the disk may be behind with; past it the run stays in the open one.
const SETTLING_MAX: usize = 4;
/// Bytes kept while the disk refuses them.
pub(super) const PENDING_BYTES_MAX: usize = 32 << 20;

/// Where the reel writer puts its bytes; they are taken from here to the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Outbox {
    /// True where somebody else holds it, to write into it.
    pub(super) fn is_written_to(&self) -> bool {
        Arc::strong_count(&self.bytes) > 1
    }

    fn take_into(&self, pending: &mut Vec<u8>) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.is_empty() {
            std::mem::swap(pending, &mut bytes);
        } else {
            pending.append(&mut bytes);
        }
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

/// What a spool needs of its file; a test gives it one that refuses.
pub(super) trait Sink: Write {
    /// Brings what was written to the disk, and waits for it.
    fn sync(&mut self) -> std::io::Result<()>;
    /// Begins to bring what was written to the disk, where that is not going on already.
    fn sync_beside(&mut self);
    /// How the last such sync ended, told once; `None` while it is going on.
    fn sync_ended(&mut self) -> Option<std::io::Result<()>>;
    /// What stands at the beginning is written: the file takes its own name.
    fn publish(&mut self, path: &Path) -> std::io::Result<()>;
    /// True while the file can be found under its name.
    fn is_there(&self, path: &Path) -> bool;
}

/// One segment on its way to the disk.
#[derive(Debug)]
pub(super) struct Segment<F> {
    number: u32,
    path: PathBuf,
    file: F,
    outbox: Outbox,
    pending: Vec<u8>,
    written_bytes: u64,
    synced_bytes: u64,
    is_published: bool,
}

impl<F: Sink> Segment<F> {
    pub(super) fn new(number: u32, path: PathBuf, file: F, outbox: Outbox) -> Self {
        Self {
            number,
            path,
            file,
            outbox,
            pending: Vec::new(),
            written_bytes: 0,
            synced_bytes: 0,
            is_published: false,
        }
    }

    /// Writes as much as the file takes.
    fn write_out(&mut self) -> std::io::Result<()> {
        self.outbox.take_into(&mut self.pending);
        let mut taken = 0;
        let mut result = Ok(());
        while let Some(rest) = self.pending.get(taken..)
            && !rest.is_empty()
        {
            match self.file.write(rest) {
                Ok(0) => {
                    result = Err(std::io::ErrorKind::WriteZero.into());
                    break;
                }
                Ok(count) => taken += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    result = Err(error);
                    break;
                }
            }
        }
        self.pending.drain(..taken);
        self.written_bytes += taken as u64;
        result?;
        if !self.is_published && self.written_bytes > 0 {
            self.file.publish(&self.path)?;
            self.is_published = true;
        }
        Ok(())
    }
}

/// The files of one run and the bytes on their way to them.
#[derive(Debug)]
pub(super) struct Spool<F> {
    open: Segment<F>,
    /// The segment before, until its end is written.
    closing: Option<Segment<F>>,
    /// Those before, until the disk has them.
    settling: Vec<Segment<F>>,
    closed_bytes: u64,
    synced_at: TimeNs,
    fault_count: u64,
    is_refused: bool,
    is_gone: bool,
    /// Bytes kept while the disk refuses them.
    pub(super) hold_bytes: usize,
    published: Arc<Published>,
}

impl<F: Sink> Spool<F> {
    pub(super) fn new(open: Segment<F>, published: Arc<Published>) -> Self {
        Self {
            open,
            closing: None,
            settling: Vec::new(),
            closed_bytes: 0,
            synced_at: TimeNs::ZERO,
            fault_count: 0,
            is_refused: false,
            is_gone: false,
            hold_bytes: PENDING_BYTES_MAX,
            published,
        }
    }

    /// The writer has ended the open segment and goes on in this one.
    pub(super) fn change_to(&mut self, next: Segment<F>) {
        assert!(self.closing.is_none(), "one segment closes at a time");
        self.closing = Some(std::mem::replace(&mut self.open, next));
        self.is_gone = false;
    }

    /// True where the run may go on in another segment: all before this one is written.
    pub(super) fn can_change(&self) -> bool {
        self.closing.is_none()
            && self.settling.len() < SETTLING_MAX
            && self.open.is_published
            && self.open.pending.is_empty()
    }

    /// Hands what the writer produced to the system, as far as it takes it, and tells the followers.
    pub(super) fn write_out(&mut self, now: TimeNs) {
        let result = self.write_segments();
        self.note(result.err());
        self.published.wait_with(self.pending_bytes());
        if self.open.is_published {
            self.published
                .advance(self.open.number, &self.open.path, self.open.written_bytes);
        }
        if now.since_ns(self.synced_at) >= SYNC_INTERVAL_NS {
            self.synced_at = now;
            self.look_after();
        }
    }

    fn write_segments(&mut self) -> std::io::Result<()> {
        if let Some(closing) = &mut self.closing {
            let written = closing.write_out();
            // What follows it is not written before it is whole.
            if written.is_err() {
                self.open.outbox.take_into(&mut self.open.pending);
                return written;
            }
            self.published.close(closing.number, closing.written_bytes);
            self.closed_bytes += closing.written_bytes;
            if let Some(closing) = self.closing.take() {
                self.settling.push(closing);
                let ended = self.settle();
                self.note_sync(ended);
            }
        }
        self.open.write_out()
    }

    /// Begins a sync, and looks whether the file is still where it was made.
    fn look_after(&mut self) {
        let ended = self.settle();
        self.note_sync(ended);
        if let Some(ended) = self.open.file.sync_ended() {
            self.note_sync(ended);
            if self.open.synced_bytes != self.open.written_bytes {
                self.open.file.sync_beside();
                self.open.synced_bytes = self.open.written_bytes;
            }
        }
        if self.open.is_published && !self.is_gone && !self.open.file.is_there(&self.open.path) {
            self.is_gone = true;
            self.fault_count += 1;
            tracing::error!(
                "the recording {} was deleted or moved while it was written; the run goes on in another \
                 file, and what that one held is lost unless it was moved",
                self.open.path.display()
            );
        }
    }

    /// Goes on with syncing the closed segments; one is let go when its very end is with the disk.
    fn settle(&mut self) -> std::io::Result<()> {
        let mut result = Ok(());
        self.settling.retain_mut(|segment| {
            let is_whole = segment.synced_bytes == segment.written_bytes;
            match segment.file.sync_ended() {
                None => return true,
                Some(Ok(())) if is_whole => return false,
                Some(Ok(())) => {}
                Some(Err(error)) => result = Err(error),
            }
            // A sync that was going on when the segment was closed does not cover its end.
            segment.file.sync_beside();
            segment.synced_bytes = segment.written_bytes;
            true
        });
        result
    }

    /// Brings what was written to the disk; false where the disk did not take all of it.
    pub(super) fn sync(&mut self) -> bool {
        let mut is_synced = true;
        for mut segment in std::mem::take(&mut self.settling) {
            let ended = segment.file.sync();
            is_synced &= ended.is_ok();
            self.note_sync(ended);
        }
        let ended = self.open.file.sync();
        is_synced &= ended.is_ok();
        self.note_sync(ended);
        is_synced
    }

    fn note_sync(&mut self, ended: std::io::Result<()>) {
        if ended.is_err() {
            self.note(ended.err());
        }
    }

    /// True where the open segment's file is not in its folder now.
    pub(super) fn is_lost(&self) -> bool {
        !self.open.file.is_there(&self.open.path)
    }

    /// True where the open segment's file was seen to be no longer in its folder.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// True while more bytes wait than are kept; events must be dropped until it is false again.
    pub(super) fn is_overfull(&self) -> bool {
        self.pending_bytes() > self.hold_bytes
    }

    /// Bytes that wait for a disk that refused them.
    pub(super) fn pending_bytes(&self) -> usize {
        let closing = self.closing.as_ref().map_or(0, |it| it.pending.len());
        self.open.pending.len() + closing
    }

    /// True while anything waits for a disk that refused it.
    pub(super) fn has_pending(&self) -> bool {
        self.pending_bytes() > 0 || self.closing.is_some() || !self.open.is_published
    }

    /// Where the open segment lies.
    pub(super) fn path(&self) -> &Path {
        &self.open.path
    }

    /// Bytes of the open segment handed to the system so far.
    pub(super) fn written_bytes(&self) -> u64 {
        self.open.written_bytes
    }

    /// Refusals so far.
    pub(super) fn fault_count(&self) -> u64 {
        self.fault_count
    }

    fn note(&mut self, refusal: Option<std::io::Error>) {
        let shown = self.closing.as_ref().unwrap_or(&self.open).path.display();
        let Some(error) = refusal else {
            if self.is_refused {
                tracing::info!("the recording {shown} is written again");
            }
            self.is_refused = false;
            return;
        };
        self.fault_count += 1;
        if !self.is_refused {
            tracing::error!(
                %error,
                "cannot write the recording {shown}: {error}; free space on that disk, up to 32 MiB of the \
                 recording wait in memory until then",
            );
        }
        self.is_refused = true;
    }
}

#[cfg(test)]
mod tests;
