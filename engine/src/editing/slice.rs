//! Cutting: a stretch of time, or the events of some requests or components.
//!
//! Belongs here: what a piece holds. Does not belong here: joining pieces (merge).

use super::EditError;
use super::cursor::Cursor;
use crate::model::event::StageEvent;
use crate::model::id::{ClassId, ComponentId, DetailId, RequestId};
use crate::model::time::TimeNs;
use crate::model::topology::Topology;
use crate::recording::{
    FinishInfo, Gap, GapReason, ReelMeta, ReelReader, ReelWriter, RunId, Summary, WriteError,
};
use crate::replay::{Playhead, Via};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

/// Reels that one is split into.
const PARTS_MAX: usize = 1000;

/// From the first moment up to the last, both within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// First moment.
    pub from: TimeNs,
    /// Last moment.
    pub to: TimeNs,
}

/// Events that are chosen; every criterion that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Events of these requests; empty for all.
    pub requests: BTreeSet<RequestId>,
    /// Events at these components, or to or from them; empty for all.
    pub components: Vec<ComponentId>,
    /// What the new reel says it was chosen by, where the numbers of requests say less.
    pub by: Option<String>,
}

impl Choice {
    /// True where nothing is left out.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.requests.is_empty() && self.components.is_empty()
    }

    fn holds(&self, event: &StageEvent) -> bool {
        let at = |component| self.components.contains(&component);
        (self.requests.is_empty() || self.requests.contains(&event.request))
            && (self.components.is_empty() || at(event.component) || at(event.peer))
    }
}

/// What tells the pieces of a split reel apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitBy {
    /// Stretches of this many ns.
    Time(u64),
    /// The component of each event.
    Component,
    /// The class of each request.
    Class,
}

/// Writes the stretch as a reel of the same run: numbers, times and hashes stay.
///
/// # Errors
/// [`EditError`] where nothing lies in it, or one reel cannot be read or the other not be written.
pub fn slice<W: Write>(
    reader: ReelReader,
    stretch: Stretch,
    create: impl FnOnce() -> std::io::Result<W>,
) -> Result<(W, Summary), EditError> {
    let mut playhead = Playhead::new(reader).map_err(EditError::read)?;
    if is_empty(&mut playhead, stretch)? {
        return Err(EditError::Nothing);
    }
    let sink = create().map_err(WriteError::from)?;
    stretch_of(&mut playhead, stretch, sink)
}

/// `seq` of the first event at this moment or later.
fn first_at(playhead: &mut Playhead, from: TimeNs) -> Result<u64, EditError> {
    let Some(before) = from.0.checked_sub(1) else {
        return Ok(0);
    };
    playhead
        .position_at(TimeNs(before))
        .map_err(EditError::read)
}

fn is_empty(playhead: &mut Playhead, stretch: Stretch) -> Result<bool, EditError> {
    let end = playhead.position_at(stretch.to).map_err(EditError::read)?;
    Ok(first_at(playhead, stretch.from)? >= end)
}

fn stretch_of<W: Write>(
    playhead: &mut Playhead,
    stretch: Stretch,
    sink: W,
) -> Result<(W, Summary), EditError> {
    let first = first_at(playhead, stretch.from)?;
    playhead.go_to(first, Via::Seek).map_err(EditError::read)?;
    let reader = playhead.reader();
    let is_to_the_end = reader
        .time_range()
        .is_none_or(|(_, last)| last <= stretch.to);
    let mut meta = reader.meta().clone();
    if !is_to_the_end {
        // What is cut short cannot be simulated again to the same hash.
        meta.scenario = None;
    }
    let note = format!("{} to {}", stretch.from, stretch.to);
    meta.segment = None;
    meta.notes.insert("slice".to_owned(), note);
    let topology = reader.topology().clone();
    let dropped = reader.summary().and_then(|it| it.dropped).unwrap_or(0);
    let gaps = reader.gaps().to_vec();
    let mut writer = ReelWriter::new(sink, &meta, &topology)?;
    let mut is_first = true;
    while let Some(event) = playhead.peek().map_err(EditError::read)? {
        if event.t_ns > stretch.to {
            break;
        }
        if event.seq > writer.next_seq() {
            let first_seq = writer.next_seq();
            let told = gaps.iter().find(|gap| gap.first_seq == Some(first_seq));
            let gap = match told {
                Some(gap) if !is_first => gap.clone(),
                _ => Gap {
                    from_t_ns: writer.state().now(),
                    to_t_ns: event.t_ns,
                    first_seq: Some(first_seq),
                    events: Some(event.seq - first_seq),
                    reason: if is_first {
                        GapReason::Elsewhere
                    } else {
                        GapReason::Missing
                    },
                    offset: None,
                },
            };
            writer.hole(&gap, event.seq)?;
            if playhead.state().event_count() == event.seq {
                writer.take_over(playhead.state().clone())?;
            }
        }
        is_first = false;
        let detail = playhead
            .reader_mut()
            .read_detail(event.detail)
            .map_err(EditError::read)?;
        writer.push_kept(&event, detail.as_ref())?;
        playhead.step().map_err(EditError::read)?;
    }
    let info = FinishInfo {
        dropped,
        statistics_json: None,
    };
    Ok(writer.finish(&info)?)
}

/// Writes the chosen events as a run of their own.
///
/// # Errors
/// As [`slice()`].
pub fn choose<W: Write>(
    reader: ReelReader,
    choice: &Choice,
    stretch: Stretch,
    create: impl FnOnce() -> std::io::Result<W>,
) -> Result<(W, Summary), EditError> {
    let description = describe(choice, reader.topology());
    let mut create = Some(create);
    let is_chosen = |event: &StageEvent| {
        (stretch.from..=stretch.to).contains(&event.t_ns) && choice.holds(event)
    };
    let mut pieces = sort_into(
        reader,
        |event| is_chosen(event).then_some(0_u64),
        |_| {
            let create = create.take().map(|create| create());
            Ok(create.transpose().map_err(WriteError::from)?)
        },
        |_| description.clone(),
    )?;
    pieces
        .pop()
        .map(|(_, piece)| piece)
        .ok_or(EditError::Nothing)
}

fn describe(choice: &Choice, topology: &Topology) -> String {
    let requests = choice
        .requests
        .iter()
        .filter(|_| choice.by.is_none())
        .map(|id| format!("request {}", id.0));
    let requests = choice.by.iter().cloned().chain(requests);
    let components = choice.components.iter();
    let components = components.map(|id| format!("component {}", topology.component_name(*id)));
    requests.chain(components).collect::<Vec<_>>().join(", ")
}

/// Writes the events as several reels, each into what `create` gives for its name.
///
/// Returns names and totals, in the order of the pieces.
///
/// # Errors
/// As [`slice()`], [`EditError::TooManyParts`] past a thousand, [`EditError::Create`].
pub fn split<W: Write>(
    reader: ReelReader,
    by: SplitBy,
    mut create: impl FnMut(&str) -> std::io::Result<W>,
) -> Result<Vec<(String, Summary)>, EditError> {
    let mut create = move |name: &str| {
        create(name).map_err(|source| EditError::Create {
            name: name.to_owned(),
            source,
        })
    };
    let topology = reader.topology().clone();
    match by {
        SplitBy::Time(length_ns) => split_by_time(reader, length_ns.max(1), &mut create),
        SplitBy::Component => by_key(
            reader,
            |event| {
                Some(event.component)
                    .filter(|at| *at != ComponentId::NONE)
                    .map(|at| at.0)
            },
            |key| topology.component_name(ComponentId(key)).to_owned(),
            &mut create,
        ),
        SplitBy::Class => by_key(
            reader,
            |event| (event.request != RequestId::NONE).then_some(event.class.0),
            |key| topology.class_name(ClassId(key)).to_owned(),
            &mut create,
        ),
    }
}

fn split_by_time<W: Write>(
    reader: ReelReader,
    length_ns: u64,
    create: &mut impl FnMut(&str) -> Result<W, EditError>,
) -> Result<Vec<(String, Summary)>, EditError> {
    let Some((first, last)) = reader.time_range() else {
        return Err(EditError::Nothing);
    };
    let numbers = first.0 / length_ns..=last.0 / length_ns;
    if numbers.end() - numbers.start() >= PARTS_MAX as u64 {
        return Err(EditError::TooManyParts { limit: PARTS_MAX });
    }
    let mut playhead = Playhead::new(reader).map_err(EditError::read)?;
    let mut pieces = Vec::new();
    for number in numbers {
        let from = number * length_ns;
        let stretch = Stretch {
            from: TimeNs(from),
            to: TimeNs(from.saturating_add(length_ns - 1)),
        };
        if is_empty(&mut playhead, stretch)? {
            continue;
        }
        let name = format!("{number:04}");
        let sink = create(&name)?;
        let (mut sink, summary) = stretch_of(&mut playhead, stretch, sink)?;
        sink.flush().map_err(WriteError::from)?;
        pieces.push((name, summary));
    }
    Ok(pieces)
}

fn by_key<W: Write>(
    reader: ReelReader,
    key_of: impl Fn(&StageEvent) -> Option<u16>,
    name_of: impl Fn(u16) -> String,
    create: &mut impl FnMut(&str) -> Result<W, EditError>,
) -> Result<Vec<(String, Summary)>, EditError> {
    let pieces = sort_into(
        reader,
        |event| key_of(event),
        |key| create(&name_of(key)).map(Some),
        &name_of,
    )?;
    Ok(pieces
        .into_iter()
        .map(|(key, (_, summary))| (name_of(key), summary))
        .collect())
}

/// Each event into the piece of its key, as runs of their own.
#[expect(clippy::type_complexity, reason = "a sink and totals for each key")]
fn sort_into<K: Ord + Copy + std::fmt::Debug, W: Write>(
    reader: ReelReader,
    key_of: impl Fn(&StageEvent) -> Option<K>,
    mut create: impl FnMut(K) -> Result<Option<W>, EditError>,
    describe: impl Fn(K) -> String,
) -> Result<Vec<(K, (W, Summary))>, EditError> {
    let whole = reader.meta().clone();
    let topology = reader.topology().clone();
    let mut cursor = Cursor::new(reader);
    let mut writers: BTreeMap<K, ReelWriter<W>> = BTreeMap::new();
    while let Some(event) = cursor.next().map_err(EditError::read)? {
        let Some(key) = key_of(&event) else {
            continue;
        };
        if !writers.contains_key(&key) {
            if writers.len() == PARTS_MAX {
                return Err(EditError::TooManyParts { limit: PARTS_MAX });
            }
            let Some(sink) = create(key)? else {
                continue;
            };
            let meta = chosen_meta(&whole, &describe(key));
            writers.insert(key, ReelWriter::new(sink, &meta, &topology)?);
        }
        let detail = cursor.detail(&event).map_err(EditError::read)?;
        if let Some(writer) = writers.get_mut(&key) {
            push_renumbered(writer, event, detail.as_ref())?;
        }
    }
    let mut pieces = Vec::with_capacity(writers.len());
    for (key, writer) in writers {
        let (mut sink, summary) = writer.finish(&FinishInfo::default())?;
        sink.flush().map_err(WriteError::from)?;
        pieces.push((key, (sink, summary)));
    }
    Ok(pieces)
}

/// The next event of a run of its own.
pub(super) fn push_renumbered<W: Write>(
    writer: &mut ReelWriter<W>,
    event: StageEvent,
    detail: Option<&crate::recording::Detail>,
) -> Result<(), EditError> {
    let event = StageEvent {
        seq: writer.next_seq(),
        detail: DetailId::NONE,
        ..event
    };
    match detail {
        Some(detail) => writer.push_with_detail(&event, detail).map(drop)?,
        None => writer.push(&event)?,
    }
    Ok(())
}

/// A run of its own, which says what it was chosen from.
fn chosen_meta(whole: &ReelMeta, choice: &str) -> ReelMeta {
    let mut meta = whole.clone();
    meta.run_id = RunId::derived_from(&["choice", &whole.run_id.to_string(), choice]);
    meta.scenario = None;
    meta.segment = None;
    meta.notes
        .insert("chosen from".to_owned(), whole.run_id.to_string());
    meta.notes.insert("chosen".to_owned(), choice.to_owned());
    meta
}
