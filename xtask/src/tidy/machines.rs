//! Nothing in the tree depends on the machine it was written on.
//!
//! Belongs here: folders of one machine, hosts that packages were fetched from.
//! Does not belong here: what a program finds at run time.

use super::Finding;
use super::tree::SourceFile;

/// Folders that exist on one machine only.
const FOLDERS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/fa", "rm/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
];

/// Where packages come from for everybody.
const PUBLIC_HOSTS: &[&str] = &[
    "github.com",
    "index.crates.io",
    "registry.npmjs.org",
    "pypi.org",
    "files.pythonhosted.org",
];

/// No folder of one machine, no private package host.
pub(crate) fn names_no_machine(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        if let Some(folder) = FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            findings.push(Finding::new(
                &file.path,
                index + 1,
                format!("`{folder}` exists on one machine only"),
                "write a path from the workspace's folder, or take it as a setting",
            ));
        }
        if !lists_packages(&file.path) {
            continue;
        }
        if let Some(host) = hosts(line).find(|host| !PUBLIC_HOSTS.contains(host)) {
            findings.push(Finding::new(
                &file.path,
                index + 1,
                format!("packages from `{host}`"),
                "write the public registry; mirrors belong to the machine's own settings",
            ));
        }
    }
    findings
}

fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | '.' | '-' | '}' | '~'))
    })
}

/// Lock files and settings that say where packages come from.
fn lists_packages(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    matches!(
        name,
        "Cargo.lock" | "package-lock.json" | ".npmrc" | "pip.conf" | "requirements.txt"
    ) || path.starts_with(".cargo/")
}

fn hosts(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("://").filter_map(move |(at, mark)| {
        let rest = line.get(at + mark.len()..)?;
        let end = rest
            .find(['/', '"', '\'', ' ', '?', '#'])
            .unwrap_or(rest.len());
        rest.get(..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, count: usize) {
        assert_eq!(
            names_no_machine(&SourceFile::new(path, text)).len(),
            count,
            "{text}"
        );
    }

    #[test]
    fn a_folder_of_one_machine_is_found() {
        check("docs/a.md", concat!("run /ro", "ot/x"), 1);
        check("docs/a.md", concat!("\"/wo", "rk/x\""), 1);
        check(
            "docs/a.md",
            concat!("live-backend/src/wo", "rk/x and ~/ho", "me/x"),
            0,
        );
    }

    #[test]
    fn a_private_registry_is_found_in_a_lock_file() {
        check(
            "Cargo.lock",
            "source = \"registry+https://mirror.example/index\"",
            1,
        );
        check(
            "Cargo.lock",
            "source = \"registry+https://github.com/rust-lang/crates.io-index\"",
            0,
        );
        check("docs/a.md", "see https://mirror.example/index", 0);
    }
}
