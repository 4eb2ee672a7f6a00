//! Rules about manifests: one place for versions, one set of lints.
//!
//! Belongs here: what `Cargo.toml` files may say. Does not belong here: what packages reach (packages).

use super::Finding;
use super::tree::SourceFile;

/// A member takes each dependency and its lints from the workspace; the workspace turns default features off.
pub(crate) fn versions_stand_in_the_workspace(file: &SourceFile) -> Vec<Finding> {
    match file.path.as_str() {
        "Cargo.toml" => workspace(file),
        // A workspace of its own stands outside: what we are measured against, with its own dependencies.
        path if path.ends_with("/Cargo.toml") && !is_a_workspace(file) => member(file),
        _ => Vec::new(),
    }
}

fn is_a_workspace(file: &SourceFile) -> bool {
    file.text.lines().any(|line| line.trim() == "[workspace]")
}

fn workspace(file: &SourceFile) -> Vec<Finding> {
    // An entry may span lines; it is judged by all of them.
    let mut findings = Vec::new();
    let mut entry: Option<(usize, String)> = None;
    for (index, section, line) in lines_with_section(&file.text) {
        if section != "[workspace.dependencies]" {
            continue;
        }
        let (begin, mut text) = entry.take().unwrap_or((index, String::new()));
        text.push_str(line);
        if text.matches('{').count() > text.matches('}').count() {
            entry = Some((begin, text));
            continue;
        }
        let is_ours = text.contains("path =");
        if !is_ours && !text.contains("default-features = false") {
            findings.push(Finding::new(
                &file.path,
                begin,
                "a dependency with its default features",
                "write `default-features = false` and name the features that are used",
            ));
        }
    }
    findings
}

fn member(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut has_lints = false;
    for (index, section, line) in lines_with_section(&file.text) {
        has_lints |= section == "[lints]" && line.replace(' ', "") == "workspace=true";
        let name = section.trim_matches(['[', ']']);
        let lists_dependencies = name
            .split('.')
            .next_back()
            .is_some_and(|last| last.ends_with("dependencies"));
        let is_own_table = name.split_once("dependencies.").is_some();
        let takes = line.replace(' ', "").contains("workspace=true");
        if (lists_dependencies && !takes)
            || (is_own_table && line.trim_start().starts_with("version"))
        {
            findings.push(Finding::new(
                &file.path,
                index,
                "a dependency that is not taken from the workspace",
                "declare it in the root Cargo.toml and write `name.workspace = true` here",
            ));
        }
    }
    if !has_lints {
        findings.push(Finding::new(
            &file.path,
            1,
            "the workspace's lints are not taken",
            "add `[lints]` with `workspace = true`",
        ));
    }
    findings
}

/// Lines that say something, counted from 1, with the section they stand in.
fn lines_with_section(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut section = "";
    text.lines().enumerate().filter_map(move |(index, line)| {
        let trimmed = line.trim();
        if trimmed.starts_with('[') && trimmed.ends_with(']') {
            section = trimmed;
            return None;
        }
        (!trimmed.is_empty() && !trimmed.starts_with('#')).then_some((index + 1, section, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, count: usize) {
        let found = versions_stand_in_the_workspace(&SourceFile::new(path, text));
        assert_eq!(found.len(), count, "{found:?}");
    }

    #[test]
    fn a_version_in_a_member_is_found() {
        let lints = "[lints]\nworkspace = true\n";
        check(
            "a/Cargo.toml",
            &format!("[dependencies]\nserde = \"1\"\n{lints}"),
            1,
        );
        check(
            "a/Cargo.toml",
            &format!("[dependencies.serde]\nversion = \"1\"\n{lints}"),
            1,
        );
        check(
            "a/Cargo.toml",
            &format!("[dependencies]\nserde.workspace = true\n{lints}"),
            0,
        );
        check("a/Cargo.toml", "[package]\nname = \"a\"\n", 1);
    }

    #[test]
    fn default_features_in_the_workspace_are_found() {
        check("Cargo.toml", "[workspace.dependencies]\nserde = \"1\"\n", 1);
        check(
            "Cargo.toml",
            "[workspace.dependencies]\na = { version = \"1\", default-features = false, features = [\n  \"b\",\n] }\n",
            0,
        );
        check(
            "Cargo.toml",
            "[workspace.dependencies]\nours = { path = \"ours\" }\n",
            0,
        );
    }
}
