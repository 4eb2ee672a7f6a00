//! Tests of event batches: identity, hostile bytes.

use super::*;
use proptest::prelude::*;

fn any_event() -> impl Strategy<Value = StageEvent> {
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
    let ids = (any::<u32>(), any::<u16>(), any::<u16>(), any::<u16>());
    let rest = (
        any::<u16>(),
        any::<u16>(),
        0..EventKind::ALL.len(),
        0..7_usize,
    );
    (numbers, ids, rest, 0_u32..64).prop_map(|(numbers, ids, rest, shift)| StageEvent {
        t_ns: TimeNs(numbers.0 >> shift),
        seq: numbers.1 >> shift,
        request: RequestId(numbers.2 >> shift),
        value: numbers.3 >> shift,
        detail: DetailId(ids.0 >> (shift / 2)),
        component: ComponentId(ids.1),
        peer: ComponentId(ids.2),
        class: ClassId(ids.3),
        attempt: rest.0,
        part: PartId(rest.1),
        kind: EventKind::ALL[rest.2],
        outcome: Outcome::ALL[rest.3],
    })
}

fn check(events: &[StageEvent]) {
    let mut bytes = Vec::new();
    BatchEncoder::new()
        .unwrap()
        .encode(events, &mut bytes)
        .unwrap();
    let mut decoded = Vec::new();
    BatchDecoder::new()
        .unwrap()
        .decode(&bytes, &mut decoded)
        .unwrap();
    assert_eq!(decoded, events);
}

proptest! {
    #[test]
    fn decode_of_encode_is_identity(events in proptest::collection::vec(any_event(), 1..600)) {
        check(&events);
    }
}

#[test]
fn the_extremes_come_back() {
    let mut low = StageEvent::new(TimeNs(0), EventKind::RequestBegun, ComponentId(0));
    let high = StageEvent {
        t_ns: TimeNs::MAX,
        seq: u64::MAX,
        request: RequestId(u64::MAX),
        value: u64::MAX,
        detail: DetailId(u32::MAX),
        component: ComponentId::NONE,
        peer: ComponentId(65_534),
        class: ClassId(u16::MAX),
        attempt: u16::MAX,
        part: PartId(u16::MAX),
        kind: EventKind::Gap,
        outcome: Outcome::Cancelled,
    };
    check(&[low]);
    check(&[high]);
    check(&[low, high, low, high]);
    low.detail = DetailId(1);
    check(&[high, low, high]);
}

/// The example of docs/reel-format.md, as 16 bytes a line.
fn worked_example() -> Vec<String> {
    let begun = StageEvent {
        request: RequestId(7),
        value: 51,
        ..StageEvent::new(
            TimeNs(1_000_000_000),
            EventKind::RequestBegun,
            ComponentId(0),
        )
    };
    let arrived = StageEvent {
        seq: 1,
        peer: ComponentId(0),
        value: 0,
        t_ns: TimeNs(1_000_000_300),
        kind: EventKind::Arrived,
        component: ComponentId(1),
        ..begun
    };
    let mut bytes = Vec::new();
    BatchEncoder::new()
        .unwrap()
        .encode(&[begun, arrived], &mut bytes)
        .unwrap();
    let hex =
        |chunk: &[u8]| -> Vec<String> { chunk.iter().map(|byte| format!("{byte:02x}")).collect() };
    bytes.chunks(16).map(|chunk| hex(chunk).join(" ")).collect()
}

#[test]
fn the_specification_shows_the_bytes_that_are_written() {
    let specification = include_str!("../../../../docs/reel-format.md");
    let missing: Vec<String> = worked_example()
        .into_iter()
        .filter(|line| !specification.contains(line))
        .collect();
    assert_eq!(missing, [""; 0]);
}
