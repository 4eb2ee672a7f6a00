//! `flowreel requests RUN.reel`: the requests of a run, chosen, sorted, cut.
//!
//! Belongs here: one row for each request. Does not belong here: journeys (request), the language
//! of `--where` (condition).

use super::condition::{Condition, Row, Value};
use super::{CliError, Console, Outcome, reel_file};
use clap::ValueEnum;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::{ClassId, RequestId};
use flowreel_engine::model::time::{TimeNs, seconds_from_ns};
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{ReelError, ReelReader};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Reel to look into.
    reel: PathBuf,
    /// Only requests for which this is true: 'class == "login" and sojourn_s > 0.5'. Names: id, class,
    /// outcome, attempts, user, begun_s, finished_s, sojourn_s.
    #[arg(long = "where", value_name = "EXPR")]
    condition: Option<Condition>,
    /// Order of the rows; `sojourn` and `attempts` put the largest first.
    #[arg(long, value_enum, default_value_t = Sort::Id)]
    sort: Sort,
    /// Most rows to show.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sort {
    Id,
    #[value(alias = "begun_s")]
    Begun,
    #[value(alias = "finished_s")]
    Finished,
    #[value(alias = "sojourn_s")]
    Sojourn,
    Attempts,
    Class,
    Outcome,
}

#[derive(Serialize)]
struct RequestsAnswer<'a> {
    schema: &'static str,
    /// Requests that fit, before `--limit`.
    count: usize,
    requests: &'a [RowAnswer],
}

#[derive(Serialize)]
struct RowAnswer {
    id: String,
    class: String,
    outcome: &'static str,
    attempts: u16,
    begun_t_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_t_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sojourn_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<u64>,
}

/// What is known of a request from its events.
struct Seen {
    class: ClassId,
    user: u64,
    begun: TimeNs,
    finished: Option<TimeNs>,
    outcome: &'static str,
    attempts: u16,
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let mut reader = reel_file::open(&args.reel)?;
    let seen =
        read_requests(&mut reader).map_err(|error| reel_file::read_error(&args.reel, &error))?;
    let topology = reader.topology();
    let mut chosen: Vec<(RequestId, Seen)> = seen
        .into_iter()
        .filter(|(id, seen)| {
            let row = |name: &str| field(*id, seen, topology, name);
            args.condition
                .as_ref()
                .is_none_or(|condition| condition.holds(&row as &Row<'_>))
        })
        .collect();
    sort(&mut chosen, args.sort, topology);
    let count = chosen.len();
    chosen.truncate(args.limit.unwrap_or(count));
    let rows: Vec<RowAnswer> = chosen
        .iter()
        .map(|(id, seen)| row_answer(*id, seen, topology))
        .collect();
    if console.json {
        console.answer(&RequestsAnswer {
            schema: "flowreel.requests/1",
            count,
            requests: &rows,
        })?;
    } else {
        table(&rows, count, console)?;
    }
    Ok(Outcome::Done)
}

fn read_requests(reader: &mut ReelReader) -> Result<BTreeMap<RequestId, Seen>, ReelError> {
    let mut seen = BTreeMap::new();
    let mut batch = Vec::new();
    for position in 0..reader.event_blocks().len() {
        reader.read_events(position, &mut batch)?;
        batch
            .iter()
            .filter(|event| event.request != RequestId::NONE)
            .for_each(|event| see(&mut seen, event));
    }
    Ok(seen)
}

fn see(seen: &mut BTreeMap<RequestId, Seen>, event: &StageEvent) {
    let request = seen.entry(event.request).or_insert(Seen {
        class: event.class,
        user: 0,
        begun: event.t_ns,
        finished: None,
        outcome: "in-flight",
        attempts: 1,
    });
    request.attempts = request.attempts.max(event.attempt);
    match event.kind {
        EventKind::RequestBegun => {
            request.user = event.value;
            request.class = event.class;
        }
        EventKind::RequestFinished => {
            request.finished = Some(event.t_ns);
            request.outcome = event.outcome.name();
        }
        _ => {}
    }
}

impl Seen {
    fn sojourn_ns(&self) -> Option<u64> {
        self.finished.map(|finished| finished.since_ns(self.begun))
    }

    fn user(&self) -> Option<u64> {
        (self.user != 0).then_some(self.user)
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of people, not of bits")]
fn field(id: RequestId, seen: &Seen, topology: &Topology, name: &str) -> Value {
    let number = |value: Option<f64>| value.map_or(Value::Unknown, Value::Number);
    let time = |t: TimeNs| t.as_s();
    match name {
        "id" => Value::Number(id.0 as f64),
        "class" => Value::Text(topology.class_name(seen.class).to_owned()),
        "outcome" => Value::Text(seen.outcome.to_owned()),
        "attempts" => Value::Number(f64::from(seen.attempts)),
        "user" => number(seen.user().map(|user| user as f64)),
        "begun_s" => Value::Number(time(seen.begun)),
        "finished_s" => number(seen.finished.map(time)),
        "sojourn_s" => number(seen.sojourn_ns().map(seconds_from_ns)),
        _ => Value::Unknown,
    }
}

fn sort(rows: &mut [(RequestId, Seen)], by: Sort, topology: &Topology) {
    match by {
        Sort::Id => {}
        Sort::Begun => rows.sort_by_key(|(_, seen)| seen.begun),
        Sort::Finished => rows.sort_by_key(|(_, seen)| seen.finished.unwrap_or(TimeNs::MAX)),
        Sort::Sojourn => rows.sort_by_key(|(_, seen)| Reverse(seen.sojourn_ns())),
        Sort::Attempts => rows.sort_by_key(|(_, seen)| Reverse(seen.attempts)),
        Sort::Class => {
            rows.sort_by(|(_, a), (_, b)| {
                topology
                    .class_name(a.class)
                    .cmp(topology.class_name(b.class))
            });
        }
        Sort::Outcome => rows.sort_by_key(|(_, seen)| seen.outcome),
    }
}

fn row_answer(id: RequestId, seen: &Seen, topology: &Topology) -> RowAnswer {
    RowAnswer {
        id: id.0.to_string(),
        class: topology.class_name(seen.class).to_owned(),
        outcome: seen.outcome,
        attempts: seen.attempts,
        begun_t_ns: seen.begun.0,
        finished_t_ns: seen.finished.map(|t| t.0),
        sojourn_s: seen.sojourn_ns().map(seconds_from_ns),
        user: seen.user(),
    }
}

fn table(rows: &[RowAnswer], count: usize, console: &mut Console<'_>) -> Result<(), CliError> {
    console.line(format_args!(
        "{:>10} {:<16} {:<10} {:>8} {:>12} {:>12}",
        "request", "class", "outcome", "attempts", "begun", "sojourn s"
    ))?;
    for row in rows {
        console.line(format_args!(
            "{:>10} {:<16} {:<10} {:>8} {:>12} {:>12}",
            row.id,
            row.class,
            row.outcome,
            row.attempts,
            TimeNs(row.begun_t_ns).to_string(),
            row.sojourn_s
                .map_or_else(|| "-".to_owned(), |s| format!("{s:.5}"))
        ))?;
    }
    console.line(format_args!("{} of {count} requests", rows.len()))
}
