//! Jaeger's JSON: `{"data":[trace, …]}`, a bare trace, a list of traces, one span per line.
//!
//! Belongs here: Jaeger's fields and their oddities. Does not belong here: files, compression
//! (input), what spans add up to (spans, journey).

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::ImportError;
use super::document::Documents;
use super::json::{List, Loose, Named, Scalar};
use super::spans::{DESTINATIONS, Ids, NO_NAME, Role, Span, SpanSet, shortened};
use serde::Deserialize;

/// Microseconds to nanoseconds.
const NS_PER_US: u32 = 1000;

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
/// [`ImportError`] where the text is no JSON, or too long.
pub(super) fn read(name: &str, bytes: &[u8], set: &mut SpanSet) -> Result<(), ImportError> {
    let mut reader = Reader { name, set };
    let mut documents = Documents::<Record>::new(name, bytes);
    while let Some((records, text)) = documents.next()? {
        reader
            .set
            .skip(name, "entries that are no trace", records.unusable);
        let is_alone = records.items.len() == 1;
        for record in records.items {
            reader.document(record, is_alone.then_some(text))?;
        }
    }
    Ok(())
}

struct Reader<'a> {
    name: &'a str,
    set: &'a mut SpanSet,
}

impl Reader<'_> {
    /// `text` is the whole document, for those that are one span.
    fn document(&mut self, record: Record, text: Option<&[u8]>) -> Result<(), ImportError> {
        self.set.skip(
            self.name,
            "entries of `data` that are no trace",
            record.data.unusable,
        );
        if record.data.items.is_empty() {
            return self.trace_or_span(record, text);
        }
        for trace in record.data.items {
            self.trace_or_span(trace, None)?;
        }
        Ok(())
    }

    fn trace_or_span(&mut self, record: Record, text: Option<&[u8]>) -> Result<(), ImportError> {
        self.set.skip(
            self.name,
            "entries of `spans` that are no span",
            record.spans.unusable,
        );
        if record.spans.items.is_empty() && record.span_id != Scalar::Missing {
            // Jaeger's storage writes one span per document, its process inline.
            let span = text.and_then(|text| serde_json::from_slice::<JaegerSpan>(text).ok());
            return match span {
                Some(span) => self.span(&span, &Record::default()),
                None => {
                    self.set
                        .skip(self.name, "spans outside of a trace's `spans`", 1);
                    Ok(())
                }
            };
        }
        let mut record = record;
        let spans = std::mem::take(&mut record.spans.items);
        spans.iter().try_for_each(|span| self.span(span, &record))
    }

    fn span(&mut self, span: &JaegerSpan, trace: &Record) -> Result<(), ImportError> {
        let Some(trace_id) = span.trace_id.text().or_else(|| trace.trace_id.text()) else {
            self.set.skip(self.name, "spans without a trace id", 1);
            return Ok(());
        };
        let Some(id) = span.id.text() else {
            self.set.skip(self.name, "spans without an id", 1);
            return Ok(());
        };
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
        let kind = tag("span.kind").and_then(Scalar::text);
        let role = match kind {
            Some("client" | "producer") => Role::Caller,
            Some("server") => Role::Server,
            Some("consumer") => Role::Consumer,
            _ => Role::Internal,
        };
        let trace_id = trace_id.to_ascii_lowercase();
        let start_ns = span.start_us.scaled(NS_PER_US);
        let duration_ns = span.duration.scaled(NS_PER_US);
        let destination = DESTINATIONS
            .iter()
            .find_map(|key| tag(key).and_then(Scalar::text));
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
            sends_to: destination.filter(|_| role == Role::Caller).map(shortened),
            queue: destination
                .filter(|_| role == Role::Consumer)
                .map(|queue| self.set.queues.position(&shortened(queue))),
            ids: Ids::OfOneSpan,
        };
        self.set.add(name, new)
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
