//! What is wrong with a scenario: one sentence, its place, and what to do.
//!
//! Belongs here: problems, places, nearest names. Does not belong here: the rules that find them.

use std::fmt;

/// More than this many problems help nobody; the rest is counted.
const PROBLEMS_MAX: usize = 1000;

/// Names looked at for the nearest one; models of thousands of stations are not written by hand.
const NAMES_COMPARED_MAX: usize = 1000;
const NAMES_LISTED_MAX: usize = 24;

/// Where a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Byte offset in the scenario text.
    Text(usize),
    /// Position in the list of overrides.
    Override(usize),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line in the scenario text, from 1; absent where an override is to blame.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// The override to blame, as written.
    pub override_text: Option<String>,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// What to do; empty where the message says it.
    pub hint: String,
}

impl Problem {
    /// `12:5`, or the override.
    #[must_use]
    pub fn place(&self) -> String {
        match (self.line, self.column, &self.override_text) {
            (Some(line), Some(column), _) => format!("{line}:{column}"),
            (_, _, Some(text)) => format!("--set {text}"),
            _ => "1:1".to_owned(),
        }
    }
}

/// `12:5: unknown key …; did you mean …?`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.message)?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, "; {}", self.hint)
        }
    }
}

/// Every problem of one scenario, in the order of their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// At least one.
    pub problems: Vec<Problem>,
    /// Problems found beyond those listed.
    pub more: usize,
}

impl std::error::Error for ScenarioError {}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n" };
            write!(f, "{gap}{problem}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

/// Collects problems while a scenario is read.
pub(super) struct Problems<'a> {
    text: &'a str,
    overrides: &'a [String],
    found: Vec<(Place, String, String)>,
    more: usize,
    /// Keys that were asked for, table by table.
    #[cfg(test)]
    pub(super) asked: Vec<(Place, Vec<&'static str>)>,
}

impl<'a> Problems<'a> {
    pub(super) const fn new(text: &'a str, overrides: &'a [String]) -> Self {
        Self {
            text,
            overrides,
            found: Vec::new(),
            more: 0,
            #[cfg(test)]
            asked: Vec::new(),
        }
    }

    pub(super) fn add_with_hint(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        if self.found.len() < PROBLEMS_MAX {
            self.found.push((place, message.into(), hint.into()));
        } else {
            self.more += 1;
        }
    }

    /// No more are listed, only counted: dear hints can be left out.
    pub(super) const fn is_full(&self) -> bool {
        self.found.len() >= PROBLEMS_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// `Ok` where nothing was found.
    pub(super) fn into_result(self) -> Result<(), ScenarioError> {
        if self.found.is_empty() {
            return Ok(());
        }
        let mut found = self.found;
        found.sort_by_key(|(place, ..)| match *place {
            Place::Text(offset) => (0, offset),
            Place::Override(index) => (1, index),
        });
        let mut lines = Lines::new(self.text);
        let problems = found
            .into_iter()
            .map(|(place, message, hint)| {
                let (line, column, override_text) = match place {
                    Place::Text(offset) => {
                        let (line, column) = lines.place(offset);
                        (Some(line), Some(column), None)
                    }
                    Place::Override(index) => (None, None, self.overrides.get(index).cloned()),
                };
                Problem {
                    line,
                    column,
                    override_text,
                    message,
                    hint,
                }
            })
            .collect();
        Err(ScenarioError {
            problems,
            more: self.more,
        })
    }
}

/// Lines and columns of rising byte offsets, found in one pass.
struct Lines<'a> {
    rest: std::iter::Peekable<std::str::CharIndices<'a>>,
    line: usize,
    column: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.char_indices().peekable(),
            line: 1,
            column: 1,
        }
    }

    /// Line and column (in characters) of a byte offset, both from 1.
    fn place(&mut self, offset: usize) -> (usize, usize) {
        while let Some((_, c)) = self.rest.next_if(|(index, _)| *index < offset) {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        (self.line, self.column)
    }
}

/// `did you mean …?` with the nearest of `names`, or the list of them where none is near.
#[must_use]
pub fn nearest_hint(written: &str, names: &[&str]) -> String {
    let allowed = (written.chars().take(300).count() / 3).max(2);
    let nearest = names
        .iter()
        .take(NAMES_COMPARED_MAX)
        .map(|name| (edit_distance(written, name), *name))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, name)) if distance <= allowed => format!("did you mean `{name}`?"),
        // `rate` for `rate_per_s`: a unit forgotten is far by letters.
        Some(_) if begun_by(written, names).is_some() => {
            format!(
                "did you mean `{}`?",
                begun_by(written, names).unwrap_or_default()
            )
        }
        Some(_) => {
            let mut sorted: Vec<&str> = names.iter().copied().take(NAMES_COMPARED_MAX).collect();
            sorted.sort_unstable();
            sorted.dedup();
            let shown = sorted.len().min(NAMES_LISTED_MAX);
            let dots = if shown < sorted.len() { ", …" } else { "" };
            format!(
                "valid here: {}{dots}",
                sorted.get(..shown).unwrap_or(&[]).join(", ")
            )
        }
        None => String::new(),
    }
}

fn begun_by<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let mut near = names.iter().take(NAMES_COMPARED_MAX);
    near.find(|name| written.len() > 2 && name.starts_with(written))
        .copied()
}

/// Levenshtein distance with swaps of neighbours, capped by treating names past 64 characters as far.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) =
        (a.chars().take(65).collect(), b.chars().take(65).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX);
            let mut best = (at(&last, j) + usize::from(x != y))
                .min(at(&last, j + 1) + 1)
                .min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_far_ones_list_what_is_valid() {
        assert_eq!(
            nearest_hint("sevice", &["service", "servers"]),
            "did you mean `service`?"
        );
        assert_eq!(
            nearest_hint("ot", &["to", "arrivals"]),
            "did you mean `to`?"
        );
        assert!(nearest_hint("zzzzzz", &["to", "mix"]).starts_with("valid here: mix, to"));
    }

    #[test]
    fn columns_count_characters_not_bytes() {
        let mut lines = Lines::new("é=1\nß = x");
        assert_eq!(lines.place(0), (1, 1));
        assert_eq!(lines.place(8), (2, 3));
        assert_eq!(lines.place(99), (2, 6));
        assert_eq!(Lines::new("").place(0), (1, 1));
    }
}
