//! Moving through a reel: to any moment, step by step, and backwards.
//!
//! Belongs here: the playhead, the state at a moment by keyframe or by full fold. Does not belong
//! here: pacing (whoever plays), what an event means (model::state), bytes (recording).

use crate::model::event::StageEvent;
use crate::model::state::SystemState;
use crate::model::time::TimeNs;
use crate::recording::{ReelError, ReelReader};

/// How a state is reached; both ways give the same state, to the last bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// From the nearest keyframe before.
    Seek,
    /// From the first event.
    Fold,
}

/// Events between two checkpoints kept for stepping back.
const CHECKPOINT_EVENTS: u64 = 2048;
/// Checkpoints kept; the oldest go first.
const CHECKPOINTS_MAX: usize = 16;

/// A place between two events of a reel, and what is true there.
///
/// Where events are missing, the playhead goes on with those that are there, and takes over the next
/// keyframe, whose writer had seen them all.
pub struct Playhead {
    reader: ReelReader,
    state: SystemState,
    /// `seq` of the next event; events before it are applied.
    position: u64,
    /// Block of events in `batch`.
    block: usize,
    batch: Vec<StageEvent>,
    /// Next event in `batch`.
    at: usize,
    /// Events before `position` are missing from `state`.
    is_holed: bool,
    checkpoints: Vec<Checkpoint>,
    scratch: Vec<StageEvent>,
}

#[derive(Clone)]
struct Checkpoint {
    position: u64,
    is_holed: bool,
    state: SystemState,
}

impl Playhead {
    /// A playhead before the first event.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the reel cannot be read.
    pub fn new(reader: ReelReader) -> Result<Self, ReelError> {
        let mut this = Self {
            state: SystemState::new(reader.topology()),
            reader,
            position: 0,
            block: 0,
            batch: Vec::new(),
            at: 0,
            is_holed: false,
            checkpoints: Vec::new(),
            scratch: Vec::new(),
        };
        this.load(0)?;
        Ok(this)
    }

    /// The reel under it.
    #[must_use]
    pub const fn reader(&self) -> &ReelReader {
        &self.reader
    }

    /// The reel under it, for records and keyframes.
    #[must_use]
    pub const fn reader_mut(&mut self) -> &mut ReelReader {
        &mut self.reader
    }

    /// What is true here.
    #[must_use]
    pub const fn state(&self) -> &SystemState {
        &self.state
    }

    /// `seq` of the event that comes next.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Goes to where all events up to and at `t` are applied.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the reel cannot be read.
    pub fn seek(&mut self, t: TimeNs, via: Via) -> Result<(), ReelError> {
        let position = self.position_at(t)?;
        self.go_to(position, via)
    }

    /// `seq` of the first event after `t`.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the reel cannot be read.
    pub fn position_at(&mut self, t: TimeNs) -> Result<u64, ReelError> {
        let blocks = self.reader.event_blocks();
        let begun = blocks.partition_point(|block| block.first_t_ns <= t.0);
        let Some(index) = begun.checked_sub(1) else {
            return Ok(0);
        };
        let block = blocks[index];
        if t.0 >= block.last_t_ns {
            return Ok(block.next_seq());
        }
        let mut events = std::mem::take(&mut self.scratch);
        let is_sound = self.reader.read_events(index, &mut events);
        let within = events.partition_point(|event| event.t_ns <= t);
        self.scratch = events;
        Ok(if is_sound? {
            block.first + within as u64
        } else {
            block.first
        })
    }

    /// Goes to before the event `position`.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the reel cannot be read.
    pub fn go_to(&mut self, position: u64, via: Via) -> Result<(), ReelError> {
        let start = match via {
            Via::Fold => None,
            Via::Seek => self.nearest(position)?,
        };
        match start {
            // Where it already is, is nearer than any other start.
            Some(Start::Here) => {}
            Some(Start::At(checkpoint)) => self.start_at(*checkpoint)?,
            None => {
                let state = SystemState::new(self.reader.topology());
                self.start_at(Checkpoint {
                    position: 0,
                    is_holed: false,
                    state,
                })?;
            }
        }
        while let Some(event) = self.peek()?
            && event.seq < position
        {
            self.step_within_batch(&event);
        }
        self.pass_hole(position)
    }

    /// Applies the next event and gives it; `None` at the end.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the reel cannot be read.
    pub fn step(&mut self) -> Result<Option<StageEvent>, ReelError> {
        let next = self.peek()?;
        if let Some(event) = next {
            self.step_within_batch(&event);
        }
        Ok(next)
    }

    /// The next event, not yet applied; `None` at the end.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the reel cannot be read.
    pub fn peek(&mut self) -> Result<Option<StageEvent>, ReelError> {
        loop {
            if let Some(event) = self.batch.get(self.at) {
                let event = *event;
                if event.seq > self.position || self.is_holed && self.at == 0 {
                    self.pass_hole(event.seq)?;
                }
                return Ok(Some(event));
            }
            if self.block + 1 >= self.reader.event_blocks().len() {
                return Ok(None);
            }
            self.load(self.block + 1)?;
        }
    }

    /// Takes the last applied event back and gives it; `None` at the start.
    ///
    /// # Errors
    /// [`ReelError::Io`] where the reel cannot be read.
    pub fn step_back(&mut self) -> Result<Option<StageEvent>, ReelError> {
        let Some(event) = self.event_before(self.position)? else {
            return Ok(None);
        };
        self.go_to(event.seq, Via::Seek)?;
        Ok(Some(event))
    }

    fn step_within_batch(&mut self, event: &StageEvent) {
        if self.position.is_multiple_of(CHECKPOINT_EVENTS) {
            self.keep_checkpoint();
        }
        self.state.apply(event);
        self.at += 1;
        self.position = event.seq + 1;
    }

    fn keep_checkpoint(&mut self) {
        let is_kept = |held: &Checkpoint| held.position == self.position;
        if self.checkpoints.iter().any(is_kept) {
            return;
        }
        if self.checkpoints.len() == CHECKPOINTS_MAX {
            self.checkpoints.remove(0);
        }
        self.checkpoints.push(Checkpoint {
            position: self.position,
            is_holed: self.is_holed,
            state: self.state.clone(),
        });
    }

    fn load(&mut self, block: usize) -> Result<(), ReelError> {
        self.block = block;
        self.at = 0;
        // A damaged block is empty and leaves its gap with the reader.
        self.reader.read_events(block, &mut self.batch)?;
        Ok(())
    }

    fn start_at(&mut self, start: Checkpoint) -> Result<(), ReelError> {
        self.position = start.position;
        self.is_holed = start.is_holed;
        self.state = start.state;
        let blocks = self.reader.event_blocks();
        let block = blocks.partition_point(|block| block.next_seq() <= start.position);
        if block >= blocks.len() {
            // Behind the last event: the last block stays loaded, at its end.
            let last = blocks.len().saturating_sub(1);
            self.load(last)?;
            self.at = self.batch.len();
            return Ok(());
        }
        if block != self.block || self.batch.is_empty() {
            self.load(block)?;
        }
        self.at = self
            .batch
            .partition_point(|event| event.seq < start.position);
        Ok(())
    }

    /// Passes over missing events up to `position`, and takes over the last keyframe that had seen them.
    fn pass_hole(&mut self, position: u64) -> Result<(), ReelError> {
        let position = position.min(self.reader.next_seq());
        if self.is_holed {
            self.take_over(self.position, self.position)?;
        }
        if position > self.position {
            self.is_holed = true;
            self.take_over(self.position + 1, position)?;
            self.position = position;
        }
        Ok(())
    }

    /// The last whole keyframe of `first..=last` events becomes the state.
    fn take_over(&mut self, first: u64, last: u64) -> Result<(), ReelError> {
        let keyframes = self.reader.keyframe_blocks();
        let mut index = keyframes.partition_point(|keyframe| keyframe.first <= last);
        while let Some(before) = index.checked_sub(1) {
            index = before;
            let events = self.reader.keyframe_blocks()[index].first;
            if events < first {
                break;
            }
            if let Some(state) = self.reader.read_keyframe(index)? {
                self.state = state;
                self.is_holed = events < last;
                break;
            }
        }
        Ok(())
    }

    /// The best start on the way to `position`: here, a checkpoint or a keyframe.
    fn nearest(&mut self, position: u64) -> Result<Option<Start>, ReelError> {
        let here = (self.position <= position && !self.is_holed).then_some(self.position);
        let checkpoint = self
            .checkpoints
            .iter()
            .filter(|held| held.position <= position && !held.is_holed)
            .max_by_key(|held| held.position)
            .cloned();
        let near = here.max(checkpoint.as_ref().map(|held| held.position));
        let keyframes = self.reader.keyframe_blocks();
        let mut index = keyframes.partition_point(|keyframe| keyframe.first <= position);
        while let Some(before) = index.checked_sub(1) {
            index = before;
            let events = self.reader.keyframe_blocks()[index].first;
            if near.is_some_and(|near| near >= events) {
                break;
            }
            if let Some(state) = self.reader.read_keyframe(index)? {
                return Ok(Some(Start::At(Box::new(Checkpoint {
                    position: events,
                    is_holed: false,
                    state,
                }))));
            }
        }
        if here.is_some() && here == near {
            return Ok(Some(Start::Here));
        }
        Ok(checkpoint.map(|held| Start::At(Box::new(held))))
    }

    /// The last event before `position` that can be had.
    fn event_before(&mut self, position: u64) -> Result<Option<StageEvent>, ReelError> {
        if let Some(before) = self.at.checked_sub(1)
            && let Some(event) = self.batch.get(before)
            && event.seq < position
            && self.position == position
        {
            return Ok(Some(*event));
        }
        let blocks = self.reader.event_blocks();
        let mut index = blocks.partition_point(|block| block.first < position);
        while let Some(before) = index.checked_sub(1) {
            index = before;
            let mut events = std::mem::take(&mut self.scratch);
            let read = self.reader.read_events(index, &mut events);
            let within = events.partition_point(|event| event.seq < position);
            let last = within.checked_sub(1).and_then(|at| events.get(at)).copied();
            self.scratch = events;
            read?;
            if last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }
}

enum Start {
    Here,
    At(Box<Checkpoint>),
}

/// The state with all events up to and at `t` applied.
///
/// # Errors
/// [`ReelError::Io`] where the reel cannot be read.
pub fn state_at(reader: ReelReader, t: TimeNs, via: Via) -> Result<SystemState, ReelError> {
    let mut playhead = Playhead::new(reader)?;
    playhead.seek(t, via)?;
    Ok(playhead.state)
}
