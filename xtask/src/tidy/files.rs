//! Rules about files as such: their header, their length, who declares them.
//!
//! Belongs here: the shape of a file. Does not belong here: what its comments say (docs).

use super::Finding;
use super::tree::{SourceFile, Tree};

/// Longest file, its closing tests not counted.
const LINES_MAX: usize = 500;

/// A Rust file opens with `//!`, and a module says what does not belong in it.
pub(crate) fn opens_with_a_header(file: &SourceFile) -> Vec<Finding> {
    if !file.text.starts_with("//! ") {
        return vec![Finding::new(
            &file.path,
            1,
            "the file does not open with `//!`",
            "say in one sentence what it is for, what belongs here and what does not",
        )];
    }
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let is_root = matches!(name, "lib.rs" | "main.rs" | "build.rs");
    if is_root || file.is_test() {
        return Vec::new();
    }
    let lines = file.text.lines().map_while(|line| line.strip_prefix("//!"));
    let header: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    let header = header.join(" ");
    let has_borders = header.contains("Belongs here") && header.contains("oes not belong here");
    if has_borders {
        return Vec::new();
    }
    vec![Finding::new(
        &file.path,
        1,
        "the header does not say `Belongs here: … Does not belong here: …`",
        "add the two, so that the next engineer knows where to put things",
    )]
}

/// No file is longer than 500 lines without its tests.
pub(crate) fn is_short_enough(file: &SourceFile) -> Vec<Finding> {
    let count = file.line_count_without_tests();
    if count <= LINES_MAX {
        return Vec::new();
    }
    vec![Finding::new(
        &file.path,
        LINES_MAX + 1,
        format!("{count} lines without tests, {LINES_MAX} are the end"),
        "split it by what it is about",
    )]
}

/// Every module file is named by a `mod` line of the file above it, so that it is compiled at all.
pub(crate) fn declares_every_module(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files().iter().filter(|file| file.is_rust()) {
        let Some((name, parents)) = parents_of(&file.path) else {
            continue;
        };
        let is_declared = parents
            .iter()
            .filter_map(|parent| tree.file(parent))
            .any(|parent| declares(parent, &name));
        if !is_declared {
            findings.push(Finding::new(
                &file.path,
                1,
                format!("no file declares the module `{name}`"),
                format!(
                    "add `mod {name};` to {}, or delete the file",
                    parents.join(" or ")
                ),
            ));
        }
    }
    findings
}

fn declares(parent: &SourceFile, name: &str) -> bool {
    let declaration = format!("mod {name};");
    parent.code.lines().any(|line| {
        line.trim()
            .strip_suffix(declaration.as_str())
            .is_some_and(|before| {
                before.is_empty() || (before.starts_with("pub") && before.ends_with(' '))
            })
    })
}

/// The module's name and the files that may declare it; `None` for roots, benches and examples.
fn parents_of(path: &str) -> Option<(String, Vec<String>)> {
    let parts: Vec<&str> = path.split('/').collect();
    let (file, folders) = parts.split_last()?;
    let name = file.strip_suffix(".rs")?;
    let root = folders
        .iter()
        .position(|part| matches!(*part, "src" | "tests"))?;
    let inside = folders.get(root + 1..)?;
    let folder = folders.join("/");
    match (*folders.get(root)?, inside) {
        ("src", []) if matches!(name, "lib" | "main") => None,
        ("src", []) => Some((
            name.to_owned(),
            vec![format!("{folder}/lib.rs"), format!("{folder}/main.rs")],
        )),
        ("src", ["bin", ..]) | ("tests", []) => None,
        ("tests", [_]) if name == "main" => None,
        ("tests", [_]) => Some((name.to_owned(), vec![format!("{folder}/main.rs")])),
        _ => Some((name.to_owned(), vec![format!("{folder}.rs")])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_header_is_found() {
        assert_eq!(
            opens_with_a_header(&SourceFile::new("a/src/b.rs", "fn b() {}\n")).len(),
            1
        );
        assert_eq!(
            opens_with_a_header(&SourceFile::new("a/src/b.rs", "//! B.\n")).len(),
            1
        );
        let whole = "//! B.\n//!\n//! Belongs here: b. Does not\n//! belong here: c.\n";
        assert_eq!(
            opens_with_a_header(&SourceFile::new("a/src/b.rs", whole)),
            []
        );
        assert_eq!(
            opens_with_a_header(&SourceFile::new("a/src/lib.rs", "//! All.\n")),
            []
        );
    }

    #[test]
    fn a_file_of_501_lines_is_found_and_its_tests_are_not_counted() {
        let long = "//! B.\n".to_owned() + &"fn b() {}\n".repeat(500);
        assert_eq!(
            is_short_enough(&SourceFile::new("a/src/b.rs", &long)).len(),
            1
        );
        let tested =
            "//! B.\n#[cfg(test)]\nmod tests {\n".to_owned() + &"// t\n".repeat(600) + "}\n";
        assert_eq!(is_short_enough(&SourceFile::new("a/src/b.rs", &tested)), []);
    }

    #[test]
    fn an_undeclared_module_is_found() {
        let tree = Tree::of(&[
            ("a/src/lib.rs", "//! A.\npub mod kernel;\n"),
            (
                "a/src/kernel.rs",
                "//! K.\npub(crate) mod calendar;\n// mod lost;\n",
            ),
            ("a/src/kernel/calendar.rs", ""),
            ("a/src/kernel/lost.rs", ""),
            ("a/tests/it/main.rs", "mod cli;\n"),
            ("a/tests/it/cli.rs", ""),
            ("a/tests/it/forgotten.rs", ""),
        ]);
        let found: Vec<String> = declares_every_module(&tree)
            .into_iter()
            .map(|finding| finding.path)
            .collect();
        assert_eq!(found, ["a/src/kernel/lost.rs", "a/tests/it/forgotten.rs"]);
    }
}
