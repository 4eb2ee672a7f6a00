//! `live`, `view`, `demo`: other programs of ours, started in place of this one.
//!
//! Belongs here: finding the program beside this one and becoming it. Does not belong here: its arguments.

use super::{CliError, Console, Outcome};
use std::ffi::OsString;
use std::process::Command;

#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Args {
    /// Handed over as they are; `flowreel view --help` is answered by the visualizer.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    arguments: Vec<OsString>,
}

/// Becomes `program` with the arguments `first` and then those given.
pub(crate) fn run(
    program: &str,
    first: &[&str],
    args: &Args,
    console: &mut Console<'_>,
) -> Result<Outcome, CliError> {
    console.flush()?;
    let own = std::env::current_exe().map_err(|error| {
        CliError::environment(format!("cannot find this program's folder: {error}"))
    })?;
    let path = own.with_file_name(format!("{program}{}", std::env::consts::EXE_SUFFIX));
    if !path.is_file() {
        let package = match program {
            "flowreel-live" => "flowreel-live-backend",
            "flowreel-view" => "flowreel-visualizer",
            other => other,
        };
        return Err(
            CliError::environment(format!("`{program}` is not beside `flowreel`")).hint(format!(
                "build it with `cargo build -p {package}`, or install the whole package"
            )),
        );
    }
    let mut command = Command::new(&path);
    command.args(first).args(&args.arguments);
    if console.json {
        command.arg("--json");
    }
    start(command, program)
}

#[cfg(unix)]
fn start(mut command: Command, program: &str) -> Result<Outcome, CliError> {
    use std::os::unix::process::CommandExt;
    // Returns only where it failed; signals and the exit code are then the program's own.
    let error = command.exec();
    Err(CliError::environment(format!(
        "cannot start `{program}`: {error}"
    )))
}

#[cfg(not(unix))]
fn start(mut command: Command, program: &str) -> Result<Outcome, CliError> {
    let status = command
        .status()
        .map_err(|error| CliError::environment(format!("cannot start `{program}`: {error}")))?;
    match status.code() {
        Some(0) => Ok(Outcome::Done),
        Some(1) => Ok(Outcome::DoesNotHold),
        Some(2) => Err(CliError::input(format!("`{program}` refused its input"))),
        _ => Err(CliError::environment(format!(
            "`{program}` ended with {status}"
        ))),
    }
}
