//! Checking a reel: every byte, every count, every keyframe against a fresh fold.
//!
//! Belongs here: what must hold in a sound reel. Does not belong here: running a scenario again (cli),
//! what must hold of the events themselves (model::check).

use super::batch::BatchDecoder;
use super::block::{Block, decode_value};
use super::content::{self, decode_details, is_described, is_in_order};
use super::error::{DecodeError, ReelError};
use super::fold::{Fold, KeyframeCheck};
use super::format::BlockType;
use super::index::{BlockRef, EndForm, IndexForm};
use super::keyframe;
use super::meta::{Gap, ReelMeta, RunId, Summary};
use super::reader::ReelReader;
use super::walk::{Step, walk};
use crate::model::event::StageEvent;
use crate::model::hash::RunHash;
use crate::model::topology::Topology;

/// More problems than these are only counted.
const PROBLEMS_KEPT: usize = 1000;

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Byte offset of the block it was found in.
    pub offset: u64,
    /// What does not hold.
    pub what: String,
}

/// What a check came to.
#[derive(Clone, Debug)]
pub struct Verification {
    /// Blocks whose checksums hold.
    pub checked_blocks: u64,
    /// Keyframes compared with the fold.
    pub checked_keyframes: u64,
    /// Events read.
    pub events: u64,
    /// Hash over every event read.
    pub final_hash: RunHash,
    /// What does not hold, the first thousand.
    pub problems: Vec<Problem>,
    /// How many things do not hold.
    pub problem_count: u64,
}

impl Verification {
    /// True where nothing is wrong.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.problem_count == 0
    }

    /// Adds something that does not hold.
    pub fn add(&mut self, offset: u64, what: impl Into<String>) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_KEPT {
            self.problems.push(Problem {
                offset,
                what: what.into(),
            });
        }
    }
}

/// Reads the whole reel and checks it.
///
/// # Errors
/// [`ReelError::Io`] where the file cannot be read.
pub fn verify(reader: &ReelReader) -> Result<Verification, ReelError> {
    let mut check = Check {
        meta: reader.meta(),
        topology: reader.topology(),
        decoder: BatchDecoder::new()?,
        events: Vec::new(),
        fold: Fold::new(reader.topology()),
        result: Verification {
            checked_blocks: 0,
            checked_keyframes: 0,
            events: 0,
            final_hash: RunHash::default(),
            problems: Vec::new(),
            problem_count: 0,
        },
        unindexed: Vec::new(),
        index: None,
        summary: None,
        end: None,
        details: 0,
        has_gap: false,
    };
    walk::<ReelError>(reader.source(), reader.length_bytes(), |step| {
        check.step(step);
        Ok(())
    })?;
    let length = reader.length_bytes();
    match check.end {
        None => check.result.add(
            length,
            "the reel has no end: it was cut off or is still being written; `flowreel recover` saves what is whole",
        ),
        Some(end) if end != length => {
            check.result.add(end, "bytes follow the end block");
        }
        Some(_) => {}
    }
    check.result.final_hash = check.fold.state().run_hash();
    check.result.events = check.fold.summary().events;
    Ok(check.result)
}

fn missing(first: u64, last: u64) -> String {
    format!("events {first} to {last} are missing")
}

struct Check<'a> {
    meta: &'a ReelMeta,
    topology: &'a Topology,
    decoder: BatchDecoder,
    events: Vec<StageEvent>,
    fold: Fold,
    result: Verification,
    unindexed: Vec<BlockRef>,
    index: Option<u64>,
    summary: Option<u64>,
    /// Where the end block ends.
    end: Option<u64>,
    details: u64,
    has_gap: bool,
}

impl Check<'_> {
    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Header(header) => self.run_id(0, header.run_id),
            Step::Damage {
                offset,
                bytes,
                error,
                header,
                ..
            } => {
                let hides_events = header
                    .as_ref()
                    .is_none_or(|header| content::hides_events(header.block_type()));
                if hides_events && offset > 0 {
                    self.fold.hole(0);
                }
                self.result
                    .add(offset, format!("{error} ({bytes} bytes passed over)"));
            }
            Step::Block { offset, block } => {
                self.result.checked_blocks += 1;
                if self.end.is_some() {
                    self.result.add(offset, "a block follows the end block");
                }
                let reference = BlockRef::new(offset, &block.header);
                let block_type = block.header.block_type();
                if block_type != Some(BlockType::Index) {
                    self.unindexed.push(reference);
                }
                if let Some(block_type) = block_type
                    && let Err(error) = self.block(block_type, &reference, &block)
                {
                    if block_type == BlockType::Events {
                        self.fold.hole(reference.next_seq());
                    } else if content::hides_events(Some(block_type)) {
                        self.fold.hole(0);
                    }
                    self.result.add(offset, error.to_string());
                }
            }
        }
    }

    fn run_id(&mut self, offset: u64, found: RunId) {
        if found != self.meta.run_id {
            let expected = self.meta.run_id;
            self.result.add(
                offset,
                format!("run {found} is named here, {expected} elsewhere"),
            );
        }
    }

    fn block(
        &mut self,
        block_type: BlockType,
        reference: &BlockRef,
        block: &Block<'_>,
    ) -> Result<(), DecodeError> {
        let offset = reference.offset;
        let raw = self.decoder.raw(block)?;
        match block_type {
            BlockType::Run => {
                let meta: ReelMeta = decode_value("run", raw)?;
                if meta != *self.meta {
                    self.result
                        .add(offset, "this run block differs from the first");
                }
                self.run_id(offset, meta.run_id);
            }
            BlockType::Topology => {
                let topology: Topology = decode_value("topology", raw)?;
                if topology != *self.topology {
                    self.result
                        .add(offset, "this topology differs from the first");
                }
            }
            BlockType::Schema => drop(decode_value::<serde::de::IgnoredAny>("schema", raw)?),
            BlockType::Statistics | BlockType::Annotation => {
                drop(decode_value::<String>(block_type.name(), raw)?);
            }
            BlockType::Events => return self.events(reference, block),
            BlockType::Details => {
                let records = decode_details(raw, reference.first)?;
                let is_next = reference.first == self.details + 1
                    || (self.has_gap && reference.first > self.details);
                if !is_next || records.len() as u64 != u64::from(reference.count) {
                    self.result
                        .add(offset, "detail records are not those that come next");
                }
                self.details = reference.next_seq().saturating_sub(1);
            }
            BlockType::Keyframe => {
                let state = keyframe::decode(&block.header, raw, self.topology)?;
                self.result.checked_keyframes += 1;
                let expected = self.fold.next_seq();
                if self.fold.is_holed() && reference.first > expected {
                    self.result
                        .add(offset, missing(expected, reference.first - 1));
                }
                if self.fold.keyframe(state) == KeyframeCheck::Differs {
                    self.result
                        .add(offset, "the keyframe is not the state that the events give");
                }
            }
            BlockType::Gap => {
                let gap: Gap = decode_value("gap", raw)?;
                self.has_gap = true;
                let expected = self.fold.next_seq();
                if let Some(first) = gap.first_seq.filter(|&first| first >= expected) {
                    if first > expected {
                        self.result
                            .add(offset, missing(expected, first.saturating_sub(1)));
                    }
                    self.fold
                        .hole(first.saturating_add(gap.events.unwrap_or(0)));
                }
            }
            BlockType::Index => {
                let form = decode_value("index", raw)?;
                self.index(offset, form);
            }
            BlockType::Summary => {
                let summary = decode_value("summary", raw)?;
                self.summary(offset, &summary);
            }
            BlockType::End => {
                let end: EndForm = decode_value("end", raw)?;
                if Some(end.index) != self.index || Some(end.summary) != self.summary {
                    self.result.add(
                        offset,
                        "the end does not name the index and summary before it",
                    );
                }
                self.end = Some(reference.end());
            }
        }
        Ok(())
    }

    fn events(&mut self, reference: &BlockRef, block: &Block<'_>) -> Result<(), DecodeError> {
        let offset = reference.offset;
        self.events.clear();
        self.decoder.decode_block(block, &mut self.events)?;
        if !is_in_order(reference, &self.events) {
            return Err(DecodeError::Payload {
                what: "event batch",
                reason: String::from("its events are not those its header promises"),
            });
        }
        let expected = self.fold.next_seq();
        if reference.first < expected {
            self.result.add(
                offset,
                format!("events from {} on are here twice", reference.first),
            );
            return Ok(());
        }
        if reference.first > expected {
            self.result
                .add(offset, missing(expected, reference.first - 1));
        }
        if reference.first_t_ns < self.fold.state().now().0 {
            self.result.add(offset, "time runs backwards");
        }
        let details = self.events.iter().map(|event| event.detail.0).max();
        let details = details.unwrap_or_default();
        if !is_described(block, &self.events) {
            self.result.add(
                offset,
                "the block's header leaves out kinds, components or requests that occur",
            );
        }
        if u64::from(details) > self.details && !self.has_gap {
            self.result
                .add(offset, format!("detail record {details} is missing"));
        }
        self.fold.apply(&self.events);
        Ok(())
    }

    fn index(&mut self, offset: u64, form: IndexForm) {
        if form.previous != self.index || !form.refs().eq(self.unindexed.iter().copied()) {
            self.result
                .add(offset, "the index does not list the blocks before it");
        }
        self.index = Some(offset);
        self.unindexed.clear();
    }

    fn summary(&mut self, offset: u64, summary: &Summary) {
        let expected = Summary {
            details: summary.details,
            keyframes: summary.keyframes,
            dropped: summary.dropped,
            ..self.fold.summary()
        };
        let is_counted = summary.keyframes == self.result.checked_keyframes
            && u64::from(summary.details) == self.details;
        if *summary != expected || !is_counted {
            let what = if summary.final_hash == expected.final_hash {
                String::from("the summary does not match the events")
            } else {
                format!(
                    "the summary's final hash {} is not that of the events, {}",
                    summary.final_hash, expected.final_hash
                )
            };
            self.result.add(offset, what);
        }
        self.summary = Some(offset);
    }
}
