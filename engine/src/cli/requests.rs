//! `flowreel requests RUN.reel`: the requests of a run, chosen, sorted, cut.
//!
//! Belongs here: order and rows of the list. Does not belong here: journeys (request), what is known of
//! a request (requests_seen), the language of `--where` (condition).

use super::info::tell_gaps;
use super::requests_seen::{self, Seen};
use super::{CliError, Console, Outcome, reel_file};
use flowreel_engine::condition::Condition;
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::time::{TimeNs, seconds_from_ns};
use flowreel_engine::model::topology::Topology;
use flowreel_engine::scenario::nearest_hint;
use serde::Serialize;
use std::cmp::Ordering;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: flowreel requests recordings/smtp-refuses.reel --where 'sojourn_s > 250ms and visited \"smtp\"' --sort sojourn --limit 10"
)]
pub(super) struct Args {
    /// Reel to look into.
    reel: PathBuf,
    /// Only requests for which this is true: 'class == "login" and sojourn_s > 250ms'. Names: id, class,
    /// outcome, attempts, retries, parts, user, begun_s, finished_s, sojourn_s, waiting_s, service_s,
    /// component, path, failed_at; also `visited "smtp"`, `in [..]`, `like "log*"`, and, or, not, ( ).
    #[arg(long = "where", value_name = "EXPR")]
    condition: Option<String>,
    /// Order of the rows: id, begun, finished, class, outcome (smallest first), sojourn, waiting, service,
    /// attempts, retries, parts (largest first). `-F` puts the largest first, `+F` the smallest; what is
    /// unknown stands last.
    #[arg(
        long,
        value_name = "F",
        default_value = "id",
        allow_hyphen_values = true
    )]
    sort: Sort,
    /// Most rows to show.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Id,
    Begun,
    Finished,
    Class,
    Outcome,
    Sojourn,
    Waiting,
    Service,
    Attempts,
    Retries,
    Parts,
}

impl Field {
    /// Each with its name and whether the largest comes first where nobody says.
    const ALL: [(&'static str, Self, bool); 11] = [
        ("id", Self::Id, false),
        ("begun", Self::Begun, false),
        ("finished", Self::Finished, false),
        ("class", Self::Class, false),
        ("outcome", Self::Outcome, false),
        ("sojourn", Self::Sojourn, true),
        ("waiting", Self::Waiting, true),
        ("service", Self::Service, true),
        ("attempts", Self::Attempts, true),
        ("retries", Self::Retries, true),
        ("parts", Self::Parts, true),
    ];
}

/// An order of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sort {
    field: Field,
    is_descending: bool,
}

impl FromStr for Sort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.strip_prefix(['-', '+']).unwrap_or(text);
        let name = word.strip_suffix("_s").unwrap_or(word);
        let found = Field::ALL.into_iter().find(|(known, _, _)| *known == name);
        let Some((_, field, is_largest_first)) = found else {
            let names = Field::ALL.map(|(name, _, _)| name);
            let nearest = nearest_hint(word, &names);
            return Err(format!("`{word}` is nothing to sort by; {nearest}"));
        };
        let is_descending = match text.chars().next() {
            Some('-') => true,
            Some('+') => false,
            _ => is_largest_first,
        };
        Ok(Self {
            field,
            is_descending,
        })
    }
}

#[derive(Serialize)]
struct RequestsAnswer<'a> {
    schema: &'static str,
    /// Requests that fit, before `--limit`.
    count: usize,
    requests: &'a [RowAnswer<'a>],
}

#[derive(Serialize)]
struct RowAnswer<'a> {
    id: String,
    class: &'a str,
    outcome: &'static str,
    attempts: u16,
    retries: u64,
    parts: u64,
    begun_t_ns: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_t_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sojourn_s: Option<f64>,
    waiting_s: f64,
    service_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<u64>,
    paths: Vec<&'a str>,
    failed_at: Vec<&'a str>,
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let condition = args.condition.as_deref().map(condition).transpose()?;
    let mut reader = reel_file::open(&args.reel)?;
    let seen = requests_seen::read(&mut reader)
        .map_err(|error| reel_file::read_error(&args.reel, &error))?;
    tell_gaps(reader.gaps(), console);
    let topology = reader.topology();
    let mut chosen: Vec<(RequestId, Seen)> = seen
        .into_iter()
        .filter(|(id, seen)| {
            condition
                .as_ref()
                .is_none_or(|condition| seen.fits(*id, condition, topology))
        })
        .collect();
    // Stable, so equal ones stay in the order of their numbers.
    chosen.sort_by(|a, b| compare(a, b, args.sort, topology));
    let count = chosen.len();
    chosen.truncate(args.limit.unwrap_or(count));
    let rows: Vec<RowAnswer<'_>> = chosen
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

/// A condition as written after `--where`.
pub(super) fn condition(text: &str) -> Result<Condition, CliError> {
    text.parse()
        .map_err(|error| CliError::in_expression("--where", &error))
}

fn compare(
    a: &(RequestId, Seen),
    b: &(RequestId, Seen),
    by: Sort,
    topology: &Topology,
) -> Ordering {
    let turned = |order: Ordering| {
        if by.is_descending {
            order.reverse()
        } else {
            order
        }
    };
    let ((a_id, a), (b_id, b)) = (a, b);
    let known = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => turned(a.cmp(&b)),
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Greater,
        (_, None) => Ordering::Less,
    };
    let class = |seen: &Seen| topology.class_name(seen.class).to_owned();
    match by.field {
        Field::Id => turned(a_id.cmp(b_id)),
        Field::Begun => turned(a.begun.cmp(&b.begun)),
        Field::Finished => known(a.finished.map(|t| t.0), b.finished.map(|t| t.0)),
        Field::Class => turned(class(a).cmp(&class(b))),
        Field::Outcome => turned(a.outcome.cmp(b.outcome)),
        Field::Sojourn => known(a.sojourn_ns(), b.sojourn_ns()),
        Field::Waiting => turned(a.waiting_ns.cmp(&b.waiting_ns)),
        Field::Service => turned(a.service_ns.cmp(&b.service_ns)),
        Field::Attempts => turned(a.attempts.cmp(&b.attempts)),
        Field::Retries => turned(a.retries.cmp(&b.retries)),
        Field::Parts => turned(a.parts().cmp(&b.parts())),
    }
}

fn row_answer<'a>(id: RequestId, seen: &Seen, topology: &'a Topology) -> RowAnswer<'a> {
    RowAnswer {
        id: id.0.to_string(),
        class: topology.class_name(seen.class),
        outcome: seen.outcome,
        attempts: seen.attempts,
        retries: seen.retries,
        parts: seen.parts(),
        begun_t_ns: seen.begun.0,
        finished_t_ns: seen.finished.map(|t| t.0),
        sojourn_s: seen.sojourn_ns().map(seconds_from_ns),
        waiting_s: seconds_from_ns(seen.waiting_ns),
        service_s: seconds_from_ns(seen.service_ns),
        user: seen.user,
        paths: seen.paths(topology),
        failed_at: seen.failed_at(topology),
    }
}

fn table(rows: &[RowAnswer<'_>], count: usize, console: &mut Console<'_>) -> Result<(), CliError> {
    console.line(format_args!(
        "{:>10} {:<16} {:<10} {:>8} {:>12} {:>12} {:>11} {:>11}  failed at",
        "request", "class", "outcome", "attempts", "begun", "sojourn s", "waiting s", "service s"
    ))?;
    for row in rows {
        let line = format!(
            "{:>10} {:<16} {:<10} {:>8} {:>12} {:>12} {:>11.5} {:>11.5}  {}",
            row.id,
            row.class,
            row.outcome,
            row.attempts,
            TimeNs(row.begun_t_ns).to_string(),
            row.sojourn_s
                .map_or_else(|| "-".to_owned(), |s| format!("{s:.5}")),
            row.waiting_s,
            row.service_s,
            row.failed_at.join(", ")
        );
        console.line(format_args!("{}", line.trim_end()))?;
    }
    console.line(format_args!("{} of {count} requests", rows.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_nonsense_gets_the_nearest_name() {
        let sort = |text: &str| text.parse::<Sort>();
        let order = |field, is_descending| {
            Ok(Sort {
                field,
                is_descending,
            })
        };
        assert_eq!(sort("sojourn"), order(Field::Sojourn, true));
        assert_eq!(sort("sojourn_s"), order(Field::Sojourn, true));
        assert_eq!(sort("+sojourn"), order(Field::Sojourn, false));
        assert_eq!(sort("begun"), order(Field::Begun, false));
        assert_eq!(sort("-begun"), order(Field::Begun, true));
        for text in ["sojurn", "-sojurn", "", "--id"] {
            assert!(sort(text).is_err(), "{text}");
        }
        assert!(
            sort("sojurn")
                .unwrap_err()
                .contains("did you mean `sojourn`?")
        );
    }
}
