//! Bytes of a reel to messages, whether they come from a file or over a socket.
//!
//! Belongs here: what each item of the engine's stream decoder means to the app.
//! Does not belong here: reading files or sockets.

use super::{Message, Outlet, SourceError, Stopped};
use flowreel_engine::recording::{ReelError, RunId, StreamDecoder, StreamItem};

/// Feeds one reel's bytes on.
pub(super) struct Feed<'a> {
    decoder: StreamDecoder,
    outlet: &'a Outlet,
    /// Name of the reel in sentences.
    name: String,
    run: Option<RunId>,
    seed: Option<u64>,
    /// Events before this number were passed on by an earlier connection.
    next_seq: u64,
    is_known: bool,
}

/// What an earlier connection to the same run has passed on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    run: Option<RunId>,
    next_seq: u64,
}

impl<'a> Feed<'a> {
    pub(super) fn new(outlet: &'a Outlet, name: String, passed: Passed) -> Result<Self, Stopped> {
        let decoder = StreamDecoder::new().map_err(|error| {
            SourceError::Unreachable(format!("no memory to decode {name}: {error}"))
        })?;
        Ok(Self {
            decoder,
            outlet,
            name,
            run: passed.run,
            seed: None,
            next_seq: passed.next_seq,
            is_known: false,
        })
    }

    /// What was passed on so far.
    pub(super) const fn passed(&self) -> Passed {
        Passed {
            run: self.run,
            next_seq: self.next_seq,
        }
    }

    /// True once the reel's own end was read.
    pub(super) const fn is_complete(&self) -> bool {
        self.decoder.is_complete()
    }

    /// The next bytes, cut anywhere.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Stopped> {
        self.decoder.feed(bytes);
        self.drain()
    }

    /// No bytes follow.
    pub(super) fn end(&mut self) -> Result<(), Stopped> {
        self.decoder.end();
        self.drain()?;
        if self.decoder.topology().is_none() {
            return Err(self.no_reel("it ends before its topology").into());
        }
        Ok(())
    }

    fn no_reel(&self, why: &str) -> SourceError {
        SourceError::Bad(format!(
            "{} is not a Flowreel recording: {why}; open a .reel file or a scenario",
            self.name
        ))
    }

    fn drain(&mut self) -> Result<(), Stopped> {
        loop {
            let name = &self.name;
            let item = self
                .decoder
                .next_item()
                .map_err(|error| SourceError::Bad(sentence(name, &error)))?;
            let Some(item) = item else {
                return Ok(());
            };
            match item {
                StreamItem::Run(meta) => {
                    self.is_known = self.run == Some(meta.run_id);
                    if !self.is_known {
                        self.next_seq = 0;
                    }
                    self.run = Some(meta.run_id);
                    self.seed = meta.scenario.as_ref().map(|scenario| scenario.seed);
                }
                StreamItem::Topology(_) if self.is_known => {}
                StreamItem::Topology(topology) => self.outlet.send(Message::Opened {
                    topology: Box::new(topology.clone()),
                    seed: self.seed,
                    planned_end: None,
                })?,
                StreamItem::Events(events) => {
                    let first = events.partition_point(|event| event.seq < self.next_seq);
                    let fresh = events.get(first..).unwrap_or_default();
                    if let Some(last) = fresh.last() {
                        self.next_seq = last.seq + 1;
                    }
                    self.outlet.events(fresh)?;
                }
                StreamItem::Details { first, records } => {
                    self.outlet.send(Message::Details(first, records))?;
                }
                // Of events that an earlier connection passed on.
                StreamItem::Gap(gap)
                    if gap.first_seq.is_some_and(|first| {
                        first < self.next_seq
                            && first.saturating_add(gap.events.unwrap_or(0)) <= self.next_seq
                    }) => {}
                StreamItem::State(state) if state.event_count() < self.next_seq => {}
                StreamItem::Gap(gap) => self.outlet.send(Message::Gap {
                    from: gap.from_t_ns,
                    to: gap.to_t_ns,
                    events: gap.events,
                })?,
                StreamItem::State(state) => self.outlet.send(Message::State(state))?,
                StreamItem::End(_) => {}
            }
        }
    }
}

fn sentence(name: &str, error: &ReelError) -> String {
    format!("{name}: {error}")
}
