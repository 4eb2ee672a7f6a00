//! `flowreel-view`: parse, run, report.

use clap::Parser;
use flowreel_visualizer::cli::{Arguments, run};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments, has_display()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell where standard error is closed.
            if writeln!(std::io::stderr(), "{error}").is_err() {
                return ExitCode::from(error.code());
            }
            ExitCode::from(error.code())
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the window system is found through these; nothing else is read from the environment"
)]
fn has_display() -> bool {
    cfg!(not(all(unix, not(target_os = "macos"))))
        || ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
