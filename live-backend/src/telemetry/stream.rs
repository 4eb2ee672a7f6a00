//! The growing run for followers: all bytes so far, then each flush as it is written, until the end.
//!
//! Belongs here: how far a run may be read, and reading it at a follower's own pace. Does not belong
//! here: HTTP (controllers), what the bytes mean (engine).
//!
//! Segments follow each other without a break; a follower begins with the oldest one kept.
//!
//! A follower reads the reel's file, so a slow one costs one chunk of memory and holds nobody up. One
//! that leaves data lying for [`STALL_NS_MAX`] is dropped, with a count, when it comes back.

use super::clock::Clock;
use super::emit::Telemetry;
use flowreel_engine::model::time::TimeNs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::watch;

/// Bytes handed out at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Followers at one time.
const FOLLOWER_COUNT_MAX: u64 = 64;
/// Longest time a follower may leave data lying.
const STALL_NS_MAX: u64 = 30_000_000_000;

/// Why the reel cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// Nothing is recorded.
    #[error("nothing is recorded; start with --record DIR to follow the run")]
    Off,
    /// Enough followers already.
    #[error("{FOLLOWER_COUNT_MAX} clients follow this run already; close one and try again")]
    Crowded,
    /// The file cannot be read.
    #[error("cannot read the recording; see the log")]
    Read {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The follower left data lying too long.
    #[error("this client took nothing for 30 s and was dropped; follow again from the start")]
    Stalled,
}

/// How far the run's reels may be read, and who reads them.
#[derive(Debug)]
pub(super) struct Published {
    extent: watch::Sender<Extent>,
    /// Every segment kept, in order, the open one last.
    segments: Mutex<Vec<Kept>>,
    /// Bytes that wait in memory for the disk.
    waiting_bytes: AtomicU64,
    follower_count: AtomicU64,
    dropped_follower_count: AtomicU64,
}

/// The open segment and the run as a whole.
#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    number: u32,
    bytes: u64,
    bytes_before: u64,
    /// Events before this number are with the system.
    next_seq: u64,
    is_ended: bool,
}

/// A segment that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) number: u32,
    pub(super) path: PathBuf,
    /// Its length, once nothing is added any more.
    pub(super) bytes: Option<u64>,
}

impl Default for Published {
    fn default() -> Self {
        Self::after(Vec::new())
    }
}

impl Published {
    /// With segments of this run that an earlier process wrote.
    pub(super) fn after(earlier: Vec<Kept>) -> Self {
        Self {
            extent: watch::Sender::new(Extent::default()),
            segments: Mutex::new(earlier),
            waiting_bytes: AtomicU64::new(0),
            follower_count: AtomicU64::new(0),
            dropped_follower_count: AtomicU64::new(0),
        }
    }

    /// That many bytes of the open segment may be read now.
    pub(super) fn advance(&self, number: u32, path: &Path, bytes: u64) {
        {
            let mut segments = self.segments();
            if segments.last().is_none_or(|last| last.number < number) {
                segments.push(Kept {
                    number,
                    path: path.to_owned(),
                    bytes: None,
                });
            }
        }
        self.extent.send_if_modified(|extent| {
            let is_news = (extent.number, extent.bytes) != (number, bytes);
            if extent.number != number {
                extent.bytes_before += extent.bytes;
            }
            (extent.number, extent.bytes) = (number, bytes);
            is_news
        });
    }

    /// Nothing is added to this segment any more.
    pub(super) fn close(&self, number: u32, bytes: u64) {
        for kept in self.segments().iter_mut() {
            if kept.number == number {
                kept.bytes = Some(bytes);
            }
        }
        self.extent.send_modify(|extent| {
            // Its end was written after it was last advanced.
            if extent.number == number {
                extent.bytes = bytes;
            }
        });
    }

    /// These files are there no longer.
    pub(super) fn forget(&self, is_deleted: impl Fn(&Path) -> bool) {
        self.segments().retain(|kept| !is_deleted(&kept.path));
    }

    /// Events before this number are with the system.
    pub(super) fn acknowledge(&self, next_seq: u64) {
        self.extent.send_if_modified(|extent| {
            let is_news = extent.next_seq < next_seq;
            extent.next_seq = next_seq.max(extent.next_seq);
            is_news
        });
    }

    /// So many bytes wait in memory for the disk.
    pub(super) fn wait_with(&self, bytes: usize) {
        self.waiting_bytes.store(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes.load(Ordering::Relaxed)
    }

    /// Nothing follows any more.
    pub(super) fn end(&self) {
        self.extent.send_modify(|extent| extent.is_ended = true);
    }

    /// Bytes this process has written of the run.
    pub(super) fn bytes(&self) -> u64 {
        let extent = self.extent.borrow();
        extent.bytes_before + extent.bytes
    }

    pub(super) fn next_seq(&self) -> u64 {
        self.extent.borrow().next_seq
    }

    fn segments(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first segment kept of this number or a later one.
    fn first_since(&self, number: u32) -> Option<Kept> {
        let segments = self.segments();
        segments.iter().find(|kept| kept.number >= number).cloned()
    }

    pub(super) fn follower_count(&self) -> u64 {
        self.follower_count.load(Ordering::Relaxed)
    }

    pub(super) fn dropped_follower_count(&self) -> u64 {
        self.dropped_follower_count.load(Ordering::Relaxed)
    }
}

/// One reader of the growing run, segment by segment.
#[derive(Debug)]
pub struct Follower {
    /// Number of the segment that is read.
    number: u32,
    file: Option<File>,
    offset: u64,
    clock: Clock,
    served_at: TimeNs,
    extent: watch::Receiver<Extent>,
    published: Arc<Published>,
}

/// What a follower finds.
enum Present {
    /// So many bytes of its segment.
    Bytes(Kept, u64),
    /// Its segment is read to its end and another one is there.
    NextSegment,
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    End,
}

impl Telemetry {
    /// Follows this run from the first byte of the oldest segment kept.
    ///
    /// # Errors
    /// [`FollowError::Off`] where nothing is recorded, [`FollowError::Crowded`] past 64 followers.
    pub fn follow(&self) -> Result<Follower, FollowError> {
        self.follow_since(0)
    }

    /// Follows this run from the first byte of its newest segment, which begins with the whole state.
    ///
    /// # Errors
    /// As [`Telemetry::follow`].
    pub fn follow_latest(&self) -> Result<Follower, FollowError> {
        let reel = self.shared.reel.as_ref().ok_or(FollowError::Off)?;
        let newest = reel.published.extent.borrow().number;
        self.follow_since(newest)
    }

    fn follow_since(&self, number: u32) -> Result<Follower, FollowError> {
        let reel = self.shared.reel.as_ref().ok_or(FollowError::Off)?;
        let published = Arc::clone(&reel.published);
        if published.follower_count.fetch_add(1, Ordering::Relaxed) >= FOLLOWER_COUNT_MAX {
            published.follower_count.fetch_sub(1, Ordering::Relaxed);
            return Err(FollowError::Crowded);
        }
        Ok(Follower {
            number,
            file: None,
            offset: 0,
            clock: self.clock(),
            served_at: self.now(),
            extent: published.extent.subscribe(),
            published,
        })
    }

    /// Number of the first event that the system does not have yet; all before it outlive this process.
    /// `None` where nothing is recorded.
    #[must_use]
    pub fn acknowledged_seq(&self) -> Option<u64> {
        let reel = self.shared.reel.as_ref()?;
        Some(reel.published.next_seq())
    }
}

impl Telemetry {
    /// Bytes of the recording that wait in memory for a disk that refuses them.
    #[must_use]
    pub fn waiting_bytes(&self) -> u64 {
        let reel = self.shared.reel.as_ref();
        reel.map_or(0, |reel| reel.published.waiting_bytes())
    }
}

impl Follower {
    /// The next bytes, waiting until some are there; `None` after the run's last byte.
    ///
    /// # Errors
    /// [`FollowError::Stalled`] where the last call was too long ago, [`FollowError::Read`] where the file fails.
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, FollowError> {
        let lay_since_ns = self.clock.now().since_ns(self.served_at);
        if lay_since_ns > STALL_NS_MAX && matches!(self.present(), Present::Bytes(..)) {
            self.published
                .dropped_follower_count
                .fetch_add(1, Ordering::Relaxed);
            return Err(FollowError::Stalled);
        }
        loop {
            match self.present() {
                Present::Bytes(kept, until) => {
                    let chunk = self.read(&kept, until).await;
                    self.served_at = self.clock.now();
                    match chunk {
                        Ok(chunk) => return Ok(Some(chunk)),
                        // Deleted before it was opened; the next one says what is missing.
                        Err(error)
                            if self.file.is_none()
                                && error.kind() == std::io::ErrorKind::NotFound
                                && kept.bytes.is_some() =>
                        {
                            self.go_to(kept.number.saturating_add(1));
                        }
                        Err(source) => return Err(FollowError::Read { source }),
                    }
                }
                Present::NextSegment => self.go_to(self.number.saturating_add(1)),
                Present::Nothing => {
                    let changed = self.extent.changed().await;
                    changed.map_err(|_closed| FollowError::Off)?;
                }
                Present::End => return Ok(None),
            }
        }
    }

    fn go_to(&mut self, number: u32) {
        (self.number, self.file, self.offset) = (number, None, 0);
    }

    fn present(&mut self) -> Present {
        // Seen before the list is looked at, so that a change in between wakes this follower.
        let extent = *self.extent.borrow_and_update();
        let Some(kept) = self.published.first_since(self.number) else {
            return if extent.is_ended {
                Present::End
            } else {
                Present::Nothing
            };
        };
        if kept.number != self.number {
            if self.file.is_some() {
                // Its own file was deleted while it was read; the next one says what is missing.
                return Present::NextSegment;
            }
            self.go_to(kept.number);
        }
        let is_open = kept.number == extent.number;
        let until = match kept.bytes {
            Some(bytes) => bytes,
            None if is_open => extent.bytes,
            None => self.offset,
        };
        if until > self.offset {
            Present::Bytes(kept, until)
        } else if kept.bytes.is_some() && kept.number < extent.number {
            Present::NextSegment
        } else if extent.is_ended {
            // Nothing changes any more, so nothing is waited for.
            match self.published.first_since(kept.number.saturating_add(1)) {
                Some(_) => Present::NextSegment,
                None => Present::End,
            }
        } else {
            Present::Nothing
        }
    }

    /// The chunks as a stream, which ends after the reel's last byte or the first error.
    pub fn into_stream(
        self,
    ) -> impl futures_util::Stream<Item = Result<bytes::Bytes, FollowError>> + Send {
        futures_util::stream::unfold(Some(self), async |follower| {
            let mut follower = follower?;
            match follower.next_chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk.into()), Some(follower))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn read(&mut self, kept: &Kept, until: u64) -> std::io::Result<Vec<u8>> {
        let present = until.saturating_sub(self.offset);
        let length = usize::try_from(present).map_or(CHUNK_BYTES, |bytes| bytes.min(CHUNK_BYTES));
        let mut chunk = vec![0; length];
        let mut file = match self.file.take() {
            Some(file) => file,
            None => File::open(&kept.path).await?,
        };
        file.seek(std::io::SeekFrom::Start(self.offset)).await?;
        file.read_exact(&mut chunk).await?;
        self.offset += chunk.len() as u64;
        self.file = Some(file);
        Ok(chunk)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.published
            .follower_count
            .fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_closed_segment_is_counted() {
        let published = Published::default();
        published.advance(1, Path::new("1"), 100);
        published.close(1, 120);
        published.advance(2, Path::new("2"), 50);
        assert_eq!(published.bytes(), 170);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_segment_that_was_never_closed_once_the_run_is_over() {
        let published = Arc::new(Published::default());
        published.advance(1, Path::new("1"), 0);
        published.advance(2, Path::new("2"), 0);
        let clock = Clock::start();
        let mut follower = Follower {
            number: 1,
            file: None,
            offset: 0,
            clock,
            served_at: clock.now(),
            extent: published.extent.subscribe(),
            published: Arc::clone(&published),
        };
        published.follower_count.fetch_add(1, Ordering::Relaxed);
        published.end();
        let told = follower.next_chunk();
        let told = tokio::time::timeout(std::time::Duration::from_secs(20), told).await;
        assert!(matches!(told, Ok(Ok(None))), "{told:?}");
    }
}
