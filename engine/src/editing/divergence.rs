//! Where two runs part: found by the hashes of keyframes, then event by event.
//!
//! Belongs here: the first difference. Does not belong here: comparing figures (cli, analysis).

use super::EditError;
use crate::model::event::StageEvent;
use crate::model::hash::RunHash;
use crate::recording::{ReelError, ReelReader};
use crate::replay::{Playhead, Via};

/// What comparing two runs came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Where they part; `None` where all that both hold is the same.
    pub divergence: Option<Divergence>,
    /// Keyframes of both reels, each a place to compare hashes at.
    pub places: usize,
    /// Places at which hashes were compared: at most some log2 of them, and one for each that damage hides.
    pub probes: usize,
    /// Events that only one reel holds where the other has a gap; they were compared with nothing.
    pub not_compared: u64,
}

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

/// The first difference of two runs. Records beside events are not compared, and neither are events
/// before the first that both reels hold, or in a gap of one of them.
///
/// # Errors
/// [`EditError::Read`] with 0 or 1 for the reel that cannot be read.
pub fn diverge(a: ReelReader, b: ReelReader) -> Result<Comparison, EditError> {
    let mut a = Side::new(a, 0)?;
    let mut b = Side::new(b, 1)?;
    // A reel that was cut out of a run begins later.
    let begin = a.first_seq().max(b.first_seq());
    // Keyframes of either side are places to compare at; between the last that agrees and the first
    // that does not, events are compared one by one.
    let mut places: Vec<u64> = a.keyframes().chain(b.keyframes()).collect();
    places.retain(|place| *place >= begin);
    places.sort_unstable();
    places.dedup();
    let mut probes = 0;
    let agreed = last_agreed(places.len(), |at| {
        probes += 1;
        is_same_at(&mut a, &mut b, places[at])
    })?;
    let agreed = agreed.map_or(begin, |at| places[at]);
    a.go_to(agreed)?;
    b.go_to(agreed)?;
    let mut not_compared = 0;
    let divergence = loop {
        let (mut one, mut other) = (a.next()?, b.next()?);
        // Where one has a gap, the other goes on alone up to its end.
        while let (Some(a_event), Some(b_event)) = (one, other)
            && a_event.seq != b_event.seq
        {
            not_compared += 1;
            if a_event.seq < b_event.seq {
                one = a.next()?;
            } else {
                other = b.next()?;
            }
        }
        // At the end of what one could read the other goes on alone, as far as the first has lost its events.
        while let (None, Some(event)) = (one, other)
            && event.seq < a.end_seq()
        {
            not_compared += 1;
            other = b.next()?;
        }
        while let (Some(event), None) = (one, other)
            && event.seq < b.end_seq()
        {
            not_compared += 1;
            one = a.next()?;
        }
        if one.map(|event| event.words()) != other.map(|event| event.words()) {
            let common_events = one.or(other).map_or(0, |event| event.seq);
            break Some(Divergence {
                common_events,
                a: one,
                b: other,
            });
        }
        if one.is_none() {
            break None;
        }
    };
    Ok(Comparison {
        divergence,
        places: places.len(),
        probes,
        not_compared,
    })
}

/// The last of so many places up to which both are the same, where there is one. `is_same` is asked for
/// some log2 of them, and once for each place passed over that cannot tell.
fn last_agreed<E>(
    count: usize,
    mut is_same: impl FnMut(usize) -> Result<Option<bool>, E>,
) -> Result<Option<usize>, E> {
    let (mut low, mut high) = (0, count);
    let mut agreed = None;
    while low < high {
        let middle = low + (high - low) / 2;
        // Behind a gap there is no hash until the next keyframe that is whole; go back to one there is.
        let mut at = middle;
        let found = loop {
            match is_same(at)? {
                None if at > low => at -= 1,
                found => break found,
            }
        };
        match found {
            Some(false) => high = at,
            // What lies between `at` and the middle tells nothing.
            Some(true) => (agreed, low) = (Some(at), middle + 1),
            None => low = middle + 1,
        }
    }
    Ok(agreed)
}

/// Whether both runs are the same up to there; `None` where a gap keeps one from telling.
fn is_same_at(a: &mut Side, b: &mut Side, events: u64) -> Result<Option<bool>, EditError> {
    if a.end_seq() < events || b.end_seq() < events {
        return Ok(Some(false));
    }
    let (one, other) = (a.hash_at(events)?, b.hash_at(events)?);
    Ok(one.zip(other).map(|(one, other)| one == other))
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

    fn end_seq(&self) -> u64 {
        self.playhead.reader().next_seq()
    }

    /// The hash after so many events; `None` where they cannot be had.
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

#[cfg(test)]
mod tests {
    use super::last_agreed;

    /// Place found and places asked, for runs that part before `parted`; every place in `hidden` cannot tell.
    fn find(count: usize, parted: usize, hidden: std::ops::Range<usize>) -> (Option<usize>, usize) {
        let mut probes = 0;
        let found = last_agreed(count, |at| {
            probes += 1;
            Ok::<_, std::convert::Infallible>((!hidden.contains(&at)).then_some(at < parted))
        });
        match found {
            Ok(found) => (found, probes),
            Err(never) => match never {},
        }
    }

    #[test]
    fn few_places_are_asked_of_many() {
        for parted in [0, 1, 2, 500, 65_535, 99_998, 99_999, 100_000] {
            let (found, probes) = find(100_000, parted, 0..0);
            assert_eq!(found, parted.checked_sub(1));
            assert!(probes <= 17, "{probes} for {parted}");
        }
        assert_eq!(find(0, 0, 0..0), (None, 0));
    }

    #[test]
    fn places_that_cannot_tell_are_passed_over() {
        for parted in [0, 10, 40, 45, 55, 60, 99, 100] {
            let (found, _) = find(100, parted, 40..60);
            let wanted = (0..parted).rev().find(|at| !(40..60).contains(at));
            assert_eq!(found, wanted, "{parted}");
        }
        assert_eq!(find(10, 10, 0..10).0, None);
    }
}
