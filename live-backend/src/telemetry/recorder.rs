//! The recorder: one thread that empties all lanes, orders, folds and writes what they held.
//!
//! Belongs here: the thread, when it flushes, its end. Does not belong here: the hot path (lane.rs), the
//! reel's bytes (engine) and file (spool.rs), what is read back (status.rs, request.rs).

mod worker;

use super::clock::{Clock, rfc3339_from_ns};
use super::emit::{ReelPlace, Telemetry};
use super::fold::{Fold, RecorderCounts};
use super::lane::LaneRegistry;
use super::spool::{self, Outbox, Spool};
use super::stream::Published;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{ReelMeta, ReelWriter, RunId, RunSource, WriteError};
use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use worker::Worker;

/// Why a recording could not begin or end.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The system gave no thread.
    #[error("cannot start the recorder's thread; free some memory or threads and start again")]
    Thread {
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be made.
    #[error(
        "cannot create the recording {path}: {source}; name another folder with --record, or --record off"
    )]
    Create {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The reel's first or last blocks cannot be made.
    #[error("cannot encode the recording: {source}")]
    Encode {
        /// What the encoder said.
        #[source]
        source: WriteError,
    },
    /// The disk took less than the whole reel.
    #[error(
        "the recording {path} lacks its end, the disk refused it; free space, then `flowreel recover` keeps what is whole"
    )]
    Unwritten {
        /// Which file.
        path: PathBuf,
    },
    /// The thread is gone before its time.
    #[error("the recorder stopped before the run did; its log lines above say why")]
    Gone,
}

/// Where and as what a run is recorded.
#[derive(Clone, Debug, Default)]
pub struct RecordingSettings {
    /// Folder for the reel; `None` records nothing, and status and journeys still work.
    pub folder: Option<PathBuf>,
    /// Facts about the run for whoever opens its reel, such as `retry_scale`; never personal data.
    pub notes: BTreeMap<String, String>,
}

/// How a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingEnd {
    /// What was emitted, written and lost.
    pub counts: RecorderCounts,
    /// The whole reel, where one was recorded.
    pub path: Option<PathBuf>,
    /// Its length.
    pub bytes: u64,
}

/// The running recorder; end it with [`Recorder::finish`].
#[derive(Debug)]
pub struct Recorder {
    telemetry: Telemetry,
    control: SyncSender<()>,
    thread: JoinHandle<Result<RecordingEnd, RecorderError>>,
}

impl Recorder {
    /// Starts the recorder of a run on this map. The reel's file is made at once, so that a folder that
    /// cannot be written is known before the first request.
    ///
    /// # Errors
    /// [`RecorderError::Create`] where the reel cannot be made, [`RecorderError::Thread`] without a thread.
    pub fn start(
        clock: Clock,
        topology: Topology,
        settings: &RecordingSettings,
    ) -> Result<Self, RecorderError> {
        let mut fold = Fold::bare(&topology);
        let mut reel = None;
        let mut spool = None;
        if let Some(folder) = &settings.folder {
            let (writer, made) = begin_reel(clock, &topology, folder, &settings.notes)?;
            fold = Fold::Reel(Box::new(writer));
            reel = Some(made.place);
            spool = Some(made.spool);
        }
        let telemetry = Telemetry::over(clock, LaneRegistry::new(), topology, fold, reel);
        let (control, commands) = sync_channel(1);
        let worker = Worker::new(telemetry.clone(), spool);
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || worker.run(&commands))
            .map_err(|source| RecorderError::Thread { source })?;
        Ok(Self {
            telemetry,
            control,
            thread,
        })
    }

    /// The handle for everybody else.
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        self.telemetry.clone()
    }

    /// Takes in everything emitted so far, ends the reel, and says what was written and lost; followers
    /// get its last bytes and their streams end. Call it last: what is emitted afterwards is lost. It
    /// waits for the disk, so call it from a thread that may block.
    ///
    /// # Errors
    /// [`RecorderError::Unwritten`] where the disk did not take the whole reel, [`RecorderError::Gone`]
    /// where the recorder's thread has failed.
    pub fn finish(self) -> Result<RecordingEnd, RecorderError> {
        drop(self.control);
        self.thread.join().map_err(|_panic| RecorderError::Gone)?
    }
}

struct MadeReel {
    place: ReelPlace,
    spool: Spool<File>,
}

fn begin_reel(
    clock: Clock,
    topology: &Topology,
    folder: &Path,
    notes: &BTreeMap<String, String>,
) -> Result<(ReelWriter<Outbox>, MadeReel), RecorderError> {
    let run_id = fresh_run_id(clock);
    let mut meta = ReelMeta::new(run_id, RunSource::Live);
    meta.started_at_unix_ns = i64::try_from(clock.started_wall_ns()).ok();
    meta.program = format!("flowreel-live {}", env!("CARGO_PKG_VERSION"));
    meta.notes.clone_from(notes);
    let path = folder.join(reel_name(clock, run_id));
    let file = spool::create(&path).map_err(|source| RecorderError::Create {
        path: path.clone(),
        source,
    })?;
    let outbox = Outbox::default();
    let writer = ReelWriter::new(outbox.clone(), &meta, topology)
        .map_err(|source| RecorderError::Encode { source })?;
    let published = Arc::new(Published::default());
    let mut spool = Spool::new(file, path.clone(), outbox, Arc::clone(&published));
    spool.write_out(clock.now());
    let place = ReelPlace { path, published };
    Ok((writer, MadeReel { place, spool }))
}

/// `live-20260131T120000Z-1a2b3c4d.reel`: sorts by start, and two starts in one second differ.
fn reel_name(clock: Clock, run_id: RunId) -> String {
    let started = rfc3339_from_ns(clock.started_wall_ns());
    let second: String = started
        .chars()
        .take_while(|&letter| letter != '.')
        .filter(|letter| !matches!(letter, '-' | ':'))
        .collect();
    let id: String = run_id.to_string().chars().take(8).collect();
    format!("live-{second}Z-{id}.reel")
}

// The standard library seeds each `RandomState` from the system's random source.
fn fresh_run_id(clock: Clock) -> RunId {
    let random = RandomState::new().build_hasher().finish().to_string();
    let started = clock.started_wall_ns().to_string();
    let process = std::process::id().to_string();
    RunId::derived_from(&[&started, &process, &random])
}

#[cfg(test)]
mod tests;
