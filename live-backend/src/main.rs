//! `flowreel-live`: reads its settings, runs until told to stop, answers with an exit code.
//!
//! Belongs here: the edge to the shell. Does not belong here: anything that could be called otherwise.

use flowreel_live_backend::cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
