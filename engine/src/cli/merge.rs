//! `flowreel merge A.reel B.reel … --out ALL.reel`: several reels as one.
//!
//! Belongs here: the account of clocks and parts. Does not belong here: joining (editing).

use super::notes::{self, Note};
use super::slice::{PieceAnswer, say_annotations};
use super::{CliError, Console, Outcome, reel_file};
use flowreel_engine::editing::{EditError, MergedPart, merge};
use flowreel_engine::model::time::seconds_from_ns;
use flowreel_engine::recording::ReelReader;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: flowreel merge front.reel back.reel --out all.reel")]
pub(super) struct Args {
    /// Reels to join.
    #[arg(required = true, num_args = 2.., value_name = "REEL")]
    reels: Vec<PathBuf>,
    /// Reel to write.
    #[arg(long, value_name = "ALL.reel")]
    out: PathBuf,
}

#[derive(Serialize)]
struct MergeAnswer {
    schema: &'static str,
    #[serde(flatten)]
    whole: PieceAnswer,
    one_run: bool,
    parts: Vec<PartAnswer>,
    /// Notes of people that went along.
    annotations: usize,
}

#[derive(Serialize)]
struct PartAnswer {
    reel: String,
    events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<ClockAnswer>,
    requests_shifted_by: u64,
}

/// The part's clock against that of the first.
#[derive(Serialize)]
struct ClockAnswer {
    ahead_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    uncertainty_s: Option<f64>,
    pairs: u64,
}

impl PartAnswer {
    fn new(reel: &Path, part: &MergedPart) -> Self {
        Self {
            reel: reel.display().to_string(),
            events: part.events,
            clock: part.clock.map(|clock| ClockAnswer {
                ahead_s: signed_seconds(clock.ahead_ns),
                uncertainty_s: clock.uncertainty_ns.map(seconds_from_ns),
                pairs: clock.pairs,
            }),
            requests_shifted_by: part.requests_shifted_by,
        }
    }

    fn line(&self) -> String {
        let clock = match &self.clock {
            None => String::new(),
            Some(ClockAnswer {
                pairs: 0, ahead_s, ..
            }) => {
                format!(", taken to be {ahead_s:.6} s ahead: no message tells")
            }
            Some(clock) => {
                let doubt = clock.uncertainty_s.map_or_else(
                    || "at most, for messages went one way only".to_owned(),
                    |s| format!("± {s:.6} s"),
                );
                format!(
                    ", clock {:.6} s ahead {doubt} by {} messages",
                    clock.ahead_s, clock.pairs
                )
            }
        };
        format!("{}: {} events{clock}", self.reel, self.events)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "clocks apart by years are still clear"
)]
fn signed_seconds(ns: i128) -> f64 {
    ns as f64 / 1e9
}

/// A note at the time and about the request that its part has in the whole.
fn shifted(mut note: Note, part: &MergedPart) -> Note {
    let t_ns = i128::from(note.t_ns) + part.shift_ns;
    note.t_ns = u64::try_from(t_ns.max(0)).unwrap_or(u64::MAX);
    if let Some(Ok(id)) = note.request.as_ref().map(|id| id.parse::<u64>()) {
        note.request = Some(id.saturating_add(part.requests_shifted_by).to_string());
    }
    note
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    for reel in &args.reels {
        reel_file::open(reel)?;
    }
    let read: Vec<&Path> = args.reels.iter().map(PathBuf::as_path).collect();
    let (sink, new) = reel_file::create(&args.out, &read)?;
    let open = |part: usize| ReelReader::open(read.get(part).copied().unwrap_or(Path::new("")));
    let (_, merged) = merge(read.len(), open, sink)
        .map_err(|error: EditError| reel_file::edit_error(&args.reels, &args.out, &error))?;
    reel_file::keep(new, &args.out)?;
    let mut notes = Vec::new();
    for (reel, part) in read.iter().zip(&merged.parts) {
        let own = notes::read_or_say(reel, console);
        notes.extend(own.into_iter().map(|note| shifted(note, part)));
    }
    let annotations = notes::go_along(&args.out, notes)?;
    let answer = MergeAnswer {
        annotations,
        schema: "flowreel.merge/1",
        whole: PieceAnswer::new(&args.out, &merged.summary),
        one_run: merged.is_one_run,
        parts: read
            .iter()
            .zip(&merged.parts)
            .map(|(reel, part)| PartAnswer::new(reel, part))
            .collect(),
    };
    if console.json {
        console.answer(&answer)?;
        return Ok(Outcome::Done);
    }
    for part in &answer.parts {
        console.line(format_args!("{}", part.line()))?;
    }
    let how = if answer.one_run {
        "stretches of one run"
    } else {
        "side by side on the clock of the first"
    };
    console.line(format_args!("{how}: {}", answer.whole.line()))?;
    say_annotations(answer.annotations, console)?;
    Ok(Outcome::Done)
}
