//! `flowreel verify RUN.reel`: does everything in it hold?
//!
//! Belongs here: the answer, running an embedded scenario again. Does not belong here: the checks (recording).

use super::info::{self, InfoAnswer};
use super::{CliError, Console, Outcome, notes, reel_file};
use flowreel_engine::kernel::{EventSink, simulate_events};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::recording::{ReelReader, Verification, verify};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: flowreel verify recordings/smtp-refuses.reel")]
pub(super) struct Args {
    /// Reel to check.
    reel: PathBuf,
    /// Also run the scenario embedded in it again and compare hashes.
    #[arg(long)]
    resimulate: bool,
}

#[derive(Serialize)]
struct VerifyAnswer {
    #[serde(flatten)]
    info: InfoAnswer,
    holds: bool,
    checked_blocks: u64,
    checked_keyframes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    resimulated_hash: Option<String>,
    problem_count: u64,
    problems: Vec<ProblemAnswer>,
}

#[derive(Serialize)]
struct ProblemAnswer {
    offset: u64,
    #[serde(rename = "where")]
    place: String,
    problem: String,
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let mut reader = reel_file::open(&args.reel)?;
    let mut checked = verify(&reader).map_err(|error| reel_file::read_error(&args.reel, &error))?;
    let resimulated_hash = args
        .resimulate
        .then(|| resimulate(args, &reader, &mut checked))
        .transpose()?;
    let notes = notes::read_or_say(&args.reel, console);
    let info = info::answer("flowreel.verify/1", &mut reader, &args.reel, notes)?;
    let file = args.reel.display();
    let answer = VerifyAnswer {
        info,
        holds: checked.holds(),
        checked_blocks: checked.checked_blocks,
        checked_keyframes: checked.checked_keyframes,
        resimulated_hash,
        problem_count: checked.problem_count,
        problems: checked
            .problems
            .into_iter()
            .map(|problem| ProblemAnswer {
                offset: problem.offset,
                place: format!("{file}: byte {}", problem.offset),
                problem: problem.what,
            })
            .collect(),
    };
    if console.json {
        console.answer(&answer)?;
    } else {
        table(&answer, console)?;
    }
    Ok(reel_file::outcome(answer.holds))
}

/// Runs the embedded scenario again; a difference becomes a problem.
fn resimulate(
    args: &Args,
    reader: &ReelReader,
    checked: &mut Verification,
) -> Result<String, CliError> {
    let place = args.reel.display().to_string();
    let Some(scenario) = &reader.meta().scenario else {
        return Err(
            CliError::input("the reel has no scenario in it, so it cannot be run again")
                .at(place)
                .hint("leave out --resimulate; only reels of `flowreel simulate` have one"),
        );
    };
    let mut sink = EventSink(|_event: &StageEvent| {});
    let report = simulate_events(&scenario.text, scenario.seed, &scenario.settings, &mut sink)
        .map_err(|error| {
            CliError::input(format!("the embedded scenario cannot be run: {error}")).at(place)
        })?;
    if report.run_hash != checked.final_hash {
        checked.add(
            0,
            format!(
                "running the scenario again gives {} events with hash {}, the reel has {} with {}",
                report.event_count, report.run_hash, checked.events, checked.final_hash
            ),
        );
    }
    Ok(report.run_hash.to_string())
}

fn table(answer: &VerifyAnswer, console: &mut Console<'_>) -> Result<(), CliError> {
    for problem in &answer.problems {
        console.line(format_args!("{}: {}", problem.place, problem.problem))?;
    }
    for gap in &answer.info.gaps {
        console.line(format_args!("{}", gap.line()))?;
    }
    let more = answer.problem_count - answer.problems.len() as u64;
    if more > 0 {
        console.line(format_args!("and {more} more problems"))?;
    }
    console.line(format_args!(
        "{}: {} blocks, {} keyframes and {} events checked, final hash {}{}",
        if answer.holds {
            "holds"
        } else {
            "DOES NOT HOLD"
        },
        answer.checked_blocks,
        answer.checked_keyframes,
        answer.info.events,
        answer.info.final_hash,
        if answer.resimulated_hash.is_some() && answer.holds {
            ", the same when simulated again"
        } else {
            ""
        }
    ))
}
