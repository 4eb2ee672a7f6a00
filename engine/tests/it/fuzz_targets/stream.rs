//! A reel as it comes: chunks cut anywhere tell the same, and the same as the reader.
//!
//! Belongs here: what a follower sees. Does not belong here: a reel at rest (reader).

use super::{reader, seal};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::recording::{ReelReader, StreamDecoder, StreamItem};

/// Longest chunks, so that a block comes in several.
const CHUNKS: [usize; 4] = [17, 300, 5000, 1];

/// Takes a byte that chooses how the bytes are cut, and a reel, see [`seal::reel`].
pub(crate) fn check(data: &[u8]) {
    let Some((cut, rest)) = data.split_first() else {
        return;
    };
    let bytes = seal::reel(rest);
    let whole = follow(&bytes, &mut |_| usize::MAX);
    let mut mixed = u64::from(*cut) | 1;
    let longest = CHUNKS[usize::from(cut & 3)];
    let chunked = follow(&bytes, &mut |_| {
        mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        usize::try_from(mixed >> 48).expect("16 bits") % longest + 1
    });
    assert_eq!(
        whole.told, chunked.told,
        "how bytes are cut changes nothing"
    );
    assert_eq!(
        whole.error, chunked.error,
        "how bytes are cut changes nothing"
    );
    assert!(
        whole.events == chunked.events,
        "how bytes are cut changes nothing"
    );
    reader::in_order(&whole.events);
    if let (Ok(mut read), None) = (ReelReader::from_bytes(bytes), &whole.error) {
        let shown = reader::shown(&mut read);
        let is_plain = whole.is_plain && read.gaps().is_empty();
        assert!(
            shown == whole.events || !is_plain,
            "reader and follower see the same events"
        );
    }
}

#[derive(Default)]
struct Seen {
    /// One sentence for each item.
    told: Vec<String>,
    events: Vec<StageEvent>,
    error: Option<String>,
    /// Nothing but events moves the follower on: no gap is told and no state taken over.
    is_plain: bool,
}

fn follow(bytes: &[u8], length: &mut dyn FnMut(usize) -> usize) -> Seen {
    let mut seen = Seen {
        is_plain: true,
        ..Seen::default()
    };
    let mut decoder = StreamDecoder::new().expect("memory");
    let mut at = 0_usize;
    let mut is_ended = false;
    loop {
        loop {
            match decoder.next_item() {
                Ok(Some(item)) => take(&mut seen, item),
                Ok(None) => break,
                Err(error) => {
                    seen.error = Some(error.to_string());
                    return seen;
                }
            }
        }
        if is_ended {
            return seen;
        }
        let end = at.saturating_add(length(at)).min(bytes.len());
        if at == end {
            decoder.end();
            is_ended = true;
        } else {
            decoder.feed(&bytes[at..end]);
            at = end;
        }
    }
}

fn take(seen: &mut Seen, item: StreamItem<'_>) {
    seen.told.push(match item {
        StreamItem::Run(meta) => format!("run {}", meta.run_id),
        StreamItem::Topology(topology) => format!("{} components", topology.components.len()),
        StreamItem::Events(events) => {
            seen.events.extend_from_slice(events);
            format!("{} events", events.len())
        }
        StreamItem::Details { first, records } => {
            format!("{} records from {}", records.len(), first.0)
        }
        StreamItem::Gap(gap) => {
            seen.is_plain = false;
            format!("{gap:?}")
        }
        StreamItem::State(state) => {
            seen.is_plain = false;
            format!("state {}", state.state_hash())
        }
        StreamItem::End(summary) => format!("{summary:?}"),
    });
}
