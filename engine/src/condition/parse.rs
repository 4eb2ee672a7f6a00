//! Words into a condition.
//!
//! Belongs here: the grammar. Does not belong here: the words (token), what a condition means.
//!
//! ```text
//! condition  = and { "or" and }
//! and        = not { "and" not }
//! not        = "not" not | "(" condition ")" | "visited" text | comparison
//! comparison = name operator value | name ["not"] "in" "[" value { "," value } "]" | name ["not"] "like" text
//! ```

use super::token::{ConditionError, Token, tokens};
use super::{Condition, Literal, Member, Name, Operator, Shape};
use crate::scenario::nearest_hint;

/// Deepest nesting of parentheses and `not`.
const DEPTH_MAX: usize = 64;

pub(super) fn parse(text: &str) -> Result<Condition, ConditionError> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        text,
        tokens: &tokens,
        depth: 0,
    };
    let condition = parser.or()?;
    match parser.tokens.first() {
        Some((at, token)) => {
            let what = format!(
                "{} is not expected; join conditions by and, or",
                token.name()
            );
            Err(parser.refuse(Some(*at), what))
        }
        None => Ok(condition),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [(usize, Token)],
    depth: usize,
}

impl<'a> Parser<'a> {
    /// A mistake at that byte, or at the end.
    fn refuse(&self, at: Option<usize>, what: impl Into<String>) -> ConditionError {
        ConditionError::new(self.text, at.unwrap_or(self.text.len()), what)
    }

    /// The next word and its place; at the end no word, and the end as the place.
    fn next(&mut self) -> (Option<usize>, Option<&'a Token>) {
        match self.tokens.split_first() {
            Some(((at, token), rest)) => {
                self.tokens = rest;
                (Some(*at), Some(token))
            }
            None => (None, None),
        }
    }

    fn take(&mut self, wanted: &Token) -> bool {
        let is_next = matches!(self.tokens.first(), Some((_, token)) if token == wanted);
        if is_next {
            self.next();
        }
        is_next
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.tokens.first(), Some((_, Token::Word(name))) if name == word);
        if is_next {
            self.next();
        }
        is_next
    }

    fn or(&mut self) -> Result<Condition, ConditionError> {
        let mut parts = vec![self.and()?];
        while self.take_word("or") {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::Or(parts)
        })
    }

    fn and(&mut self) -> Result<Condition, ConditionError> {
        let mut parts = vec![self.not()?];
        while self.take_word("and") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Condition::And(parts)
        })
    }

    fn not(&mut self) -> Result<Condition, ConditionError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let at = self.tokens.first().map(|(at, _)| *at);
            let what = format!("the condition is nested more than {DEPTH_MAX} deep");
            return Err(self.refuse(at, what));
        }
        let condition = if self.take_word("not") {
            Condition::Not(Box::new(self.not()?))
        } else if self.take(&Token::Open) {
            let inner = self.or()?;
            match self.next() {
                (_, Some(Token::Close)) => inner,
                (at, Some(token)) => {
                    let what = format!("`)` is missing before {}", token.name());
                    return Err(self.refuse(at, what));
                }
                (at, None) => return Err(self.refuse(at, "`)` is missing")),
            }
        } else if self.take_word("visited") {
            let component = self.text_literal("visited")?;
            Condition::Compare(Name::Component, Operator::Equal, Literal::Text(component))
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Condition, ConditionError> {
        let (word, name, shape) = self.name()?;
        let is_negated = self.take_word("not");
        let member = if is_negated {
            Member::Outside
        } else {
            Member::Inside
        };
        Ok(match self.next() {
            (_, Some(Token::Word(word))) if word == "in" => {
                Condition::In(name, member, self.list(name)?)
            }
            (at, Some(Token::Word(like))) if like == "like" => {
                if matches!(shape, Shape::Number | Shape::Seconds) {
                    let what = format!("`{word}` is a number; like is for texts");
                    return Err(self.refuse(at, what));
                }
                Condition::Like(name, member, self.text_literal("like")?)
            }
            (at, Some(Token::Operator(operator))) if !is_negated => {
                let is_order = !matches!(operator, Operator::Equal | Operator::Unequal);
                if shape == Shape::Texts && is_order {
                    let what = format!("`{word}` stands for several; use == != in like");
                    return Err(self.refuse(at, what));
                }
                Condition::Compare(name, *operator, self.literal(name)?)
            }
            (at, _) => {
                let what = if is_negated {
                    "after not, in or like is expected"
                } else {
                    "a comparison is expected: == != < <= > >= in like"
                };
                return Err(self.refuse(at, what));
            }
        })
    }

    fn name(&mut self) -> Result<(&'a str, Name, Shape), ConditionError> {
        let known = Name::ALL.map(|(name, _, _)| name);
        match self.next() {
            (at, Some(Token::Word(word))) => Name::ALL
                .into_iter()
                .find(|(name, _, _)| name == word)
                .ok_or_else(|| {
                    let mut known = known.to_vec();
                    known.push("visited");
                    let nearest = nearest_hint(word, &known);
                    self.refuse(at, format!("`{word}` is no name here; {nearest}"))
                }),
            (at, Some(token)) => {
                let what = format!("a name is expected, not {}", token.name());
                Err(self.refuse(at, what))
            }
            (at, None) => {
                let what = format!("a name is expected: {}", known.join(" "));
                Err(self.refuse(at, what))
            }
        }
    }

    fn list(&mut self, name: Name) -> Result<Vec<Literal>, ConditionError> {
        match self.next() {
            (_, Some(Token::OpenList)) => {}
            (at, _) => return Err(self.refuse(at, "a list is expected, such as [\"a\", \"b\"]")),
        }
        let mut literals = vec![self.literal(name)?];
        loop {
            match self.next() {
                (_, Some(Token::CloseList)) => return Ok(literals),
                (_, Some(Token::Comma)) => literals.push(self.literal(name)?),
                (at, _) => return Err(self.refuse(at, "`,` or `]` is expected")),
            }
        }
    }

    fn literal(&mut self, wanted: Name) -> Result<Literal, ConditionError> {
        let held = Name::ALL.into_iter().find(|(_, name, _)| *name == wanted);
        let (word, shape) = held.map_or(("", Shape::Text), |(word, _, shape)| (word, shape));
        let expected = match shape {
            Shape::Number => "a number",
            Shape::Seconds => "a number of seconds or a duration such as 250ms",
            Shape::Text | Shape::Texts => "a text in double quotes",
        };
        match (self.next(), shape) {
            ((_, Some(Token::Number(number))), Shape::Number | Shape::Seconds) => {
                Ok(Literal::Number(*number))
            }
            ((_, Some(Token::Duration(seconds, _))), Shape::Seconds) => {
                Ok(Literal::Number(*seconds))
            }
            ((_, Some(Token::Text(text))), Shape::Text | Shape::Texts) => {
                Ok(Literal::Text(text.clone()))
            }
            ((at, Some(token)), _) => {
                let what = format!(
                    "`{word}` is compared with {expected}, not with {}",
                    token.name()
                );
                Err(self.refuse(at, what))
            }
            ((at, None), _) => Err(self.refuse(at, format!("{expected} is expected"))),
        }
    }

    fn text_literal(&mut self, after: &str) -> Result<String, ConditionError> {
        match self.next() {
            (_, Some(Token::Text(text))) => Ok(text.clone()),
            (at, _) => {
                let what = format!("after {after} a text in double quotes is expected");
                Err(self.refuse(at, what))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named_with_their_column() {
        for (text, column, said) in [
            ("", 1, "a name is expected"),
            ("clas == \"x\"", 1, "did you mean `class`?"),
            ("sojourn > 1", 1, "did you mean `sojourn_s`?"),
            ("visit \"smtp\"", 1, "did you mean `visited`?"),
            ("class = \"x\"", 7, "`=` is no comparison; use =="),
            (
                "class == 5",
                10,
                "a text in double quotes, not with the number 5",
            ),
            ("class == 'x'", 10, "double quotes"),
            ("sojourn_s > \"x\"", 13, "250ms"),
            ("attempts > 5ms", 12, "a number, not with the duration 5ms"),
            ("sojourn_s > 5 ms", 15, "is not expected"),
            (
                "sojourn_s > 5parsecs",
                13,
                "neither a number nor a duration",
            ),
            ("(id == 1", 9, "`)` is missing"),
            ("(id == 1 id", 10, "`)` is missing before `id`"),
            ("id == 1 1", 9, "is not expected"),
            ("id == 1 and", 12, "a name is expected"),
            ("id == 1 && id == 2", 9, "use and"),
            ("class == \"x", 10, "closing quote"),
            ("class == \"x\\n\"", 12, "after `\\`"),
            ("id # 1", 4, "means nothing"),
            ("id in 1", 7, "a list is expected"),
            ("id in [1 2]", 10, "`,` or `]`"),
            ("id in []", 8, "a number"),
            ("id like \"1*\"", 4, "like is for texts"),
            ("id not == 1", 8, "in or like"),
            ("component > \"a\"", 11, "several"),
            ("visited smtp", 9, "double quotes"),
            ("é == 1", 1, "no name here"),
            ("class == \"é\" or x", 17, "no name here"),
        ] {
            let error = text.parse::<Condition>().unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.what.contains(said), "{text}: {error}");
            let (shown, caret) = error.excerpt.split_once('\n').unwrap();
            assert_eq!(shown, text);
            assert_eq!(caret.chars().count(), column, "{text}");
        }
        let deep = "not ".repeat(10_000) + "id == 1";
        let error = deep.parse::<Condition>().unwrap_err();
        assert!(error.what.contains("nested"));
        assert!(error.excerpt.lines().all(|line| line.chars().count() < 130));
    }
}
