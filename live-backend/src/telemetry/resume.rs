//! After a crash: finding a run without an end, and what it goes on from.
//!
//! Belongs here: which run may go on, and reading back what is needed for that. Does not belong here:
//! what the crash broke in the run itself (broken.rs), names and locks (segment.rs).
//!
//! A run goes on where its newest segment has no end, or one that says that the run goes on; where the
//! same program recorded it on the same map with the same notes; and where the state after its last
//! whole event can be had. Everything else is left as it is, and a new run begins.

use super::clock::Clock;
use super::ids::OWN_RANGES;
use super::segment::{self, SegmentName};
use super::stream::Kept;
use flowreel_engine::model::event::{EventKind, Outcome};
use flowreel_engine::model::id::{DetailId, RequestId};
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::format::BlockType;
use flowreel_engine::recording::{
    Gap, GapReason, ReelError, ReelMeta, ReelReader, Resumption, RunSource, Segment,
};
use flowreel_engine::replay::{Playhead, Via};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// How far the wall clock may stand before the run's last event for the run to go on.
const CLOCK_BACK_MAX_NS: u64 = 1_000_000_000;

/// A run that goes on.
pub(super) struct Unended {
    /// The segment it goes on in.
    pub(super) name: SegmentName,
    pub(super) meta: ReelMeta,
    pub(super) clock: Clock,
    pub(super) from: Resumption,
    /// Highest request number seen.
    pub(super) requests: u64,
    /// Parts of requests in flight that ended in the last segment.
    pub(super) ended_parts: HashMap<RequestId, EndedParts>,
    /// The segments there are, as far as they are whole.
    pub(super) kept: Vec<Kept>,
    /// Its last segment, locked until the next one has its name.
    pub(super) lock: File,
}

/// How many parts of a request ended, and whether one of them badly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EndedParts {
    pub(super) count: u16,
    pub(super) is_failed: bool,
}

impl EndedParts {
    fn add(&mut self, outcome: Outcome) {
        self.count = self.count.saturating_add(1);
        self.is_failed |= outcome != Outcome::Ok;
    }
}

/// Why a run without an end does not go on; a log line says so.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotResumed {
    #[error("the folder cannot be read: {0}")]
    Folder(#[from] std::io::Error),
    #[error("another process records it")]
    InUse,
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] ReelError),
    #[error("it is no run of a live backend, though it is named so")]
    NotLive,
    #[error("`{0}` recorded it, and only the same version knows its state")]
    OtherProgram(String),
    #[error("its map or its settings are others than those of this start")]
    OtherMap,
    #[error("the state after its last event cannot be had, because events before are damaged")]
    NoState,
    #[error("the wall clock stands {0} s before its last event")]
    ClockBack(u64),
}

/// The newest run of the folder, where it has no end and can go on; else what is there and why it
/// does not go on.
pub(super) fn unended(
    folder: &Path,
    clock: Clock,
    expected: &ReelMeta,
    topology: &Topology,
) -> Result<Option<Box<Unended>>, (PathBuf, NotResumed)> {
    let Some((newest, lock)) = newest(folder)? else {
        return Ok(None);
    };
    let at = |why| (newest.path(folder), why);
    let Some(lock) = lock else {
        return Err(at(NotResumed::InUse));
    };
    // Of a segment that a power failure left without its beginning the run does not know.
    let mut readable = newest.clone();
    let all = segment::in_folder(folder).map_err(|error| at(error.into()))?;
    for name in all.iter().rev().filter(|it| it.is_of_one_run(&newest)) {
        readable = name.clone();
        match ReelReader::open(&name.path(folder)) {
            Ok(reader) if name.number == 1 || !reader.keyframe_blocks().is_empty() => break,
            Ok(_)
            | Err(ReelError::Empty | ReelError::Missing { .. } | ReelError::Decode { .. }) => {
                tracing::warn!(
                    "{} has no beginning and is passed over",
                    name.path(folder).display()
                );
            }
            Err(_) => break,
        }
    }
    let files = Files {
        folder,
        newest: &newest,
        readable: &readable,
    };
    read_back(&files, lock, clock, expected, topology).map_err(at)
}

/// The newest segment of a run, and the newest that can be read.
struct Files<'a> {
    folder: &'a Path,
    newest: &'a SegmentName,
    readable: &'a SegmentName,
}

/// A segment's name, and its lock where nobody writes it.
type Newest = (SegmentName, Option<File>);

/// The newest segment of the newest run, locked where nobody writes it.
fn newest(folder: &Path) -> Result<Option<Newest>, (PathBuf, NotResumed)> {
    let mut seen: Option<SegmentName> = None;
    loop {
        let names =
            segment::in_folder(folder).map_err(|error| (folder.to_owned(), error.into()))?;
        let Some(name) = names.last().cloned() else {
            return Ok(None);
        };
        let path = name.path(folder);
        let lock = segment::open_unused(&path).map_err(|error| (path, error.into()))?;
        // Whoever held it may have gone on in another one before it let go.
        if lock.is_none() || seen.as_ref() == Some(&name) {
            return Ok(Some((name, lock)));
        }
        seen = Some(name);
    }
}

fn read_back(
    files: &Files<'_>,
    lock: File,
    clock: Clock,
    expected: &ReelMeta,
    topology: &Topology,
) -> Result<Option<Box<Unended>>, NotResumed> {
    let Files {
        folder,
        newest,
        readable,
    } = *files;
    let path = readable.path(folder);
    let mut reader = ReelReader::open(&path)?;
    if reader.is_complete() && !reader.continues() {
        return Ok(None);
    }
    let meta = reader.meta().clone();
    let started = meta
        .started_at_unix_ns
        .and_then(|ns| u64::try_from(ns).ok());
    let started_wall_ns = match started {
        Some(ns) if meta.source == RunSource::Live && readable.is_true_of(&File::open(&path)?) => {
            ns
        }
        _ => return Err(NotResumed::NotLive),
    };
    if meta.program != expected.program {
        return Err(NotResumed::OtherProgram(meta.program));
    }
    if meta.notes != expected.notes || !reader.topology().is_same_map(topology) {
        return Err(NotResumed::OtherMap);
    }
    let seen = Seen::read(&mut reader)?;
    let own_kept_bytes = sound_bytes(&reader);
    let mut head = Playhead::new(reader)?;
    head.go_to(seen.next_seq, Via::Seek)?;
    let state = head.state().clone();
    if state.event_count() != seen.next_seq || head.position() != seen.next_seq {
        return Err(NotResumed::NoState);
    }
    let behind_ns = started_wall_ns
        .saturating_add(state.now().0)
        .saturating_sub(clock.wall_ns());
    if behind_ns > CLOCK_BACK_MAX_NS {
        return Err(NotResumed::ClockBack(behind_ns / 1_000_000_000));
    }
    let clock = clock.going_on(started_wall_ns, state.now());
    let requests = seen.requests.max(highest_request(&state));
    let mut ended_parts = seen.ended_parts;
    add_earlier(files, &state, seen.first_seq, &mut ended_parts)?;
    let is_open = |request: &RequestId| state.request(*request).is_some();
    let gap = Gap {
        from_t_ns: state.now(),
        to_t_ns: clock.now(),
        first_seq: Some(seen.next_seq),
        events: None,
        reason: GapReason::TornTail,
        offset: None,
    };
    Ok(Some(Box::new(Unended {
        name: newest.next(),
        meta: ReelMeta {
            segment: Some(Segment {
                number: newest.number.saturating_add(1),
                first_detail: seen.next_detail,
                requests,
            }),
            ..meta
        },
        clock,
        requests,
        ended_parts: ended_parts
            .into_iter()
            .filter(|(request, _)| is_open(request))
            .collect(),
        kept: kept(files, own_kept_bytes)?,
        lock,
        from: Resumption {
            next_detail: DetailId(seen.next_detail),
            gaps: vec![gap],
            state,
        },
    })))
}

/// What a pass over the events of the last segment tells.
struct Seen {
    next_seq: u64,
    next_detail: u32,
    requests: u64,
    ended_parts: HashMap<RequestId, EndedParts>,
    /// Events before this number are in earlier segments.
    first_seq: u64,
}

impl Seen {
    fn read(reader: &mut ReelReader) -> Result<Self, NotResumed> {
        let segment = reader.meta().segment;
        let details = reader
            .blocks()
            .iter()
            .filter(|block| block.block_type() == Some(BlockType::Details))
            .map(|block| u32::try_from(block.next_seq()).unwrap_or(u32::MAX));
        let next_detail = details.max().unwrap_or(1);
        let begun_at = reader.keyframe_blocks().first();
        let first_seq = begun_at.map_or(0, |block| block.first);
        let mut seen = Self {
            first_seq,
            next_seq: first_seq,
            next_detail: next_detail.max(segment.map_or(1, |it| it.first_detail)),
            requests: segment.map_or(0, |it| it.requests),
            ended_parts: HashMap::new(),
        };
        let mut events = Vec::new();
        for position in 0..reader.event_blocks().len() {
            // What follows damage at the very end is lost with it.
            if !reader.read_events(position, &mut events)? {
                continue;
            }
            for event in &events {
                seen.next_seq = event.seq + 1;
                seen.next_detail = seen.next_detail.max(event.detail.0.saturating_add(1));
                if event.request != RequestId::NONE && event.request.0 < OWN_RANGES {
                    seen.requests = seen.requests.max(event.request.0);
                }
                if event.kind == EventKind::PartFinished && event.part.0 > 0 {
                    let ended = seen.ended_parts.entry(event.request).or_default();
                    ended.add(event.outcome);
                } else if event.kind == EventKind::RequestFinished {
                    seen.ended_parts.remove(&event.request);
                }
            }
        }
        Ok(seen)
    }
}

fn highest_request(state: &SystemState) -> u64 {
    let open = state.in_flight().into_iter().map(|(request, _)| request.0);
    let finished = state.finished().map(|it| it.request.0);
    let leased = open.chain(finished).filter(|&id| id < OWN_RANGES);
    leased.fold(state.requests().started, u64::max)
}

/// Parts of requests in flight that ended in segments before the last one, as far as those are kept.
fn add_earlier(
    files: &Files<'_>,
    state: &SystemState,
    first_seq: u64,
    ended_parts: &mut HashMap<RequestId, EndedParts>,
) -> Result<(), NotResumed> {
    let begun = state.in_flight();
    let begun = begun.iter().map(|(_, request)| request.begun_seq);
    let Some(since) = begun.min().filter(|&since| since < first_seq) else {
        return Ok(());
    };
    let mut events = Vec::new();
    for name in segment::in_folder(files.folder)?.iter().rev() {
        if !name.is_of_one_run(files.newest) || name >= files.readable {
            continue;
        }
        let Ok(mut reader) = ReelReader::open(&name.path(files.folder)) else {
            continue;
        };
        let blocks = reader.event_blocks().iter();
        let ends: Vec<u64> = blocks.map(|block| block.next_seq()).collect();
        for (position, end) in ends.into_iter().enumerate() {
            if end <= since || !reader.read_events(position, &mut events)? {
                continue;
            }
            for event in &events {
                let is_part = event.kind == EventKind::PartFinished && event.part.0 > 0;
                let request = state.request(event.request).filter(|_| is_part);
                if request.is_some_and(|request| request.begun_seq <= event.seq) {
                    ended_parts
                        .entry(event.request)
                        .or_default()
                        .add(event.outcome);
                }
            }
        }
        let first = reader.event_blocks().first();
        if first.is_some_and(|block| block.first <= since) {
            break;
        }
    }
    Ok(())
}

/// Length up to the end of the last whole block.
fn sound_bytes(reader: &ReelReader) -> u64 {
    reader.blocks().last().map_or(0, |block| block.end())
}

/// The segments of this run that followers may read, each as far as it is whole.
fn kept(files: &Files<'_>, readable_bytes: u64) -> Result<Vec<Kept>, NotResumed> {
    let mut kept = Vec::new();
    for name in segment::in_folder(files.folder)? {
        if !name.is_of_one_run(files.newest) || name > *files.readable {
            continue;
        }
        let path = name.path(files.folder);
        let bytes = if name == *files.readable {
            readable_bytes
        } else {
            match ReelReader::open(&path) {
                Ok(reader) => sound_bytes(&reader),
                Err(error) => {
                    tracing::warn!(%error, "followers do without {}: {error}", path.display());
                    continue;
                }
            }
        };
        kept.push(Kept {
            number: name.number,
            path,
            bytes: Some(bytes),
        });
    }
    Ok(kept)
}
