//! The command line's edge: settings in, one line on standard output, logs on standard error, exit code out.
//!
//! Belongs here: the runtime, signals, exit codes (0 done, 2 bad settings, 3 environment fault).
//! Does not belong here: what a setting means (config), what is started (app).

use crate::app::{Running, StartError};
use crate::config::{Args, Environment, Role, Settings, StatusArgs};
use crate::load::{self, LoadArgs, LoadSettings};
use crate::open_files;
use crate::status;
use crate::telemetry::Clock;
use clap::Parser;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Done, and not every part is up.
const SOMETHING_DOWN: u8 = 1;
/// Bad usage or bad input.
const BAD_INPUT: u8 = 2;
/// Something around the program is at fault: a port, a disk.
const ENVIRONMENT: u8 = 3;

/// Runs the program with the process's arguments.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version go to standard output; a closed pipe is no reason to panic.
            if !error.use_stderr() {
                drop(error.print());
                return ExitCode::SUCCESS;
            }
            return refuse(BAD_INPUT, &usage_sentence(&error.to_string()));
        }
    };
    let environment = Environment::of_process();
    let settings = match Settings::read(&args, &environment) {
        Ok(settings) => settings,
        Err(error) => return refuse(BAD_INPUT, &error.to_string()),
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // Colours are for people; files and other programs get plain lines.
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(EnvFilter::new(settings.log_filter.as_str()))
        .init();
    open_files::raise();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return refuse(
                ENVIRONMENT,
                &format!("the system gives no threads: {error}"),
            );
        }
    };
    match &args.role {
        Some(Role::Load(args)) => runtime.block_on(run_load(args)),
        Some(Role::Status(args)) => runtime.block_on(run_status(&settings, *args)),
        _ => runtime.block_on(run(settings)),
    }
}

/// Drives load against a running backend and prints its report as one JSON object.
async fn run_load(args: &LoadArgs) -> ExitCode {
    let code = |error: &load::LoadError| {
        if error.is_bad_input() {
            BAD_INPUT
        } else {
            ENVIRONMENT
        }
    };
    let settings = match LoadSettings::try_from(args) {
        Ok(settings) => settings,
        Err(error) => return refuse(code(&error), &error.to_string()),
    };
    let report = match load::run(&settings, Clock::start()).await {
        Ok(report) => report,
        Err(error) => return refuse(code(&error), &error.to_string()),
    };
    let text = serde_json::to_string(&report).expect("numbers and texts always serialize");
    match print_line(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(
            ENVIRONMENT,
            &format!("the report cannot be written: {error}"),
        ),
    }
}

/// Says which parts are up; exit code 1 where one is not.
async fn run_status(settings: &Settings, args: StatusArgs) -> ExitCode {
    let report = status::ask(settings).await;
    let text = if args.json {
        report.to_json()
    } else {
        report.to_text()
    };
    match print_line(&text) {
        Ok(()) if report.is_all_up() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(SOMETHING_DOWN),
        Err(error) => refuse(
            ENVIRONMENT,
            &format!("the answer cannot be written: {error}"),
        ),
    }
}

async fn run(settings: Settings) -> ExitCode {
    let is_ready_printed = settings.print_ready;
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            return refuse(
                ENVIRONMENT,
                &format!("signals cannot be listened to: {error}"),
            );
        }
    };
    let running = tokio::select! {
        biased;
        () = signals.stop() => return ExitCode::SUCCESS,
        started = Running::start(settings) => match started {
            Ok(running) => running,
            Err(error) => return refuse(exit_code(&error), &error.to_string()),
        },
    };
    if is_ready_printed && let Err(error) = print_line(&running.ready_line()) {
        tracing::error!(%error, "the ready line cannot be written: {error}");
    }
    signals.stop().await;
    match running.stop().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(ENVIRONMENT, &error.to_string()),
    }
}

/// The first line of what clap says, which names the mistake.
fn usage_sentence(text: &str) -> String {
    let first = text
        .lines()
        .next()
        .unwrap_or("the arguments cannot be read");
    let mistake = first.strip_prefix("error: ").unwrap_or(first);
    format!("{mistake}; see flowreel-live --help")
}

fn print_line(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

const fn exit_code(error: &StartError) -> u8 {
    match error {
        StartError::OtherSecret => BAD_INPUT,
        StartError::Port(_)
        | StartError::Data { .. }
        | StartError::Locked { .. }
        | StartError::ShortSecret { .. }
        | StartError::Store { .. }
        | StartError::Queues(_)
        | StartError::Recorder(_)
        | StartError::Relay(_)
        | StartError::Transport(_)
        | StartError::Bus(_) => ENVIRONMENT,
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the one sentence an error is, before and after logging works"
)]
fn refuse(code: u8, sentence: &str) -> ExitCode {
    eprintln!("flowreel-live: {sentence}");
    ExitCode::from(code)
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_mistake_is_one_sentence() {
        let error = Args::try_parse_from(["flowreel-live", "--nope"]).unwrap_err();
        let sentence = usage_sentence(&error.to_string());
        assert_eq!(
            sentence,
            "unexpected argument '--nope' found; see flowreel-live --help"
        );
    }
}
