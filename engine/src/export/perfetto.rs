//! Perfetto: a track for each component with its visits as slices, and how many are there as counters.
//!
//! Belongs here: packets, tracks, lanes. Does not belong here: pairing events (visits), bytes (protobuf).
//!
//! Field numbers are those of `protos/perfetto/trace/` in the Perfetto sources. Slices of one track must
//! nest, so visits that overlap lie on lanes, each the lowest that is free.

use super::protobuf::Message;
use super::visits::{Told, Visit, tell};
use super::{ExportError, Exported};
use crate::model::id::ComponentId;
use crate::model::topology::Topology;
use crate::recording::ReelReader;
use std::collections::BTreeMap;
use std::io::Write;

const TRACE_PACKET: u32 = 1;
const PACKET_TIMESTAMP: u32 = 8;
const PACKET_SEQUENCE_ID: u32 = 10;
const PACKET_TRACK_EVENT: u32 = 11;
const PACKET_SEQUENCE_FLAGS: u32 = 13;
const PACKET_TRACK_DESCRIPTOR: u32 = 60;
const SEQUENCE_CLEARED: u64 = 1;
const DESCRIPTOR_UUID: u32 = 1;
const DESCRIPTOR_NAME: u32 = 2;
const DESCRIPTOR_PARENT: u32 = 5;
const DESCRIPTOR_COUNTER: u32 = 8;
const EVENT_ANNOTATIONS: u32 = 4;
const EVENT_TYPE: u32 = 9;
const EVENT_TRACK: u32 = 11;
const EVENT_NAME: u32 = 23;
const EVENT_COUNTER_VALUE: u32 = 30;
const TYPE_SLICE_BEGIN: u64 = 1;
const TYPE_SLICE_END: u64 = 2;
const TYPE_COUNTER: u64 = 4;
const ANNOTATION_WHOLE: u32 = 3;
const ANNOTATION_TEXT: u32 = 6;
const ANNOTATION_NAME: u32 = 10;

/// Writes the whole run as one trace.
///
/// # Errors
/// [`ExportError`] where the reel cannot be read or the trace not be written.
pub fn write_perfetto(
    reader: &mut ReelReader,
    out: &mut impl Write,
) -> Result<Exported, ExportError> {
    let topology = reader.topology().clone();
    let mut visits = Vec::new();
    let mut exported = tell(reader, |told| {
        if let Told::Visit(visit) = told {
            visits.push(*visit);
        }
        Ok(())
    })?;
    exported.items = visits.len() as u64;
    visits.sort_by_key(|visit| (visit.arrived_ns, visit.seq));
    let mut writer = Writer {
        out,
        is_first: true,
    };
    let mut marks = Vec::with_capacity(visits.len() * 4);
    let mut present: BTreeMap<ComponentId, Vec<(u64, i64)>> = BTreeMap::new();
    for (component, lanes) in lanes(&visits) {
        let name = topology.component_name(component);
        let parent = uuid(component, 0);
        writer.track(parent, name, None, false)?;
        for lane in 0..lanes.count {
            writer.track(uuid(component, lane + 2), name, Some(parent), false)?;
        }
        writer.track(
            uuid(component, 1),
            &format!("{name}: present"),
            Some(parent),
            true,
        )?;
        for (visit, lane) in lanes.visits {
            let track = uuid(component, lane + 2);
            marks.push(Mark::begin(&visit, track));
            marks.push(Mark::end(&visit, track));
            let counts = present.entry(component).or_default();
            counts.extend([(visit.arrived_ns, 1), (visit.ended_ns, -1)]);
        }
    }
    for (component, mut changes) in present {
        changes.sort_unstable();
        let mut level = 0;
        for (at_ns, change) in changes {
            level += change;
            marks.push(Mark {
                at_ns,
                order: 1,
                track: uuid(component, 1),
                what: What::Level(u64::try_from(level).unwrap_or(0)),
            });
        }
    }
    // At one instant slices end before others begin; one of no length begins before it ends.
    marks.sort_by_key(|mark| (mark.at_ns, mark.order));
    for mark in &marks {
        writer.mark(mark, &topology)?;
    }
    Ok(exported)
}

struct Lanes {
    count: u64,
    visits: Vec<(Visit, u64)>,
}

/// The visits of each component on lanes where they do not overlap.
fn lanes(visits: &[Visit]) -> BTreeMap<ComponentId, Lanes> {
    let mut free_from: BTreeMap<ComponentId, Vec<u64>> = BTreeMap::new();
    let mut all: BTreeMap<ComponentId, Lanes> = BTreeMap::new();
    for visit in visits {
        let ends = free_from.entry(visit.component).or_default();
        let lane = match ends.iter().position(|end| *end <= visit.arrived_ns) {
            Some(lane) => {
                ends[lane] = visit.ended_ns;
                lane
            }
            None => {
                ends.push(visit.ended_ns);
                ends.len() - 1
            }
        };
        let lanes = all.entry(visit.component).or_insert(Lanes {
            count: 0,
            visits: Vec::new(),
        });
        lanes.count = ends.len() as u64;
        lanes.visits.push((*visit, lane as u64));
    }
    all
}

/// Track ids: 0 the component, 1 its counter, lanes from 2.
fn uuid(component: ComponentId, item: u64) -> u64 {
    (u64::from(component.0) + 1) << 40 | item
}

struct Mark {
    at_ns: u64,
    order: u8,
    track: u64,
    what: What,
}

enum What {
    Begin(Visit),
    End,
    Level(u64),
}

impl Mark {
    const fn begin(visit: &Visit, track: u64) -> Self {
        Self {
            at_ns: visit.arrived_ns,
            order: 2,
            track,
            what: What::Begin(*visit),
        }
    }

    const fn end(visit: &Visit, track: u64) -> Self {
        Self {
            at_ns: visit.ended_ns,
            order: if visit.ended_ns == visit.arrived_ns {
                3
            } else {
                0
            },
            track,
            what: What::End,
        }
    }
}

struct Writer<'a, W> {
    out: &'a mut W,
    is_first: bool,
}

impl<W: Write> Writer<'_, W> {
    fn track(
        &mut self,
        uuid: u64,
        name: &str,
        parent: Option<u64>,
        counts: bool,
    ) -> Result<(), ExportError> {
        let mut descriptor = Message::default();
        descriptor.number(DESCRIPTOR_UUID, uuid);
        descriptor.text(DESCRIPTOR_NAME, name);
        if let Some(parent) = parent {
            descriptor.number(DESCRIPTOR_PARENT, parent);
        }
        if counts {
            descriptor.message(DESCRIPTOR_COUNTER, &Message::default());
        }
        let mut packet = Message::default();
        packet.message(PACKET_TRACK_DESCRIPTOR, &descriptor);
        self.packet(packet)
    }

    fn mark(&mut self, mark: &Mark, topology: &Topology) -> Result<(), ExportError> {
        let mut event = Message::default();
        event.number(EVENT_TRACK, mark.track);
        match &mark.what {
            What::Begin(visit) => {
                event.number(EVENT_TYPE, TYPE_SLICE_BEGIN);
                event.text(EVENT_NAME, topology.class_name(visit.class));
                let whole = [
                    ("request", visit.request.0),
                    ("part", u64::from(visit.part)),
                    ("attempt", u64::from(visit.attempt)),
                    (
                        "waiting_ns",
                        visit.started_ns.unwrap_or(visit.ended_ns) - visit.arrived_ns,
                    ),
                ];
                for (name, value) in whole {
                    let mut annotation = Message::default();
                    annotation.text(ANNOTATION_NAME, name);
                    annotation.number(ANNOTATION_WHOLE, value);
                    event.message(EVENT_ANNOTATIONS, &annotation);
                }
                let mut outcome = Message::default();
                outcome.text(ANNOTATION_NAME, "outcome");
                outcome.text(ANNOTATION_TEXT, visit.outcome.name());
                event.message(EVENT_ANNOTATIONS, &outcome);
            }
            What::End => event.number(EVENT_TYPE, TYPE_SLICE_END),
            What::Level(level) => {
                event.number(EVENT_TYPE, TYPE_COUNTER);
                event.number(EVENT_COUNTER_VALUE, *level);
            }
        }
        let mut packet = Message::default();
        packet.number(PACKET_TIMESTAMP, mark.at_ns);
        packet.message(PACKET_TRACK_EVENT, &event);
        self.packet(packet)
    }

    fn packet(&mut self, mut packet: Message) -> Result<(), ExportError> {
        packet.number(PACKET_SEQUENCE_ID, 1);
        if self.is_first {
            packet.number(PACKET_SEQUENCE_FLAGS, SEQUENCE_CLEARED);
            self.is_first = false;
        }
        let mut trace = Message::default();
        trace.message(TRACE_PACKET, &packet);
        Ok(self.out.write_all(&trace.0)?)
    }
}
