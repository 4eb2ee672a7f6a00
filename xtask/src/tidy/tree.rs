//! The files of the project, each read once.
//!
//! Belongs here: which files count, their text, where their tests begin. Does not belong here: rules.

use super::code;
use crate::process;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Larger files are data; no rule reads them.
const TEXT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// One file: path from the workspace's folder with forward slashes, and its text.
pub(crate) struct SourceFile {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments and literals blanked out, for Rust files.
    pub(crate) code: String,
}

impl SourceFile {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if has_extension(path, "rs") {
            code::without_comments_and_literals(text)
        } else {
            String::new()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
        }
    }

    pub(crate) fn is_rust(&self) -> bool {
        has_extension(&self.path, "rs")
    }

    /// Lives in a `tests` or `benches` folder, or is a module of nothing but tests.
    pub(crate) fn is_test(&self) -> bool {
        self.path
            .split('/')
            .any(|part| matches!(part, "tests" | "benches" | "tests.rs"))
    }

    /// Number of lines before the tests that end the file; all lines where there are none.
    pub(crate) fn line_count_without_tests(&self) -> usize {
        self.tests_begin()
            .unwrap_or_else(|| self.text.lines().count())
    }

    /// Index of the line with `#[cfg(test)]` in front of a closing `mod tests`.
    pub(crate) fn tests_begin(&self) -> Option<usize> {
        let lines: Vec<&str> = self.code.lines().collect();
        lines.windows(2).rposition(|pair| {
            matches!(pair, [first, second]
                if *first == "#[cfg(test)]" && second.starts_with("mod ") && second.ends_with('{'))
        })
    }
}

/// True where the path ends in that extension.
pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|found| found == extension)
}

/// All files, by path.
#[derive(Default)]
pub(crate) struct Tree {
    files: Vec<SourceFile>,
    /// Every path, also of files that hold no text.
    paths: BTreeMap<String, u64>,
}

impl Tree {
    /// Reads what git tracks, and what is new and not ignored.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut command = Command::new("git");
        command
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(root);
        let listed = process::output(&mut command).context("tidy asks git which files count")?;
        let mut tree = Self::default();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            let full = root.join(path);
            // A file that was deleted but not yet committed is still listed.
            let Ok(metadata) = full.symlink_metadata() else {
                continue;
            };
            tree.paths.insert(path.to_owned(), metadata.len());
            if !metadata.is_file() || metadata.len() > TEXT_BYTES_MAX {
                continue;
            }
            let bytes = std::fs::read(&full).with_context(|| format!("{path} cannot be read"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                tree.files.push(SourceFile::new(path, &text));
            }
        }
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// A tree for tests of rules.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.paths
                .insert((*path).to_owned(), u64::try_from(text.len()).unwrap());
            tree.files.push(SourceFile::new(path, text));
        }
        tree
    }

    /// Files with text.
    pub(crate) fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The file at that path.
    pub(crate) fn file(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Every path, files without text included.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_at_the_end_do_not_count() {
        let file = SourceFile::new(
            "a/src/b.rs",
            "//! B.\nfn b() {}\n\n#[cfg(test)]\nmod tests {\n}\n",
        );
        assert_eq!(file.line_count_without_tests(), 3);
        assert_eq!(
            SourceFile::new("a/src/b.rs", "//! B.\nfn b() {}\n").line_count_without_tests(),
            2
        );
    }
}
