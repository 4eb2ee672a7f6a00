//! The OpenTelemetry protocol as JSON: export requests, query answers, alone, in lists or a line each.
//!
//! Belongs here: OTLP's fields, old layouts included. Does not belong here: files, compression
//! (input), what spans add up to (spans, journey).

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::ImportError;
use super::document::Documents;
use super::json::{List, Loose, Scalar};
use super::spans::{DESTINATIONS, Ids, NO_NAME, Role, Span, SpanSet, shortened};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Bytes of the ids of traces and spans.
const TRACE_ID_BYTES: usize = 16;
const SPAN_ID_BYTES: usize = 8;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    #[serde(rename = "resourceSpans")]
    resource_spans: List<ResourceSpans>,
    /// As some stores answer queries.
    batches: List<ResourceSpans>,
    #[serde(rename = "resourceLogs")]
    logs: Scalar,
    #[serde(rename = "resourceMetrics")]
    metrics: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResourceSpans {
    resource: Loose<Resource>,
    #[serde(rename = "scopeSpans")]
    scopes: List<ScopeSpans>,
    /// The name before version 0.15 of the protocol.
    #[serde(rename = "instrumentationLibrarySpans")]
    libraries: List<ScopeSpans>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resource {
    attributes: List<Attribute>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ScopeSpans {
    spans: List<OtlpSpan>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OtlpSpan {
    #[serde(rename = "traceId")]
    trace_id: Scalar,
    #[serde(rename = "spanId")]
    id: Scalar,
    #[serde(rename = "parentSpanId")]
    parent: Scalar,
    name: Scalar,
    kind: Scalar,
    #[serde(rename = "startTimeUnixNano")]
    start_ns: Scalar,
    #[serde(rename = "endTimeUnixNano")]
    end_ns: Scalar,
    attributes: List<Attribute>,
    status: Loose<Status>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    code: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attribute {
    key: Scalar,
    value: Loose<AttributeValue>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct AttributeValue {
    #[serde(rename = "stringValue")]
    text: Scalar,
}

impl List<Attribute> {
    fn has(&self, key: &str) -> bool {
        self.items.iter().any(|item| item.key.text() == Some(key))
    }

    fn text(&self, key: &str) -> Option<&str> {
        let item = self
            .items
            .iter()
            .find(|item| item.key.text() == Some(key))?;
        item.value.0.as_ref()?.text.text()
    }
}

/// Adds every span of one file (uncompressed) to the set.
///
/// # Errors
/// [`ImportError`] where the text is no JSON, or too long.
pub(super) fn read(name: &str, bytes: &[u8], set: &mut SpanSet) -> Result<(), ImportError> {
    let mut reader = Reader { name, set };
    let mut documents = Documents::<Record>::new(name, bytes);
    while let Some((records, _)) = documents.next()? {
        reader.set.skip(
            name,
            "entries that are no export of traces",
            records.unusable,
        );
        for record in &records.items {
            reader.record(record)?;
        }
    }
    Ok(())
}

struct Reader<'a> {
    name: &'a str,
    set: &'a mut SpanSet,
}

impl Reader<'_> {
    fn record(&mut self, record: &Record) -> Result<(), ImportError> {
        let resources = [&record.resource_spans, &record.batches];
        if resources.iter().all(|list| list.items.is_empty()) {
            let is_other = record.logs != Scalar::Missing || record.metrics != Scalar::Missing;
            self.set.skip(
                self.name,
                "documents of logs or metrics",
                u64::from(is_other),
            );
        }
        for list in resources {
            self.set.skip(
                self.name,
                "entries that are no spans of a resource",
                list.unusable,
            );
            for resource in &list.items {
                self.resource(resource)?;
            }
        }
        Ok(())
    }

    fn resource(&mut self, resource: &ResourceSpans) -> Result<(), ImportError> {
        let attributes = resource.resource.0.as_ref().map(|it| &it.attributes);
        let service = attributes
            .and_then(|attributes| attributes.text("service.name"))
            .unwrap_or(NO_NAME);
        let service = self.set.services.position(&shortened(service));
        for list in [&resource.scopes, &resource.libraries] {
            self.set.skip(
                self.name,
                "entries that are no spans of a scope",
                list.unusable,
            );
            for scope in &list.items {
                self.set.skip(
                    self.name,
                    "entries of `spans` that are no span",
                    scope.spans.unusable,
                );
                for span in &scope.spans.items {
                    self.span(span, service)?;
                }
            }
        }
        Ok(())
    }

    fn span(&mut self, span: &OtlpSpan, service: usize) -> Result<(), ImportError> {
        let Some(trace_id) = id_of(&span.trace_id, TRACE_ID_BYTES) else {
            self.set.skip(self.name, "spans without a trace id", 1);
            return Ok(());
        };
        let Some(id) = id_of(&span.id, SPAN_ID_BYTES) else {
            self.set.skip(self.name, "spans without an id", 1);
            return Ok(());
        };
        let time = |scalar: &Scalar| scalar.scaled(1).filter(|&ns| ns > 0);
        let (start_ns, end_ns) = (time(&span.start_ns), time(&span.end_ns));
        let duration_ns = start_ns
            .zip(end_ns)
            .and_then(|(start, end)| end.checked_sub(start));
        let name = self.name;
        let place = || format!("span {id} of trace {trace_id} in {name}");
        self.set.mended.add(
            "spans without a start that can be read were put where their parent starts",
            u64::from(start_ns.is_none()),
            place,
        );
        self.set.mended.add(
            "spans without an end that can be read, or with one before their start, end with their last child",
            u64::from(duration_ns.is_none()),
            place,
        );
        let role = match (span.kind.text(), span.kind.scaled(1)) {
            (Some("SPAN_KIND_CLIENT" | "SPAN_KIND_PRODUCER"), _) | (_, Some(3 | 4)) => Role::Caller,
            (Some("SPAN_KIND_SERVER"), _) | (_, Some(2)) => Role::Server,
            (Some("SPAN_KIND_CONSUMER"), _) | (_, Some(5)) => Role::Consumer,
            _ => Role::Internal,
        };
        let destination = DESTINATIONS
            .iter()
            .find_map(|key| span.attributes.text(key));
        let queue = destination.filter(|_| role == Role::Consumer);
        let sends_to = destination.filter(|_| role == Role::Caller);
        let new = Span {
            trace: self.set.traces.position(&trace_id),
            parent: id_of(&span.parent, SPAN_ID_BYTES),
            service,
            operation: shortened(span.name.text().unwrap_or(NO_NAME)),
            start_ns,
            duration_ns,
            is_error: span.status.0.as_ref().is_some_and(|status| {
                status.code.text() == Some("STATUS_CODE_ERROR") || status.code.scaled(1) == Some(2)
            }),
            role,
            is_database: span.attributes.has("db.system") || span.attributes.has("db.system.name"),
            queue: queue.map(|queue| self.set.queues.position(&shortened(queue))),
            sends_to: sends_to.map(shortened),
            ids: Ids::OfOneSpan,
            id,
        };
        self.set.add(name, new)
    }
}

/// An id in lower-case hexadecimal digits, from those or from base64; any other text stays as it is.
/// `None` for no text and for all zeros.
fn id_of(scalar: &Scalar, bytes: usize) -> Option<String> {
    let text = scalar.text()?;
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let raw = STANDARD
        .decode(text)
        .ok()
        .filter(|raw| raw.len() == bytes && !(is_hex && text.len() == bytes.saturating_mul(2)));
    let id = match raw {
        Some(raw) => raw.iter().map(|byte| format!("{byte:02x}")).collect(),
        None => text.to_ascii_lowercase(),
    };
    (!id.bytes().all(|byte| byte == b'0')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_in_every_notation() {
        let id = |text: &str, bytes| id_of(&Scalar::Text(text.to_owned()), bytes);
        let expected = Some("68a61bd7aa82db490c32264bfa053750".to_owned());
        assert_eq!(id("aKYb16qC20kMMiZL+gU3UA==", 16), expected);
        assert_eq!(id("68A61BD7AA82DB490C32264BFA053750", 16), expected);
        assert_eq!(id("A92wFJple0E=", 8).as_deref(), Some("03ddb0149a657b41"));
        assert_eq!(id("0000000000000000", 8), None);
        assert_eq!(id("AAAAAAAAAAA=", 8), None);
        assert_eq!(id("", 8), None);
        assert_eq!(id("odd one", 8).as_deref(), Some("odd one"));
        assert_eq!(id_of(&Scalar::Whole(7), 8), None);
    }
}
