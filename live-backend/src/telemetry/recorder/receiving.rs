//! The recorder of a run of several processes: it begins, or goes on with what its predecessor left.
//!
//! Belongs here: the order in which that happens. Does not belong here: reading (transport), merging (gather).

use super::begin::{self, Begun};
use super::gather::{Gather, Position};
use super::worker::Worker;
use super::{Recorder, RecorderError, RecordingSettings};
use crate::telemetry::clock::{Clock, Stamp};
use crate::telemetry::emit::Telemetry;
use crate::telemetry::segment::{self, SegmentName};
use crate::telemetry::split::SplitBook;
use crate::telemetry::transport::reader::{self, Reader};
use crate::telemetry::transport::wire::Batch;
use crate::telemetry::transport::{Announcement, Keys, Link, Pulse, TransportSettings};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{ReelError, ReelReader};
use std::collections::HashSet;
use std::path::Path;

/// How the recorder hears the other processes of its run.
#[derive(Clone, Debug)]
pub struct Receiving {
    /// Where they meet.
    pub transport: TransportSettings,
    /// Where this process answers `/api/live-view/*`, as `HOST:PORT`, for those who follow.
    pub address: Option<String>,
}

impl Recorder {
    /// Starts the recorder of a run of several processes: those that began with
    /// [`Telemetry::start_shipping`] at the same `receiving.transport`. Where the folder's newest run has
    /// no end, it goes on, and nothing that was shipped meanwhile is lost or recorded twice. With
    /// [`Recorder::finish`] the run ends where no other process takes part any more; else the next
    /// recorder goes on with it. It waits for Redis, so call it from a thread that may block.
    ///
    /// # Errors
    /// As [`Recorder::start`], and [`RecorderError::Transport`] where Redis cannot be reached in time.
    pub fn start_receiving(
        clock: Clock,
        topology: Topology,
        settings: &RecordingSettings,
        receiving: &Receiving,
    ) -> Result<Self, RecorderError> {
        let clock = clock.listening();
        let transport = &receiving.transport;
        let keys = Keys::new(&transport.prefix);
        let mut link = Link::new(transport)?;
        let found = reader::find(&mut link, &keys, transport.wait)?;
        // A run that goes on may be ahead of this machine's clock, as far as its others were.
        clock.observe(Stamp(found.highest_wall_ns));
        let mut begun = Begun::bare(clock, &topology);
        if let Some(folder) = &settings.folder {
            begun = begin::reel(clock, &topology, folder, settings, true)?;
        }
        let state = begun.fold.state().clone();
        let mut position = None;
        if begun.is_resumed {
            position = Position::newest(&found.positions, state.event_count());
        }
        let after = match (&position, found.last_id) {
            (Some(position), _) => position.id.clone(),
            // What lies there from before a new run is none of it.
            (None, Some(last)) if !begun.is_resumed => last,
            // A Redis that lost its data has only what came since.
            (None, _) => "0-0".to_owned(),
        };
        let beginning = (!begun.is_resumed).then(|| Position::of_new_run(&after).encode());
        let (book, recalled) = recall(&mut link, &keys, transport, &begun, &state)?;
        let mut written = Vec::new();
        if let (Some(position), Some(files)) = (&position, &begun.files) {
            written = written_since(files.folder(), &state, position.next_seq);
        }
        let Begun {
            clock,
            fold,
            place,
            files,
            inherited,
            ..
        } = begun;
        let requests = inherited.requests;
        let telemetry =
            Telemetry::of_many(clock, topology.clone(), fold, place, found.process, None);
        let mut gather = Gather::new(
            clock,
            &state,
            (book, recalled),
            position,
            written,
            after.clone(),
        );
        let announcement = Announcement::new(
            telemetry.run_id(),
            clock.started_wall_ns(),
            topology,
            receiving.address.clone(),
        );
        let pulse = Pulse {
            // Numbers of processes begin anew where Redis loses its data.
            instance: telemetry.stamp().0,
            run_id: telemetry.run_id(),
            next_seq: state.event_count(),
            requests,
            is_on: settings.folder.is_some(),
            ..Pulse::default()
        };
        let reader = Reader::start(
            link,
            transport,
            telemetry.clone(),
            &announcement,
            (after, beginning),
            (pulse, found.process),
        )?;
        gather.read_from(reader);
        let worker = Worker::new(telemetry.clone(), files, 0, Some(gather));
        Self::run(telemetry, worker)
    }
}

/// The requests that go several ways, as the reel shows them and as their processes noted it, which may
/// be over by now; those are listed.
fn recall(
    link: &mut Link,
    keys: &Keys,
    transport: &TransportSettings,
    begun: &Begun,
    state: &SystemState,
) -> Result<(SplitBook, Vec<RequestId>), RecorderError> {
    let mut book = SplitBook::default();
    let mut recalled = Vec::new();
    if !begun.is_resumed {
        return Ok((book, recalled));
    }
    for it in &begun.split {
        let ended_count = it.part_count.saturating_sub(it.open_count);
        book.take_over(it.request, it.part_count, ended_count, it.is_failed);
    }
    let finished: HashSet<RequestId> = state.finished().map(|it| it.request).collect();
    reader::each_kept(link, keys, transport.wait, |bytes| {
        let Ok(batch) = Batch::decode(bytes) else {
            return;
        };
        // A note is shipped before the stages it is about, which may not be in the reel yet.
        for (request, count) in batch.splits {
            let request = RequestId(request);
            if !finished.contains(&request) {
                book.note(request, count);
                recalled.push(request);
            }
        }
    })?;
    Ok((book, recalled))
}

/// Events of the run from that number on, as far as the folder has them: those the last flush wrote
/// before its position was kept.
fn written_since(folder: &Path, state: &SystemState, next_seq: u64) -> Vec<StageEvent> {
    let mut written = Vec::new();
    let mut events = Vec::new();
    let names = match segment::in_folder(folder) {
        Ok(names) => names,
        Err(error) => {
            tracing::error!(%error, "the folder of the recordings cannot be read: {error}; what the run has may come twice");
            return written;
        }
    };
    let of_this_run = |name: &&SegmentName| names.last().is_some_and(|it| name.is_of_one_run(it));
    for name in names.iter().rev().take_while(of_this_run) {
        let path = name.path(folder);
        let mut reader = match ReelReader::open(&path) {
            Ok(reader) => reader,
            Err(error) => {
                report(&path, &error);
                continue;
            }
        };
        let blocks: Vec<u64> = reader
            .event_blocks()
            .iter()
            .map(|block| block.next_seq())
            .collect();
        for (index, end) in blocks.into_iter().enumerate() {
            if end <= next_seq {
                continue;
            }
            match reader.read_events(index, &mut events) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(error) => {
                    report(&path, &error);
                    continue;
                }
            }
            written.extend(
                events
                    .iter()
                    .filter(|event| event.seq >= next_seq && event.seq < state.event_count()),
            );
        }
        let first = reader
            .event_blocks()
            .first()
            .map_or(u64::MAX, |block| block.first);
        if first <= next_seq {
            break;
        }
    }
    written.sort_by_key(|event: &StageEvent| event.seq);
    written
}

fn report(path: &Path, error: &ReelError) {
    tracing::error!(%error, "{} cannot be read: {error}; what it has may come twice", path.display());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::recorder::tests::{Folder, play_login, topology};

    #[test]
    fn what_an_earlier_run_has_is_not_taken_for_what_this_one_wrote() {
        let folder = Folder::new("written-since");
        let settings = RecordingSettings {
            folder: Some(folder.0.clone()),
            ..RecordingSettings::default()
        };
        let start = || Recorder::start(Clock::start(), topology(), &settings).expect("a folder");
        let first = start();
        play_login(&first.telemetry());
        let telemetry = first.telemetry();
        let path = first.finish().expect("a disk").path.expect("recorded");
        let state = telemetry.shared.folded.lock().fold.state().clone();
        assert_eq!(
            written_since(&folder.0, &state, 0).len() as u64,
            state.event_count()
        );
        let earlier = folder.0.join("live-20000101T000000Z-00000000.0001.reel");
        std::fs::rename(path, earlier).expect("a folder");
        start().finish().expect("a disk");
        assert_eq!(written_since(&folder.0, &state, 0), []);
    }
}
