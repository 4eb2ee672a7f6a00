//! The language of `--where`: `class == "login" and (sojourn_s > 0.5 or not outcome == "ok")`.
//!
//! Belongs here: reading and judging a condition. Does not belong here: what the names stand for (requests).
//!
//! Grammar: `or` of `and` of `not` of comparisons or parentheses; a comparison is a name, one of
//! `== != < <= > >=`, and a number or a text in double quotes. What is unknown makes a comparison false.

use std::str::FromStr;

/// Names that may stand in a condition.
const NAMES: [&str; 8] = [
    "id",
    "class",
    "outcome",
    "attempts",
    "user",
    "begun_s",
    "finished_s",
    "sojourn_s",
];
/// Deepest nesting of parentheses and `not`.
const DEPTH_MAX: usize = 64;

/// Gives a row's value for a name.
pub(super) type Row<'a> = dyn Fn(&str) -> Value + 'a;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Text(String),
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Compare(String, Operator, Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Condition {
    /// Whether the row fits.
    pub(super) fn holds(&self, row: &Row<'_>) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(row)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(row)),
            Self::Not(part) => !part.holds(row),
            Self::Compare(name, operator, wanted) => {
                let order = match (row(name), wanted) {
                    (Value::Number(a), Value::Number(b)) => a.partial_cmp(b),
                    (Value::Text(a), Value::Text(b)) => Some(a.as_str().cmp(b)),
                    _ => None,
                };
                order.is_some_and(|order| match operator {
                    Operator::Equal => order.is_eq(),
                    Operator::Unequal => order.is_ne(),
                    Operator::Less => order.is_lt(),
                    Operator::AtMost => order.is_le(),
                    Operator::Greater => order.is_gt(),
                    Operator::AtLeast => order.is_ge(),
                })
            }
        }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let mut parser = Parser {
            tokens: &tokens,
            end: text.len(),
            depth: 0,
        };
        let condition = parser.or()?;
        match parser.tokens.first() {
            Some((at, token)) => Err(refuse(*at, &format!("{} is not expected", token.name()))),
            None => Ok(condition),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Operator(Operator),
    Value(Value),
    Open,
    Close,
}

impl Token {
    fn name(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Operator(_) => "a comparison".to_owned(),
            Self::Value(Value::Text(text)) => format!("\"{text}\""),
            Self::Value(_) => "a number".to_owned(),
            Self::Open => "`(`".to_owned(),
            Self::Close => "`)`".to_owned(),
        }
    }
}

fn refuse(at: usize, what: &str) -> String {
    format!("column {}: {what}", at + 1)
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let mut take_while = |first: String, fits: fn(char) -> bool| {
            let mut word = first;
            while let Some((_, c)) = rest.next_if(|&(_, c)| fits(c)) {
                word.push(c);
            }
            word
        };
        let token = match c {
            ' ' | '\t' | '\n' => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '"' => {
                let word = take_while(String::new(), |c| c != '"');
                if rest.next().is_none() {
                    return Err(refuse(at, "the text has no closing quote"));
                }
                Token::Value(Value::Text(word))
            }
            '=' | '!' | '<' | '>' => {
                let operator = match take_while(c.to_string(), |c| c == '=').as_str() {
                    "==" => Operator::Equal,
                    "!=" => Operator::Unequal,
                    "<" => Operator::Less,
                    "<=" => Operator::AtMost,
                    ">" => Operator::Greater,
                    ">=" => Operator::AtLeast,
                    other => {
                        let what = format!("`{other}` is no comparison; use == != < <= > >=");
                        return Err(refuse(at, &what));
                    }
                };
                Token::Operator(operator)
            }
            _ if c.is_ascii_digit() || c == '-' || c == '.' => {
                let word = take_while(c.to_string(), |c| c.is_ascii_alphanumeric() || c == '.');
                let number = word.parse::<f64>().ok().filter(|number| number.is_finite());
                let number = number.ok_or_else(|| refuse(at, &format!("`{word}` is no number")))?;
                Token::Value(Value::Number(number))
            }
            _ if c.is_alphabetic() || c == '_' => Token::Name(take_while(c.to_string(), |c| {
                c.is_alphanumeric() || c == '_' || c == '-'
            })),
            _ => return Err(refuse(at, &format!("`{c}` is not expected"))),
        };
        tokens.push((at, token));
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    end: usize,
    depth: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<&(usize, Token)> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.tokens.first(), Some((_, Token::Name(name))) if name == word);
        if is_next {
            self.next();
        }
        is_next
    }

    fn or(&mut self) -> Result<Condition, String> {
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

    fn and(&mut self) -> Result<Condition, String> {
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

    fn not(&mut self) -> Result<Condition, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!(
                "the condition is nested more than {DEPTH_MAX} deep"
            ));
        }
        let condition = if self.take_word("not") {
            Condition::Not(Box::new(self.not()?))
        } else if matches!(self.tokens.first(), Some((_, Token::Open))) {
            self.next();
            let inner = self.or()?;
            let end = self.end;
            match self.next() {
                Some((_, Token::Close)) => inner,
                Some((at, token)) => {
                    return Err(refuse(
                        *at,
                        &format!("`)` is missing before {}", token.name()),
                    ));
                }
                None => return Err(refuse(end, "`)` is missing")),
            }
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(condition)
    }

    fn comparison(&mut self) -> Result<Condition, String> {
        let end = self.end;
        let name = match self.next() {
            Some((at, Token::Name(name))) => {
                if !NAMES.contains(&name.as_str()) {
                    let what = format!("`{name}` is no name here; use one of {}", NAMES.join(", "));
                    return Err(refuse(*at, &what));
                }
                name.clone()
            }
            Some((at, token)) => {
                let what = format!("a name is expected, not {}", token.name());
                return Err(refuse(*at, &what));
            }
            None => return Err(refuse(end, "a name is expected")),
        };
        let operator = match self.next() {
            Some((_, Token::Operator(operator))) => *operator,
            Some((at, _)) => return Err(refuse(*at, "a comparison is expected, such as ==")),
            None => return Err(refuse(end, "a comparison is expected, such as ==")),
        };
        let is_text = matches!(name.as_str(), "class" | "outcome");
        match self.next() {
            Some((at, Token::Value(value))) => match (value, is_text) {
                (Value::Text(_), true) | (Value::Number(_), false) => {
                    Ok(Condition::Compare(name, operator, value.clone()))
                }
                _ => {
                    let wanted = if is_text {
                        "a text in double quotes"
                    } else {
                        "a number"
                    };
                    let what = format!("`{name}` is compared with {wanted}");
                    Err(refuse(*at, &what))
                }
            },
            Some((at, token)) => {
                let what = format!(
                    "a number or a text in double quotes is expected, not {}",
                    token.name()
                );
                Err(refuse(*at, &what))
            }
            None => Err(refuse(
                end,
                "a number or a text in double quotes is expected",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> bool {
        let condition: Condition = text.parse().unwrap();
        condition.holds(&|name: &str| match name {
            "class" => Value::Text("login".to_owned()),
            "sojourn_s" => Value::Number(0.75),
            "attempts" => Value::Number(2.0),
            _ => Value::Unknown,
        })
    }

    #[test]
    fn conditions_mean_what_they_say() {
        for (text, expected) in [
            (r#"class == "login""#, true),
            (r#"class != "login""#, false),
            (r#"class == "login" and sojourn_s > 0.5"#, true),
            (
                r#"class == "x" or sojourn_s <= 0.75 and attempts >= 2"#,
                true,
            ),
            (
                r#"(class == "x" or sojourn_s < 1) and not attempts == 2"#,
                false,
            ),
            ("finished_s > 0", false),
            ("not finished_s > 0", true),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_column() {
        for (text, column) in [
            ("", 1),
            ("clas == \"x\"", 1),
            ("class = \"x\"", 7),
            ("class == 5", 10),
            ("sojourn_s > \"x\"", 13),
            ("(id == 1", 9),
            ("id == 1 1", 9),
            ("id == 1 and", 12),
            ("class == \"x", 10),
            ("id # 1", 4),
        ] {
            let error = text.parse::<Condition>().unwrap_err();
            assert!(
                error.starts_with(&format!("column {column}:")),
                "{text}: {error}"
            );
        }
        let deep = "not ".repeat(10_000) + "id == 1";
        assert!(deep.parse::<Condition>().unwrap_err().contains("nested"));
    }
}
