//! Reading a reel as its bytes come: from a socket, or from a file that still grows.
//!
//! Belongs here: what each block means to a follower. Does not belong here: splitting bytes into
//! blocks (walk), reading by position (reader).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::batch::BatchDecoder;
use super::block::{Block, decode_value};
use super::content::{decode_details, hides_events, is_in_order};
use super::error::{DecodeError, ReelError};
use super::format::{BlockHeader, BlockType};
use super::index::{BlockRef, EndForm};
use super::keyframe;
use super::meta::{Detail, Gap, GapReason, ReelMeta, RunId, Summary};
use super::walk::{Step, Walker};
use crate::model::event::StageEvent;
use crate::model::id::DetailId;
use crate::model::state::SystemState;
use crate::model::time::TimeNs;
use crate::model::topology::Topology;
use std::collections::VecDeque;

/// What a follower is told.
#[derive(Debug)]
pub enum StreamItem<'a> {
    /// Where the run came from; once, first.
    Run(&'a ReelMeta),
    /// The map it happens on; once, before any event.
    Topology(&'a Topology),
    /// The next events, in order, none twice.
    Events(&'a [StageEvent]),
    /// Records that the events after them name, by ids from `first` upwards.
    Details {
        /// Id of the first record.
        first: DetailId,
        /// The records.
        records: Vec<Detail>,
    },
    /// Events are missing here.
    Gap(Gap),
    /// Only after a gap: the state to go on with.
    State(Box<SystemState>),
    /// The run was ended in good order; nothing follows.
    End(Box<Summary>),
}

/// Turns chunks of bytes, cut anywhere, into items. It keeps at most one block and the chunk fed last.
///
/// Segments of one run may follow each other; they are told as the one run they are.
pub struct StreamDecoder {
    walker: Walker,
    /// As the first file header says.
    run_id: Option<RunId>,
    decoder: BatchDecoder,
    events: Vec<StageEvent>,
    meta: Option<ReelMeta>,
    topology: Option<Topology>,
    next_seq: u64,
    last_t_ns: TimeNs,
    is_holed: bool,
    damage: Option<DamageSeen>,
    /// Where something before the first events was damaged.
    unnamed: Option<u64>,
    summary: Option<Box<Summary>>,
    is_ended: bool,
    ready: VecDeque<Ready>,
}

/// Bytes that may have held events, since the last events told.
struct DamageSeen {
    offset: u64,
    reason: GapReason,
    /// `seq` after the events lost and time of the last of them, where their header was readable.
    lost: Option<(u64, TimeNs)>,
}

/// What is told in the next calls.
enum Ready {
    Run(ReelMeta),
    Topology,
    Events,
    Details {
        first: DetailId,
        records: Vec<Detail>,
    },
    Gap(Gap),
    State(Box<SystemState>),
    End,
}

impl StreamDecoder {
    /// A decoder before the first byte.
    ///
    /// # Errors
    /// Where zstd cannot have its memory.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            walker: Walker::joining(),
            run_id: None,
            decoder: BatchDecoder::new()?,
            events: Vec::new(),
            meta: None,
            topology: None,
            next_seq: 0,
            last_t_ns: TimeNs::ZERO,
            is_holed: false,
            damage: None,
            unnamed: None,
            summary: None,
            is_ended: false,
            ready: VecDeque::new(),
        })
    }

    /// Takes in the next bytes of the reel. Take items until there are none before feeding more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.walker.feed(bytes);
    }

    /// No more bytes will come: what is left is told as a torn tail.
    pub fn end(&mut self) {
        self.walker.end();
    }

    /// True once the end block was seen.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.is_ended
    }

    /// The map, once it was seen.
    #[must_use]
    pub const fn topology(&self) -> Option<&Topology> {
        self.topology.as_ref()
    }

    /// Bytes of the reel dealt with so far; a follower that lost its connection goes on from here.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.walker.offset()
    }

    /// The next item, or `None` until more bytes are fed.
    ///
    /// # Errors
    /// [`ReelError::Decode`] where this is no reel or one of a newer version, [`ReelError::Missing`]
    /// where events come before a readable topology.
    pub fn next_item(&mut self) -> Result<Option<StreamItem<'_>>, ReelError> {
        while self.ready.is_empty() {
            if !self.advance()? {
                return Ok(None);
            }
        }
        let item = self.ready.pop_front().map(|ready| match ready {
            Ready::Run(meta) => StreamItem::Run(self.meta.insert(meta)),
            Ready::Topology => StreamItem::Topology(self.topology.get_or_insert_default()),
            Ready::Events => StreamItem::Events(&self.events),
            Ready::Details { first, records } => StreamItem::Details { first, records },
            Ready::Gap(gap) => StreamItem::Gap(gap),
            Ready::State(state) => StreamItem::State(state),
            Ready::End => StreamItem::End(self.summary.clone().unwrap_or_default()),
        });
        Ok(item)
    }

    /// Takes one step; false where more bytes are needed.
    fn advance(&mut self) -> Result<bool, ReelError> {
        let at = self.walker.offset();
        let step = self
            .walker
            .step()
            .map_err(|error| ReelError::at(at, error))?;
        let Some(step) = step else {
            if self.walker.is_at_end() && !self.is_ended && self.damage.is_some() {
                let gap = self.gap_at_end();
                self.ready.extend(gap);
                return Ok(true);
            }
            return Ok(false);
        };
        self.events.clear();
        match step {
            Step::Header(header) => {
                let run_id = *self.run_id.get_or_insert(header.run_id);
                if run_id != header.run_id {
                    let error = DecodeError::Payload {
                        what: "next segment",
                        reason: format!("it is of run {}, not of {run_id}", header.run_id),
                    };
                    return Err(ReelError::at(at, error));
                }
                self.summary = None;
            }
            Step::Damage {
                offset,
                header,
                is_tail,
                ..
            } => {
                let reason = if is_tail {
                    GapReason::TornTail
                } else {
                    GapReason::Damaged
                };
                self.see_damage(offset, reason, header.as_ref());
            }
            Step::Block { offset, block } => {
                let mut context = Context {
                    decoder: &mut self.decoder,
                    events: &mut self.events,
                    topology: self.topology.as_ref(),
                    is_holed: self.is_holed,
                    is_named: self.meta.is_some(),
                };
                match context.read(offset, &block) {
                    Ok(told) => self.take(offset, told),
                    Err(ReelError::Decode { .. }) => {
                        let header = block.header;
                        self.see_damage(offset, GapReason::Damaged, Some(&header));
                    }
                    Err(ReelError::Missing { what, offset }) => {
                        let offset = self.unnamed.unwrap_or(offset);
                        return Err(ReelError::Missing { what, offset });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(true)
    }

    fn take(&mut self, offset: u64, told: Told) {
        match told {
            Told::Nothing => {}
            Told::Run(meta) => self.ready.push_back(Ready::Run(meta)),
            Told::Topology(topology) => {
                self.topology = Some(topology);
                self.ready.push_back(Ready::Topology);
            }
            Told::Details { first, records } => {
                self.ready.push_back(Ready::Details { first, records });
            }
            Told::Events(block) => {
                if block.first < self.next_seq {
                    // Told already.
                    self.events.clear();
                    return;
                }
                if block.first_t_ns < self.last_t_ns.0 {
                    // Time never falls in a run: what says so is no part of it.
                    self.events.clear();
                    let lost = (block.next_seq(), self.last_t_ns);
                    self.see_lost(block.offset, GapReason::Damaged, Some(lost));
                    return;
                }
                self.close_gap(block.first, TimeNs(block.first_t_ns), offset);
                self.ready.push_back(Ready::Events);
                self.next_seq = block.next_seq();
                self.last_t_ns = TimeNs(block.last_t_ns);
            }
            Told::State(state) => {
                // One that ends before what was already told would take events back.
                if state.event_count() >= self.next_seq {
                    self.close_gap(state.event_count(), state.now(), offset);
                    self.is_holed = false;
                    self.ready.push_back(Ready::State(state));
                }
            }
            Told::Gap(mut gap) => {
                if !self.is_news(&mut gap) {
                    return;
                }
                if let Some(first) = gap.first_seq.filter(|&first| first >= self.next_seq) {
                    self.close_gap(first, gap.from_t_ns, offset);
                    self.is_holed = true;
                    self.next_seq = first.saturating_add(gap.events.unwrap_or(0));
                }
                self.ready.push_back(Ready::Gap(gap));
            }
            Told::Summary(summary) => self.summary = Some(summary),
            Told::End(end) => {
                let is_summary = |seen: &mut DamageSeen| seen.offset == end.summary;
                self.damage.take_if(is_summary);
                let gap = self.gap_at_end();
                self.ready.extend(gap);
                self.is_ended = !end.continues;
                if self.is_ended {
                    self.ready.push_back(Ready::End);
                }
            }
        }
    }

    /// Cuts off of a gap what another segment told; false where that is all of it.
    fn is_news(&self, gap: &mut Gap) -> bool {
        let (Some(first), Some(events), GapReason::Elsewhere) =
            (gap.first_seq, gap.events, gap.reason)
        else {
            return true;
        };
        let end = first.saturating_add(events);
        if first < self.next_seq {
            gap.first_seq = Some(self.next_seq);
            gap.from_t_ns = self.last_t_ns;
            gap.events = Some(end.saturating_sub(self.next_seq));
        }
        end > self.next_seq
    }

    /// Events up to `next_seq` were not told: says so.
    fn close_gap(&mut self, next_seq: u64, to_t_ns: TimeNs, offset: u64) {
        let missing = next_seq.saturating_sub(self.next_seq);
        if missing > 0 {
            let gap = self.gap_of(Some(missing), to_t_ns, offset);
            self.ready.push_back(gap);
            self.next_seq = next_seq;
        }
        self.damage = None;
    }

    fn see_damage(&mut self, offset: u64, reason: GapReason, header: Option<&BlockHeader>) {
        let lost = header
            .filter(|header| header.block_type() == Some(BlockType::Events))
            .map(|header| {
                let end = header.first.saturating_add(u64::from(header.count));
                (end, TimeNs(header.last_t_ns))
            });
        if self.topology.is_none() && offset > 0 {
            self.unnamed.get_or_insert(offset);
        }
        // Of any other block no events are missing.
        if header.is_none_or(|header| hides_events(header.block_type())) {
            self.see_lost(offset, reason, lost);
        }
    }

    fn see_lost(&mut self, offset: u64, reason: GapReason, lost: Option<(u64, TimeNs)>) {
        let seen = self.damage.get_or_insert(DamageSeen {
            offset,
            reason,
            lost,
        });
        seen.lost = seen.lost.max(lost);
        self.is_holed = true;
    }

    /// What is missing after the last events, where something is.
    fn gap_at_end(&mut self) -> Option<Ready> {
        let total = self.summary.as_ref().map(|summary| {
            let last_t_ns = summary.last_t_ns.unwrap_or(self.last_t_ns);
            (summary.next_seq, last_t_ns)
        });
        let known = total.or(self.damage.as_ref().and_then(|seen| seen.lost));
        let offset = self.walker.offset();
        match known {
            Some((end, _)) if end <= self.next_seq => {
                self.damage = None;
                None
            }
            Some((end, t_ns)) => {
                let missing = end.saturating_sub(self.next_seq);
                Some(self.gap_of(Some(missing), t_ns, offset))
            }
            None if self.damage.is_some() => Some(self.gap_of(None, self.last_t_ns, offset)),
            None => None,
        }
    }

    fn gap_of(&mut self, missing: Option<u64>, to_t_ns: TimeNs, offset: u64) -> Ready {
        self.is_holed = true;
        let seen = self.damage.take();
        Ready::Gap(Gap {
            from_t_ns: self.last_t_ns,
            to_t_ns,
            first_seq: Some(self.next_seq),
            events: missing,
            reason: seen.as_ref().map_or(GapReason::Missing, |seen| seen.reason),
            offset: Some(seen.map_or(offset, |seen| seen.offset)),
        })
    }
}

/// What one block says.
enum Told {
    Nothing,
    Run(ReelMeta),
    Topology(Topology),
    Events(BlockRef),
    Details {
        first: DetailId,
        records: Vec<Detail>,
    },
    State(Box<SystemState>),
    Gap(Gap),
    Summary(Box<Summary>),
    End(EndForm),
}

/// What is needed to understand a block.
struct Context<'a> {
    decoder: &'a mut BatchDecoder,
    events: &'a mut Vec<StageEvent>,
    topology: Option<&'a Topology>,
    is_holed: bool,
    is_named: bool,
}

impl Context<'_> {
    fn read(&mut self, offset: u64, block: &Block<'_>) -> Result<Told, ReelError> {
        let at = |error| ReelError::at(offset, error);
        let missing = ReelError::Missing {
            what: "topology",
            offset,
        };
        let Some(block_type) = block.header.block_type() else {
            return Ok(Told::Nothing);
        };
        Ok(match block_type {
            BlockType::Run if !self.is_named => Told::Run(self.value("run", block).map_err(at)?),
            BlockType::Topology if self.topology.is_none() => {
                Told::Topology(self.value("topology", block).map_err(at)?)
            }
            BlockType::Events => {
                if self.topology.is_none() {
                    return Err(missing);
                }
                let reference = BlockRef::new(offset, &block.header);
                self.decoder.decode_block(block, self.events).map_err(at)?;
                if !is_in_order(&reference, self.events) {
                    self.events.clear();
                    return Err(at(DecodeError::Payload {
                        what: "event batch",
                        reason: String::from("its events are not those its header promises"),
                    }));
                }
                Told::Events(reference)
            }
            BlockType::Details => {
                let first = block.header.first;
                let raw = self.decoder.raw(block).map_err(at)?;
                let records = decode_details(raw, first).map_err(at)?;
                Told::Details {
                    first: DetailId(u32::try_from(first).unwrap_or(u32::MAX)),
                    records,
                }
            }
            BlockType::Keyframe if self.is_holed => {
                let topology = self.topology.ok_or(missing)?;
                let raw = self.decoder.raw(block).map_err(at)?;
                let state = keyframe::decode(&block.header, raw, topology).map_err(at)?;
                Told::State(Box::new(state))
            }
            BlockType::Gap => Told::Gap(self.value("gap", block).map_err(at)?),
            BlockType::Summary => {
                Told::Summary(Box::new(self.value("summary", block).map_err(at)?))
            }
            BlockType::End => Told::End(self.value("end", block).map_err(at)?),
            BlockType::Run
            | BlockType::Topology
            | BlockType::Keyframe
            | BlockType::Schema
            | BlockType::Index
            | BlockType::Statistics
            | BlockType::Annotation => Told::Nothing,
        })
    }

    fn value<T: serde::de::DeserializeOwned>(
        &mut self,
        what: &'static str,
        block: &Block<'_>,
    ) -> Result<T, DecodeError> {
        decode_value(what, self.decoder.raw(block)?)
    }
}
