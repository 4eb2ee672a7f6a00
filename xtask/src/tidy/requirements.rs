//! `docs/requirements-status.csv` claims only what can be looked up.
//!
//! Belongs here: reading the list, finding each test and command it names. Does not belong here: running them.

use super::Finding;
use super::tree::Tree;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::Path;

const STATUS_PATH: &str = "docs/requirements-status.csv";
const STATUSES: &[&str] = &["done", "partly", "open"];

/// The ids of the list of requirements, where one was handed over beside the checkout.
pub(crate) fn known_ids(shared: Option<&Path>) -> Result<Option<BTreeSet<String>>> {
    let Some(path) = shared
        .map(|shared| shared.join("requirements.csv"))
        .filter(|path| path.is_file())
    else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let ids: BTreeSet<String> = records(&text)
        .into_iter()
        .skip(1)
        .filter_map(|(_, cells)| cells.into_iter().next())
        .collect();
    if ids.is_empty() {
        bail!("{} holds no ids", path.display());
    }
    Ok(Some(ids))
}

/// Each line has a known id, a known status and, unless open, tests or commands that exist.
pub(crate) fn are_shown(tree: &Tree, known_ids: Option<&BTreeSet<String>>) -> Vec<Finding> {
    let Some(file) = tree.file(STATUS_PATH) else {
        return vec![Finding::new(
            STATUS_PATH,
            1,
            "the list is missing",
            "write it with the columns id,status,shown_by",
        )];
    };
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    let mut find = |line: usize, what: String, todo: &str| {
        findings.push(Finding::new(STATUS_PATH, line, what, todo));
    };
    let names = Names::of(tree);
    for (index, (line, cells)) in records(&file.text).into_iter().enumerate() {
        let [id, status, shown_by] = cells.as_slice() else {
            find(
                line,
                format!("{} columns", cells.len()),
                "write id,status,shown_by",
            );
            continue;
        };
        if index == 0 {
            if (id.as_str(), status.as_str(), shown_by.as_str()) != ("id", "status", "shown_by") {
                find(
                    line,
                    "the heading is another".to_owned(),
                    "write id,status,shown_by",
                );
            }
            continue;
        }
        if !has_shape_of_id(id) || known_ids.is_some_and(|ids| !ids.contains(id)) {
            find(
                line,
                format!("no requirement `{id}`"),
                "take ids from the list of requirements",
            );
        }
        if !seen.insert(id.clone()) {
            find(line, format!("`{id}` a second time"), "join the two lines");
        }
        if !STATUSES.contains(&status.as_str()) {
            find(
                line,
                format!("status `{status}`"),
                "write done, partly or open",
            );
        }
        let shows: Vec<&str> = shown_by
            .split(';')
            .map(str::trim)
            .filter(|show| !show.is_empty())
            .collect();
        if status != "open" && shows.is_empty() {
            find(
                line,
                format!("nothing shows `{id}`"),
                "name a test or a command, or write open",
            );
        }
        for show in shows.iter().filter(|show| !names.has(show)) {
            find(
                line,
                format!("`{show}` does not exist"),
                "name a test function, a command of ours or a file",
            );
        }
    }
    findings
}

/// What a line of the list may name.
struct Names {
    functions: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl Names {
    fn of(tree: &Tree) -> Self {
        let mut functions = BTreeSet::new();
        for file in tree.files().iter().filter(|file| file.is_rust()) {
            for line in file.code.lines() {
                if let Some((_, rest)) = line.split_once("fn ") {
                    functions.insert(
                        rest.chars()
                            .take_while(|c| c.is_alphanumeric() || *c == '_')
                            .collect(),
                    );
                }
            }
        }
        Self {
            functions,
            files: tree.paths().map(str::to_owned).collect(),
        }
    }

    fn has(&self, show: &str) -> bool {
        let words: Vec<&str> = show.split_whitespace().collect();
        match words.as_slice() {
            ["cargo", "xtask", command, ..] => {
                matches!(*command, "demo" | "test" | "tidy" | "bench" | "dist")
            }
            ["flowreel", verb, ..] => self
                .files
                .contains(&format!("engine/src/cli/{}.rs", verb.replace('-', "_"))),
            ["flowreel-live" | "flowreel-view", ..] => true,
            [name] => {
                let function = name.rsplit("::").next().unwrap_or(name);
                self.functions.contains(function) || self.files.contains(*name)
            }
            _ => false,
        }
    }
}

fn has_shape_of_id(id: &str) -> bool {
    id.split_once('-').is_some_and(|(area, number)| {
        !area.is_empty()
            && area.chars().all(|c| c.is_ascii_uppercase())
            && !number.is_empty()
            && number.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

/// Records of comma-separated text with the line each begins on; quoted cells may hold commas and line ends.
fn records(text: &str) -> Vec<(usize, Vec<String>)> {
    let mut records = Vec::new();
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let (mut line, mut begin, mut is_quoted) = (1, 1, false);
    for c in text.chars() {
        line += usize::from(c == '\n');
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(std::mem::take(&mut cell)),
            '\n' if !is_quoted => {
                cells.push(std::mem::take(&mut cell));
                let whole = std::mem::take(&mut cells);
                if whole.iter().any(|cell| !cell.is_empty()) {
                    records.push((begin, whole));
                }
                begin = line;
            }
            '\r' => {}
            _ => cell.push(c),
        }
    }
    if !cell.is_empty() || !cells.is_empty() {
        cells.push(cell);
        records.push((begin, cells));
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, count: usize) {
        let text = format!("id,status,shown_by\n{line}\n");
        let tree = Tree::of(&[
            (STATUS_PATH, &text),
            (
                "a/tests/it/b.rs",
                "fn a_cut_recording_keeps_every_whole_record() {}\n",
            ),
            ("engine/src/cli/simulate.rs", ""),
        ]);
        let ids = BTreeSet::from(["LV-001".to_owned(), "LV-002".to_owned()]);
        let found = are_shown(&tree, Some(&ids));
        assert_eq!(found.len(), count, "{line}: {found:?}");
    }

    #[test]
    fn a_claim_must_name_what_exists() {
        check("LV-001,done,a_cut_recording_keeps_every_whole_record", 0);
        check(
            "LV-001,done,it::b::a_cut_recording_keeps_every_whole_record; cargo xtask demo",
            0,
        );
        check("LV-001,done,flowreel simulate scenarios/x.toml", 0);
        check("LV-001,done,no_such_test", 1);
        check("LV-001,done,flowreel fly", 1);
        check("LV-001,done,", 1);
        check("LV-002,open,", 0);
    }

    #[test]
    fn ids_and_statuses_must_be_known() {
        check("LV-999,open,", 1);
        check("LV-001,perhaps,cargo xtask demo", 1);
        check("LV-001,open,\nLV-001,open,", 1);
        check("LV-001,done", 1);
    }

    #[test]
    fn quoted_cells_keep_their_commas() {
        assert_eq!(
            records("a,\"b, c\"\n"),
            [(1, vec!["a".to_owned(), "b, c".to_owned()])]
        );
    }
}
