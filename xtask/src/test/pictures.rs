//! A picture of one moment is the same bytes each time, without a display and without a graphics card.
//!
//! Belongs here: drawing twice and comparing. Does not belong here: what a picture shows.

use crate::environment::Environment;
use crate::process;
use crate::steps::Ending;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::process::Command;

/// The eight bytes a PNG begins with.
const PNG_SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Draws one moment of a simulated reel twice.
pub(crate) fn check(environment: &Environment) -> Result<Ending> {
    let folder = environment.target.join("xtask-test");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let reel = folder.join("pictures.reel");
    let mut simulate = Command::new(environment.program("flowreel"));
    simulate
        .current_dir(&environment.root)
        .args([
            "simulate",
            "scenarios/notification.toml",
            "--seed",
            "7",
            "--duration",
            "60s",
            "--json",
            "--out",
        ])
        .arg(&reel);
    process::output(&mut simulate)?;

    let first = draw(environment, &reel, &folder.join("first.png"))?;
    let second = draw(environment, &reel, &folder.join("second.png"))?;
    ensure!(
        first.starts_with(PNG_SIGNATURE),
        "{} is no PNG",
        folder.join("first.png").display()
    );
    ensure!(
        first == second,
        "two pictures of one moment differ; see {}",
        folder.display()
    );
    Ok(Ending::Passed(format!(
        "two pictures of 20 s, {} bytes, equal",
        first.len()
    )))
}

fn draw(environment: &Environment, reel: &Path, picture: &Path) -> Result<Vec<u8>> {
    let mut render = Command::new(environment.program("flowreel-view"));
    render
        .current_dir(&environment.root)
        .env("XDG_RUNTIME_DIR", environment.target.join("xtask-test"))
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .arg("render")
        .arg(reel)
        .args(["--at", "20s", "--size", "1600x1000", "--out"])
        .arg(picture);
    process::run(&mut render)?;
    std::fs::read(picture).with_context(|| format!("{} was not written", picture.display()))
}
