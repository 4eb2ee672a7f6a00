//! Spans as every tracing format has them, and what can be counted about them.
//!
//! Belongs here: the span, names, parents, the figures of `import --json`.
//! Does not belong here: one format's fields (jaeger, otlp, zipkin), turning spans into events (journey).

use super::ImportError;
use std::collections::{BTreeMap, BTreeSet};

/// Services that carry no name.
pub(super) const NO_NAME: &str = "(none)";

/// Attributes that name the queue of a message, the present convention first.
pub(super) const DESTINATIONS: [&str; 4] = [
    "messaging.destination.name",
    "messaging.destination",
    "kafka.topic",
    "message_bus.destination",
];

/// Spans in one import; each takes a few hundred bytes.
const SPANS_MAX: usize = 4_000_000;

/// Longest name that is kept of an operation or a service, in characters.
const NAME_CHARS_MAX: usize = 200;

/// A name without control characters, cut where it is long.
pub(super) fn shortened(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS_MAX)
        .collect()
}

/// Which side of a call a span is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Role {
    /// Work inside a service, or unknown.
    #[default]
    Internal,
    /// Waits for an answer, or hands a message over.
    Caller,
    /// Answers.
    Server,
    /// Takes a message.
    Consumer,
}

/// What one id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ids {
    /// A span.
    OfOneSpan,
    /// A call, both sides of it, as in Zipkin.
    OfBothSides,
}

/// One span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Position of its trace.
    pub(super) trace: usize,
    /// Its own id.
    pub(super) id: String,
    /// Id of its parent.
    pub(super) parent: Option<String>,
    /// Position of the service that owns it.
    pub(super) service: usize,
    /// What was done.
    pub(super) operation: String,
    /// Start in ns since 1970, where known.
    pub(super) start_ns: Option<u64>,
    /// Length in ns, where known.
    pub(super) duration_ns: Option<u64>,
    /// Marked as failed by the format itself.
    pub(super) is_error: bool,
    /// Side of the call.
    pub(super) role: Role,
    /// Speaks of a database.
    pub(super) is_database: bool,
    /// Position of the queue that a message was taken from.
    pub(super) queue: Option<usize>,
    /// Where it says that a message went, for those that hand one over.
    pub(super) sends_to: Option<String>,
    /// What its id stands for.
    pub(super) ids: Ids,
}

/// Texts with positions, each once, in the order of first use.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    positions: BTreeMap<String, usize>,
    names: Vec<String>,
}

impl Names {
    /// The position of this name, given to it now if it is new.
    pub(super) fn position(&mut self, name: &str) -> usize {
        if let Some(position) = self.positions.get(name) {
            return *position;
        }
        let position = self.names.len();
        self.names.push(name.to_owned());
        self.positions.insert(name.to_owned(), position);
        position
    }

    /// The name at that position.
    pub(super) fn name(&self, position: usize) -> &str {
        self.names.get(position).map_or(NO_NAME, String::as_str)
    }

    /// All of them, sorted.
    pub(super) fn sorted(&self) -> Vec<&str> {
        self.positions.keys().map(String::as_str).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}

/// What was left out or mended, by sentence, with its count and the first place.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(BTreeMap<&'static str, (u64, String)>);

impl Tally {
    /// Counts `count` more of what `sentence` says.
    pub(super) fn add(
        &mut self,
        sentence: &'static str,
        count: u64,
        place: impl FnOnce() -> String,
    ) {
        if count > 0 {
            let entry = self.0.entry(sentence).or_insert_with(|| (0, place()));
            entry.0 = entry.0.saturating_add(count);
        }
    }

    /// Sum over all sentences.
    pub(super) fn total(&self) -> u64 {
        self.0
            .values()
            .fold(0, |sum, (count, _)| sum.saturating_add(*count))
    }

    /// One line per sentence: `12 spans without an id (first: a.json)`.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(sentence, (count, place))| {
            if place.is_empty() {
                format!("{count} {sentence}")
            } else {
                format!("{count} {sentence} (first: {place})")
            }
        })
    }
}

/// All spans of an import.
#[derive(Clone, Debug, Default)]
pub(super) struct SpanSet {
    /// Trace ids.
    pub(super) traces: Names,
    /// Services.
    pub(super) services: Names,
    /// Queues that messages went through.
    pub(super) queues: Names,
    /// Spans, as they stood in the files.
    pub(super) spans: Vec<Span>,
    /// Span objects read; more than spans where several tell of one.
    pub(super) objects: u64,
    /// Span objects marked as failed.
    pub(super) errors: u64,
    /// What could not be used.
    pub(super) skipped: Tally,
    /// What was used after mending.
    pub(super) mended: Tally,
}

/// The spans of one id; nearly always one.
struct Bearers {
    first: usize,
    others: Vec<usize>,
}

impl Bearers {
    fn iter(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

impl SpanSet {
    /// Adds the span that one object tells of.
    ///
    /// # Errors
    /// [`ImportError::TooManySpans`] past the limit, with the name of the file.
    pub(super) fn add(&mut self, file: &str, span: Span) -> Result<(), ImportError> {
        if self.spans.len() >= SPANS_MAX {
            return Err(ImportError::TooManySpans {
                file: file.to_owned(),
                limit: SPANS_MAX,
            });
        }
        self.objects = self.objects.saturating_add(1);
        self.errors = self.errors.saturating_add(u64::from(span.is_error));
        self.spans.push(span);
        Ok(())
    }

    /// Counts what of a file could not be used.
    pub(super) fn skip(&mut self, file: &str, sentence: &'static str, count: u64) {
        self.skipped.add(sentence, count, || file.to_owned());
    }

    /// For each span the position of its parent, where that is in the set; a span is never its own.
    ///
    /// Of several spans with the parent's id, that of the child's own service is meant, else the
    /// side that answers, else the first.
    pub(super) fn parents(&self) -> Vec<Option<usize>> {
        let mut by_id: BTreeMap<(usize, &str), Bearers> = BTreeMap::new();
        for (position, span) in self.spans.iter().enumerate() {
            by_id
                .entry((span.trace, span.id.as_str()))
                .and_modify(|bearers| bearers.others.push(position))
                .or_insert(Bearers {
                    first: position,
                    others: Vec::new(),
                });
        }
        let parent_of = |position: usize, span: &Span| {
            let own = by_id.get(&(span.trace, span.id.as_str()));
            if span.ids == Ids::OfBothSides && span.role == Role::Server {
                let is_caller = |&other: &usize| {
                    other != position
                        && self
                            .spans
                            .get(other)
                            .is_some_and(|other| other.role == Role::Caller)
                };
                if let Some(caller) = own.and_then(|bearers| bearers.iter().find(is_caller)) {
                    return Some(caller);
                }
            }
            let bearers = by_id.get(&(span.trace, span.parent.as_deref()?))?;
            let has = |wanted: fn(&Span, &Span) -> bool| {
                bearers.iter().find(|&at| {
                    self.spans
                        .get(at)
                        .is_some_and(|parent| wanted(parent, span))
                })
            };
            has(|parent, child| parent.service == child.service)
                .or_else(|| has(|parent, _| parent.role == Role::Server))
                .or(Some(bearers.first))
        };
        self.spans
            .iter()
            .enumerate()
            .map(|(position, span)| parent_of(position, span).filter(|parent| *parent != position))
            .collect()
    }

    /// Consumers that do not name their queue took the message from where its sender says to have put it.
    pub(super) fn name_queues(&mut self, parents: &[Option<usize>]) {
        for (position, parent) in parents.iter().enumerate() {
            let is_unnamed = self
                .spans
                .get(position)
                .is_some_and(|span| span.role == Role::Consumer && span.queue.is_none());
            let sender = parent
                .filter(|_| is_unnamed)
                .and_then(|at| self.spans.get(at));
            let Some(queue) = sender.and_then(|sender| sender.sends_to.clone()) else {
                continue;
            };
            let queue = self.queues.position(&queue);
            if let Some(span) = self.spans.get_mut(position) {
                span.queue = Some(queue);
            }
        }
    }

    /// Spans that name a parent which is not in the set.
    pub(super) fn orphan_count(&self, parents: &[Option<usize>]) -> u64 {
        let orphans = self
            .spans
            .iter()
            .zip(parents)
            .filter(|(span, parent)| span.parent.is_some() && parent.is_none());
        orphans.fold(0, |count, _| count + 1)
    }

    /// Names of the services that own spans, sorted.
    pub(super) fn service_names(&self) -> Vec<String> {
        let names: BTreeSet<&str> = self
            .spans
            .iter()
            .map(|span| self.services.name(span.service))
            .collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Distinct child spans whose parent belongs to another service, by the two services.
    pub(super) fn edges(&self, parents: &[Option<usize>]) -> Vec<(String, String, u64)> {
        let mut children: BTreeMap<(&str, &str), BTreeSet<(usize, &str)>> = BTreeMap::new();
        for (span, parent) in self.spans.iter().zip(parents) {
            let Some(parent) = parent.and_then(|parent| self.spans.get(parent)) else {
                continue;
            };
            if parent.service != span.service {
                let edge = (
                    self.services.name(parent.service),
                    self.services.name(span.service),
                );
                children
                    .entry(edge)
                    .or_default()
                    .insert((span.trace, span.id.as_str()));
            }
        }
        children
            .into_iter()
            .map(|((from, to), spans)| {
                let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
                (from.to_owned(), to.to_owned(), count)
            })
            .collect()
    }
}
