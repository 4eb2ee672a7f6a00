//! Files that a scenario names: arrival times and samples, one number per line.
//!
//! Belongs here: which tables name files, reading their text, writing them as settings for a reel.
//! Does not belong here: opening files (the command line hands in a way to read them).
#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::expect_used
)]

use super::problem::{Place, Problems};
use super::raw::{Node, Value};

/// Numbers of all files together; a day at 50 per second has 4.3 million arrivals.
const NUMBERS_MAX: usize = 10_000_000;

/// Gives the text of a file that a scenario names, or one sentence about why it cannot.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Puts the numbers of files where their names stand: `file` becomes `at_s` of a trace, or `values_s`
/// of an empirical law. Gives the same as overrides, which make the scenario whole without its files.
pub(super) fn resolve(
    root: &mut Node,
    read: Option<ReadFile<'_>>,
    problems: &mut Problems<'_>,
) -> Vec<String> {
    let mut found = Files {
        read,
        settings: Vec::new(),
        left: NUMBERS_MAX,
    };
    found.walk(root, &mut Vec::new(), problems);
    found.settings
}

struct Files<'a> {
    read: Option<ReadFile<'a>>,
    settings: Vec<String>,
    left: usize,
}

impl Files<'_> {
    fn walk(&mut self, node: &mut Node, path: &mut Vec<String>, problems: &mut Problems<'_>) {
        match &mut node.value {
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    path.push(index.to_string());
                    self.walk(item, path, problems);
                    path.pop();
                }
            }
            Value::Table(_) => {
                self.table(node, path, problems);
                if let Value::Table(entries) = &mut node.value {
                    for entry in entries {
                        path.push(entry.key.clone());
                        self.walk(&mut entry.node, path, problems);
                        path.pop();
                    }
                }
            }
            Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Bool(_) | Value::Date => {
            }
        }
    }

    fn table(&mut self, node: &mut Node, path: &[String], problems: &mut Problems<'_>) {
        let Value::Table(entries) = &mut node.value else {
            return;
        };
        let says = |key: &str, value: &str| {
            entries.iter().any(
                |entry| matches!(&entry.node.value, Value::Text(text) if entry.key == key && text == value),
            )
        };
        let key = if says("process", "trace") {
            "at_s"
        } else if says("dist", "empirical") {
            "values_s"
        } else {
            return;
        };
        let is_trace = key == "at_s";
        if entries.iter().any(|entry| entry.key == key) {
            // Both at once are told by whoever reads the table.
            return;
        }
        let Some(entry) = entries.iter_mut().find(|entry| entry.key == "file") else {
            return;
        };
        let Value::Text(name) = &entry.node.value else {
            return;
        };
        let place = entry.node.place;
        let found = self.numbers(name, is_trace, place, problems);
        if let Some(numbers) = &found {
            // Every step of the path is an id or a position, so it can be written as a setting.
            let list: Vec<String> = numbers.iter().map(|number| format!("{number:?}")).collect();
            let joined = list.join(",");
            self.settings
                .push(format!("{}.{key}=[{joined}]", path.join(".")));
        }
        // A file that failed is a problem already; any number lets the rest be checked too.
        let numbers = found.unwrap_or_else(|| vec![1.0]);
        entry.key = key.to_owned();
        entry.node.value = Value::Array(
            numbers
                .into_iter()
                .map(|number| Node {
                    place,
                    value: Value::Float(number),
                })
                .collect(),
        );
    }

    fn numbers(
        &mut self,
        name: &str,
        is_sorted: bool,
        place: Place,
        problems: &mut Problems<'_>,
    ) -> Option<Vec<f64>> {
        let shown: String = name.chars().take(100).collect();
        let Some(read) = self.read else {
            problems.add_with_hint(
                place,
                format!("the file `{shown}` is not at hand"),
                "give the scenario by its file name, or write the numbers here as a list",
            );
            return None;
        };
        let text = match read(name) {
            Ok(text) => text,
            Err(why) => {
                problems.add_with_hint(
                    place,
                    format!("cannot read `{shown}`: {why}"),
                    "name a file with one number of seconds per line, relative to the scenario",
                );
                return None;
            }
        };
        match parse(&text, is_sorted, self.left) {
            Ok(numbers) => {
                self.left = self.left.saturating_sub(numbers.len());
                Some(numbers)
            }
            Err((line, message, hint)) => {
                problems.add_with_hint(place, format!("{shown}:{line}: {message}"), hint);
                None
            }
        }
    }
}

/// One number per line; empty lines and lines that begin with `#` are passed over.
fn parse(
    text: &str,
    is_sorted: bool,
    most: usize,
) -> Result<Vec<f64>, (usize, String, &'static str)> {
    let mut numbers: Vec<f64> = Vec::new();
    let mut line_number = 0_usize;
    for line in text.strip_prefix('\u{feff}').unwrap_or(text).lines() {
        line_number = line_number.saturating_add(1);
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number: Option<f64> = line.parse().ok();
        let Some(number) = number.filter(|number| {
            *number >= 0.0 && crate::model::time::ns_from_seconds(*number).is_some()
        }) else {
            let shown: String = line.chars().take(40).collect();
            return Err((
                line_number,
                format!("`{shown}` is no time"),
                "write a number of seconds from 0 to 292 years on each line",
            ));
        };
        if let Some(before) = numbers.last()
            && is_sorted
            && number < *before
        {
            return Err((
                line_number,
                format!("{number} s is earlier than the line before, {before} s"),
                "sort the file: arrival times in seconds since the start",
            ));
        }
        if numbers.len() >= most {
            return Err((
                line_number,
                format!("more than {NUMBERS_MAX} numbers"),
                "cut the files shorter",
            ));
        }
        numbers.push(number);
    }
    if numbers.is_empty() {
        return Err((
            line_number.max(1),
            "the file has no number".to_owned(),
            "write one number of seconds per line",
        ));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_are_read_line_by_line_and_the_wrong_line_is_named() {
        assert_eq!(
            parse("# arrivals\n0.5\r\n\n 1e0 \n1\n", true, 9),
            Ok(vec![0.5, 1.0, 1.0])
        );
        for (text, line, word) in [
            ("", 1, "no number"),
            ("# only this\n", 1, "no number"),
            ("1\n0.5\n", 2, "earlier"),
            ("1\n\n-1\n", 3, "`-1` is no time"),
            ("1\nnan\n", 2, "`nan` is no time"),
            ("inf", 1, "`inf` is no time"),
            ("1e300", 1, "is no time"),
            ("1 2", 1, "`1 2` is no time"),
            ("1\n2\n3\n", 3, "more than"),
        ] {
            let (at, message, _) = parse(text, true, 2).unwrap_err();
            assert_eq!(at, line, "{text}");
            assert!(message.contains(word), "{text}: {message}");
        }
        assert_eq!(parse("2\n1", false, 9), Ok(vec![2.0, 1.0]));
    }
}
