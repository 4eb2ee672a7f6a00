//! `flowreel slice RUN.reel --from T --to T --out PIECE.reel`: a piece of a reel.
//!
//! Belongs here: what was asked for, and the account of it. Does not belong here: cutting (editing).

use super::moment::Moment;
use super::new_file::NewFile;
use super::notes::{self, Note};
use super::requests::condition;
use super::requests_seen;
use super::{CliError, Console, Outcome, reel_file};
use flowreel_engine::editing::{Choice, EditError, Stretch, choose, slice};
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::time::{TimeNs, seconds_from_ns};
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::Summary;
use flowreel_engine::scenario::nearest_hint;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: flowreel slice recordings/smtp-refuses.reel --from 10s --to 20s --out piece.reel"
)]
pub(super) struct Args {
    /// Reel to cut from.
    reel: PathBuf,
    /// First moment of the piece; left out, the beginning.
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// Last moment of the piece; left out, the end.
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    /// Only events of this request; may be given several times.
    #[arg(long = "request", value_name = "ID")]
    requests: Vec<u64>,
    /// Only events of requests for which this is true, in the language of `flowreel requests --where`.
    #[arg(long = "where", value_name = "EXPR", conflicts_with = "requests")]
    condition: Option<String>,
    /// Only events at this component, or to or from it; may be given several times.
    #[arg(long = "component", value_name = "ID")]
    components: Vec<String>,
    /// Reel to write.
    #[arg(long, value_name = "PIECE.reel")]
    out: PathBuf,
}

/// What a new reel holds.
#[derive(Serialize)]
pub(super) struct PieceAnswer {
    pub(super) out: String,
    pub(super) events: u64,
    requests: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_t_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_t_ns: Option<u64>,
    final_hash: String,
}

impl PieceAnswer {
    pub(super) fn new(out: &Path, summary: &Summary) -> Self {
        Self {
            out: out.display().to_string(),
            events: summary.events,
            requests: summary.requests,
            first_t_ns: summary.first_t_ns.map(|t| t.0),
            last_t_ns: summary.last_t_ns.map(|t| t.0),
            final_hash: summary.final_hash.to_string(),
        }
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        let moment = |t: Option<u64>| seconds_from_ns(t.unwrap_or(0));
        format!(
            "{}: {} events from {:.3} s to {:.3} s, {} requests begun, final hash {}",
            self.out,
            self.events,
            moment(self.first_t_ns),
            moment(self.last_t_ns),
            self.requests,
            self.final_hash
        )
    }
}

#[derive(Serialize)]
struct SliceAnswer {
    schema: &'static str,
    #[serde(flatten)]
    piece: PieceAnswer,
    /// Notes of people that went along.
    annotations: usize,
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let condition = args.condition.as_deref().map(condition).transpose()?;
    let mut reader = reel_file::open(&args.reel)?;
    let started_at = reader.meta().started_at_unix_ns;
    let moment = |moment: Option<Moment>, otherwise| {
        moment.map_or(Ok(otherwise), |moment| moment.resolve(started_at))
    };
    let stretch = Stretch {
        from: moment(args.from, TimeNs(0))?,
        to: moment(args.to, TimeNs::MAX)?,
    };
    if stretch.from > stretch.to {
        return Err(CliError::input(format!(
            "--from {} is after --to {}",
            stretch.from, stretch.to
        ))
        .hint("exchange them"));
    }
    let mut choice = choice(args, reader.topology())?;
    let read = [args.reel.clone()];
    let failed = |error: EditError| reel_file::edit_error(&read, &args.out, &error);
    if let Some(condition) = &condition {
        let fitting = requests_seen::fitting(&mut reader, condition)
            .map_err(|error| reel_file::read_error(&args.reel, &error))?;
        if fitting.is_empty() {
            return Err(failed(EditError::Nothing));
        }
        choice.requests = fitting.into_iter().collect();
        choice.by = args.condition.as_ref().map(|text| format!("where {text}"));
    }
    reel_file::refuse_to_replace(&args.out, &[&args.reel])?;
    // Only made where something fits, so that nothing is left behind where nothing does.
    let mut new = None;
    let create = || {
        let (file, pending) = NewFile::create(&args.out)?;
        new = Some(pending);
        Ok(file)
    };
    let cut = if choice.is_everything() {
        slice(reader, stretch, create)
    } else {
        choose(reader, &choice, stretch, create)
    };
    let (_, summary) = cut.map_err(failed)?;
    if let Some(new) = new {
        reel_file::keep(new, &args.out)?;
    }
    let mut notes = notes::read_or_say(&args.reel, console);
    notes.retain(|note| goes_along(note, stretch, &choice, &args.components));
    let annotations = notes::go_along(&args.out, notes)?;
    let piece = PieceAnswer::new(&args.out, &summary);
    if console.json {
        console.answer(&SliceAnswer {
            schema: "flowreel.slice/1",
            piece,
            annotations,
        })?;
    } else {
        console.line(format_args!("{}", piece.line()))?;
        say_annotations(annotations, console)?;
    }
    Ok(Outcome::Done)
}

/// Whether a note is about what was cut out.
fn goes_along(note: &Note, stretch: Stretch, choice: &Choice, components: &[String]) -> bool {
    let request = note.request.as_ref().and_then(|id| id.parse().ok());
    (stretch.from.0..=stretch.to.0).contains(&note.t_ns)
        && (choice.requests.is_empty()
            || request.is_none_or(|id| choice.requests.contains(&RequestId(id))))
        && (components.is_empty()
            || note
                .component
                .as_ref()
                .is_none_or(|name| components.contains(name)))
}

/// Says that notes went along, where any did.
pub(super) fn say_annotations(count: usize, console: &mut Console<'_>) -> Result<(), CliError> {
    match count {
        0 => Ok(()),
        1 => console.line(format_args!("1 note goes along")),
        _ => console.line(format_args!("{count} notes go along")),
    }
}

fn choice(args: &Args, topology: &Topology) -> Result<Choice, CliError> {
    let components = args.components.iter().map(|name| {
        topology.component_named(name).ok_or_else(|| {
            let known: Vec<&str> = topology
                .components
                .iter()
                .map(|it| it.id.as_str())
                .collect();
            CliError::input(format!("there is no component `{name}`"))
                .at(args.reel.display().to_string())
                .hint(nearest_hint(name, &known))
        })
    });
    Ok(Choice {
        requests: args.requests.iter().copied().map(RequestId).collect(),
        components: components.collect::<Result<_, _>>()?,
        by: None,
    })
}
