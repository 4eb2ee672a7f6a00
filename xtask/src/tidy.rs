//! The rules of the house that no other tool checks.
//!
//! Belongs here: the list of rules, reading the tree once, printing what was found.
//! Does not belong here: the rules (one file per kind, each with a test on a small snippet).

mod clippy_copies;
mod code;
mod docs;
mod edges;
mod files;
mod goldens;
mod machines;
mod manifests;
mod packages;
mod paths;
mod requirements;
mod testing;
mod tree;

use crate::environment::Environment;
use crate::{Outcome, talk};
use anyhow::Result;
use std::fmt;
use tree::Tree;

/// The platform whose dependencies count, as in deny.toml.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// One breach: where, what, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
    todo: String,
}

impl Finding {
    fn new(path: &str, line: usize, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
            todo: todo.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}, {}",
            self.path, self.line, self.what, self.todo
        )
    }
}

/// Checks the tree and prints each breach.
pub(crate) fn run(environment: &Environment) -> Result<Outcome> {
    let report = check(environment)?;
    for remark in &report.remarks {
        talk::say(remark);
    }
    for finding in &report.findings {
        talk::say(&finding.to_string());
    }
    talk::say(&report.summary());
    Ok(Outcome::of(report.findings.is_empty()))
}

/// What a check of the whole tree gave.
pub(crate) struct Report {
    /// Breaches, by path and line.
    pub(crate) findings: Vec<Finding>,
    /// What was left out, and why.
    pub(crate) remarks: Vec<String>,
    file_count: usize,
}

impl Report {
    /// One line.
    pub(crate) fn summary(&self) -> String {
        format!(
            "tidy: {} files read, {} breaches",
            self.file_count,
            self.findings.len()
        )
    }
}

/// Reads each file once and applies every rule.
pub(crate) fn check(environment: &Environment) -> Result<Report> {
    let tree = Tree::read(&environment.root)?;
    let mut findings = Vec::new();
    let mut remarks = Vec::new();
    for file in tree.files() {
        findings.extend(machines::names_no_machine(file));
        findings.extend(manifests::versions_stand_in_the_workspace(file));
        if !file.is_rust() {
            continue;
        }
        findings.extend(files::opens_with_a_header(file));
        findings.extend(files::is_short_enough(file));
        findings.extend(docs::has_no_dead_code(file));
        findings.extend(docs::has_no_loose_ends(file));
        findings.extend(testing::waits_for_no_time(file));
        findings.extend(testing::runs_every_test(file));
        findings.extend(edges::keeps_its_distance(file));
    }
    findings.extend(files::declares_every_module(&tree));
    findings.extend(docs::keeps_the_overview_short(&tree));
    findings.extend(clippy_copies::are_equal(&tree));
    findings.extend(goldens::have_a_reason(&tree));
    findings.extend(packages::keep_their_distance(&environment.metadata(&[
        "--locked",
        "--filter-platform",
        PLATFORM,
    ])?));
    let known_ids = requirements::known_ids(environment.shared.as_deref())?;
    if known_ids.is_none() {
        remarks.push(
            "tidy: no list of requirements beside the checkout: ids of docs/requirements-status.csv \
             are checked for their shape only"
                .to_owned(),
        );
    }
    findings.extend(requirements::are_shown(&tree, known_ids.as_ref()));
    findings.sort();
    Ok(Report {
        findings,
        remarks,
        file_count: tree.files().len(),
    })
}
