//! Rules about what comments and documents say.
//!
//! Belongs here: dead code in comments, loose ends, the length of the overview.
//! Does not belong here: headers of files (files).

use super::Finding;
use super::tree::{SourceFile, Tree};

/// Longest ARCHITECTURE.md, in words.
const OVERVIEW_WORDS_MAX: usize = 2500;

/// A comment holds words, not code that was switched off.
pub(crate) fn has_no_dead_code(file: &SourceFile) -> Vec<Finding> {
    plain_comments(file)
        .filter(|(_, comment)| reads_like_code(comment))
        .map(|(line, _)| {
            Finding::new(
                &file.path,
                line,
                "commented-out code",
                "delete it; the history keeps it",
            )
        })
        .collect()
}

/// No reminder to oneself without a ticket that somebody else can find.
pub(crate) fn has_no_loose_ends(file: &SourceFile) -> Vec<Finding> {
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("HA", "CK"),
    ];
    let mut findings = Vec::new();
    for (line, comment) in all_comments(file) {
        let words = || comment.split(|c: char| !c.is_alphanumeric());
        let Some(mark) = marks.iter().find(|mark| words().any(|word| word == **mark)) else {
            continue;
        };
        if !comment.contains("(#") {
            findings.push(Finding::new(
                &file.path,
                line,
                format!("`{mark}` without an issue"),
                "do it now, or write the number of its issue behind it: (#12)",
            ));
        }
    }
    findings
}

/// The overview stays readable in one sitting.
pub(crate) fn keeps_the_overview_short(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.file("ARCHITECTURE.md") else {
        return vec![Finding::new(
            "ARCHITECTURE.md",
            1,
            "the overview is missing",
            "write it",
        )];
    };
    let count = file.text.split_whitespace().count();
    if count <= OVERVIEW_WORDS_MAX {
        return Vec::new();
    }
    vec![Finding::new(
        &file.path,
        1,
        format!("{count} words, {OVERVIEW_WORDS_MAX} are the end"),
        "move detail to docs/ or to the file it is about",
    )]
}

/// Lines that are a comment of the plain kind (`//`), with what they say.
fn plain_comments(file: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    all_comments(file).filter(|(_, comment)| !comment.starts_with(['/', '!']))
}

/// Comments of every kind, alone on their line or behind code, without the `//`.
fn all_comments(file: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    file.text
        .lines()
        .zip(file.code.lines())
        .enumerate()
        .filter_map(|(index, (line, code))| {
            let (before, comment) = line.split_once("//")?;
            // In blanked code a comment is all spaces; a `//` inside a literal has code behind it.
            let column = before.chars().count();
            let is_comment = code.chars().skip(column).all(|c| c == ' ') && !before.ends_with(':');
            is_comment.then_some((index + 1, comment))
        })
}

fn reads_like_code(comment: &str) -> bool {
    let text = comment.trim();
    let begins = [
        "let ", "fn ", "pub ", "use ", "mod ", "impl ", "return ", "#[", "struct ", "enum ",
    ];
    let begins_like_code = begins.iter().any(|word| text.starts_with(word));
    let is_statement =
        text.ends_with(';') && (begins_like_code || text.contains('(') || text.contains(" = "));
    let opens_block = text.ends_with('{') && text.contains([' ', '(']);
    let is_brace = matches!(text, "}" | "});" | "};" | "},");
    is_statement || opens_block || is_brace || (text.starts_with("#[") && text.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile::new("a/src/b.rs", text)
    }

    #[test]
    fn code_in_comments_is_found_and_prose_is_not() {
        for dead in [
            "// let x = 1;",
            "// self.push(event);",
            "// if ready {",
            "// }",
            "// #[test]",
        ] {
            assert_eq!(has_no_dead_code(&file(dead)).len(), 1, "{dead}");
        }
        for prose in [
            "// the sequence number lets ties leave in order of arrival",
            "// Closed on both sides; see the table above.",
            "/// let x = 1;",
            "let url = \"http://host/a(b);\";",
        ] {
            assert_eq!(has_no_dead_code(&file(prose)), [], "{prose}");
        }
    }

    #[test]
    fn a_reminder_needs_an_issue() {
        let reminder = concat!("// TO", "DO: later");
        assert_eq!(has_no_loose_ends(&file(reminder)).len(), 1);
        let with_issue = concat!("// TO", "DO(#12): later");
        assert_eq!(has_no_loose_ends(&file(with_issue)), []);
    }

    #[test]
    fn an_overview_of_2501_words_is_too_long() {
        let long = "word ".repeat(2501);
        assert_eq!(
            keeps_the_overview_short(&Tree::of(&[("ARCHITECTURE.md", &long)])).len(),
            1
        );
        assert_eq!(
            keeps_the_overview_short(&Tree::of(&[("ARCHITECTURE.md", "short")])),
            []
        );
        assert_eq!(keeps_the_overview_short(&Tree::of(&[])).len(), 1);
    }
}
