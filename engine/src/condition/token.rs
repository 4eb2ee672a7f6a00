//! Words of a condition, each with its place; mistakes, each with its place.
//!
//! Belongs here: characters into words. Does not belong here: which word may follow which (parse).

use super::Operator;
use crate::model::time::{parse_duration_ns, seconds_from_ns};

/// Characters of a long condition that are shown to each side of a mistake.
const SHOWN_CHARS: usize = 60;

/// Why a condition cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {what}")]
pub struct ConditionError {
    /// Place in characters, from 1.
    pub column: usize,
    /// What is wrong there, and what may stand there.
    pub what: String,
    /// The condition around the place, and a line with a caret under it.
    pub excerpt: String,
}

impl ConditionError {
    pub(super) fn new(text: &str, at: usize, what: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text).chars().count();
        let from = before.saturating_sub(SHOWN_CHARS);
        let length = before - from + SHOWN_CHARS;
        // One line, each character one wide.
        let shown = text.chars().skip(from).take(length);
        let shown: String = shown
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let lead = if from > 0 { "…" } else { "" };
        let tail = if text.chars().nth(from + length).is_some() {
            "…"
        } else {
            ""
        };
        let indent = " ".repeat(before - from + lead.chars().count());
        Self {
            column: before + 1,
            what: what.into(),
            excerpt: format!("{lead}{shown}{tail}\n{indent}^"),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Word(String),
    Operator(Operator),
    Number(f64),
    /// Seconds, and how they were written.
    Duration(f64, String),
    Text(String),
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
}

impl Token {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Word(word) => format!("`{word}`"),
            Self::Operator(_) => "a comparison".to_owned(),
            Self::Number(number) => format!("the number {number}"),
            Self::Duration(_, text) => format!("the duration {text}"),
            Self::Text(text) => format!("the text \"{}\"", shortened(text)),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
            Self::OpenList => "`[`".to_owned(),
            Self::CloseList => "`]`".to_owned(),
            Self::Comma => "`,`".to_owned(),
        }
    }
}

/// The beginning of a text, on one line.
fn shortened(text: &str) -> String {
    let shown = text.chars().take(SHOWN_CHARS).filter(|c| !c.is_control());
    shown.collect()
}

/// Byte offsets and words, up to the end of the text.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ConditionError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = text.get(at..).unwrap_or_default();
        let (length, token) = match c {
            _ if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '(' => (1, Token::Open),
            ')' => (1, Token::Close),
            '[' => (1, Token::OpenList),
            ']' => (1, Token::CloseList),
            ',' => (1, Token::Comma),
            '"' => text_token(text, at)?,
            '=' | '!' | '<' | '>' | '&' | '|' => operator_token(text, at, rest)?,
            _ if c.is_ascii_digit() || c == '-' || c == '.' => number_token(text, at, rest)?,
            _ if c.is_alphabetic() || c == '_' => {
                let word = leading(rest, |c| c.is_alphanumeric() || c == '_' || c == '-');
                (word.len(), Token::Word(word.to_owned()))
            }
            '\'' => {
                let what = "a text stands in double quotes: \"…\"";
                return Err(ConditionError::new(text, at, what));
            }
            _ => {
                let what = format!("`{c}` means nothing here");
                return Err(ConditionError::new(text, at, what));
            }
        };
        tokens.push((at, token));
        at += length;
    }
    Ok(tokens)
}

fn leading(text: &str, fits: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !fits(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

/// A text in double quotes, in which `\"` and `\\` stand for `"` and `\`.
fn text_token(text: &str, at: usize) -> Result<(usize, Token), ConditionError> {
    let mut word = String::new();
    let mut rest = text.get(at..).unwrap_or_default().char_indices().skip(1);
    while let Some((offset, c)) = rest.next() {
        match c {
            '"' => return Ok((offset + 1, Token::Text(word))),
            '\\' => match rest.next() {
                Some((_, escaped @ ('"' | '\\'))) => word.push(escaped),
                _ => {
                    let what = "after `\\` only `\"` or `\\` may stand";
                    return Err(ConditionError::new(text, at + offset, what));
                }
            },
            _ => word.push(c),
        }
    }
    let what = "the text has no closing quote";
    Err(ConditionError::new(text, at, what))
}

fn operator_token(text: &str, at: usize, rest: &str) -> Result<(usize, Token), ConditionError> {
    let word = leading(rest, |c| "=!<>&|".contains(c));
    let operator = match word {
        "==" => Operator::Equal,
        "!=" => Operator::Unequal,
        "<" => Operator::Less,
        "<=" => Operator::AtMost,
        ">" => Operator::Greater,
        ">=" => Operator::AtLeast,
        _ => {
            let what = match word {
                "=" => "`=` is no comparison; use == (also != < <= > >=)".to_owned(),
                "&&" | "&" => format!("`{word}` is not known; use and"),
                "||" | "|" => format!("`{word}` is not known; use or"),
                "!" => "`!` is not known; use not".to_owned(),
                _ => format!("`{word}` is no comparison; use == != < <= > >="),
            };
            return Err(ConditionError::new(text, at, what));
        }
    };
    Ok((word.len(), Token::Operator(operator)))
}

/// `5`, `-0.5`, `1e-3`, or a duration such as `250ms` or `1m30s`.
fn number_token(text: &str, at: usize, rest: &str) -> Result<(usize, Token), ConditionError> {
    let mut end = 0;
    let mut before = ' ';
    for (offset, c) in rest.char_indices() {
        // A sign belongs to the number at its beginning and after an exponent's letter.
        let is_sign = (c == '-' || c == '+') && (offset == 0 || "eE".contains(before));
        if !(is_sign || c.is_alphanumeric() || c == '.') {
            break;
        }
        end = offset + c.len_utf8();
        before = c;
    }
    let word = rest.get(..end).unwrap_or(rest);
    let number = word.parse::<f64>().ok().filter(|number| number.is_finite());
    let token = match number {
        Some(number) => Token::Number(number),
        None => match parse_duration_ns(word) {
            Ok(ns) => Token::Duration(seconds_from_ns(ns), word.to_owned()),
            Err(_) => {
                let what = format!(
                    "`{}` is neither a number nor a duration such as 250ms or 1m30s",
                    shortened(word)
                );
                return Err(ConditionError::new(text, at, what));
            }
        },
    };
    Ok((end, token))
}
