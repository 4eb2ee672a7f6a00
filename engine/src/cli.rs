//! The command line: verbs, exit codes, the shape of errors.
//!
//! Belongs here: the table of verbs and what all of them share. Does not belong here: what a verb
//! does; each has a file of its own with an `Args` struct and
//! `pub(crate) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError>`.
//! A new verb is one file, one `mod` line, one variant of [`Verb`], one arm in [`dispatch`].

mod annotate;
mod cat;
mod check;
mod console;
mod diff;
mod error;
mod event_line;
mod export;
mod hand_over;
mod import;
mod info;
mod merge;
mod moment;
mod new_file;
mod notes;
mod recover;
mod redact;
mod reel_file;
mod replay;
mod request;
mod requests;
mod requests_seen;
mod scenario_file;
mod schema;
mod simulate;
mod simulate_out;
mod simulate_table;
mod slice;
mod split;
mod state;
mod usage;
mod verify;

pub(crate) use console::Console;
pub(crate) use error::{CliError, Outcome};

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::io::Write;

/// Record the performance. Replay any moment. Rehearse the next one.
#[derive(Debug, Parser)]
#[command(name = "flowreel", version, propagate_version = true)]
struct Cli {
    /// Answer with one JSON object on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Validate a scenario file.
    Check(check::Args),
    /// Print the JSON Schema of scenario files.
    Schema(schema::Args),
    /// Run a model.
    Simulate(simulate::Args),
    /// Play a reel in the terminal.
    Replay(replay::Args),
    /// Say what is in a reel.
    Info(info::Args),
    /// Check every checksum, and every keyframe against a fresh fold.
    Verify(verify::Args),
    /// Save all that is whole in a torn or damaged reel.
    Recover(recover::Args),
    /// Show the state at a moment, with its hash.
    State(state::Args),
    /// Follow one request, stage by stage, waiting and service apart.
    Request(request::Args),
    /// List requests.
    Requests(requests::Args),
    /// Write out events.
    Cat(cat::Args),
    /// Cut a stretch of time, or the events of some requests or components, out of a reel.
    Slice(slice::Args),
    /// Join reels: stretches of one run, or recordings of several machines on one clock.
    Merge(merge::Args),
    /// Cut a reel into several, by time, component or class.
    Split(split::Args),
    /// Say at which event two runs part, and compare their figures.
    Diff(diff::Args),
    /// Write a copy of a reel without fields that others must not see.
    Redact(redact::Args),
    /// Note something at a moment of a reel, in a file beside it.
    Annotate(annotate::Args),
    /// Turn a reel into a file for another tool.
    Export(export::Args),
    /// Turn traces of other tools into a reel.
    Import(import::Args),
    /// Run the live backend (`flowreel-live`) with the arguments that follow.
    Live(hand_over::Args),
    /// Open the visualizer (`flowreel-view`) with the arguments that follow.
    View(hand_over::Args),
    /// Show the whole job once on this machine (`cargo xtask demo`).
    Demo(hand_over::Args),
}

fn dispatch(verb: &Verb, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    match verb {
        Verb::Check(args) => check::run(args, console),
        Verb::Schema(args) => schema::run(args, console),
        Verb::Simulate(args) => simulate::run(args, console),
        Verb::Replay(args) => replay::run(args, console),
        Verb::Info(args) => info::run(args, console),
        Verb::Verify(args) => verify::run(args, console),
        Verb::Recover(args) => recover::run(args, console),
        Verb::State(args) => state::run(args, console),
        Verb::Request(args) => request::run(args, console),
        Verb::Requests(args) => requests::run(args, console),
        Verb::Cat(args) => cat::run(args, console),
        Verb::Slice(args) => slice::run(args, console),
        Verb::Merge(args) => merge::run(args, console),
        Verb::Split(args) => split::run(args, console),
        Verb::Diff(args) => diff::run(args, console),
        Verb::Redact(args) => redact::run(args, console),
        Verb::Annotate(args) => annotate::run(args, console),
        Verb::Export(args) => export::run(args, console),
        Verb::Import(args) => import::run(args, console),
        Verb::Live(args) => hand_over::run("flowreel-live", &[], args, console),
        Verb::View(args) => hand_over::run("flowreel-view", &[], args, console),
        Verb::Demo(args) => hand_over::run("xtask", &["demo"], args, console),
    }
}

/// Runs the program on these arguments (the first is its own name) and gives its exit code.
pub(crate) fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // A usage error comes before the flag is parsed, and still has to keep to it.
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let result = match Cli::try_parse_from(&arguments) {
        Ok(cli) => {
            let mut console = Console::new(cli.json, out, err);
            dispatch(&cli.verb, &mut console).and_then(|outcome| {
                console.flush()?;
                Ok(outcome)
            })
        }
        Err(error) => usage::answer(&error, &mut Console::new(wants_json, out, err)),
    };
    match result {
        Ok(Outcome::Done) => 0,
        Ok(Outcome::DoesNotHold) => 1,
        Ok(Outcome::BadInput) => 2,
        Err(error) => error.report(wants_json, out, err),
    }
}
