//! Event batches: a MessagePack map of columns, one `bin` for each field of the events.
//!
//! Belongs here: which field is turned into which integers. Does not belong here: how integers
//! become bytes (column), blocks (block).

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::expect_used
    )
)]

use super::block::{Block, BlockEncoder};
use super::column::{self, ColumnReader, Spread, unzigzag, zigzag};
use super::compression::Decompressor;
use super::error::{DecodeError, WriteError};
use super::filter::FilterBuilder;
use super::format::{BATCH_EVENTS_MAX, BlockHeader, BlockType};
use crate::model::event::{EventKind, Outcome, StageEvent};
use crate::model::id::{ClassId, ComponentId, DetailId, PartId, RequestId};
use crate::model::time::TimeNs;
use std::io;

/// Keys of the columns in the order they are written, and the fields they hold.
pub(super) const COLUMNS: [(char, &str); 12] = [
    ('t', "t_ns"),
    ('s', "seq"),
    ('r', "request"),
    ('v', "value"),
    ('d', "detail"),
    ('c', "component"),
    ('p', "peer"),
    ('l', "class"),
    ('a', "attempt"),
    ('n', "part"),
    ('k', "kind"),
    ('o', "outcome"),
];

/// Events taken at a time; all their columns fit the nearest cache.
const PIECE: usize = 256;

/// Turns events into blocks; its buffers are reused, so nothing is allocated once they have grown.
pub struct BatchEncoder {
    blocks: BlockEncoder,
    filter: FilterBuilder,
    filter_bytes: Vec<u8>,
    columns: [Column; 12],
    column: Vec<u8>,
    raw: Vec<u8>,
}

/// The items of one column, and what they have in common.
#[derive(Default)]
struct Column {
    items: Vec<u64>,
    spread: Spread,
}

impl Column {
    #[inline]
    fn extend(&mut self, piece: &[StageEvent], item: impl FnMut(&StageEvent) -> u64) {
        let before = self.items.len();
        self.items.extend(piece.iter().map(item));
        self.spread
            .widen(self.items.get(before..).unwrap_or_default());
    }
}

impl BatchEncoder {
    /// An encoder with empty buffers.
    ///
    /// # Errors
    /// Where zstd cannot have its memory.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            blocks: BlockEncoder::new()?,
            filter: FilterBuilder::new(),
            filter_bytes: Vec::new(),
            columns: Default::default(),
            column: Vec::new(),
            raw: Vec::new(),
        })
    }

    /// Appends one block with these events to `out`; no events, no block.
    ///
    /// # Errors
    /// [`WriteError::TooLong`] over [`BATCH_EVENTS_MAX`] events or 16 MiB.
    pub fn encode(&mut self, events: &[StageEvent], out: &mut Vec<u8>) -> Result<(), WriteError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(());
        };
        if events.len() > BATCH_EVENTS_MAX {
            return Err(WriteError::TooLong {
                what: "event batch",
                bytes: events.len(),
                limit: BATCH_EVENTS_MAX,
            });
        }
        let mut header = BlockHeader::new(BlockType::Events);
        header.count = u32::try_from(events.len()).unwrap_or(u32::MAX);
        header.first = first.seq;
        header.first_t_ns = first.t_ns.0;
        header.last_t_ns = last.t_ns.0;
        self.take(events, first, &mut header);
        self.filter_bytes.clear();
        self.filter.finish(&mut self.filter_bytes);
        self.encode_columns();
        self.blocks
            .append(header, &self.filter_bytes, &self.raw, out)
    }

    /// Takes the events piece by piece, so that each is fetched from memory once and not once a column.
    fn take(&mut self, events: &[StageEvent], first: &StageEvent, header: &mut BlockHeader) {
        for column in &mut self.columns {
            column.items.clear();
            column.spread = Spread::default();
        }
        let mut running = Running {
            t_ns: first.t_ns.0,
            next_seq: first.seq,
            request: 0,
            detail: 0,
        };
        // A store each is cheaper than shifting 128 bits; the last place is for none.
        let (mut kinds, mut components) = ([false; 128], [false; 129]);
        for piece in events.chunks(PIECE) {
            for event in piece {
                see(&mut kinds, usize::from(event.kind.code() & 127));
                see(&mut components, place_of(event.component));
                see(&mut components, place_of(event.peer));
                self.filter.add(event.request);
            }
            take_piece(&mut self.columns, piece, &mut running);
        }
        header.kinds = bits_of(&kinds);
        header.components = bits_of(components.get(..128).unwrap_or_default());
    }

    fn encode_columns(&mut self) {
        self.raw.clear();
        // A map of twelve.
        self.raw.push(0x8c);
        for ((key, _), column) in COLUMNS.iter().zip(&self.columns) {
            self.column.clear();
            column::encode(&column.items, column.spread, &mut self.column);
            append_column(*key, &self.column, &mut self.raw);
        }
    }
}

#[inline]
fn see(seen: &mut [bool], place: usize) {
    if let Some(seen) = seen.get_mut(place) {
        *seen = true;
    }
}

#[inline]
fn place_of(component: ComponentId) -> usize {
    if component.is_some() {
        usize::from(component.0 & 127)
    } else {
        128
    }
}

fn bits_of(seen: &[bool]) -> u128 {
    seen.iter()
        .rev()
        .fold(0, |bits, &is_seen| bits << 1 | u128::from(is_seen))
}

fn take_piece(columns: &mut [Column; 12], piece: &[StageEvent], running: &mut Running) {
    let [t, s, r, v, d, c, p, l, a, n, k, o] = columns;
    t.extend(piece, |event| {
        let item = zigzag(event.t_ns.0.wrapping_sub(running.t_ns));
        running.t_ns = event.t_ns.0;
        item
    });
    s.extend(piece, |event| {
        let item = zigzag(event.seq.wrapping_sub(running.next_seq));
        running.next_seq = event.seq.wrapping_add(1);
        item
    });
    r.extend(piece, |event| {
        let item = zigzag(event.request.0.wrapping_sub(running.request));
        running.request = event.request.0;
        item
    });
    v.extend(piece, |event| event.value);
    d.extend(piece, |event| {
        if event.detail == DetailId::NONE {
            return 0;
        }
        let now = u64::from(event.detail.0);
        let item = zigzag(now.wrapping_sub(running.detail)).saturating_add(1);
        running.detail = now;
        item
    });
    c.extend(piece, |event| shifted(event.component));
    p.extend(piece, |event| shifted(event.peer));
    l.extend(piece, |event| u64::from(event.class.0));
    a.extend(piece, |event| u64::from(event.attempt));
    n.extend(piece, |event| u64::from(event.part.0));
    k.extend(piece, |event| u64::from(event.kind.code()));
    o.extend(piece, |event| u64::from(event.outcome.code()));
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "keys are ASCII, lengths are looked at"
)]
fn append_column(key: char, column: &[u8], raw: &mut Vec<u8>) {
    raw.extend_from_slice(&[0xa1, key as u8]);
    match column.len() {
        length @ 0..=0xff => raw.extend_from_slice(&[0xc4, length as u8]),
        length @ 0..=0xffff => {
            raw.push(0xc5);
            raw.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            raw.push(0xc6);
            raw.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    raw.extend_from_slice(column);
}

/// The bit of a component in [`BlockHeader::components`]; none has none.
#[inline]
pub(super) const fn component_bit(component: ComponentId) -> u128 {
    if component.is_some() {
        1 << (component.0 & 127)
    } else {
        0
    }
}

/// Ids of components start at 1 in a column; 0 is none.
#[inline]
fn shifted(component: ComponentId) -> u64 {
    u64::from(component.0.wrapping_add(1))
}

/// Turns blocks into events; its buffers are reused.
pub struct BatchDecoder {
    decompressor: Decompressor,
    raw: Vec<u8>,
    pieces: Box<[[u64; PIECE]; 12]>,
}

impl BatchDecoder {
    /// A decoder with empty buffers.
    ///
    /// # Errors
    /// Where zstd cannot have its memory.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            decompressor: Decompressor::new()?,
            raw: Vec::new(),
            pieces: Box::new([[0; PIECE]; 12]),
        })
    }

    /// Appends the events of the events block at the start of `bytes`; on an error, `events` is as it was.
    ///
    /// # Errors
    /// What is wrong with the block.
    pub fn decode(
        &mut self,
        bytes: &[u8],
        events: &mut Vec<StageEvent>,
    ) -> Result<(), DecodeError> {
        self.decode_block(&Block::decode(bytes)?, events)
    }

    /// As [`Self::decode`], for a block whose checksums were checked.
    pub(super) fn decode_block(
        &mut self,
        block: &Block<'_>,
        events: &mut Vec<StageEvent>,
    ) -> Result<(), DecodeError> {
        let before = events.len();
        let raw = block.raw(&mut self.decompressor, &mut self.raw)?;
        let result = decode_columns(&block.header, raw, &mut self.pieces, events);
        if result.is_err() {
            events.truncate(before);
        }
        result
    }

    /// The payload of any other block.
    pub(super) fn raw<'a>(&'a mut self, block: &Block<'a>) -> Result<&'a [u8], DecodeError> {
        block.raw(&mut self.decompressor, &mut self.raw)
    }
}

/// What runs along from one piece of a batch to the next.
struct Running {
    t_ns: u64,
    next_seq: u64,
    request: u64,
    detail: u64,
}

fn decode_columns(
    header: &BlockHeader,
    raw: &[u8],
    pieces: &mut [[u64; PIECE]; 12],
    events: &mut Vec<StageEvent>,
) -> Result<(), DecodeError> {
    let count = usize::try_from(header.count).unwrap_or(usize::MAX);
    if count > BATCH_EVENTS_MAX {
        return Err(DecodeError::TooLong {
            what: "event batch",
            bytes: count,
            limit: BATCH_EVENTS_MAX,
        });
    }
    let mut readers = open_columns(raw, count)?;
    let mut running = Running {
        t_ns: header.first_t_ns,
        next_seq: header.first,
        request: 0,
        detail: 0,
    };
    events.reserve(count);
    let mut left = count;
    while left > 0 {
        let length = left.min(PIECE);
        for ((reader, piece), (key, _)) in readers.iter_mut().zip(pieces.iter_mut()).zip(COLUMNS) {
            let items = piece.get_mut(..length).unwrap_or_default();
            reader.fill(items).map_err(|reason| DecodeError::Column {
                column: key,
                reason,
            })?;
        }
        assemble(pieces, length, &mut running, events)?;
        left = left.saturating_sub(length);
    }
    for (reader, (column, _)) in readers.into_iter().zip(COLUMNS) {
        reader
            .finish()
            .map_err(|reason| DecodeError::Column { column, reason })?;
    }
    Ok(())
}

/// Finds the columns in the map; keys of later versions are stepped over.
fn open_columns(raw: &[u8], count: usize) -> Result<[ColumnReader<'_>; 12], DecodeError> {
    let refuse = |reason: &str| DecodeError::Payload {
        what: "event batch",
        reason: reason.to_owned(),
    };
    let mut rest = raw;
    let length = rmp::decode::read_map_len(&mut rest).map_err(|_e| refuse("it is no map"))?;
    let mut found: [Option<&[u8]>; 12] = [None; 12];
    for _ in 0..length {
        let (key, after) =
            rmp::decode::read_str_from_slice(rest).map_err(|_e| refuse("a key is no text"))?;
        rest = after;
        let bin =
            rmp::decode::read_bin_len(&mut rest).map_err(|_e| refuse("a column is no bin"))?;
        let bin_bytes = usize::try_from(bin).unwrap_or(usize::MAX);
        let (column, after) = rest
            .split_at_checked(bin_bytes)
            .ok_or_else(|| refuse("a column is cut off"))?;
        rest = after;
        let known = COLUMNS
            .iter()
            .zip(found.iter_mut())
            .find(|((column, _), _)| key.chars().eq([*column]));
        if let Some((_, slot)) = known
            && slot.replace(column).is_some()
        {
            return Err(refuse("a column occurs twice"));
        }
    }
    if !rest.is_empty() {
        return Err(refuse("bytes follow it"));
    }
    let mut readers = [ColumnReader::EMPTY; 12];
    for ((reader, (column, _)), bytes) in readers.iter_mut().zip(COLUMNS).zip(found) {
        *reader = bytes
            .ok_or("is missing")
            .and_then(|bytes| ColumnReader::new(bytes, count))
            .map_err(|reason| DecodeError::Column { column, reason })?;
    }
    Ok(readers)
}

#[expect(
    clippy::indexing_slicing,
    reason = "positions are masked to the piece's length"
)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not fit is refused"
)]
fn assemble(
    pieces: &[[u64; PIECE]; 12],
    length: usize,
    running: &mut Running,
    events: &mut Vec<StageEvent>,
) -> Result<(), DecodeError> {
    let [t, s, r, v, d, c, p, l, a, n, k, o] = pieces;
    let mut wide = 0;
    for position in 0..length {
        let i = position & (PIECE - 1);
        running.t_ns = running.t_ns.wrapping_add(unzigzag(t[i]));
        let seq = running.next_seq.wrapping_add(unzigzag(s[i]));
        running.next_seq = seq.wrapping_add(1);
        running.request = running.request.wrapping_add(unzigzag(r[i]));
        let mut detail = 0;
        if d[i] != 0 {
            running.detail = running.detail.wrapping_add(unzigzag(d[i].wrapping_sub(1)));
            detail = u32::try_from(running.detail)
                .ok()
                .filter(|&id| id != 0)
                .ok_or(DecodeError::Column {
                    column: 'd',
                    reason: "leaves the range of detail records",
                })?;
        }
        wide |= (c[i] | p[i] | l[i] | a[i] | n[i]) >> 16;
        let kind = u8::try_from(k[i]).ok().and_then(EventKind::from_code);
        let outcome = u8::try_from(o[i]).ok().and_then(Outcome::from_code);
        let (Some(kind), Some(outcome)) = (kind, outcome) else {
            return Err(unknown_code(k[i], o[i]));
        };
        events.push(StageEvent {
            t_ns: TimeNs(running.t_ns),
            seq,
            request: RequestId(running.request),
            value: v[i],
            detail: DetailId(detail),
            component: ComponentId((c[i] as u16).wrapping_sub(1)),
            peer: ComponentId((p[i] as u16).wrapping_sub(1)),
            class: ClassId(l[i] as u16),
            attempt: a[i] as u16,
            part: PartId(n[i] as u16),
            kind,
            outcome,
        });
    }
    if wide != 0 {
        return Err(DecodeError::Column {
            column: 'c',
            reason: "or one beside it (p, l, a, n) has an item over 65,535",
        });
    }
    Ok(())
}

fn unknown_code(kind: u64, outcome: u64) -> DecodeError {
    let as_code = |item| u8::try_from(item).unwrap_or(u8::MAX);
    if EventKind::from_code(as_code(kind)).is_none() {
        return DecodeError::Code {
            what: "event kind",
            code: as_code(kind),
        };
    }
    DecodeError::Code {
        what: "outcome",
        code: as_code(outcome),
    }
}

#[cfg(test)]
mod tests;
