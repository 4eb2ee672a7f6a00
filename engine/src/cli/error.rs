//! How the program ends: an outcome, or an error of one sentence with its exit code.
//!
//! Belongs here: the shape of CONTRACT §1. Does not belong here: the sentences of each verb.

use flowreel_engine::condition::ConditionError;
use serde::Serialize;
use std::fmt;
use std::io::{self, Write};

/// What the program came to; errors are [`CliError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done, and what was checked holds: exit code 0.
    Done,
    /// Done, and what was checked does not hold: exit code 1.
    DoesNotHold,
    /// Done: the input is bad, and the answer says how: exit code 2.
    BadInput,
}

/// Why the program stopped: what, where, and what to do.
#[derive(Debug)]
pub(crate) struct CliError {
    code: u8,
    message: String,
    where_: Option<String>,
    hint: Option<String>,
    /// The expression that is wrong, with a caret under the place; shown to people below the sentence.
    excerpt: Option<String>,
    is_reader_gone: bool,
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    schema: &'static str,
    code: u8,
    error: &'a str,
    #[serde(rename = "where", skip_serializing_if = "Option::is_none")]
    where_: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl CliError {
    fn new(code: u8, message: String) -> Self {
        Self {
            code,
            message,
            where_: None,
            hint: None,
            excerpt: None,
            is_reader_gone: false,
        }
    }

    /// What was asked for is refused for what the input says (a model without a steady state): exit code 1.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(1, message.into())
    }

    /// Bad usage or bad input: exit code 2.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(2, message.into())
    }

    /// The surroundings are at fault (port taken, disk full, program missing): exit code 3.
    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self::new(3, message.into())
    }

    /// A mistake in an expression given to `option`; the sentence already says the column.
    pub(crate) fn in_expression(option: &str, error: &ConditionError) -> Self {
        let mut this = Self::input(error.to_string());
        this.where_ = Some(format!("{option}: column {}", error.column));
        this.excerpt = Some(error.excerpt.clone());
        this
    }

    /// Names the place: a file, `file:line:column` for text, `file: byte N` for a reel.
    #[must_use]
    pub(crate) fn at(mut self, place: impl Into<String>) -> Self {
        self.where_ = Some(place.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A write of the answer failed. A reader that has gone away (`| head`) is no error.
    pub(crate) fn from_write(error: &io::Error) -> Self {
        let mut this = Self::environment(format!("cannot write the answer: {error}"));
        this.is_reader_gone = error.kind() == io::ErrorKind::BrokenPipe;
        this
    }

    /// Writes the sentence (and the JSON shape) and gives the exit code.
    pub(crate) fn report(&self, json: bool, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
        if self.is_reader_gone {
            return 0;
        }
        // Both streams may be closed; the exit code is then all that is left to say.
        drop(writeln!(err, "flowreel: {self}"));
        if let Some(excerpt) = &self.excerpt {
            drop(writeln!(err, "{excerpt}"));
        }
        if json {
            let answer = ErrorAnswer {
                schema: "flowreel.error/1",
                code: self.code,
                error: &self.message,
                where_: self.where_.as_deref(),
                hint: self.hint.as_deref(),
            };
            if let Ok(text) = serde_json::to_string(&answer) {
                drop(writeln!(out, "{text}"));
            }
        }
        drop(out.flush());
        self.code
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.where_.as_ref().filter(|_| self.excerpt.is_none()) {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_sentence_and_one_object() {
        let error = CliError::input("not a reel")
            .at("a.reel: byte 0")
            .hint("name a file that `flowreel simulate --out` wrote");
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(error.report(true, &mut out, &mut err), 2);
        assert_eq!(
            String::from_utf8(err).unwrap(),
            "flowreel: a.reel: byte 0: not a reel; name a file that `flowreel simulate --out` wrote\n"
        );
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["schema"], "flowreel.error/1");
        assert_eq!(value["code"], 2);
        assert_eq!(value["where"], "a.reel: byte 0");
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let error = CliError::from_write(&io::Error::from(io::ErrorKind::BrokenPipe));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        assert_eq!(error.report(true, &mut out, &mut err), 0);
        assert!(out.is_empty() && err.is_empty());
    }
}
