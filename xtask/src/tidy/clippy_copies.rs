//! Clippy reads one file per package and merges nothing, so the shared lines stand in each copy.
//!
//! Belongs here: comparing the copies. Does not belong here: what is in them.

use super::Finding;
use super::tree::{SourceFile, Tree};

const COPIES: &[&str] = &[
    "clippy.toml",
    "engine/clippy.toml",
    "visualizer/clippy.toml",
];

/// The lines between the `shared` marks are the same in every copy.
pub(crate) fn are_equal(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut first: Option<(&str, Vec<(usize, &str)>)> = None;
    for path in COPIES {
        let Some(file) = tree.file(path) else {
            findings.push(Finding::new(
                path,
                1,
                "the file is missing",
                "clippy would fall back to the file above it",
            ));
            continue;
        };
        let lines = shared_lines(file);
        if lines.is_empty() {
            findings.push(Finding::new(
                path,
                1,
                "no `# shared: begin` block",
                "copy it from clippy.toml",
            ));
            continue;
        }
        let Some((first_path, expected)) = &first else {
            first = Some((path, lines));
            continue;
        };
        let length = expected.len().max(lines.len());
        for index in 0..length {
            let (ours, theirs) = (lines.get(index), expected.get(index));
            if ours.map(|(_, text)| text) != theirs.map(|(_, text)| text) {
                let line = ours.or(lines.last()).map_or(1, |(line, _)| *line);
                findings.push(Finding::new(
                    path,
                    line,
                    format!("the shared lines differ from {first_path} from here on"),
                    "make the blocks equal",
                ));
                break;
            }
        }
    }
    findings
}

fn shared_lines(file: &SourceFile) -> Vec<(usize, &str)> {
    let mut is_shared = false;
    let mut lines = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        match line.trim() {
            "# shared: begin" => is_shared = true,
            "# shared: end" => is_shared = false,
            text if is_shared => lines.push((index + 1, text)),
            _ => {}
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(second: &str, count: usize) {
        let block = |body: &str| format!("# shared: begin\n{body}\n# shared: end\n");
        let tree = Tree::of(&[
            ("clippy.toml", &block("a = 1")),
            ("engine/clippy.toml", &block(second)),
            ("visualizer/clippy.toml", &block("a = 1")),
        ]);
        assert_eq!(are_equal(&tree).len(), count);
    }

    #[test]
    fn a_copy_that_differs_is_found() {
        check("a = 1", 0);
        check("a = 2", 1);
        check("a = 1\nb = 2", 1);
    }

    #[test]
    fn a_missing_copy_is_found() {
        assert_eq!(are_equal(&Tree::of(&[])).len(), 3);
    }
}
