//! `flowreel recover IN OUT`: save what is whole.
//!
//! Belongs here: files and the account of what was lost. Does not belong here: which blocks are kept (recording).

use super::info::GapAnswer;
use super::new_file::NewFile;
use super::slice::say_annotations;
use super::{CliError, Console, Outcome, notes, reel_file};
use flowreel_engine::recording::{RecoverError, WriteError, file, recover};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: flowreel recover torn.reel whole.reel")]
pub(super) struct Args {
    /// Torn or damaged reel.
    #[arg(value_name = "IN")]
    damaged: PathBuf,
    /// Reel to write.
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

#[derive(Serialize)]
struct RecoverAnswer {
    schema: &'static str,
    events: u64,
    blocks_kept: u64,
    blocks_lost: u64,
    bytes_lost: u64,
    final_hash: String,
    gaps: Vec<GapAnswer>,
    out: String,
    /// Notes of people that went along.
    annotations: usize,
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let reader = reel_file::open(&args.damaged)?;
    let failed = |error: std::io::Error| {
        reel_file::write_error(&args.out, &WriteError::Io { source: error })
    };
    if file::is_same_file(&args.damaged, &args.out).map_err(failed)? {
        return Err(
            CliError::input("the new reel would overwrite the damaged one")
                .at(args.out.display().to_string())
                .hint("name another file"),
        );
    }
    let (sink, new) = NewFile::create(&args.out).map_err(failed)?;
    let (_, recovered) = recover(&reader, sink).map_err(|error| match error {
        RecoverError::Read { source } => reel_file::read_error(&args.damaged, &source),
        RecoverError::Write { source } => reel_file::write_error(&args.out, &source),
    })?;
    reel_file::keep(new, &args.out)?;
    let notes = notes::read_or_say(&args.damaged, console);
    let annotations = notes::go_along(&args.out, notes)?;
    let answer = RecoverAnswer {
        annotations,
        schema: "flowreel.recover/1",
        events: recovered.summary.events,
        blocks_kept: recovered.blocks_kept,
        blocks_lost: recovered.blocks_lost,
        bytes_lost: recovered.bytes_lost,
        final_hash: recovered.summary.final_hash.to_string(),
        gaps: recovered.gaps.iter().map(GapAnswer::new).collect(),
        out: args.out.display().to_string(),
    };
    if console.json {
        console.answer(&answer)?;
    } else {
        for gap in &answer.gaps {
            console.line(format_args!("{}", gap.line()))?;
        }
        console.line(format_args!(
            "{} events saved to {}; {} damaged blocks ({} bytes) left out",
            answer.events, answer.out, answer.blocks_lost, answer.bytes_lost
        ))?;
        say_annotations(answer.annotations, console)?;
    }
    Ok(Outcome::Done)
}
