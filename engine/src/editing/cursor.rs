//! Going through the events of a reel once, from the first to the last.
//!
//! Belongs here: batches into single events, each with its record. Does not belong here: states (replay).

use crate::model::event::StageEvent;
use crate::recording::{Detail, ReelError, ReelReader};

/// A reel, read forwards.
pub(super) struct Cursor {
    pub(super) reader: ReelReader,
    block: usize,
    batch: Vec<StageEvent>,
    at: usize,
}

impl Cursor {
    pub(super) const fn new(reader: ReelReader) -> Self {
        Self {
            reader,
            block: 0,
            batch: Vec::new(),
            at: 0,
        }
    }

    /// The next event, which stays the next one; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<&StageEvent>, ReelError> {
        while self.at >= self.batch.len() {
            if self.block >= self.reader.event_blocks().len() {
                return Ok(None);
            }
            // A damaged block is empty; its gap is with the reader.
            self.reader.read_events(self.block, &mut self.batch)?;
            self.block += 1;
            self.at = 0;
        }
        Ok(self.batch.get(self.at))
    }

    /// Takes the next event.
    pub(super) fn next(&mut self) -> Result<Option<StageEvent>, ReelError> {
        let event = self.peek()?.copied();
        self.at += usize::from(event.is_some());
        Ok(event)
    }

    pub(super) fn detail(&mut self, event: &StageEvent) -> Result<Option<Detail>, ReelError> {
        self.reader.read_detail(event.detail)
    }
}
