//! Where two runs part: found by the hashes of keyframes, then event by event.
//!
//! Belongs here: the first difference. Does not belong here: comparing figures (cli, analysis).

use super::EditError;
use crate::model::event::StageEvent;
use crate::model::hash::RunHash;
use crate::recording::{ReelError, ReelReader};
use crate::replay::{Playhead, Via};

/// The first event at which two runs part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Events that both have in common, from the first.
    pub common_events: u64,
    /// What the first run has there; `None` where it is over.
    pub a: Option<StageEvent>,
    /// What the second run has there; `None` where it is over.
    pub b: Option<StageEvent>,
}

/// The first difference of two runs; `None` where they are the same. Records beside events are not
/// compared, and neither are events before the first that both reels hold.
///
/// # Errors
/// [`EditError::Read`] with 0 or 1 for the reel that cannot be read.
pub fn diverge(a: ReelReader, b: ReelReader) -> Result<Option<Divergence>, EditError> {
    let mut a = Side::new(a, 0)?;
    let mut b = Side::new(b, 1)?;
    // Keyframes of either side are places to compare at; between the last that agrees and the first
    // that does not, events are compared one by one.
    let mut places: Vec<u64> = a.keyframes().chain(b.keyframes()).collect();
    places.sort_unstable();
    places.dedup();
    let (mut low, mut high) = (0, places.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if a.hash_at(places[middle])? == b.hash_at(places[middle])? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let mut from = low.checked_sub(1).map_or(0, |last| places[last]);
    // A reel that was cut out of a run begins later.
    from = from.max(a.first_seq()).max(b.first_seq());
    a.go_to(from)?;
    b.go_to(from)?;
    loop {
        let (one, other) = (a.next()?, b.next()?);
        if one.map(comparable) != other.map(comparable) {
            let common_events = one.or(other).map_or(0, |event| event.seq);
            return Ok(Some(Divergence {
                common_events,
                a: one,
                b: other,
            }));
        }
        if one.is_none() {
            return Ok(None);
        }
    }
}

fn comparable(event: StageEvent) -> [u64; 6] {
    event.words()
}

struct Side {
    playhead: Playhead,
    part: usize,
}

impl Side {
    fn new(reader: ReelReader, part: usize) -> Result<Self, EditError> {
        let playhead = Playhead::new(reader).map_err(|source| EditError::Read { part, source })?;
        Ok(Self { playhead, part })
    }

    fn failed(&self) -> impl Fn(ReelError) -> EditError + use<> {
        let part = self.part;
        move |source| EditError::Read { part, source }
    }

    fn keyframes(&self) -> impl Iterator<Item = u64> {
        let keyframes = self.playhead.reader().keyframe_blocks();
        keyframes.iter().map(|block| block.first)
    }

    fn first_seq(&self) -> u64 {
        let first = self.playhead.reader().event_blocks().first();
        first.map_or(0, |block| block.first)
    }

    /// The hash after so many events; `None` where the run is shorter or they cannot be had.
    fn hash_at(&mut self, events: u64) -> Result<Option<RunHash>, EditError> {
        self.go_to(events)?;
        let state = self.playhead.state();
        Ok((state.event_count() == events).then(|| state.run_hash()))
    }

    fn go_to(&mut self, position: u64) -> Result<(), EditError> {
        let failed = self.failed();
        self.playhead.go_to(position, Via::Seek).map_err(failed)
    }

    fn next(&mut self) -> Result<Option<StageEvent>, EditError> {
        let failed = self.failed();
        self.playhead.step().map_err(failed)
    }
}
