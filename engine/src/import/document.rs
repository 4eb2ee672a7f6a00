//! The JSON documents of a file, one after the other: a single one, a line each, or run together.
//!
//! Belongs here: finding their ends, and whose format they are. Does not belong here: a format's fields.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::json::{Nested, Scalar};
use super::{Format, ImportError};
use serde::Deserialize;
use serde_json::StreamDeserializer;
use serde_json::de::SliceRead;

/// The objects of one document, and its text.
type Document<'a, T> = (Nested<T>, &'a [u8]);

/// Documents as objects of one shape.
pub(super) struct Documents<'a, T> {
    name: &'a str,
    bytes: &'a [u8],
    stream: StreamDeserializer<'a, SliceRead<'a>, Nested<T>>,
    begin: usize,
}

impl<'a, T: Deserialize<'a>> Documents<'a, T> {
    pub(super) fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        Self {
            name,
            bytes,
            stream: serde_json::Deserializer::from_slice(bytes).into_iter(),
            begin: 0,
        }
    }

    /// The objects of the next document, and its text.
    ///
    /// # Errors
    /// [`ImportError::Json`] with line and column.
    pub(super) fn next(&mut self) -> Result<Option<Document<'a, T>>, ImportError> {
        let Some(found) = self.stream.next() else {
            return Ok(None);
        };
        let found = found.map_err(|source| ImportError::Json {
            file: self.name.to_owned(),
            line: source.line(),
            column: source.column(),
            source,
        })?;
        let end = self.stream.byte_offset();
        let text = self.bytes.get(self.begin..end).unwrap_or_default();
        self.begin = end;
        Ok(Some((found, text)))
    }
}

/// Keys by which formats are told apart.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Marks {
    #[serde(rename = "resourceSpans")]
    resource_spans: Scalar,
    #[serde(rename = "resourceLogs")]
    resource_logs: Scalar,
    #[serde(rename = "resourceMetrics")]
    resource_metrics: Scalar,
    batches: Scalar,
    data: Scalar,
    spans: Scalar,
    #[serde(rename = "traceID")]
    jaeger_trace_id: Scalar,
    #[serde(rename = "traceId")]
    zipkin_trace_id: Scalar,
    id: Scalar,
}

impl Marks {
    fn format(&self) -> Option<Format> {
        let is_there = |value: &Scalar| *value != Scalar::Missing;
        let otlp = [
            &self.resource_spans,
            &self.resource_logs,
            &self.resource_metrics,
            &self.batches,
        ];
        let jaeger = [&self.data, &self.spans, &self.jaeger_trace_id];
        if otlp.into_iter().any(is_there) {
            Some(Format::Otlp)
        } else if jaeger.into_iter().any(is_there) {
            Some(Format::Jaeger)
        } else if is_there(&self.zipkin_trace_id) && is_there(&self.id) {
            Some(Format::Zipkin)
        } else {
            None
        }
    }
}

/// The format of the first object that shows one.
///
/// # Errors
/// [`ImportError`] where the text is no JSON up to there, or nothing in it shows a format.
pub(super) fn format_of(name: &str, bytes: &[u8]) -> Result<Format, ImportError> {
    let mut documents = Documents::<Marks>::new(name, bytes);
    while let Some((marks, _)) = documents.next()? {
        if let Some(format) = marks.items.iter().find_map(Marks::format) {
            return Ok(format);
        }
    }
    Err(ImportError::NoSpans {
        file: name.to_owned(),
        format: None,
    })
}
