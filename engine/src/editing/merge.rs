//! Joining: parts of one run one after the other, or recordings of several machines side by side.
//!
//! Belongs here: whose events come when, joint numbers. Does not belong here: clocks (skew), cutting (slice).
//!
//! Reels of one run id are stretches of it: their events keep their numbers, what two of them tell is
//! told once, and the whole has the hash it had before it was split. Other reels are laid on one clock
//! and numbered anew; where one received what another sent they speak of the same requests, else their
//! requests stay apart.

mod gaps;

use super::EditError;
use super::cursor::Cursor;
use super::skew::{Clock, compare, loose_ends, places};
use super::slice::push_renumbered;
use crate::model::event::StageEvent;
use crate::model::id::{ClassId, ComponentId, RequestId};
use crate::model::time::TimeNs;
use crate::model::topology::{Edge, Topology};
use crate::recording::{FinishInfo, Gap, ReelMeta, ReelReader, ReelWriter, RunId, Summary};
use crate::replay::Playhead;
use gaps::ToldGaps;
use std::io::Write;

/// What was joined.
#[derive(Clone, Debug)]
pub struct Merged {
    /// Totals of the new reel.
    pub summary: Summary,
    /// True where the reels were stretches of one run.
    pub is_one_run: bool,
    /// In the order given.
    pub parts: Vec<MergedPart>,
}

/// One of the reels that were joined.
#[derive(Clone, Copy, Debug)]
pub struct MergedPart {
    /// Events taken from it.
    pub events: u64,
    /// Its clock, where the parts are not stretches of one run.
    pub clock: Option<Clock>,
    /// What was added to its request numbers.
    pub requests_shifted_by: u64,
    /// What was added to its times, in ns.
    pub shift_ns: i128,
}

/// Joins the reels that `open` gives for 0, 1, … `count` - 1; each is opened up to three times.
///
/// # Errors
/// [`EditError`] where one cannot be read, they do not fit together, or the new one cannot be written.
pub fn merge<W: Write>(
    count: usize,
    open: impl Fn(usize) -> Result<ReelReader, crate::recording::ReelError>,
    sink: W,
) -> Result<(W, Merged), EditError> {
    let open = |part: usize| open(part).map_err(|source| EditError::Read { part, source });
    let mut readers = (0..count).map(&open).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = readers.first() else {
        return Err(EditError::Nothing);
    };
    let run_id = first.meta().run_id;
    if count > 1 && readers.iter().all(|reader| reader.meta().run_id == run_id) {
        return one_run(readers, sink);
    }
    let metas: Vec<ReelMeta> = readers.iter().map(|reader| reader.meta().clone()).collect();
    let union = union_of(&readers)?;
    let mut loose = Vec::with_capacity(count);
    for (part, reader) in readers.drain(..).enumerate() {
        let to_union = places(reader.topology(), &union);
        let ends = loose_ends(&mut Cursor::new(reader), &to_union);
        loose.push(ends.map_err(|source| EditError::Read { part, source })?);
    }
    let mut clocks: Vec<Option<Clock>> = vec![None; count];
    clocks[0] = Some(Clock {
        ahead_ns: 0,
        uncertainty_ns: Some(0),
        pairs: 0,
    });
    // From the first outwards, along whatever pairs there are.
    while let Some((known, unknown, found)) = (0..count)
        .flat_map(|known| (0..count).map(move |unknown| (known, unknown)))
        .filter(|&(known, unknown)| clocks[known].is_some() && clocks[unknown].is_none())
        .find_map(|(known, unknown)| {
            Some((known, unknown, compare(&loose[known], &loose[unknown])?))
        })
    {
        let base = clocks[known].map_or(0, |clock| clock.ahead_ns);
        let doubt = clocks[known].and_then(|clock| clock.uncertainty_ns);
        clocks[unknown] = Some(Clock {
            ahead_ns: base + found.ahead_ns,
            uncertainty_ns: doubt
                .zip(found.uncertainty_ns)
                .and_then(|(a, b)| a.checked_add(b)),
            pairs: found.pairs,
        });
    }
    drop(loose);
    let is_shared: Vec<bool> = clocks.iter().map(Option::is_some).collect();
    for (clock, meta) in clocks.iter_mut().zip(&metas) {
        // Without a message between them the wall clocks are all there is to go by.
        clock.get_or_insert(Clock {
            ahead_ns: metas[0]
                .started_at_unix_ns
                .zip(meta.started_at_unix_ns)
                .map_or(0, |(base, own)| i128::from(base) - i128::from(own)),
            uncertainty_ns: None,
            pairs: 0,
        });
    }
    let clocks: Vec<Clock> = clocks.into_iter().flatten().collect();
    let sources = (0..count).map(&open).collect::<Result<Vec<_>, _>>()?;
    side_by_side(sources, &metas, &union, &clocks, &is_shared, sink)
}

/// Stretches of one run.
fn one_run<W: Write>(readers: Vec<ReelReader>, sink: W) -> Result<(W, Merged), EditError> {
    let map = readers[0].topology();
    // A process that goes on with a run may listen on other ports.
    if let Some(part) = readers
        .iter()
        .position(|it| !it.topology().is_same_map(map))
    {
        return Err(EditError::Topology { part });
    }
    let mut order: Vec<usize> = (0..readers.len()).collect();
    order.sort_by_key(|&part| {
        let reader = &readers[part];
        let events = reader.event_blocks().first();
        let first = events.or(reader.keyframe_blocks().first());
        let number = reader.meta().segment_number();
        (first.map_or(u64::MAX, |block| block.first), number)
    });
    // The one that ends the run knows the scenario, if any does.
    let last = order.last().copied().unwrap_or_default();
    let (mut meta, topology) = (
        readers[last].meta().clone(),
        readers[last].topology().clone(),
    );
    meta.notes.remove("slice");
    meta.segment = None;
    let mut told = ToldGaps::of(&readers);
    let dropped = readers
        .iter()
        .filter_map(|reader| reader.summary()?.dropped)
        .max();
    let mut parts = vec![
        MergedPart {
            events: 0,
            clock: None,
            requests_shifted_by: 0,
            shift_ns: 0,
        };
        readers.len()
    ];
    let mut writer = ReelWriter::new(sink, &meta, &topology)?;
    let mut readers: Vec<Option<ReelReader>> = readers.into_iter().map(Some).collect();
    for part in order {
        let Some(reader) = readers[part].take() else {
            continue;
        };
        let failed = |source| EditError::Read { part, source };
        let mut playhead = Playhead::new(reader).map_err(failed)?;
        while let Some(event) = playhead.peek().map_err(failed)? {
            if event.seq > writer.next_seq() {
                let gap = Gap {
                    from_t_ns: writer.state().now(),
                    to_t_ns: event.t_ns,
                    first_seq: Some(writer.next_seq()),
                    events: Some(event.seq - writer.next_seq()),
                    reason: told.reason_at(writer.next_seq()),
                    offset: None,
                };
                writer.hole(&gap, event.seq)?;
                if playhead.state().event_count() == event.seq {
                    writer.take_over(playhead.state().clone())?;
                }
            }
            if event.seq == writer.next_seq() {
                while let Some(gap) = told.before(&event) {
                    writer.gap(&gap)?;
                }
                let detail = playhead
                    .reader_mut()
                    .read_detail(event.detail)
                    .map_err(failed)?;
                writer.push_kept(&event, detail.as_ref())?;
                parts[part].events += 1;
            }
            playhead.step().map_err(failed)?;
        }
    }
    for gap in told.after(writer.next_seq()) {
        writer.gap(&gap)?;
    }
    let info = FinishInfo {
        dropped: dropped.unwrap_or(0),
        statistics_json: None,
    };
    let (sink, summary) = writer.finish(&info)?;
    let merged = Merged {
        summary,
        is_one_run: true,
        parts,
    };
    Ok((sink, merged))
}

/// Every component, edge, class and path of the reels, each once.
fn union_of(readers: &[ReelReader]) -> Result<Topology, EditError> {
    let mut union = readers[0].topology().clone();
    for reader in &readers[1..] {
        let own = reader.topology();
        for component in &own.components {
            if union.component_named(&component.id).is_none() {
                union.components.push(component.clone());
            }
        }
        let to_union = places(own, &union);
        let place = |id: ComponentId| to_union.get(id.index()).copied().unwrap_or(id);
        for edge in &own.edges {
            let edge = Edge {
                from: place(edge.from),
                to: place(edge.to),
                ..*edge
            };
            let is_known = |held: &Edge| held.from == edge.from && held.to == edge.to;
            if !union.edges.iter().any(is_known) {
                union.edges.push(edge);
            }
        }
        for class in &own.classes {
            if union.class_named(&class.id).is_none() {
                union.classes.push(class.clone());
            }
        }
        for path in &own.paths {
            if !union.paths.iter().any(|held| held.id == path.id) {
                let via = place(path.via);
                let mut path = path.clone();
                path.via = via;
                union.paths.push(path);
            }
        }
    }
    if union.components.len() >= usize::from(u16::MAX) {
        return Err(EditError::TooMany { what: "components" });
    }
    if union.classes.len() >= usize::from(u16::MAX) {
        return Err(EditError::TooMany { what: "classes" });
    }
    Ok(union)
}

/// One reel on its way into the joint one.
struct Lane {
    cursor: Cursor,
    places: Vec<ComponentId>,
    classes: Vec<ClassId>,
    paths: Vec<u64>,
    /// Added to its times.
    shift_ns: i128,
    requests_shifted_by: u64,
    events: u64,
}

impl Lane {
    fn at_ns(&mut self) -> Result<Option<u64>, crate::recording::ReelError> {
        let shift_ns = self.shift_ns;
        let event = self.cursor.peek()?;
        Ok(event.map(|event| u64::try_from(i128::from(event.t_ns.0) + shift_ns).unwrap_or(0)))
    }

    fn translated(&self, event: StageEvent) -> StageEvent {
        let place = |id: ComponentId| self.places.get(id.index()).copied().unwrap_or(id);
        let mut event = event;
        if event.kind == crate::model::event::EventKind::PartFinished
            && let Some(own) = event
                .value
                .checked_sub(1)
                .and_then(|at| usize::try_from(at).ok())
        {
            event.value = self.paths.get(own).copied().unwrap_or(0);
        }
        if event.request != RequestId::NONE {
            event.request = RequestId(event.request.0.saturating_add(self.requests_shifted_by));
        }
        StageEvent {
            component: place(event.component),
            peer: place(event.peer),
            class: self
                .classes
                .get(event.class.index())
                .copied()
                .unwrap_or(event.class),
            ..event
        }
    }
}

fn side_by_side<W: Write>(
    readers: Vec<ReelReader>,
    metas: &[ReelMeta],
    union: &Topology,
    clocks: &[Clock],
    is_shared: &[bool],
    sink: W,
) -> Result<(W, Merged), EditError> {
    let mut highest = 0;
    let mut earliest = i128::MAX;
    let mut lanes = Vec::with_capacity(readers.len());
    for (part, reader) in readers.into_iter().enumerate() {
        let shift_ns = -clocks[part].ahead_ns;
        if let Some((first, _)) = reader.time_range() {
            earliest = earliest.min(i128::from(first.0) + shift_ns);
        }
        let own = reader.topology();
        let requests_shifted_by = if is_shared[part] { 0 } else { highest };
        let lane = Lane {
            places: places(own, union),
            classes: own
                .classes
                .iter()
                .map(|class| union.class_named(&class.id).unwrap_or_default())
                .collect(),
            paths: own
                .paths
                .iter()
                .map(|path| {
                    let mut held = union.paths.iter();
                    let at = held.position(|held| held.id == path.id);
                    at.map_or(0, |at| at as u64 + 1)
                })
                .collect(),
            cursor: Cursor::new(reader),
            shift_ns,
            requests_shifted_by,
            events: 0,
        };
        lanes.push(lane);
        highest = highest
            .max(highest_request(lanes.last_mut(), part)?.saturating_add(requests_shifted_by));
    }
    // A run begins at 0 at the earliest.
    let lift_ns = if earliest < 0 { -earliest } else { 0 };
    for lane in &mut lanes {
        lane.shift_ns += lift_ns;
    }
    let ids: Vec<String> = metas.iter().map(|meta| meta.run_id.to_string()).collect();
    let mut texts: Vec<&str> = vec!["merge"];
    texts.extend(ids.iter().map(String::as_str));
    let mut meta = ReelMeta::new(RunId::derived_from(&texts), metas[0].source);
    meta.started_at_unix_ns = metas[0]
        .started_at_unix_ns
        .and_then(|at| at.checked_sub(i64::try_from(lift_ns).ok()?));
    meta.notes.insert("merged from".to_owned(), ids.join(", "));
    let mut writer = ReelWriter::new(sink, &meta, union)?;
    loop {
        let mut next: Option<(u64, usize)> = None;
        for (part, lane) in lanes.iter_mut().enumerate() {
            let at = lane
                .at_ns()
                .map_err(|source| EditError::Read { part, source })?;
            if let Some(at) = at
                && next.is_none_or(|(least, _)| at < least)
            {
                next = Some((at, part));
            }
        }
        let Some((at, part)) = next else {
            break;
        };
        let failed = |source| EditError::Read { part, source };
        let lane = &mut lanes[part];
        let Some(event) = lane.cursor.next().map_err(failed)? else {
            break;
        };
        let detail = lane.cursor.detail(&event).map_err(failed)?;
        lane.events += 1;
        let event = StageEvent {
            t_ns: TimeNs(at),
            ..lane.translated(event)
        };
        push_renumbered(&mut writer, event, detail.as_ref())?;
    }
    let (sink, summary) = writer.finish(&FinishInfo::default())?;
    let parts = lanes
        .iter()
        .zip(clocks)
        .map(|(lane, clock)| MergedPart {
            events: lane.events,
            clock: Some(*clock),
            requests_shifted_by: lane.requests_shifted_by,
            shift_ns: lane.shift_ns,
        })
        .collect();
    let merged = Merged {
        summary,
        is_one_run: false,
        parts,
    };
    Ok((sink, merged))
}

/// The highest request number of a lane, which is at its beginning before and after.
fn highest_request(lane: Option<&mut Lane>, part: usize) -> Result<u64, EditError> {
    let Some(lane) = lane else {
        return Ok(0);
    };
    let reader = &mut lane.cursor.reader;
    let mut highest = 0;
    let mut events = Vec::new();
    for position in 0..reader.event_blocks().len() {
        reader
            .read_events(position, &mut events)
            .map_err(|source| EditError::Read { part, source })?;
        let own = events
            .iter()
            .filter(|event| event.request != RequestId::NONE);
        highest = own.map(|event| event.request.0).fold(highest, u64::max);
    }
    Ok(highest)
}
