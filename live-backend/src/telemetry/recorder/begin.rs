//! How a recording begins: a new run, or one that a crash cut off and that goes on.
//!
//! Belongs here: the first blocks and events of this process. Does not belong here: finding a run to go
//! on with (resume.rs), what the crash broke (broken.rs), the files that follow (files.rs).

use super::files::Files;
use super::{RecorderError, RecordingSettings};
use crate::telemetry::broken::{self, Mended};
use crate::telemetry::clock::Clock;
use crate::telemetry::emit::{Inherited, ReelPlace};
use crate::telemetry::fold::Fold;
use crate::telemetry::ids::OWN_RANGES;
use crate::telemetry::resume::{self, Unended};
use crate::telemetry::segment::{self, SegmentName};
use crate::telemetry::spool::{DiskFile, Outbox, Segment, Spool};
use crate::telemetry::stream::Published;
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{ReelMeta, ReelWriter, RunId, RunSource};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::Arc;

/// What the recorder's thread begins with.
pub(super) struct Begun {
    pub(super) clock: Clock,
    pub(super) fold: Fold,
    pub(super) place: Option<ReelPlace>,
    pub(super) files: Option<Files>,
    pub(super) inherited: Inherited,
    /// Events written already, which closed what a crash broke.
    pub(super) mended_count: u64,
    /// Where the run had other processes and goes on: what of it is known of requests that go several ways.
    pub(super) split: Vec<broken::StillSplit>,
    /// Whether it goes on.
    pub(super) is_resumed: bool,
}

impl Begun {
    /// Nothing is recorded.
    pub(super) fn bare(clock: Clock, topology: &Topology) -> Self {
        Self {
            clock,
            fold: Fold::bare(topology),
            place: None,
            files: None,
            inherited: Inherited::default(),
            mended_count: 0,
            split: Vec::new(),
            is_resumed: false,
        }
    }
}

/// Begins to record in this folder.
pub(super) fn reel(
    clock: Clock,
    topology: &Topology,
    folder: &Path,
    settings: &RecordingSettings,
    has_others: bool,
) -> Result<Begun, RecorderError> {
    let mut meta = ReelMeta::new(fresh_run_id(clock), RunSource::Live);
    meta.started_at_unix_ns = i64::try_from(clock.started_wall_ns()).ok();
    meta.program = format!("flowreel-live {}", env!("CARGO_PKG_VERSION"));
    meta.notes.clone_from(&settings.notes);
    match resume::unended(folder, clock, &meta, topology) {
        Ok(None) => {}
        Ok(Some(unended)) => {
            return go_on(*unended, topology, folder, settings, has_others);
        }
        Err((path, why)) => tracing::warn!(
            %why,
            "a new run begins, the one of {} does not go on: {why}",
            path.display()
        ),
    }
    let outbox = Outbox::default();
    let name = SegmentName::first(clock, meta.run_id);
    let file = create(&name, folder, None)?;
    let writer = ReelWriter::new(outbox.clone(), &meta, topology)
        .map_err(|source| RecorderError::Encode { source })?;
    let fold = Fold::Reel(Box::new(writer));
    let (published, segment) = (
        Published::default(),
        Segment::new(1, name.path(folder), file, outbox),
    );
    let begun = Begun::bare(clock, topology);
    let begun = Begun { fold, ..begun };
    Ok(with_files(
        begun, &meta, name, published, segment, folder, settings,
    ))
}

/// Goes on with a run that a crash cut off.
fn go_on(
    unended: Unended,
    topology: &Topology,
    folder: &Path,
    settings: &RecordingSettings,
    has_others: bool,
) -> Result<Begun, RecorderError> {
    let encode = |source| RecorderError::Encode { source };
    let Unended {
        name,
        mut meta,
        clock,
        mut from,
        requests,
        ended_parts,
        kept,
        lock,
    } = unended;
    let of_this_run = |(run, survivor): &(RunId, _)| (*run == meta.run_id).then_some(*survivor);
    let survivors: Vec<_> = settings.survivors.iter().filter_map(of_this_run).collect();
    // A stored job may be of a request whose stages the crash took: its id is handed out all the same.
    let stored = survivors.iter().map(|it| it.part.request.0);
    let requests = stored
        .filter(|&id| id < OWN_RANGES)
        .fold(requests, u64::max);
    if let Some(segment) = &mut meta.segment {
        segment.requests = segment.requests.max(requests);
    }
    let (next_seq, lost_before) = (from.state.event_count(), from.state.system().lost);
    let (mut mended, mut split) = (Mended::default(), Vec::new());
    if has_others {
        // They have gone on meanwhile, and what they told is read where this process's predecessor left off.
        from.gaps.clear();
        split = broken::still_split(&from.state, &ended_parts);
    } else {
        mended = broken::mend(&from.state, &survivors, &ended_parts, clock.now());
    }
    let file = create(&name, folder, Some(lock))?;
    let outbox = Outbox::default();
    let mut writer = ReelWriter::resume(outbox.clone(), &meta, topology, from).map_err(encode)?;
    for (seq, (event, detail)) in (next_seq..).zip(&mended.events) {
        let event = StageEvent { seq, ..*event };
        match detail {
            Some(detail) => writer
                .push_with_detail(&event, &detail.to_record())
                .map(drop),
            None => writer.push(&event),
        }
        .map_err(encode)?;
    }
    writer.flush().map_err(encode)?;
    tracing::info!(
        run = %meta.run_id,
        segment = name.number,
        "run {} goes on from event {next_seq} in segment {}: {} requests go on, {} events close what the crash broke",
        meta.run_id,
        name.number,
        mended.going_on.len(),
        mended.events.len()
    );
    let segment = Segment::new(name.number, name.path(folder), file, outbox);
    let begun = Begun {
        fold: Fold::Reel(Box::new(writer)),
        mended_count: mended.events.len() as u64,
        inherited: Inherited { requests, mended },
        split,
        is_resumed: true,
        ..Begun::bare(clock, topology)
    };
    let published = Published::after(kept);
    let mut begun = with_files(begun, &meta, name, published, segment, folder, settings);
    if let Some(files) = &mut begun.files {
        files.lost_before = lost_before;
    }
    Ok(begun)
}

fn create(
    name: &SegmentName,
    folder: &Path,
    before: Option<std::fs::File>,
) -> Result<DiskFile, RecorderError> {
    let path = name.path(folder);
    let file = segment::create(&path).map_err(|source| RecorderError::Create { path, source })?;
    Ok(DiskFile::new(file, before))
}

fn with_files(
    begun: Begun,
    meta: &ReelMeta,
    name: SegmentName,
    published: Published,
    segment: Segment<DiskFile>,
    folder: &Path,
    settings: &RecordingSettings,
) -> Begun {
    let published = Arc::new(published);
    let spool = Spool::new(segment, Arc::clone(&published));
    let path = spool.path().to_owned();
    let mut files = Files::new(spool, folder, name, settings, begun.clock);
    if files.write_out(begun.clock.now()) {
        published.acknowledge(begun.fold.next_seq());
    }
    Begun {
        place: Some(ReelPlace {
            run_id: meta.run_id,
            path,
            published,
        }),
        files: Some(files),
        ..begun
    }
}

// The standard library seeds each `RandomState` from the system's random source.
fn fresh_run_id(clock: Clock) -> RunId {
    let random = RandomState::new().build_hasher().finish().to_string();
    let started = clock.started_wall_ns().to_string();
    let process = std::process::id().to_string();
    RunId::derived_from(&[&started, &process, &random])
}
