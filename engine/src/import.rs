//! Traces of other tools, turned into stage events.
//!
//! A service is a component, a stay in a service (its nested spans folded into one) is a visit, a
//! child in another service is a call, a trace is a request that begins at a made-up component
//! `clients`. Belongs here: the foreign formats, one file each, and what they share.
//! Does not belong here: opening files (cli), writing reels (recording).

mod document;
mod input;
mod jaeger;
mod journey;
mod json;
mod otlp;
mod spans;
mod timing;
mod topology;
mod zipkin;

pub use input::INPUT_BYTES_MAX;

use crate::model::event::StageEvent;
use crate::model::topology::Topology;
use crate::recording::Detail;
use spans::SpanSet;

/// Formats that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Jaeger's query answers and its storage documents.
    Jaeger,
    /// The OpenTelemetry protocol as JSON.
    Otlp,
    /// Zipkin, versions 1 and 2.
    Zipkin,
}

impl Format {
    const fn title(self) -> &'static str {
        match self {
            Self::Jaeger => "Jaeger JSON",
            Self::Otlp => "OTLP JSON",
            Self::Zipkin => "Zipkin JSON",
        }
    }
}

fn spans_of(format: Option<Format>) -> String {
    format.map_or_else(
        || "spans".to_owned(),
        |format| format!("spans of {}", format.title()),
    )
}

/// Why a file cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Nothing in it.
    #[error("{file}: the file is empty; name a file with traces")]
    Empty {
        /// Which.
        file: String,
    },
    /// Longer than is read.
    #[error("{file}: the file is longer than {limit} bytes; split it by trace")]
    TooLong {
        /// Which.
        file: String,
        /// The most that is read.
        limit: u64,
    },
    /// Compressed text that grows as no trace does.
    #[error(
        "{file}: {packed} compressed bytes unpack to more than {limit}, as no trace does; unpack the file \
         yourself if it is one"
    )]
    Bomb {
        /// Which.
        file: String,
        /// Its length.
        packed: u64,
        /// Where unpacking stopped.
        limit: u64,
    },
    /// Bytes of something else.
    #[error("{file}: this is {what}")]
    NotText {
        /// Which.
        file: String,
        /// What it is, and what to do.
        what: &'static str,
    },
    /// Damaged compression.
    #[error("{file}: the gzip data cannot be unpacked ({source}); fetch the file again")]
    Gzip {
        /// Which.
        file: String,
        /// What the unpacker says.
        source: std::io::Error,
    },
    /// No JSON.
    #[error("{file}:{line}:{column}: not the JSON of a trace ({source}); export the traces again")]
    Json {
        /// Which.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// JSON of something else.
    #[error("{file}: no {} in it; name a file of OTLP, Jaeger or Zipkin JSON", spans_of(*format))]
    NoSpans {
        /// Which.
        file: String,
        /// What was expected of it, where something was.
        format: Option<Format>,
    },
    /// More spans than fit.
    #[error("{file}: more than {limit} spans in one import; import the files one by one")]
    TooManySpans {
        /// In which file the limit was met.
        file: String,
        /// The most that are read.
        limit: usize,
    },
    /// More services than fit.
    #[error("{count} services are more than the {limit} of one reel; import fewer files")]
    TooManyServices {
        /// How many there are.
        count: usize,
        /// The most that fit.
        limit: usize,
    },
}

impl ImportError {
    /// The file, with line and column where the mistake has them.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        match self {
            Self::Json {
                file, line, column, ..
            } => Some(format!("{file}:{line}:{column}")),
            Self::Empty { file }
            | Self::TooLong { file, .. }
            | Self::Bomb { file, .. }
            | Self::NotText { file, .. }
            | Self::Gzip { file, .. }
            | Self::NoSpans { file, .. }
            | Self::TooManySpans { file, .. } => Some(file.clone()),
            Self::TooManyServices { .. } => None,
        }
    }
}

/// One file to import.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Its bytes, gzip or not.
    pub bytes: &'a [u8],
}

/// What came out of the files.
#[derive(Debug)]
pub struct Import {
    /// Services as components, calls as edges.
    pub topology: Topology,
    /// The moment of time 0, in ns since 1970.
    pub started_at_unix_ns: u64,
    /// Events in order, with sequence numbers, each with its detail where it has one.
    pub events: Vec<(StageEvent, Option<Detail>)>,
    /// What was counted.
    pub report: Report,
}

/// The figures of `import --json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Distinct trace ids.
    pub traces: u64,
    /// Span objects that could be read.
    pub spans: u64,
    /// Spans marked as failed by the format itself.
    pub errors: u64,
    /// Services that own spans, sorted.
    pub services: Vec<String>,
    /// Caller, callee, number of distinct child spans.
    pub edges: Vec<(String, String, u64)>,
    /// Items that were left out.
    pub skipped: u64,
    /// What was left out or mended, one sentence each.
    pub warnings: Vec<String>,
}

/// Reads files and turns their traces into the events of one run.
///
/// `format` is the one to expect; `None` looks at each file.
///
/// # Errors
/// [`ImportError`] with the file and the place; nothing is kept of any file then.
pub fn import(inputs: &[Input<'_>], format: Option<Format>) -> Result<Import, ImportError> {
    let mut set = SpanSet::default();
    for input in inputs {
        let text = input::text(input.name, input.bytes)?;
        let format = match format {
            Some(format) => format,
            None => document::format_of(input.name, &text)?,
        };
        let before = set.objects;
        match format {
            Format::Jaeger => jaeger::read(input.name, &text, &mut set)?,
            Format::Otlp => otlp::read(input.name, &text, &mut set)?,
            Format::Zipkin => zipkin::read(input.name, &text, &mut set)?,
        }
        if set.objects == before {
            return Err(ImportError::NoSpans {
                file: input.name.to_owned(),
                format: Some(format),
            });
        }
    }
    let parents = set.parents();
    let orphans = set.orphan_count(&parents);
    set.mended.add(
        "spans whose parent is in no file begin at `clients`",
        orphans,
        String::new,
    );
    set.name_queues(&parents);
    let journeys = journey::journeys(&mut set, &parents);
    let topology = topology::infer(&set, &journeys)?;
    let (events, started_at_unix_ns) = journey::events(&set, &journeys, &topology);
    let warnings = set.skipped.lines().chain(set.mended.lines()).collect();
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let report = Report {
        traces: count(set.traces.len()),
        spans: set.objects,
        errors: set.errors,
        services: set.service_names(),
        edges: set.edges(&parents),
        skipped: set.skipped.total(),
        warnings,
    };
    Ok(Import {
        topology,
        started_at_unix_ns,
        events,
        report,
    })
}
