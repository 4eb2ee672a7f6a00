//! The growing reel for followers: all bytes so far, then each flush as it is written, until the end.
//!
//! Belongs here: how far a reel may be read, and reading it at a follower's own pace. Does not belong
//! here: HTTP (controllers), what the bytes mean (engine).
//!
//! A follower reads the reel's file, so a slow one costs one chunk of memory and holds nobody up. One
//! that leaves data lying for [`STALL_NS_MAX`] is dropped, with a count, when it comes back.

use super::clock::Clock;
use super::emit::Telemetry;
use flowreel_engine::model::time::TimeNs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// How far the reel may be read, and who reads it.
#[derive(Debug)]
pub(super) struct Published {
    extent: watch::Sender<Extent>,
    follower_count: AtomicU64,
    dropped_follower_count: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Extent {
    bytes: u64,
    is_ended: bool,
}

impl Default for Published {
    fn default() -> Self {
        Self {
            extent: watch::Sender::new(Extent::default()),
            follower_count: AtomicU64::new(0),
            dropped_follower_count: AtomicU64::new(0),
        }
    }
}

impl Published {
    /// That many bytes may be read now.
    pub(super) fn advance(&self, bytes: u64) {
        self.extent.send_modify(|extent| extent.bytes = bytes);
    }

    /// Nothing follows any more.
    pub(super) fn end(&self) {
        self.extent.send_modify(|extent| extent.is_ended = true);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.extent.borrow().bytes
    }

    pub(super) fn follower_count(&self) -> u64 {
        self.follower_count.load(Ordering::Relaxed)
    }

    pub(super) fn dropped_follower_count(&self) -> u64 {
        self.dropped_follower_count.load(Ordering::Relaxed)
    }
}

/// One reader of the growing reel.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
    clock: Clock,
    served_at: TimeNs,
    extent: watch::Receiver<Extent>,
    published: Arc<Published>,
}

impl Telemetry {
    /// Follows this run's reel from its first byte.
    ///
    /// # Errors
    /// [`FollowError::Off`] where nothing is recorded, [`FollowError::Crowded`] past 64 followers.
    pub fn follow(&self) -> Result<Follower, FollowError> {
        let reel = self.shared.reel.as_ref().ok_or(FollowError::Off)?;
        let published = Arc::clone(&reel.published);
        if published.follower_count.fetch_add(1, Ordering::Relaxed) >= FOLLOWER_COUNT_MAX {
            published.follower_count.fetch_sub(1, Ordering::Relaxed);
            return Err(FollowError::Crowded);
        }
        Ok(Follower {
            path: reel.path.clone(),
            file: None,
            offset: 0,
            clock: self.clock(),
            served_at: self.now(),
            extent: published.extent.subscribe(),
            published,
        })
    }
}

impl Follower {
    /// The next bytes, waiting until some are there; `None` after the reel's last byte.
    ///
    /// # Errors
    /// [`FollowError::Stalled`] where the last call was too long ago, [`FollowError::Read`] where the file fails.
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, FollowError> {
        let lay_since_ns = self.clock.now().since_ns(self.served_at);
        if self.extent.borrow().bytes > self.offset && lay_since_ns > STALL_NS_MAX {
            self.published
                .dropped_follower_count
                .fetch_add(1, Ordering::Relaxed);
            return Err(FollowError::Stalled);
        }
        let extent = *self
            .extent
            .wait_for(|extent| extent.bytes > self.offset || extent.is_ended)
            .await
            .map_err(|_closed| FollowError::Off)?;
        let chunk = self.read(extent.bytes).await;
        self.served_at = self.clock.now();
        chunk.map_err(|source| FollowError::Read { source })
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

    async fn read(&mut self, until: u64) -> std::io::Result<Option<Vec<u8>>> {
        let present = until.saturating_sub(self.offset);
        if present == 0 {
            return Ok(None);
        }
        let length = usize::try_from(present).map_or(CHUNK_BYTES, |bytes| bytes.min(CHUNK_BYTES));
        let mut chunk = vec![0; length];
        let mut file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path).await?,
        };
        file.seek(std::io::SeekFrom::Start(self.offset)).await?;
        file.read_exact(&mut chunk).await?;
        self.offset += chunk.len() as u64;
        self.file = Some(file);
        Ok(Some(chunk))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.published
            .follower_count
            .fetch_sub(1, Ordering::Relaxed);
    }
}
