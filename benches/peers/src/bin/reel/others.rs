//! The same events in MCAP files: one message for each, and one message for a batch.
//!
//! Belongs here: MCAP with its defaults but zstd-1 and one thread, as ours; events as MessagePack arrays.
//! Does not belong here: our own format.

use crate::{figure, rate};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{ClassId, ComponentId, DetailId, PartId, RequestId};
use flowreel_engine::model::time::TimeNs;
use mcap::records::MessageHeader;
use mcap::{Compression, MessageStream, WriteOptions};
use std::collections::BTreeMap;
use std::io::Cursor;

/// One way to keep events in MCAP.
pub struct Other {
    name: &'static str,
    /// Events of one message.
    batch: usize,
    encode: f64,
    decode: f64,
    bytes: usize,
}

/// Both ways.
pub fn all() -> Vec<Other> {
    [("mcap", 1), ("mcap_batched", 16_384)]
        .into_iter()
        .map(|(name, batch)| Other {
            name,
            batch,
            encode: 0.0,
            decode: 0.0,
            bytes: 0,
        })
        .collect()
}

impl Other {
    /// Writes and reads all events once and keeps the best rates.
    pub fn round(&mut self, events: &[StageEvent]) {
        let mut file = Vec::new();
        self.encode = self
            .encode
            .max(rate(events.len(), || file = written(events, self.batch)));
        self.bytes = file.len();
        let mut read = 0;
        self.decode = self
            .decode
            .max(rate(events.len(), || read = self.read(&file)));
        assert_eq!(read, events.len(), "every event comes back");
    }

    fn read(&self, file: &[u8]) -> usize {
        let mut events = Vec::with_capacity(self.batch);
        let mut read = 0;
        for message in MessageStream::new(file).expect("sound") {
            let message = message.expect("sound");
            let mut rest: &[u8] = &message.data;
            events.clear();
            while !rest.is_empty() {
                events.push(unpack(&mut rest));
            }
            std::hint::black_box(&events);
            read += events.len();
        }
        read
    }

    /// Prints the figures.
    pub fn say(&self, count: usize) {
        figure(&format!("{}.encode", self.name), self.encode);
        figure(&format!("{}.decode", self.name), self.decode);
        figure(
            &format!("{}.bytes_per_event", self.name),
            self.bytes as f64 / count as f64,
        );
    }
}

fn written(events: &[StageEvent], batch: usize) -> Vec<u8> {
    let mut writer = WriteOptions::new()
        .compression(Some(Compression::Zstd))
        .compression_level(1)
        .compression_threads(0)
        .create(Cursor::new(Vec::new()))
        .expect("a file begins");
    let channel_id = writer
        .add_channel(0, "events", "msgpack", &BTreeMap::new())
        .expect("a channel");
    let mut data = Vec::new();
    for (sequence, batch) in events.chunks(batch).enumerate() {
        data.clear();
        for event in batch {
            pack(event, &mut data);
        }
        let t_ns = batch[0].t_ns.0;
        let header = MessageHeader {
            channel_id,
            sequence: sequence as u32,
            log_time: t_ns,
            publish_time: t_ns,
        };
        writer
            .write_to_known_channel(&header, &data)
            .expect("memory takes all");
    }
    writer.finish().expect("a file ends");
    writer.into_inner().into_inner()
}

fn pack(event: &StageEvent, out: &mut Vec<u8>) {
    let fields = [
        event.t_ns.0,
        event.seq,
        event.request.0,
        event.value,
        u64::from(event.detail.0),
        u64::from(event.component.0),
        u64::from(event.peer.0),
        u64::from(event.class.0),
        u64::from(event.attempt),
        u64::from(event.part.0),
        u64::from(event.kind.code()),
        u64::from(event.outcome.code()),
    ];
    rmp::encode::write_array_len(out, fields.len() as u32).expect("memory");
    for field in fields {
        rmp::encode::write_uint(out, field).expect("memory");
    }
}

fn unpack(rest: &mut &[u8]) -> StageEvent {
    let length = rmp::decode::read_array_len(rest).expect("sound");
    assert_eq!(length, 12);
    let mut next = || rmp::decode::read_int::<u64, _>(rest).expect("sound");
    StageEvent {
        t_ns: TimeNs(next()),
        seq: next(),
        request: RequestId(next()),
        value: next(),
        detail: DetailId(next() as u32),
        component: ComponentId(next() as u16),
        peer: ComponentId(next() as u16),
        class: ClassId(next() as u16),
        attempt: next() as u16,
        part: PartId(next() as u16),
        kind: EventKind::from_code(next() as u8).expect("sound"),
        outcome: Outcome::from_code(next() as u8).expect("sound"),
    }
}
