//! `flowreel slice RUN.reel --from T --to T --out PIECE.reel`: a piece of a reel.
//!
//! Belongs here: what was asked for, and the account of it. Does not belong here: cutting (editing).

use super::moment::Moment;
use super::{CliError, Console, Outcome, reel_file};
use flowreel_engine::editing::{Choice, EditError, Stretch, choose, slice};
use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::time::{TimeNs, seconds_from_ns};
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::{Summary, file};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
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
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let reader = reel_file::open(&args.reel)?;
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
    let choice = choice(args, reader.topology())?;
    let read = [args.reel.clone()];
    let failed = |error: EditError| reel_file::edit_error(&read, &args.out, &error);
    reel_file::refuse_to_replace(&args.out, &[&args.reel])?;
    // Only made where something fits, so that nothing is left behind where nothing does.
    let create = || file::create(&args.out);
    let cut = if choice.is_everything() {
        slice(reader, stretch, create)
    } else {
        choose(reader, &choice, stretch, create)
    };
    let (_, summary) = cut.map_err(failed)?;
    let piece = PieceAnswer::new(&args.out, &summary);
    if console.json {
        console.answer(&SliceAnswer {
            schema: "flowreel.slice/1",
            piece,
        })?;
    } else {
        console.line(format_args!("{}", piece.line()))?;
    }
    Ok(Outcome::Done)
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
                .hint(format!("name one of {}", known.join(", ")))
        })
    });
    Ok(Choice {
        requests: args.requests.iter().copied().map(RequestId).collect(),
        components: components.collect::<Result<_, _>>()?,
    })
}
