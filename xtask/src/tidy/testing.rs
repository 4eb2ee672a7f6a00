//! Rules about tests: they wait for events, and all of them run.
//!
//! Belongs here: what a test never does. Does not belong here: what is tested.

use super::Finding;
use super::tree::SourceFile;

/// No test sleeps: it awaits the event with a deadline.
pub(crate) fn waits_for_no_time(file: &SourceFile) -> Vec<Finding> {
    test_lines(file)
        .filter(|(_, line)| calls_sleep(line))
        .map(|(line, _)| {
            Finding::new(
                &file.path,
                line,
                "a sleep in a test",
                "await the event, with a deadline",
            )
        })
        .collect()
}

/// No test is left out or expects a panic.
pub(crate) fn runs_every_test(file: &SourceFile) -> Vec<Finding> {
    let marks = [
        ("ignore", "an ignored test", "mend it or delete it"),
        (
            "should_panic",
            "a test that expects a panic",
            "return an error and check what it says",
        ),
    ];
    let mut findings = Vec::new();
    for (index, line) in file.code.lines().enumerate() {
        for (mark, what, todo) in marks {
            if attributes(line).any(|attribute| words(attribute).any(|word| word == mark)) {
                findings.push(Finding::new(&file.path, index + 1, what, todo));
            }
        }
    }
    findings
}

/// What stands between `#[` and `]`; behind a condition it counts too.
fn attributes(line: &str) -> impl Iterator<Item = &str> {
    line.split("#[")
        .skip(1)
        .filter_map(|rest| rest.split(']').next())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn test_lines(file: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    let begin = if file.is_test() {
        0
    } else {
        file.tests_begin().unwrap_or(usize::MAX)
    };
    file.code
        .lines()
        .enumerate()
        .skip(begin)
        .map(|(index, line)| (index + 1, line))
}

fn calls_sleep(line: &str) -> bool {
    line.match_indices("sleep").any(|(at, word)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let rest = line.get(at + word.len()..).unwrap_or_default();
        let is_whole = before.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        // One of no length ends when it is woken.
        is_whole && rest.starts_with(['(', '_']) && !rest.starts_with("()")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_in_a_test_is_found() {
        let sleeping = SourceFile::new("a/tests/it/b.rs", "tokio::time::sleep(D).await;\n");
        assert_eq!(waits_for_no_time(&sleeping).len(), 1);
        let in_code = SourceFile::new("a/src/b.rs", "tokio::time::sleep(D).await;\n");
        assert_eq!(waits_for_no_time(&in_code), []);
        let in_unit_test = SourceFile::new(
            "a/src/b.rs",
            "#[cfg(test)]\nmod tests {\n    sleep(D);\n}\n",
        );
        assert_eq!(waits_for_no_time(&in_unit_test).len(), 1);
        let named_alike = SourceFile::new("a/tests/it/b.rs", "asleep(); // sleep(1)\n");
        assert_eq!(waits_for_no_time(&named_alike), []);
    }

    #[test]
    fn a_test_that_never_runs_is_found() {
        let found = |attribute: &str| {
            let file = SourceFile::new("a/src/b.rs", &format!("#[{attribute}]\nfn t() {{}}\n"));
            runs_every_test(&file).len()
        };
        for attribute in [
            "ignore",
            "ignore = \"slow\"",
            "cfg_attr(windows, ignore)",
            "should_panic",
            "test] #[should_panic(expected = \"x\")",
        ] {
            assert_eq!(found(attribute), 1, "{attribute}");
        }
        for attribute in ["test", "inline] fn ignore() {} #[test", "expect(dead_code)"] {
            assert_eq!(found(attribute), 0, "{attribute}");
        }
    }
}
