//! The `flowreel` program: parse, run, report.

mod cli;

use std::io::{BufWriter, stderr, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut out = BufWriter::new(stdout().lock());
    let mut err = stderr().lock();
    ExitCode::from(cli::run(std::env::args_os(), &mut out, &mut err))
}
