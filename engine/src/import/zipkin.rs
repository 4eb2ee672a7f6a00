//! Zipkin's JSON, versions 1 and 2: spans in lists, in lists of lists, or a line each.
//!
//! Belongs here: Zipkin's fields; joining the records of one span; taking both sides of a call out of
//! one record. Does not belong here: files, compression (input), what spans add up to (spans, journey).

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::ImportError;
use super::document::Documents;
use super::json::{List, Loose, Scalar, Texts};
use super::spans::{DESTINATIONS, Ids, NO_NAME, Role, Span, SpanSet, shortened};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Microseconds to nanoseconds.
const NS_PER_US: u32 = 1000;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    #[serde(rename = "traceId")]
    trace_id: Scalar,
    id: Scalar,
    #[serde(rename = "parentId")]
    parent: Scalar,
    kind: Scalar,
    name: Scalar,
    timestamp: Scalar,
    duration: Scalar,
    #[serde(rename = "localEndpoint")]
    local: Loose<Endpoint>,
    tags: Texts,
    annotations: List<Annotation>,
    /// Version 1 only.
    #[serde(rename = "binaryAnnotations")]
    binary: List<Annotation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    #[serde(rename = "serviceName")]
    service: Scalar,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Annotation {
    timestamp: Scalar,
    key: Scalar,
    value: Scalar,
    endpoint: Loose<Endpoint>,
}

impl Annotation {
    fn service(&self) -> Option<&str> {
        self.endpoint.0.as_ref()?.service.text()
    }
}

/// One side of a call, or a span of no side.
#[derive(Clone, Copy, Default)]
struct Side<'a> {
    service: Option<&'a str>,
    role: Role,
    start_ns: Option<u64>,
    duration_ns: Option<u64>,
}

impl Side<'_> {
    /// Its own times, else these.
    fn or_times(self, start_ns: Option<u64>, duration_ns: Option<u64>) -> Self {
        Self {
            start_ns: self.start_ns.or(start_ns),
            duration_ns: self.duration_ns.or(duration_ns),
            ..self
        }
    }
}

impl Record {
    /// The first annotation of that value.
    fn noted(&self, value: &str) -> Option<&Annotation> {
        let mut annotations = self.annotations.items.iter();
        annotations.find(|annotation| annotation.value.text() == Some(value))
    }

    /// The side that annotations `first` and `last` tell of, where one of them is there.
    fn side(&self, first: &str, last: &str, role: Role) -> Option<Side<'_>> {
        let (begin, end) = (self.noted(first), self.noted(last));
        let any = begin.or(end)?;
        let at = |it: Option<&Annotation>| it.and_then(|it| it.timestamp.scaled(NS_PER_US));
        Some(Side {
            service: any.service(),
            role,
            start_ns: at(begin).or(at(end)),
            duration_ns: at(begin).zip(at(end)).and_then(|(a, b)| b.checked_sub(a)),
        })
    }

    /// The sides in this record: two where a version 1 record holds both.
    fn sides(&self) -> (Side<'_>, Option<Side<'_>>) {
        let start_ns = self.timestamp.scaled(NS_PER_US);
        let duration_ns = self.duration.scaled(NS_PER_US);
        let client = self.side("cs", "cr", Role::Caller);
        let server = self.side("sr", "ss", Role::Server);
        match (client, server) {
            (Some(client), Some(server)) => (client.or_times(start_ns, duration_ns), Some(server)),
            (Some(only), None) | (None, Some(only)) => (
                // The record's own times are the better ones: somebody measured them.
                Side {
                    service: only.service,
                    role: only.role,
                    start_ns: start_ns.or(only.start_ns),
                    duration_ns: duration_ns.or(only.duration_ns),
                },
                None,
            ),
            (None, None) => {
                let role = match self.kind.text() {
                    Some("CLIENT" | "PRODUCER") => Role::Caller,
                    Some("SERVER") => Role::Server,
                    Some("CONSUMER") => Role::Consumer,
                    _ => Role::Internal,
                };
                let local = self.local.0.as_ref().and_then(|it| it.service.text());
                let noted = || {
                    let mut notes = self.binary.items.iter();
                    let local = notes.find(|note| note.key.text() == Some("lc"));
                    local
                        .into_iter()
                        .chain(&self.annotations.items)
                        .chain(&self.binary.items)
                        .find_map(Annotation::service)
                };
                (
                    Side {
                        service: local.or_else(noted),
                        role,
                        start_ns,
                        duration_ns,
                    },
                    None,
                )
            }
        }
    }

    fn is_error(&self) -> bool {
        let tag = self.tags.get("error").is_some_and(|value| value != "false");
        tag || self.binary("error").is_some()
    }

    fn binary(&self, key: &str) -> Option<&Annotation> {
        let mut notes = self.binary.items.iter();
        notes.find(|note| note.key.text() == Some(key))
    }

    fn tag(&self, key: &str) -> Option<&str> {
        let old = || self.binary(key).and_then(|note| note.value.text());
        self.tags
            .get(key)
            .or_else(old)
            .filter(|text| !text.is_empty())
    }
}

/// Adds every span of one file (uncompressed) to the set; records of one side of a span are joined.
///
/// # Errors
/// [`ImportError`] where the text is no JSON, or too long.
pub(super) fn read(name: &str, bytes: &[u8], set: &mut SpanSet) -> Result<(), ImportError> {
    let mut reader = Reader {
        name,
        set,
        places: BTreeMap::new(),
    };
    let mut documents = Documents::<Record>::new(name, bytes);
    while let Some((records, _)) = documents.next()? {
        reader
            .set
            .skip(name, "entries that are no span", records.unusable);
        for record in &records.items {
            reader.record(record)?;
        }
    }
    reader.count_missing_times();
    Ok(())
}

struct Reader<'a> {
    name: &'a str,
    set: &'a mut SpanSet,
    /// Position of the span by trace, id and service.
    places: BTreeMap<(usize, String, usize), usize>,
}

impl Reader<'_> {
    fn record(&mut self, record: &Record) -> Result<(), ImportError> {
        let Some(trace_id) = id_of(&record.trace_id) else {
            self.set.skip(self.name, "spans without a trace id", 1);
            return Ok(());
        };
        let Some(id) = id_of(&record.id) else {
            self.set.skip(self.name, "spans without an id", 1);
            return Ok(());
        };
        let trace = self.set.traces.position(&trace_id);
        let (side, other) = record.sides();
        let is_error = record.is_error();
        self.side(record, trace, &id, side, is_error)?;
        if let Some(other) = other {
            self.side(record, trace, &id, other, is_error)?;
            // Two spans, and one object of the file.
            self.set.objects = self.set.objects.saturating_sub(1);
            self.set.errors = self.set.errors.saturating_sub(u64::from(is_error));
        }
        Ok(())
    }

    fn side(
        &mut self,
        record: &Record,
        trace: usize,
        id: &str,
        side: Side<'_>,
        is_error: bool,
    ) -> Result<(), ImportError> {
        let service = shortened(side.service.unwrap_or(NO_NAME));
        let service = self.set.services.position(&service);
        let destination = DESTINATIONS.iter().find_map(|key| record.tag(key));
        let queue = destination.filter(|_| side.role == Role::Consumer);
        let sends_to = destination.filter(|_| side.role == Role::Caller);
        let span = Span {
            trace,
            id: id.to_owned(),
            parent: id_of(&record.parent),
            service,
            operation: shortened(record.name.text().unwrap_or(NO_NAME)),
            start_ns: side.start_ns,
            duration_ns: side.duration_ns,
            is_error,
            role: side.role,
            is_database: record.tag("db.system").is_some() || record.tag("sql.query").is_some(),
            queue: queue.map(|queue| self.set.queues.position(&shortened(queue))),
            sends_to: sends_to.map(shortened),
            ids: Ids::OfBothSides,
        };
        let key = (trace, id.to_owned(), service);
        let known = self.places.get(&key).copied();
        if let Some(first) = known.and_then(|at| self.set.spans.get_mut(at))
            && (first.role == span.role
                || first.role == Role::Internal
                || span.role == Role::Internal)
        {
            join(first, span);
            self.set.objects = self.set.objects.saturating_add(1);
            self.set.errors = self.set.errors.saturating_add(u64::from(is_error));
            let name = self.name;
            self.set.mended.add(
                "records that tell of a span again were joined with its first",
                1,
                || format!("span {id} in {name}"),
            );
            return Ok(());
        }
        self.places.entry(key).or_insert(self.set.spans.len());
        self.set.add(self.name, span)
    }

    /// Only now, for a later record may have told.
    fn count_missing_times(&mut self) {
        let name = self.name;
        for at in self.places.values() {
            let Some(span) = self.set.spans.get(*at) else {
                continue;
            };
            let trace_id = self.set.traces.name(span.trace);
            let place = || format!("span {} of trace {trace_id} in {name}", span.id);
            self.set.mended.add(
                "spans without a start that can be read were put where their parent starts",
                u64::from(span.start_ns.is_none()),
                place,
            );
            self.set.mended.add(
                "spans without a duration that can be read end with their last child",
                u64::from(span.duration_ns.is_none()),
                place,
            );
        }
    }
}

/// What the later record knows and the first does not.
fn join(first: &mut Span, later: Span) {
    first.parent = first.parent.take().or(later.parent);
    first.start_ns = first.start_ns.or(later.start_ns);
    first.duration_ns = first.duration_ns.or(later.duration_ns);
    first.is_error |= later.is_error;
    first.is_database |= later.is_database;
    first.queue = first.queue.or(later.queue);
    first.sends_to = first.sends_to.take().or(later.sends_to);
    if first.role == Role::Internal {
        first.role = later.role;
    }
    if first.operation == NO_NAME {
        first.operation = later.operation;
    }
}

/// An id in lower case; `None` for no text and for all zeros.
fn id_of(scalar: &Scalar) -> Option<String> {
    let id = scalar.text()?.to_ascii_lowercase();
    (!id.bytes().all(|byte| byte == b'0')).then_some(id)
}
