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
        ("#[ignore", "an ignored test", "mend it or delete it"),
        (
            "#[should_panic",
            "a test that expects a panic",
            "return an error and check what it says",
        ),
    ];
    let mut findings = Vec::new();
    for (index, line) in file.code.lines().enumerate() {
        for (mark, what, todo) in marks {
            if line.contains(mark) {
                findings.push(Finding::new(&file.path, index + 1, what, todo));
            }
        }
    }
    findings
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
        let ignored = SourceFile::new(
            "a/src/b.rs",
            "#[ignore = \"slow\"]\nfn t() {}\n#[should_panic]\n",
        );
        assert_eq!(runs_every_test(&ignored).len(), 2);
    }
}
