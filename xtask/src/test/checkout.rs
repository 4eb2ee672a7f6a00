//! Whether what lies in the target folder was built from this checkout.
//!
//! Belongs here: doing away with what another one left. Does not belong here: building.
//!
//! Cargo knows a source by its path within the checkout, and tests know their data by the path they were
//! built at: of two checkouts that share a target folder, one would run the other's tests. Only what `cargo
//! xtask test` builds is told apart, and not where two of them run at once.

use crate::environment::Environment;
use crate::process;
use crate::steps::Ending;
use anyhow::{Context, Result};

/// Cleans our packages where the target folder was used by a checkout elsewhere, or by who knows whom.
pub(super) fn claim(environment: &Environment) -> Result<Ending> {
    let mark = environment.target.join("flowreel-checkout");
    let root = environment.root.display().to_string();
    let before = std::fs::read_to_string(&mark).unwrap_or_default();
    if before == root {
        return Ok(Ending::Passed(String::new()));
    }
    let packages = [
        "flowreel-engine",
        "flowreel-live-backend",
        "flowreel-visualizer",
    ];
    for profile in ["dev", "release"] {
        let mut arguments = vec!["clean", "--quiet", "--locked", "--profile", profile];
        arguments.extend(packages.iter().flat_map(|package| ["-p", package]));
        process::run(&mut environment.cargo(&arguments))?;
    }
    std::fs::create_dir_all(&environment.target)
        .and_then(|()| std::fs::write(&mark, &root))
        .with_context(|| format!("{} cannot be written", mark.display()))?;
    Ok(Ending::Passed(if before.is_empty() {
        String::new()
    } else {
        format!("built before from {before}")
    }))
}
