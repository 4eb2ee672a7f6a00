//! The reel on a screen, or as pictures where there is none.
//!
//! Belongs here: opening the visualizer, drawing stills. Does not belong here: what they show.

use super::Demo;
use super::child::Running;
use crate::{process, talk};
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

/// A window that cannot open says so within this time.
const WINDOW_SETTLES: Duration = Duration::from_secs(4);

/// Moments of the recorded run that are drawn: before, during and after the relay's failures.
const MOMENTS: &[&str] = &["5s", "12s", "25s"];

/// Opens the window, or draws pictures; returns the lines that say where.
pub(super) fn show(
    demo: &Demo<'_>,
    recorded: &Path,
    simulated: &Path,
    headless: bool,
) -> Result<Vec<String>> {
    if demo.environment.has_display && !headless {
        talk::say("==> opening the visualizer on the recorded run");
        let mut command = demo.program("flowreel-view");
        command.arg(recorded);
        let mut window = Running::start_apart(command)?;
        if window.ends_within(WINDOW_SETTLES)? {
            return Ok(vec!["window     was closed".to_owned()]);
        }
        return Ok(vec![format!(
            "window     open, process {}; close it when you have seen enough",
            window.leave()
        )]);
    }
    talk::say("==> drawing pictures: there is no display");
    let mut lines = Vec::new();
    let live = MOMENTS
        .iter()
        .map(|at| (recorded, *at, format!("live-{at}.png")));
    for (reel, at, name) in live.chain([(simulated, "20s", "simulated-20s.png".to_owned())]) {
        let picture = demo.folder.join(name);
        let mut command = demo.program("flowreel-view");
        command
            .arg("render")
            .arg(reel)
            .args(["--at", at, "--size", "1600x1000", "--out"])
            .arg(&picture);
        // Mesa complains where it has none.
        command.env("XDG_RUNTIME_DIR", &demo.folder);
        process::output(&mut command)?;
        talk::say(&format!("    {}", picture.display()));
        lines.push(format!("picture    {}", picture.display()));
    }
    Ok(lines)
}
