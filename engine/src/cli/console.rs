//! Where a verb writes: answers to standard output, progress to standard error.
//!
//! Belongs here: writing and what a failed write means. Does not belong here: what is written.

use super::CliError;
use serde::Serialize;
use std::fmt::Arguments;
use std::io::Write;

/// The two streams of one run of the program.
pub(crate) struct Console<'a> {
    /// True with `--json`: the answer is one JSON object, and nothing else goes to standard output.
    pub(crate) json: bool,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl<'a> Console<'a> {
    pub(crate) fn new(json: bool, out: &'a mut dyn Write, err: &'a mut dyn Write) -> Self {
        Self { json, out, err }
    }

    /// Writes one line of the answer for people: `console.line(format_args!("…"))?`.
    pub(crate) fn line(&mut self, line: Arguments<'_>) -> Result<(), CliError> {
        writeln!(self.out, "{line}").map_err(|error| CliError::from_write(&error))
    }

    /// Writes text that brings its own line ends.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), CliError> {
        self.out
            .write_all(text.as_bytes())
            .map_err(|error| CliError::from_write(&error))
    }

    /// Writes the JSON answer, on one line.
    pub(crate) fn answer<T: Serialize>(&mut self, answer: &T) -> Result<(), CliError> {
        let text = serde_json::to_string(answer)
            .map_err(|error| CliError::input(format!("the answer does not fit JSON: {error}")))?;
        self.line(format_args!("{text}"))
    }

    /// Says how far it is, on standard error. A closed standard error stops nothing.
    pub(crate) fn progress(&mut self, line: Arguments<'_>) {
        drop(writeln!(self.err, "{line}"));
    }

    /// Brings out what is still buffered; a full disk shows only here.
    pub(crate) fn flush(&mut self) -> Result<(), CliError> {
        self.out
            .flush()
            .map_err(|error| CliError::from_write(&error))
    }
}
