//! `cargo xtask dev`: the backend while it is being written; a change of its source builds and starts it anew.
//!
//! Belongs here: watching, building, starting and stopping. Does not belong here: what the backend does.

use crate::environment::Environment;
use crate::{Outcome, talk};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, SystemTime};

/// How often the sources are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(300);
/// What the backend is built from.
const SOURCES: [&str; 4] = ["live-backend", "engine", "Cargo.toml", "Cargo.lock"];
/// Endings of files that are compiled in.
const ENDINGS: [&str; 4] = ["rs", "toml", "lock", "sql"];

/// When each source was last changed.
type Seen = BTreeMap<PathBuf, SystemTime>;

/// Builds and runs the backend with these arguments until it is interrupted.
pub(crate) fn run(environment: &Environment, arguments: &[&str]) -> Result<Outcome> {
    let mut running: Option<Child> = None;
    loop {
        let seen = look(&environment.root)?;
        let built = environment
            .cargo(&["build", "--package", "flowreel-live-backend"])
            .status()
            .context("cargo could not be started")?;
        if built.success() {
            if let Some(child) = running.take() {
                stop(child)?;
            }
            let program = environment.program("flowreel-live");
            let child = Command::new(program)
                .args(arguments)
                .current_dir(&environment.root)
                .spawn()
                .context("the built backend could not be started")?;
            running = Some(child);
        } else {
            talk::say("it does not build; what ran before runs on until it does");
        }
        talk::say("watching live-backend and engine; Ctrl+C ends it");
        wait_for_change(environment, &seen, &mut running)?;
    }
}

fn wait_for_change(
    environment: &Environment,
    seen: &Seen,
    running: &mut Option<Child>,
) -> Result<()> {
    while look(&environment.root)? == *seen {
        if let Some(child) = running
            && let Some(status) = child.try_wait().context("the backend is gone")?
        {
            talk::say(&format!(
                "the backend ended with {status}; a change starts it again"
            ));
            *running = None;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "nothing announces an edit; looking is simple and works everywhere"
        )]
        std::thread::sleep(LOOK_INTERVAL);
    }
    Ok(())
}

/// Asks it to stop and waits: requests in progress end and its recording is whole.
fn stop(mut child: Child) -> Result<()> {
    let id = child.id().to_string();
    let asked = Command::new("kill").args(["-TERM", &id]).status();
    asked.context("`kill` could not be started")?;
    child.wait().context("the backend is gone")?;
    Ok(())
}

fn look(root: &Path) -> Result<Seen> {
    let mut seen = Seen::new();
    let mut folders: Vec<PathBuf> = SOURCES.iter().map(|name| root.join(name)).collect();
    while let Some(path) = folders.pop() {
        let shown = path.display().to_string();
        let facts = match path.metadata() {
            Ok(facts) => facts,
            // An editor may just be putting a new file in its place.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(error).with_context(|| format!("{shown} cannot be looked at"));
            }
        };
        if facts.is_dir() {
            for entry in path
                .read_dir()
                .with_context(|| format!("{shown} cannot be read"))?
            {
                folders.push(entry?.path());
            }
        } else if path
            .extension()
            .is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
        {
            seen.insert(path, facts.modified()?);
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_and_a_new_source_are_seen_and_other_files_are_not() {
        let name = format!("flowreel-dev-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let folder = root.join("live-backend/src");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.rs"), "").unwrap();
        let before = look(&root).unwrap();
        assert_eq!(before.len(), 1);
        std::fs::write(folder.join("notes.txt"), "").unwrap();
        assert_eq!(look(&root).unwrap(), before);
        let file = std::fs::File::options()
            .write(true)
            .open(folder.join("a.rs"))
            .unwrap();
        let written = file.metadata().unwrap().modified().unwrap();
        file.set_modified(written + Duration::from_secs(5)).unwrap();
        let changed = look(&root).unwrap();
        assert_ne!(changed, before);
        std::fs::write(folder.join("b.rs"), "").unwrap();
        assert_ne!(look(&root).unwrap(), changed);
        std::fs::remove_dir_all(&root).unwrap();
    }
}
