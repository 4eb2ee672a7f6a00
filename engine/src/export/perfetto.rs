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
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
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

/// Writes the whole run as one trace, in the order of its events. In memory are the visits that are open.
///
/// # Errors
/// [`ExportError`] where the reel cannot be read or the trace not be written.
pub fn write_perfetto(
    reader: &mut ReelReader,
    out: &mut impl Write,
) -> Result<Exported, ExportError> {
    let topology = reader.topology().clone();
    let mut tracks: BTreeMap<ComponentId, Tracks> = BTreeMap::new();
    let mut writer = Writer {
        out,
        is_first: true,
    };
    let mut slices = 0;
    let mut exported = tell(reader, |told| {
        match told {
            Told::Opened(visit) => {
                let name = topology.component_name(visit.component);
                let held = match tracks.entry(visit.component) {
                    Entry::Occupied(held) => held.into_mut(),
                    Entry::Vacant(place) => {
                        let parent = uuid(visit.component, 0);
                        writer.track(parent, name, None, false)?;
                        let level = format!("{name}: present");
                        writer.track(uuid(visit.component, 1), &level, Some(parent), true)?;
                        place.insert(Tracks::default())
                    }
                };
                let (lane, is_new) = held.take_lane(visit.seq);
                let track = uuid(visit.component, lane + 2);
                if is_new {
                    writer.track(track, name, Some(uuid(visit.component, 0)), false)?;
                }
                writer.begin(track, visit, &topology)?;
                writer.level(visit.component, visit.arrived_ns, held.lanes.len())?;
            }
            Told::Visit(visit) => {
                slices += 1;
                if let Some(held) = tracks.get_mut(&visit.component)
                    && let Some(lane) = held.give_lane_back(visit.seq)
                {
                    writer.end(uuid(visit.component, lane + 2), visit)?;
                    writer.level(visit.component, visit.ended_ns, held.lanes.len())?;
                }
            }
            Told::Journey(_) => {}
        }
        Ok(())
    })?;
    exported.items = slices;
    Ok(exported)
}

/// The lanes of one component.
#[derive(Default)]
struct Tracks {
    /// Lane of each open visit, by the visit's `seq`.
    lanes: BTreeMap<u64, u64>,
    free: BTreeSet<u64>,
    /// Lanes there have been so far.
    count: u64,
}

impl Tracks {
    /// The lowest lane that is free, and whether it was never used.
    fn take_lane(&mut self, visit: u64) -> (u64, bool) {
        let held = self.free.pop_first();
        let lane = held.unwrap_or(self.count);
        if held.is_none() {
            self.count += 1;
        }
        self.lanes.insert(visit, lane);
        (lane, held.is_none())
    }

    fn give_lane_back(&mut self, visit: u64) -> Option<u64> {
        let lane = self.lanes.remove(&visit)?;
        self.free.insert(lane);
        Some(lane)
    }
}

/// Track ids: 0 the component, 1 its counter, lanes from 2.
fn uuid(component: ComponentId, item: u64) -> u64 {
    (u64::from(component.0) + 1) << 40 | item
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

    /// A slice begins with what is known then.
    fn begin(&mut self, track: u64, visit: &Visit, topology: &Topology) -> Result<(), ExportError> {
        let mut event = Message::default();
        event.number(EVENT_TRACK, track);
        event.number(EVENT_TYPE, TYPE_SLICE_BEGIN);
        event.text(EVENT_NAME, topology.class_name(visit.class));
        note_number(&mut event, "request", visit.request.0);
        note_number(&mut event, "part", u64::from(visit.part));
        note_number(&mut event, "attempt", u64::from(visit.attempt));
        self.event(visit.arrived_ns, &event)
    }

    /// What is known at its end is noted there; Perfetto shows both with the slice.
    fn end(&mut self, track: u64, visit: &Visit) -> Result<(), ExportError> {
        let mut event = Message::default();
        event.number(EVENT_TRACK, track);
        event.number(EVENT_TYPE, TYPE_SLICE_END);
        let until_ns = visit.started_ns.unwrap_or(visit.ended_ns);
        note_number(
            &mut event,
            "waiting_ns",
            until_ns.saturating_sub(visit.arrived_ns),
        );
        let mut outcome = Message::default();
        outcome.text(ANNOTATION_NAME, "outcome");
        outcome.text(ANNOTATION_TEXT, visit.outcome.name());
        event.message(EVENT_ANNOTATIONS, &outcome);
        self.event(visit.ended_ns, &event)
    }

    fn level(
        &mut self,
        component: ComponentId,
        at_ns: u64,
        present: usize,
    ) -> Result<(), ExportError> {
        let mut event = Message::default();
        event.number(EVENT_TRACK, uuid(component, 1));
        event.number(EVENT_TYPE, TYPE_COUNTER);
        event.number(EVENT_COUNTER_VALUE, present as u64);
        self.event(at_ns, &event)
    }

    fn event(&mut self, at_ns: u64, event: &Message) -> Result<(), ExportError> {
        let mut packet = Message::default();
        packet.number(PACKET_TIMESTAMP, at_ns);
        packet.message(PACKET_TRACK_EVENT, event);
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

fn note_number(event: &mut Message, name: &str, value: u64) {
    let mut annotation = Message::default();
    annotation.text(ANNOTATION_NAME, name);
    annotation.number(ANNOTATION_WHOLE, value);
    event.message(EVENT_ANNOTATIONS, &annotation);
}
