//! Events as an Apache Parquet file: a row for each event, columns with types, details as a map.
//!
//! Belongs here: the schema, groups of rows, what the file says about its run. Does not belong here:
//! which events (whoever asks).
//!
//! Memory: the events of one group ([`GROUP_ROWS`] at most, 48 bytes each), their details
//! ([`GROUP_DETAIL_BYTES`] and one record more at most), the pages of one column of the group, and some
//! 3 KiB for the footer of each group written, which the format keeps for the end of the file.

use super::{ExportError, Exported};
use crate::model::event::{EventKind, Outcome, StageEvent};
use crate::model::id::RequestId;
use crate::model::topology::Topology;
use crate::recording::{Detail, ReelReader, totals};
use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use ::parquet::schema::types::ColumnPath;
use std::io::{self, Write};
use std::sync::Arc;

/// Rows of a group: what readers take at once (DuckDB's own size).
const GROUP_ROWS: usize = 122_880;
/// A group ends early where its details are longer than this.
const GROUP_DETAIL_BYTES: usize = 16 << 20;
/// Rows handed to a column at once.
const CHUNK_ROWS: usize = 1024;

/// `wall_clock` only where the run knows when it began.
const HEAD: &str = "message event {
    required int64 t_ns (integer(64,false));";
const WALL_CLOCK: &str = "required int64 wall_clock (timestamp(nanos,true));";
const REST: &str = "required int64 seq (integer(64,false));
    required binary kind (string);
    optional int64 request (integer(64,false));
    optional binary class (string);
    required int32 part (integer(16,false));
    required int32 attempt (integer(16,false));
    optional binary component (string);
    optional binary peer (string);
    optional binary outcome (string);
    required int64 value (integer(64,false));
    optional group detail (map) {
        repeated group key_value {
            required binary key (string);
            required binary value (string);
        }
    }
}";

/// Writes every event; run id, source, format version, final hash and gaps stand in the file's metadata.
///
/// # Errors
/// [`ExportError`] where the reel cannot be read or the file not be written.
pub fn write_parquet(
    reader: &mut ReelReader,
    out: &mut (impl Write + Send),
) -> Result<Exported, ExportError> {
    let started_at_ns = reader.meta().started_at_unix_ns;
    let clock = started_at_ns.map_or("", |_| WALL_CLOCK);
    let schema = parse_message_type(&format!("{HEAD}{clock}{REST}"))?;
    let properties = WriterProperties::builder()
        .set_created_by(format!("flowreel {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        // Per page they would have to be kept in memory up to the end of the file.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    // Times and numbers climb in small steps, which a dictionary makes nothing of.
    let properties = ["t_ns", "wall_clock", "seq"]
        .into_iter()
        .fold(properties, |it, name| {
            let column = ColumnPath::from(name);
            it.set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED)
        });
    let properties = properties.build();
    let mut writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
    let mut group = Group::new(reader.topology(), started_at_ns);
    let mut exported = Exported::default();
    let mut events = Vec::new();
    for position in 0..reader.event_blocks().len() {
        reader.read_events(position, &mut events)?;
        for event in &events {
            let detail = reader.read_detail(event.detail)?;
            group.push(event, detail);
            if group.is_full() {
                group.write(&mut writer)?;
            }
        }
        exported.events += events.len() as u64;
    }
    group.write(&mut writer)?;
    for (key, value) in about(reader)? {
        writer.append_key_value_metadata(KeyValue::new(key, value));
    }
    writer.close()?;
    exported.items = exported.events;
    Ok(exported)
}

impl From<ParquetError> for ExportError {
    fn from(error: ParquetError) -> Self {
        let source = match error {
            ParquetError::External(source) => match source.downcast::<io::Error>() {
                Ok(source) => *source,
                Err(source) => io::Error::other(source),
            },
            other => io::Error::other(other),
        };
        Self::Write { source }
    }
}

/// What the file says about its run.
fn about(reader: &mut ReelReader) -> Result<[(String, String); 6], ExportError> {
    let summary = totals(reader)?;
    let meta = reader.meta();
    let (major, minor) = reader.version();
    Ok([
        ("run_id", meta.run_id.to_string()),
        ("source", meta.source.name().to_owned()),
        ("program", meta.program.clone()),
        ("format_version", format!("{major}.{minor}")),
        ("final_hash", summary.final_hash.to_string()),
        ("gaps", reader.gaps().len().to_string()),
    ]
    .map(|(key, value)| (format!("flowreel.{key}"), value)))
}

/// The rows of one group on their way, and the names that stand in them.
struct Group {
    events: Vec<StageEvent>,
    details: Vec<Option<Detail>>,
    detail_bytes: usize,
    started_at_ns: Option<i64>,
    components: Vec<ByteArray>,
    classes: Vec<ByteArray>,
    kinds: Vec<ByteArray>,
    outcomes: Vec<ByteArray>,
}

/// Values of one column, a chunk at a time.
#[derive(Default)]
struct Chunk<T> {
    values: Vec<T>,
    /// 1 where there is a value.
    levels: Vec<i16>,
}

impl Group {
    fn new(topology: &Topology, started_at_ns: Option<i64>) -> Self {
        let texts = |names: &mut dyn Iterator<Item = &str>| names.map(ByteArray::from).collect();
        Self {
            events: Vec::with_capacity(GROUP_ROWS),
            details: Vec::with_capacity(GROUP_ROWS),
            detail_bytes: 0,
            started_at_ns,
            components: texts(&mut topology.components.iter().map(|it| it.id.as_str())),
            classes: texts(&mut topology.classes.iter().map(|it| it.id.as_str())),
            kinds: texts(&mut EventKind::ALL.iter().map(|kind| kind.name())),
            outcomes: texts(&mut Outcome::ALL.iter().map(|outcome| outcome.name())),
        }
    }

    fn push(&mut self, event: &StageEvent, detail: Option<Detail>) {
        let facts = detail.iter().flat_map(|detail| &detail.0);
        self.detail_bytes += facts
            .map(|(key, value)| key.len() + value.len())
            .sum::<usize>();
        self.events.push(*event);
        self.details.push(detail);
    }

    const fn is_full(&self) -> bool {
        self.events.len() >= GROUP_ROWS || self.detail_bytes >= GROUP_DETAIL_BYTES
    }

    /// Writes the rows as a group, where there are any, and forgets them.
    fn write<W: Write + Send>(
        &mut self,
        writer: &mut SerializedFileWriter<W>,
    ) -> Result<(), ExportError> {
        if self.events.is_empty() {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        // In the order of the schema; every 64 bits are kept, and the schema says that they have no sign.
        self.column::<Int64Type, W>(&mut group, |it| Some(it.t_ns.0.cast_signed()))?;
        if let Some(start) = self.started_at_ns {
            let at = |it: &StageEvent| start.saturating_add_unsigned(it.t_ns.0);
            self.column::<Int64Type, W>(&mut group, |it| Some(at(it)))?;
        }
        self.column::<Int64Type, W>(&mut group, |it| Some(it.seq.cast_signed()))?;
        let place = |kind: EventKind| EventKind::ALL.iter().position(|it| *it == kind);
        self.column::<ByteArrayType, W>(&mut group, |it| {
            place(it.kind).and_then(|at| self.kinds.get(at)).cloned()
        })?;
        let is_owned = |it: &StageEvent| it.request != RequestId::NONE;
        self.optional::<Int64Type, W>(&mut group, |it| {
            is_owned(it).then_some(it.request.0.cast_signed())
        })?;
        self.optional::<ByteArrayType, W>(&mut group, |it| {
            let class = self.classes.get(it.class.index());
            class.filter(|_| is_owned(it)).cloned()
        })?;
        self.column::<Int32Type, W>(&mut group, |it| Some(i32::from(it.part.0)))?;
        self.column::<Int32Type, W>(&mut group, |it| Some(i32::from(it.attempt)))?;
        self.optional::<ByteArrayType, W>(&mut group, |it| {
            self.components.get(it.component.index()).cloned()
        })?;
        self.optional::<ByteArrayType, W>(&mut group, |it| {
            self.components.get(it.peer.index()).cloned()
        })?;
        self.optional::<ByteArrayType, W>(&mut group, |it| {
            let named = (it.outcome != Outcome::None).then_some(usize::from(it.outcome.code()));
            named.and_then(|at| self.outcomes.get(at)).cloned()
        })?;
        self.column::<Int64Type, W>(&mut group, |it| Some(it.value.cast_signed()))?;
        self.facts(&mut group, |(key, _)| key)?;
        self.facts(&mut group, |(_, value)| value)?;
        group.close()?;
        self.events.clear();
        self.details.clear();
        self.detail_bytes = 0;
        Ok(())
    }

    /// A column in which every row has a value.
    fn column<T: DataType, W: Write + Send>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        value: impl Fn(&StageEvent) -> Option<T::T>,
    ) -> Result<(), ExportError> {
        self.rows::<T, W>(group, false, value)
    }

    /// A column in which a row may have no value.
    fn optional<T: DataType, W: Write + Send>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        value: impl Fn(&StageEvent) -> Option<T::T>,
    ) -> Result<(), ExportError> {
        self.rows::<T, W>(group, true, value)
    }

    fn rows<T: DataType, W: Write + Send>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        is_optional: bool,
        value: impl Fn(&StageEvent) -> Option<T::T>,
    ) -> Result<(), ExportError> {
        let mut column = next_column(group)?;
        let mut chunk = Chunk::default();
        for events in self.events.chunks(CHUNK_ROWS) {
            chunk.values.clear();
            chunk.levels.clear();
            for event in events {
                let value = value(event);
                chunk.levels.push(i16::from(value.is_some()));
                chunk.values.extend(value);
            }
            let levels = is_optional.then_some(chunk.levels.as_slice());
            column
                .typed::<T>()
                .write_batch(&chunk.values, levels, None)?;
        }
        Ok(column.close()?)
    }

    /// Keys or values of the details: a map for each row, none where the event has no record.
    fn facts<W: Write + Send>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        side: impl for<'a> Fn((&'a String, &'a String)) -> &'a String,
    ) -> Result<(), ExportError> {
        let mut column = next_column(group)?;
        let (mut values, mut levels, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
        for details in self.details.chunks(CHUNK_ROWS) {
            values.clear();
            levels.clear();
            repeats.clear();
            for detail in details {
                let facts = detail.iter().flat_map(|detail| &detail.0);
                let before = values.len();
                for fact in facts {
                    repeats.push(i16::from(values.len() > before));
                    levels.push(2);
                    values.push(ByteArray::from(side(fact).as_str()));
                }
                if values.len() == before {
                    // No record, or one without a fact: no entry.
                    repeats.push(0);
                    levels.push(i16::from(detail.is_some()));
                }
            }
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, Some(&levels), Some(&repeats))?;
        }
        Ok(column.close()?)
    }
}

fn next_column<'a, W: Write + Send>(
    group: &'a mut SerializedRowGroupWriter<'_, W>,
) -> Result<parquet::file::writer::SerializedColumnWriter<'a>, ExportError> {
    let missing = || ParquetError::General("the schema has fewer columns than are written".into());
    Ok(group.next_column()?.ok_or_else(missing)?)
}
