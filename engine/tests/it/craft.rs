//! Reels by hand: a small run, and blocks whose checksums hold whatever their content is.
//!
//! Belongs here: what tests of damage, of lies and of memory share. Does not belong here: a test.

use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{ComponentId, RequestId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::{Component, ComponentKind, Topology};
use flowreel_engine::recording::format::{BlockHeader, BlockType, Codec, checksum, encode_trailer};
use flowreel_engine::recording::{
    BatchEncoder, FinishInfo, Gap, ReelError, ReelMeta, ReelReader, ReelWriter, RunId, RunSource,
    StreamDecoder, StreamItem,
};

fn component(id: &str, kind: ComponentKind) -> Component {
    Component {
        id: id.to_owned(),
        kind,
        label: String::new(),
        servers: Some(1),
        rate_limit_per_s: None,
        capacity: None,
        port: None,
    }
}

/// A source and a server.
pub(crate) fn topology() -> Topology {
    Topology {
        name: "tiny".to_owned(),
        components: vec![
            component("a", ComponentKind::Clients),
            component("b", ComponentKind::Server),
        ],
        ..Topology::default()
    }
}

/// Requests that come, are served and go, one after the other: six events each, 1 ms apart.
pub(crate) fn events(numbers: std::ops::Range<u64>) -> Vec<StageEvent> {
    let (source, server) = (ComponentId(0), ComponentId(1));
    numbers
        .map(|seq| {
            let (kind, component, peer) = match seq % 6 {
                0 => (EventKind::RequestBegun, source, ComponentId::NONE),
                1 => (EventKind::Forwarded, source, server),
                2 => (EventKind::Arrived, server, source),
                3 => (EventKind::ServiceStarted, server, ComponentId::NONE),
                4 => (EventKind::ServiceEnded, server, ComponentId::NONE),
                _ => (EventKind::RequestFinished, server, ComponentId::NONE),
            };
            let is_end = seq % 6 > 3;
            StageEvent {
                seq,
                request: RequestId(1 + seq / 6),
                peer,
                outcome: if is_end { Outcome::Ok } else { Outcome::None },
                ..StageEvent::new(TimeNs(1_000_000 * seq), kind, component)
            }
        })
        .collect()
}

/// What every reel begins with, before its first event.
pub(crate) fn beginning() -> Vec<u8> {
    let meta = ReelMeta::new(RunId([3; 16]), RunSource::Live);
    let writer = ReelWriter::new(Vec::new(), &meta, &topology()).expect("sound");
    let length = usize::try_from(writer.bytes_written()).expect("short");
    let (mut bytes, _) = writer.finish(&FinishInfo::default()).expect("sound");
    bytes.truncate(length);
    bytes
}

/// A block of events.
pub(crate) fn batch(events: &[StageEvent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = BatchEncoder::new().expect("zstd starts");
    encoder.encode(events, &mut bytes).expect("within limits");
    bytes
}

/// A block of this header around bytes as they are stored; only lengths and sums of what is stored are filled in.
pub(crate) fn block(header: BlockHeader, stored: &[u8]) -> Vec<u8> {
    let header = BlockHeader {
        stored_bytes: u32::try_from(stored.len()).expect("short"),
        payload_sum: checksum(stored),
        filter_bytes: 0,
        ..header
    };
    let mut bytes = header.encode(&[]).to_vec();
    bytes.extend_from_slice(stored);
    let length = u32::try_from(bytes.len() + 8).expect("short");
    bytes.extend_from_slice(&encode_trailer(length));
    bytes
}

/// A block of this type with this payload, not compressed.
pub(crate) fn plain(type_code: u8, raw: &[u8]) -> Vec<u8> {
    let header = BlockHeader {
        type_code,
        raw_bytes: u32::try_from(raw.len()).expect("short"),
        count: 1,
        ..BlockHeader::new(BlockType::Annotation)
    };
    block(header, raw)
}

/// A block that promises so many bytes once this frame is decompressed.
pub(crate) fn squeezed(type_code: u8, raw_bytes: u32, frame: &[u8]) -> Vec<u8> {
    let header = BlockHeader {
        type_code,
        codec: Codec::Zstd,
        raw_bytes,
        count: 1,
        ..BlockHeader::new(BlockType::Annotation)
    };
    block(header, frame)
}

/// A block of this type around compressed MessagePack.
pub(crate) fn compressed(type_code: u8, raw: &[u8]) -> Vec<u8> {
    let frame = zstd::bulk::compress(raw, 1).expect("zstd starts");
    squeezed(type_code, u32::try_from(raw.len()).expect("short"), &frame)
}

/// A frame of so many zeros that does not say how long it gets.
fn zeros(count: u64) -> Vec<u8> {
    let zeros = std::io::Read::take(std::io::repeat(0), count);
    zstd::stream::encode_all(zeros, 1).expect("zstd starts")
}

/// Blocks that lie about lengths, depth or compression, each with its name; none of them may be believed.
pub(crate) fn hostile() -> Vec<(String, Vec<u8>)> {
    const MOST: u32 = 16 << 20;
    let bomb = zeros(64 << 20);
    let exact = zeros(u64::from(MOST));
    let nested = zstd::bulk::compress(&bomb, 1).expect("zstd starts");
    // Magic, descriptor of a frame with a window and without a length, a window of 2^41 and more, one last raw block.
    let mut window = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 0x09, 0x00, 0x00];
    window.push(0xc0);
    let deep_lists = vec![0x91; 10_000];
    let deep_maps = b"\x81\xa1a".repeat(10_000);
    let long: [(&str, &[u8]); 4] = [
        ("list", &[0xdd, 0xff, 0xff, 0xff, 0xff, 1]),
        ("map", &[0xdf, 0xff, 0xff, 0xff, 0xff, 1]),
        ("text", &[0xdb, 0xff, 0xff, 0xff, 0xff, 1]),
        ("bin", &[0xc6, 0xff, 0xff, 0xff, 0xff, 1]),
    ];
    let mut all = Vec::new();
    for block_type in BlockType::ALL {
        let code = block_type.code();
        let mut add = |what: &str, bytes: Vec<u8>| {
            all.push((format!("{} {what}", block_type.name()), bytes));
        };
        let limit = match block_type {
            BlockType::Details => 2 << 20,
            BlockType::Index => 4 << 20,
            _ => MOST,
        };
        add("bomb", squeezed(code, limit, &bomb));
        add("bomb of a promised length", squeezed(code, MOST, &exact));
        add("bomb that promises little", squeezed(code, 10, &bomb));
        let nested_bytes = u32::try_from(bomb.len()).expect("short");
        add("bomb in a bomb", squeezed(code, nested_bytes, &nested));
        add("huge window", squeezed(code, 1, &window));
        add("no frame", squeezed(code, 100, b"this is no zstd frame"));
        add("too long a promise", squeezed(code, MOST + 1, &exact));
        add("longest promise", squeezed(code, u32::MAX, &exact));
        add("deep lists", plain(code, &deep_lists));
        add("deep maps", plain(code, &deep_maps));
        for (what, raw) in long {
            add(&format!("long {what}"), plain(code, raw));
        }
        add("nothing", plain(code, &[]));
        add("trailing bytes", plain(code, &[0x90, 0x90]));
        for key in ["blocks", "components", "edges", "state", "gaps", "kinds"] {
            // One key whose list never ends, by its own account.
            let mut raw = vec![0x81, 0xa0 | u8::try_from(key.len()).expect("short")];
            raw.extend_from_slice(key.as_bytes());
            raw.extend_from_slice(&[0xdd, 0xff, 0xff, 0xff, 0xff]);
            add(&format!("endless {key}"), plain(code, &raw));
        }
    }
    let mut many = vec![0xdd, 0x00, 0x0a, 0x00, 0x00];
    many.extend(b"\x81\xa0\xa0".repeat(655_360));
    all.push(("details by the thousand".to_owned(), compressed(6, &many)));
    for count in [0, 1, 1 << 20, (1 << 20) + 1, u32::MAX] {
        let header = BlockHeader {
            raw_bytes: 1,
            count,
            first: 1 << 63,
            first_t_ns: u64::MAX,
            last_t_ns: 1 << 63,
            ..BlockHeader::new(BlockType::Events)
        };
        all.push((format!("{count} events in a byte"), block(header, &[0x80])));
    }
    all
}

/// Everything a reader can read.
pub(crate) fn read_all(reader: &mut ReelReader) -> Vec<StageEvent> {
    let (mut all, mut batch) = (Vec::new(), Vec::new());
    for position in 0..reader.event_blocks().len() {
        reader.read_events(position, &mut batch).expect("memory");
        all.extend_from_slice(&batch);
    }
    all
}

/// Events and gaps as a follower is told them.
pub(crate) fn follow(bytes: &[u8]) -> Result<(Vec<StageEvent>, Vec<Gap>), ReelError> {
    let mut decoder = StreamDecoder::new().expect("sound");
    let (mut events, mut gaps) = (Vec::new(), Vec::new());
    decoder.feed(bytes);
    for is_ended in [false, true] {
        if is_ended {
            decoder.end();
        }
        while let Some(item) = decoder.next_item()? {
            match item {
                StreamItem::Events(batch) => events.extend_from_slice(batch),
                StreamItem::Gap(gap) => gaps.push(gap),
                _ => {}
            }
        }
    }
    Ok((events, gaps))
}
