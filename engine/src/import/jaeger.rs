//! Jaeger's JSON: `{"data":[trace, …]}`, a bare trace, a list of traces, one span per line.
//!
//! Belongs here: Jaeger's fields and their oddities. Does not belong here: files, compression
//! (input), what spans add up to (spans, journey).

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::json::{List, Loose, Named, Scalar};
use super::spans::{NO_NAME, Role, Span, SpanSet};
use super::{Format, ImportError};
use serde::Deserialize;

/// Spans in one import; each takes a few hundred bytes.
const SPANS_MAX: usize = 4_000_000;

/// Microseconds to nanoseconds.
const NS_PER_US: u32 = 1000;

/// Longest name that is kept of an operation or a service, in characters.
const NAME_CHARS_MAX: usize = 200;

/// A document, or a trace inside one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    data: List<Record>,
    spans: List<JaegerSpan>,
    processes: Named<Process>,
    #[serde(rename = "traceID")]
    trace_id: Scalar,
    #[serde(rename = "spanID")]
    span_id: Scalar,
    // Marks of the other formats, to name them.
    #[serde(rename = "resourceSpans")]
    resource_spans: Scalar,
    batches: Scalar,
    #[serde(rename = "traceId")]
    zipkin_trace_id: Scalar,
    id: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct JaegerSpan {
    #[serde(rename = "traceID")]
    trace_id: Scalar,
    #[serde(rename = "spanID")]
    id: Scalar,
    #[serde(rename = "operationName")]
    operation: Scalar,
    references: List<Reference>,
    #[serde(rename = "startTime")]
    start_us: Scalar,
    duration: Scalar,
    tags: List<Tag>,
    #[serde(rename = "processID")]
    process_id: Scalar,
    process: Loose<Process>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Reference {
    #[serde(rename = "refType")]
    kind: Scalar,
    #[serde(rename = "traceID")]
    trace_id: Scalar,
    #[serde(rename = "spanID")]
    span_id: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tag {
    key: Scalar,
    value: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Process {
    #[serde(rename = "serviceName")]
    service_name: Scalar,
}

/// Adds every span of one file (uncompressed) to the set.
///
/// # Errors
/// [`ImportError`] where the text is no JSON, another format, or too long.
pub(super) fn read(name: &str, bytes: &[u8], set: &mut SpanSet) -> Result<(), ImportError> {
    let mut reader = Reader {
        name,
        set,
        spans_seen: 0,
    };
    let mut documents = serde_json::Deserializer::from_slice(bytes).into_iter::<Document>();
    let mut begin = 0;
    while let Some(document) = documents.next() {
        let document = document.map_err(|source| ImportError::Json {
            file: name.to_owned(),
            line: source.line(),
            column: source.column(),
            source,
        })?;
        let end = documents.byte_offset();
        let text = bytes.get(begin..end).unwrap_or_default();
        begin = end;
        match document {
            Document::One(record) => reader.document(record, text)?,
            Document::Many(records) => {
                reader.skip("entries of a list that are no trace", records.unusable);
                for record in records.items {
                    reader.trace_or_span(record, None)?;
                }
            }
            Document::Neither => reader.skip("documents that are neither an object nor a list", 1),
        }
    }
    if reader.spans_seen == 0 {
        return Err(ImportError::NoSpans {
            file: name.to_owned(),
        });
    }
    Ok(())
}

enum Document {
    One(Box<Record>),
    Many(List<Record>),
    Neither,
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DocumentVisitor)
    }
}

struct DocumentVisitor;

impl<'de> serde::de::Visitor<'de> for DocumentVisitor {
    type Value = Document;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Document, A::Error> {
        let record = Record::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        Ok(Document::One(Box::new(record)))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, list: A) -> Result<Document, A::Error> {
        List::deserialize(serde::de::value::SeqAccessDeserializer::new(list)).map(Document::Many)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Document, E> {
        Ok(Document::Neither)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Document, E> {
        Ok(Document::Neither)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Document, E> {
        Ok(Document::Neither)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Document, E> {
        Ok(Document::Neither)
    }

    fn visit_str<E>(self, _: &str) -> Result<Document, E> {
        Ok(Document::Neither)
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::Neither)
    }
}

struct Reader<'a> {
    name: &'a str,
    set: &'a mut SpanSet,
    spans_seen: u64,
}

impl Reader<'_> {
    fn skip(&mut self, sentence: &'static str, count: u64) {
        let name = self.name;
        self.set.skipped.add(sentence, count, || name.to_owned());
    }

    fn document(&mut self, record: Box<Record>, text: &[u8]) -> Result<(), ImportError> {
        self.skip("entries of `data` that are no trace", record.data.unusable);
        if record.data.items.is_empty() {
            return self.trace_or_span(*record, Some(text));
        }
        for trace in record.data.items {
            self.trace_or_span(trace, None)?;
        }
        Ok(())
    }

    /// `text` is the whole document, for those that are one span.
    fn trace_or_span(&mut self, record: Record, text: Option<&[u8]>) -> Result<(), ImportError> {
        let is_there = |value: &Scalar| *value != Scalar::Missing;
        let other = if is_there(&record.resource_spans) || is_there(&record.batches) {
            Some(Format::Otlp)
        } else if is_there(&record.zipkin_trace_id) && is_there(&record.id) {
            Some(Format::Zipkin)
        } else {
            None
        };
        if let Some(format) = other {
            return Err(ImportError::NotYet {
                file: self.name.to_owned(),
                format,
            });
        }
        self.skip("entries of `spans` that are no span", record.spans.unusable);
        if record.spans.items.is_empty() && is_there(&record.span_id) {
            // Jaeger's storage writes one span per document, its process inline.
            let span = text.and_then(|text| serde_json::from_slice::<JaegerSpan>(text).ok());
            return match span {
                Some(span) => self.span(&span, &Record::default()),
                None => {
                    self.skip("spans outside of a trace's `spans`", 1);
                    Ok(())
                }
            };
        }
        let mut record = record;
        let spans = std::mem::take(&mut record.spans.items);
        spans.iter().try_for_each(|span| self.span(span, &record))
    }

    fn span(&mut self, span: &JaegerSpan, trace: &Record) -> Result<(), ImportError> {
        self.spans_seen = self.spans_seen.saturating_add(1);
        let Some(trace_id) = span.trace_id.text().or_else(|| trace.trace_id.text()) else {
            self.skip("spans without a trace id", 1);
            return Ok(());
        };
        let Some(id) = span.id.text() else {
            self.skip("spans without an id", 1);
            return Ok(());
        };
        if self.set.spans.len() >= SPANS_MAX {
            return Err(ImportError::TooManySpans {
                file: self.name.to_owned(),
                limit: SPANS_MAX,
            });
        }
        let process = span
            .process_id
            .text()
            .and_then(|id| trace.processes.0.get(id))
            .or(span.process.0.as_ref());
        let service = process
            .and_then(|process| process.service_name.text())
            .unwrap_or(NO_NAME);
        let tag = |key: &str| {
            let mut tags = span.tags.items.iter();
            tags.find(|tag| tag.key.text() == Some(key))
                .map(|tag| &tag.value)
        };
        let is_error = span.tags.items.iter().any(|tag| match tag.key.text() {
            Some("error") => tag.value.is_true(),
            Some("otel.status_code") => tag.value.text() == Some("ERROR"),
            _ => false,
        });
        let role = match tag("span.kind").and_then(Scalar::text) {
            Some("client" | "producer") => Role::Caller,
            Some("server") => Role::Server,
            Some("consumer") => Role::Consumer,
            _ => Role::Internal,
        };
        let trace_id = trace_id.to_ascii_lowercase();
        let start_ns = span.start_us.scaled(NS_PER_US);
        let duration_ns = span.duration.scaled(NS_PER_US);
        let name = self.name;
        let place = || format!("span {id} of trace {trace_id} in {name}");
        self.set.mended.add(
            "spans without a start that can be read were put where their parent starts",
            u64::from(start_ns.is_none()),
            place,
        );
        self.set.mended.add(
            "spans without a duration that can be read end with their last child",
            u64::from(duration_ns.is_none()),
            place,
        );
        let new = Span {
            trace: self.set.traces.position(&trace_id),
            id: id.to_ascii_lowercase(),
            parent: parent_of(span, &trace_id),
            service: self.set.services.position(&shortened(service)),
            operation: shortened(span.operation.text().unwrap_or(NO_NAME)),
            start_ns,
            duration_ns,
            is_error,
            role,
            is_database: tag("db.system").is_some() || tag("db.type").is_some(),
        };
        self.set.spans.push(new);
        Ok(())
    }
}

/// The first `CHILD_OF` within the trace, else the first `FOLLOWS_FROM`.
fn parent_of(span: &JaegerSpan, trace_id: &str) -> Option<String> {
    let within = |reference: &&Reference| {
        reference
            .trace_id
            .text()
            .is_none_or(|id| id.eq_ignore_ascii_case(trace_id))
    };
    let first = |kind: &str| {
        let mut references = span.references.items.iter().filter(within);
        references
            .find(|reference| reference.kind.text() == Some(kind))
            .and_then(|reference| reference.span_id.text())
    };
    let parent = first("CHILD_OF").or_else(|| first("FOLLOWS_FROM"))?;
    Some(parent.to_ascii_lowercase())
}

fn shortened(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS_MAX)
        .collect()
}
