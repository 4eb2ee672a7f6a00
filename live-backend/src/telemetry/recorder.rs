//! The recorder: one thread that empties all lanes, orders, folds and writes what they held.
//!
//! Belongs here: the thread, when it flushes, its end. Does not belong here: the hot path (lane.rs), the
//! reel's bytes (engine) and file (spool.rs), what is read back (status.rs, request.rs).

mod begin;
mod files;
mod gather;
mod receiving;
mod worker;

use super::broken::Survivor;
use super::clock::Clock;
use super::emit::Telemetry;
use super::fold::RecorderCounts;
use super::lane::LaneRegistry;
use super::retention::Keep;
use super::transport::TransportError;
use begin::Begun;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{RunId, WriteError};
pub use receiving::Receiving;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
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
    /// The disk refused the last sync.
    #[error(
        "the recording {path} is written, but the disk refused to keep it for sure; check the disk, then `flowreel verify`"
    )]
    Unsynced {
        /// Which file.
        path: PathBuf,
    },
    /// The other processes of the run cannot be heard.
    #[error(transparent)]
    Transport {
        /// Why.
        #[from]
        source: TransportError,
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
    /// The run goes on in another segment past this many bytes; `None` for any length.
    pub segment_bytes: Option<u64>,
    /// The run goes on in another segment past this time; `None` for any time.
    pub segment_time: Option<Duration>,
    /// What is kept of the folder's live runs.
    pub keep: Keep,
    /// Bytes that may wait for a disk that refuses them; `None` for 32 MiB.
    pub hold_bytes: Option<usize>,
    /// Stored jobs of the run that a crash may have cut off, each with its run.
    pub survivors: Vec<(RunId, Survivor)>,
}

/// How a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingEnd {
    /// What was emitted, written and lost by this process.
    pub counts: RecorderCounts,
    /// The reel it ended in, where one was recorded.
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
    /// cannot be written is known before the first request. Where the folder's newest run has no end
    /// and can go on, it goes on, and the telemetry's clock is that run's.
    ///
    /// # Errors
    /// [`RecorderError::Create`] where the reel cannot be made, [`RecorderError::Thread`] without a thread.
    pub fn start(
        clock: Clock,
        topology: Topology,
        settings: &RecordingSettings,
    ) -> Result<Self, RecorderError> {
        let mut begun = Begun::bare(clock, &topology);
        if let Some(folder) = &settings.folder {
            begun = begin::reel(clock, &topology, folder, settings, false)?;
        }
        let telemetry = Telemetry::over(
            begun.clock,
            LaneRegistry::new(),
            topology,
            begun.fold,
            begun.place,
            begun.inherited,
        );
        let worker = Worker::new(telemetry.clone(), begun.files, begun.mended_count, None);
        Self::run(telemetry, worker)
    }

    fn run(telemetry: Telemetry, worker: Worker) -> Result<Self, RecorderError> {
        let (control, commands) = sync_channel(1);
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

    /// What a kill does: the thread stops where it is.
    #[cfg(test)]
    pub(in crate::telemetry) fn cut_off(self) {
        self.telemetry.cut_off();
        let _cut_off = self.thread.join().expect("no panic").is_err();
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

#[cfg(test)]
pub(super) mod tests;

#[cfg(test)]
mod segment_tests;
