//! What xtask takes from outside: the folders, the display, who runs it.
//!
//! Belongs here: every reading of an environment variable. Does not belong here: deciding with it.

use crate::process;
use anyhow::{Context, Result, anyhow};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Read once, at the start.
pub(crate) struct Environment {
    /// The workspace's folder.
    pub(crate) root: PathBuf,
    /// Where cargo builds (respects `CARGO_TARGET_DIR` and configuration).
    pub(crate) target: PathBuf,
    /// The cargo that runs us.
    cargo: OsString,
    /// A window can be opened.
    pub(crate) has_display: bool,
    /// Where programs are looked for.
    program_folders: Vec<PathBuf>,
    /// We may install packages.
    pub(crate) is_root: bool,
    /// What is obtained once per user and machine.
    pub(crate) cache: PathBuf,
    /// The mongod that tests are told to use.
    pub(crate) mongod: Option<PathBuf>,
    /// The folder with material that is handed over beside the checkout, where there is one.
    pub(crate) shared: Option<PathBuf>,
}

impl Environment {
    /// Reads the variables and asks cargo for its target folder.
    pub(crate) fn read() -> Result<Self> {
        let cargo = variable("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let root = match variable("CARGO_MANIFEST_DIR") {
            Some(package) => Path::new(&package)
                .parent()
                .map(Path::to_path_buf)
                .ok_or_else(|| anyhow!("xtask's manifest has no folder above it"))?,
            None => std::env::current_dir().context("the current folder cannot be read")?,
        };
        let mut environment = Self {
            target: root.join("target"),
            cargo,
            has_display: variable("DISPLAY").is_some() || variable("WAYLAND_DISPLAY").is_some(),
            program_folders: std::env::split_paths(&variable("PATH").unwrap_or_default()).collect(),
            is_root: process::output(Command::new("id").arg("-u"))
                .is_ok_and(|text| text.trim() == "0"),
            cache: variable("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")))
                .unwrap_or_else(|| root.join("target"))
                .join("flowreel"),
            mongod: variable("MONGOD").map(PathBuf::from),
            shared: root
                .parent()
                .map(|above| above.join("shared"))
                .filter(|shared| shared.is_dir()),
            root,
        };
        let metadata = environment.metadata(&["--no-deps"])?;
        if let Some(target) = metadata["target_directory"].as_str() {
            environment.target = PathBuf::from(target);
        }
        Ok(environment)
    }

    /// A cargo command in the workspace's folder, free of what `cargo run` told us about ourselves:
    /// some build scripts watch those variables and would build again.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.cargo);
        command.args(arguments).current_dir(&self.root);
        for (name, _) in variables() {
            let is_ours = name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_PKG_")
                    || name.starts_with("CARGO_MANIFEST_")
                    || matches!(
                        name,
                        "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE"
                    )
            });
            if is_ours {
                command.env_remove(name);
            }
        }
        command
    }

    /// What `cargo metadata` answers.
    pub(crate) fn metadata(&self, arguments: &[&str]) -> Result<serde_json::Value> {
        let mut command = self.cargo(&["metadata", "--format-version", "1"]);
        command.args(arguments);
        let text = process::output(&mut command)?;
        serde_json::from_str(&text).context("the answer of `cargo metadata` is not JSON")
    }

    /// A program of ours, as built for development.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// Whether a program of that name can be started.
    pub(crate) fn has(&self, program: &str) -> bool {
        self.program_folders
            .iter()
            .any(|folder| folder.join(program).is_file())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn variables() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}
