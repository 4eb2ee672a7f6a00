//! The files of a run: when it goes on in another segment, and which old ones go.
//!
//! Belongs here: the policy. Does not belong here: bytes on their way (spool.rs), names (segment.rs).

use super::RecordingSettings;
use crate::telemetry::clock::Clock;
use crate::telemetry::fold::FoldedInner;
use crate::telemetry::retention::{self, Keep};
use crate::telemetry::segment::{self, SegmentName};
use crate::telemetry::spool::{DiskFile, Outbox, Segment, Spool};
use crate::telemetry::stream::Published;
use flowreel_engine::model::time::TimeNs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often old segments are looked through.
const CLEAR_INTERVAL_NS: u64 = 60_000_000_000;
/// How long to wait before another segment is tried again after one could not be made.
const RETRY_INTERVAL_NS: u64 = 10_000_000_000;

/// The open segment, and when it ends.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) spool: Spool<DiskFile>,
    folder: PathBuf,
    name: SegmentName,
    segment_bytes: Option<u64>,
    segment_time: Option<Duration>,
    keep: Keep,
    clock: Clock,
    begun_at: TimeNs,
    /// Number of the segment's first event.
    begun_seq: u64,
    cleared_at: Option<TimeNs>,
    try_again_at: TimeNs,
    is_stuck: bool,
    /// Events that earlier processes of this run lost.
    pub(super) lost_before: u64,
}

impl Files {
    pub(super) fn new(
        spool: Spool<DiskFile>,
        folder: &Path,
        name: SegmentName,
        settings: &RecordingSettings,
        clock: Clock,
    ) -> Self {
        let mut spool = spool;
        if let Some(bytes) = settings.hold_bytes {
            spool.hold_bytes = bytes;
        }
        Self {
            spool,
            folder: folder.to_owned(),
            name,
            segment_bytes: settings.segment_bytes,
            segment_time: settings.segment_time,
            keep: settings.keep,
            clock,
            begun_at: clock.now(),
            begun_seq: 0,
            cleared_at: None,
            try_again_at: TimeNs::ZERO,
            is_stuck: false,
            lost_before: 0,
        }
    }

    /// Where the segments lie.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Hands on what was flushed; the answer is true where all of it is with the system.
    pub(super) fn write_out(&mut self, now: TimeNs) -> bool {
        self.spool.write_out(now);
        !self.spool.has_pending()
    }

    /// Goes on in another segment where this one is long enough; everything must be flushed.
    pub(super) fn change_if_due(
        &mut self,
        folded: &mut FoldedInner,
        requests: u64,
        dropped: u64,
        now: TimeNs,
    ) {
        if !self.is_due(folded, now) || now < self.try_again_at || !self.spool.can_change() {
            return;
        }
        let next = self.name.next();
        let path = next.path(&self.folder);
        let file = match segment::create(&path) {
            Ok(file) => DiskFile::new(file, None),
            Err(error) => {
                self.try_again_at = TimeNs(now.0.saturating_add(RETRY_INTERVAL_NS));
                if !self.is_stuck {
                    tracing::error!(
                        %error,
                        "cannot create the recording {}: {error}; the run goes on in {}",
                        path.display(),
                        self.spool.path().display()
                    );
                }
                self.is_stuck = true;
                return;
            }
        };
        let outbox = Outbox::default();
        let lost = self.lost_before.saturating_add(dropped);
        if let Err(error) = folded.fold.next_segment(outbox.clone(), requests, lost) {
            tracing::error!(%error, "a segment of the recording cannot be ended or begun: {error}");
            self.try_again_at = TimeNs(now.0.saturating_add(RETRY_INTERVAL_NS));
            // Where the writer has gone on all the same, what it writes now belongs to the new file.
            if !outbox.is_written_to() {
                return;
            }
        }
        tracing::info!("the run goes on in {}", path.display());
        self.is_stuck = false;
        self.name = next;
        (self.begun_at, self.begun_seq) = (now, folded.fold.next_seq());
        let number = self.name.number;
        self.spool
            .change_to(Segment::new(number, path, file, outbox));
        // What is deleted next counts the one that was just ended.
        self.cleared_at = None;
    }

    fn is_due(&self, folded: &FoldedInner, now: TimeNs) -> bool {
        let is_empty = folded.fold.next_seq() <= self.begun_seq;
        let age_ns = now.since_ns(self.begun_at);
        let is_long = self
            .segment_bytes
            .is_some_and(|most| folded.fold.segment_bytes() >= most);
        let is_old = self
            .segment_time
            .is_some_and(|most| u128::from(age_ns) >= most.as_nanos());
        self.spool.is_gone() || (!is_empty && (is_long || is_old))
    }

    /// Deletes what need not be kept, now and then.
    pub(super) fn clear(&mut self, published: &Published, now: TimeNs) {
        // While the disk refuses bytes, what may go is what makes room.
        let interval_ns = if self.spool.has_pending() {
            RETRY_INTERVAL_NS
        } else {
            CLEAR_INTERVAL_NS
        };
        let is_due = |at: TimeNs| now.since_ns(at) >= interval_ns;
        if !self.cleared_at.is_none_or(is_due) {
            return;
        }
        self.cleared_at = Some(now);
        let open = self.spool.path();
        let deleted = retention::clear(&self.folder, open, self.keep, self.clock.wall_ns());
        if !deleted.is_empty() {
            published.forget(|path| deleted.iter().any(|it| it == path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::recorder::tests::{Folder, play_login, topology};
    use crate::telemetry::{Recorder, RecordingSettings};
    use std::io::Write;
    use std::sync::Arc;

    #[test]
    fn while_the_disk_refuses_bytes_old_segments_go() {
        let folder = Folder::new("full-clear");
        let keep = Keep {
            bytes: Some(1),
            time: None,
        };
        let settings = RecordingSettings {
            folder: Some(folder.0.clone()),
            ..RecordingSettings::default()
        };
        let recorder = Recorder::start(Clock::start(), topology(), &settings).unwrap();
        play_login(&recorder.telemetry());
        let old = recorder.finish().unwrap().path.unwrap();
        assert!(old.exists());
        let clock = Clock::start();
        let name = SegmentName::first(clock, flowreel_engine::recording::RunId([7; 16]));
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut outbox = Outbox::default();
        let (path, file) = (name.path(&folder.0), DiskFile::new(full, None));
        let published = Arc::new(Published::default());
        let segment = Segment::new(1, path, file, outbox.clone());
        let spool = Spool::new(segment, Arc::clone(&published));
        let settings = RecordingSettings { keep, ..settings };
        let mut files = Files::new(spool, &folder.0, name, &settings, clock);
        outbox.write_all(b"does not fit").unwrap();
        assert!(!files.write_out(clock.now()));
        files.clear(&published, clock.now());
        assert!(!old.exists());
    }
}
