//! `cargo xtask dist`: the three programs as they ship.
//!
//! Belongs here: the release build and its sizes. Does not belong here: packaging for a distribution.

use crate::environment::Environment;
use crate::steps::Stopwatch;
use crate::{Outcome, process, talk};
use anyhow::{Context, Result};

/// The programs of the product.
pub(crate) const PROGRAMS: &[&str] = &["flowreel", "flowreel-live", "flowreel-view"];

/// Builds and copies them to `dist/` under the target folder.
pub(crate) fn run(environment: &Environment) -> Result<Outcome> {
    let watch = Stopwatch::start();
    process::run(&mut environment.cargo(&[
        "build",
        "--locked",
        "--workspace",
        "--bins",
        "--release",
    ]))?;
    let folder = environment.target.join("dist");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut rows = vec![["program", "size"].map(str::to_owned).to_vec()];
    for program in PROGRAMS {
        let built = environment.target.join("release").join(program);
        let bytes = std::fs::copy(&built, folder.join(program))
            .with_context(|| format!("{} cannot be copied", built.display()))?;
        rows.push(vec![(*program).to_owned(), talk::size(bytes)]);
    }
    talk::say(&talk::table(&rows));
    talk::say(&format!(
        "built in {}, in {}",
        talk::seconds(watch.elapsed()),
        folder.display()
    ));
    Ok(Outcome::Holds)
}
