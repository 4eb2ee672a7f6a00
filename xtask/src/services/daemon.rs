//! A server that outlives the command that started it: its pid file, waiting for it, stopping it.
//!
//! Belongs here: what all of them share. Does not belong here: how one is started.

use crate::process;
use crate::steps::Stopwatch;
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How often it is looked whether a server is up or gone; nothing announces it.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Longest wait for a server in good order to end; then it is killed.
const END_PATIENCE: Duration = Duration::from_secs(20);

/// The process in the pid file, where it still is the server of that name.
pub(super) fn id(home: &Path, name: &str) -> Option<u32> {
    let text = std::fs::read_to_string(home.join("pid")).ok()?;
    let id: u32 = text.trim().parse().ok()?;
    let command = std::fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
    command.starts_with(name).then_some(id)
}

/// Ends it, gently at first; nothing happens where it does not run.
pub(super) fn stop(home: &Path, name: &str) -> Result<()> {
    if let Some(process_id) = id(home, name) {
        signal(process_id, "-TERM")?;
        if !within(END_PATIENCE, || id(home, name).is_none()) {
            signal(process_id, "-KILL")?;
            if !within(END_PATIENCE, || id(home, name).is_none()) {
                bail!("{name} (process {process_id}) cannot be ended");
            }
        }
    }
    match std::fs::remove_file(home.join("pid")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Looks until it is so; false where it is not within that time.
pub(super) fn within(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let watch = Stopwatch::start();
    loop {
        if is_so() {
            return true;
        }
        if watch.elapsed() > patience {
            return false;
        }
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "another program's readiness is announced nowhere, only asked for"
)]
fn pause() {
    std::thread::sleep(LOOK_INTERVAL);
}

fn signal(process_id: u32, signal: &str) -> Result<()> {
    process::run(Command::new("kill").args([signal, &process_id.to_string()]))
}
