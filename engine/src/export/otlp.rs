//! OTLP JSON: a trace for each request, a span for each visit, a resource for each component.
//!
//! Belongs here: OTLP's fields, ids. Does not belong here: pairing events (visits).
//!
//! One export request a line, each with the spans of one request. The request itself is the root span,
//! of the component where it began; a visit is a child of the visit that called it, else of the root.
//! A visit of a request that the reel does not see begin (one cut out of a run) has a line of its own,
//! and no root. In memory are the visits of the requests under way.

use super::visits::{Journey, Told, Visit, tell};
use super::{ExportError, Exported};
use crate::model::event::Outcome;
use crate::model::id::{ComponentId, RequestId};
use crate::model::topology::{ComponentKind, Topology};
use crate::recording::{ReelReader, RunId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

#[derive(Serialize)]
struct Request<'a> {
    #[serde(rename = "resourceSpans")]
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(Serialize)]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    #[serde(rename = "scopeSpans")]
    scope_spans: [ScopeSpans<'a>; 1],
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: [Attribute<'a>; 1],
}

#[derive(Serialize)]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Span<'a>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Span<'a> {
    #[serde(rename = "traceId")]
    trace_id: String,
    #[serde(rename = "spanId")]
    span_id: String,
    #[serde(rename = "parentSpanId", skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: &'a str,
    kind: u8,
    #[serde(rename = "startTimeUnixNano")]
    start_time_unix_nano: String,
    #[serde(rename = "endTimeUnixNano")]
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'a>>,
    status: Status,
}

#[derive(Serialize)]
struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'static str,
    value: Value<'a>,
}

#[derive(Serialize)]
enum Value<'a> {
    #[serde(rename = "stringValue")]
    Text(&'a str),
    /// 64-bit numbers are texts in the protocol's JSON.
    #[serde(rename = "intValue")]
    Whole(String),
}

const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const STATUS_ERROR: u8 = 2;

/// Writes a line for every request.
///
/// # Errors
/// [`ExportError`] where the reel cannot be read or the lines not be written.
pub fn write_otlp(reader: &mut ReelReader, out: &mut impl Write) -> Result<Exported, ExportError> {
    let topology = reader.topology().clone();
    let meta = reader.meta();
    // A run without a wall clock begins in 1970; a span at 0 would have no time at all.
    let zero_ns = meta
        .started_at_unix_ns
        .and_then(|at| u64::try_from(at).ok())
        .filter(|at| *at > 0)
        .unwrap_or(1);
    let writer = Writer {
        topology: &topology,
        trace_base: trace_base(meta.run_id),
        zero_ns,
    };
    let mut open: BTreeMap<RequestId, Vec<Visit>> = BTreeMap::new();
    let mut spans = 0;
    let mut exported = tell(reader, |told| {
        match told {
            Told::Opened(_) => {}
            Told::Visit(visit) if !visit.has_journey => {
                spans += 1;
                serde_json::to_writer(&mut *out, &writer.alone(visit))?;
                out.write_all(b"\n")?;
            }
            Told::Visit(visit) => open.entry(visit.request).or_default().push(*visit),
            Told::Journey(journey) => {
                let visits = open.remove(&journey.request).unwrap_or_default();
                spans += visits.len() as u64 + 1;
                serde_json::to_writer(&mut *out, &writer.request(journey, &visits))?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    })?;
    exported.items = spans;
    Ok(exported)
}

fn trace_base(run_id: RunId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = run_id.0;
    // No trace id may be all zeros.
    u64::from_be_bytes([a, b, c, d, e, f, g, h]) | 1
}

struct Writer<'a> {
    topology: &'a Topology,
    trace_base: u64,
    zero_ns: u64,
}

impl<'a> Writer<'a> {
    fn alone(&self, visit: &Visit) -> Request<'a> {
        Request {
            resource_spans: vec![self.resource(visit.component, vec![self.visit(visit)])],
        }
    }

    fn request(&self, journey: &Journey, visits: &[Visit]) -> Request<'a> {
        let mut by_component: BTreeMap<ComponentId, Vec<Span<'a>>> = BTreeMap::new();
        by_component
            .entry(journey.component)
            .or_default()
            .push(self.root(journey));
        for visit in visits {
            by_component
                .entry(visit.component)
                .or_default()
                .push(self.visit(visit));
        }
        let resource_spans = by_component
            .into_iter()
            .map(|(component, spans)| self.resource(component, spans))
            .collect();
        Request { resource_spans }
    }

    fn resource(&self, component: ComponentId, spans: Vec<Span<'a>>) -> ResourceSpans<'a> {
        ResourceSpans {
            resource: Resource {
                attributes: [text(
                    "service.name",
                    self.topology.component_name(component),
                )],
            },
            scope_spans: [ScopeSpans {
                scope: Scope {
                    name: "flowreel",
                    version: env!("CARGO_PKG_VERSION"),
                },
                spans,
            }],
        }
    }

    fn root(&self, journey: &Journey) -> Span<'a> {
        Span {
            trace_id: self.trace_id(journey.request),
            span_id: root_id(),
            parent_span_id: None,
            name: self.topology.class_name(journey.class),
            kind: INTERNAL,
            start_time_unix_nano: self.time(journey.begun_ns),
            end_time_unix_nano: self.time(journey.finished_ns),
            attributes: vec![
                whole("flowreel.request", journey.request.0),
                text("flowreel.outcome", journey.outcome.name()),
            ],
            status: status(journey.outcome),
        }
    }

    fn visit(&self, visit: &Visit) -> Span<'a> {
        let component = self.topology.component(visit.component);
        let mut attributes = vec![
            whole("flowreel.part", u64::from(visit.part)),
            text("flowreel.outcome", visit.outcome.name()),
        ];
        if visit.attempt > 0 {
            attributes.push(whole("flowreel.attempt", u64::from(visit.attempt)));
        }
        if let Some(started_ns) = visit.started_ns {
            attributes.push(whole("flowreel.waiting_ns", started_ns - visit.arrived_ns));
        }
        if component.is_some_and(|it| it.kind == ComponentKind::Database) {
            attributes.push(text("db.system", "other_sql"));
        }
        Span {
            trace_id: self.trace_id(visit.request),
            span_id: span_id(visit.seq),
            parent_span_id: visit
                .caller
                .map(span_id)
                .or_else(|| visit.has_journey.then(root_id)),
            name: component.map_or("", |it| it.label.as_str()),
            kind: SERVER,
            start_time_unix_nano: self.time(visit.arrived_ns),
            end_time_unix_nano: self.time(visit.ended_ns),
            attributes,
            status: status(visit.outcome),
        }
    }

    fn trace_id(&self, request: RequestId) -> String {
        format!("{:016x}{:016x}", self.trace_base, request.0)
    }

    fn time(&self, t_ns: u64) -> String {
        self.zero_ns.saturating_add(t_ns).to_string()
    }
}

fn root_id() -> String {
    span_id(u64::MAX - 1)
}

/// Numbers from 1, for no span id may be all zeros.
fn span_id(seq: u64) -> String {
    format!("{:016x}", seq.wrapping_add(1))
}

const fn status(outcome: Outcome) -> Status {
    Status {
        code: match outcome {
            Outcome::None | Outcome::Ok => None,
            Outcome::Failed
            | Outcome::Rejected
            | Outcome::Abandoned
            | Outcome::TimedOut
            | Outcome::Cancelled => Some(STATUS_ERROR),
        },
    }
}

const fn text<'a>(key: &'static str, value: &'a str) -> Attribute<'a> {
    Attribute {
        key,
        value: Value::Text(value),
    }
}

fn whole(key: &'static str, value: u64) -> Attribute<'static> {
    Attribute {
        key,
        value: Value::Whole(value.to_string()),
    }
}
