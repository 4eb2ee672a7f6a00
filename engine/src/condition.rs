//! The language of `--where`: `class == "login" and (sojourn_s > 250ms or visited "smtp")`.
//!
//! Belongs here: the names, what a condition means for one request. Does not belong here: reading its
//! text (parse, token), where the values come from (cli).
//!
//! What is unknown makes a comparison false, `!=`, `not in` and `not like` too. A name that stands for several
//! values (`component`, `path`, `failed_at`) fits `==`, `in` and `like` where one of them does, and `!=`, `not in`
//! and `not like` where none does.

mod parse;
mod token;

pub use token::ConditionError;

use std::cmp::Ordering;
use std::str::FromStr;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A number.
    Number,
    /// A number of seconds; a duration may stand for it.
    Seconds,
    /// A text.
    Text,
    /// Several texts.
    Texts,
}

/// Everything that can be asked of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// Its number.
    Id,
    /// Its class.
    Class,
    /// How it ended, or that it has not.
    Outcome,
    /// Highest run of a job.
    Attempts,
    /// Retries planned.
    Retries,
    /// Parts it had.
    Parts,
    /// Whose it is.
    User,
    /// When it began.
    Begun,
    /// When it was over.
    Finished,
    /// From begun to finished.
    Sojourn,
    /// Waiting of all its visits.
    Waiting,
    /// Service of all its visits.
    Service,
    /// Every component it visited.
    Component,
    /// Every path on which a part of it ended.
    Path,
    /// Every component where something of it failed.
    FailedAt,
}

impl Name {
    /// Names as written, with what they stand for.
    pub const ALL: [(&'static str, Self, Shape); 15] = [
        ("id", Self::Id, Shape::Number),
        ("class", Self::Class, Shape::Text),
        ("outcome", Self::Outcome, Shape::Text),
        ("attempts", Self::Attempts, Shape::Number),
        ("retries", Self::Retries, Shape::Number),
        ("parts", Self::Parts, Shape::Number),
        ("user", Self::User, Shape::Number),
        ("begun_s", Self::Begun, Shape::Seconds),
        ("finished_s", Self::Finished, Shape::Seconds),
        ("sojourn_s", Self::Sojourn, Shape::Seconds),
        ("waiting_s", Self::Waiting, Shape::Seconds),
        ("service_s", Self::Service, Shape::Seconds),
        ("component", Self::Component, Shape::Texts),
        ("path", Self::Path, Shape::Texts),
        ("failed_at", Self::FailedAt, Shape::Texts),
    ];
}

/// A request's value for a name.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// A number.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// Several texts, or none.
    Texts(Vec<&'a str>),
    /// Nobody knows; fits no comparison.
    Unknown,
}

/// A value as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// A number; a duration in seconds.
    Number(f64),
    /// A text.
    Text(String),
}

/// Whether a request is meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// Every one of them.
    And(Vec<Condition>),
    /// At least one of them.
    Or(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// The name's value so beside this.
    Compare(Name, Operator, Literal),
    /// The name's value among these, or not.
    In(Name, Member, Vec<Literal>),
    /// The name's value of this form, `*` for anything, or not.
    Like(Name, Member, String),
}

/// Which side of `in` or `like` is meant. What is unknown is on neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// `in`, `like`
    Inside,
    /// `not in`, `not like`
    Outside,
}

impl Member {
    fn is(self, is_inside: bool) -> bool {
        is_inside == (self == Self::Inside)
    }
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Operator {
    const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

impl Condition {
    /// Whether a request fits, whose values `of` gives.
    #[must_use]
    pub fn holds<'a>(&self, of: &dyn Fn(Name) -> Value<'a>) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(of)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(of)),
            Self::Not(part) => !part.holds(of),
            Self::Compare(name, operator, literal) => match of(*name) {
                Value::Texts(held) => {
                    let is_in = held.iter().any(|text| is(&Value::Text(text), literal));
                    is_in != (*operator == Operator::Unequal)
                }
                value => order(&value, literal).is_some_and(|order| operator.holds(order)),
            },
            Self::In(name, member, literals) => {
                let fits = |value: &Value<'_>| literals.iter().any(|literal| is(value, literal));
                match of(*name) {
                    Value::Unknown => false,
                    Value::Texts(held) => {
                        member.is(held.iter().any(|text| fits(&Value::Text(text))))
                    }
                    value => member.is(fits(&value)),
                }
            }
            Self::Like(name, member, pattern) => match of(*name) {
                Value::Text(text) => member.is(is_like(text, pattern)),
                Value::Texts(held) => member.is(held.iter().any(|text| is_like(text, pattern))),
                Value::Number(_) | Value::Unknown => false,
            },
        }
    }
}

impl FromStr for Condition {
    type Err = ConditionError;

    fn from_str(text: &str) -> Result<Self, ConditionError> {
        parse::parse(text)
    }
}

fn order(value: &Value<'_>, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Number(a), Literal::Number(b)) => a.partial_cmp(b),
        (Value::Text(a), Literal::Text(b)) => Some((*a).cmp(b.as_str())),
        _ => None,
    }
}

fn is(value: &Value<'_>, literal: &Literal) -> bool {
    order(value, literal).is_some_and(Ordering::is_eq)
}

/// Whether the text has the form of the pattern, in which `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return text == pattern;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    // Each piece at its first place leaves most for the others; the last has to be the end.
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.split_once(piece) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str) -> bool {
        let condition: Condition = text.parse().unwrap();
        condition.holds(&|name| match name {
            Name::Class => Value::Text("login"),
            Name::Sojourn => Value::Number(0.75),
            Name::Attempts => Value::Number(2.0),
            Name::Component => Value::Texts(vec!["mail", "smtp"]),
            Name::FailedAt => Value::Texts(Vec::new()),
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
            ("sojourn_s == 750ms", true),
            ("sojourn_s > 1m30s", false),
            ("sojourn_s > 7e-1", true),
            (r#"class in ["signup", "login"]"#, true),
            (r#"not class in ["signup"]"#, true),
            (r#"class not in ["signup"]"#, true),
            ("attempts in [1, 3]", false),
            (r#"class like "log*""#, true),
            (r#"class like "*g*n""#, true),
            (r#"class like "l*gg*n""#, false),
            (r#"class like "log""#, false),
            (r#"visited "smtp""#, true),
            (r#"not visited "retry-1""#, true),
            (r#"component == "mail" and component == "smtp""#, true),
            (r#"component != "mail""#, false),
            (r#"component != "dlq""#, true),
            (r#"component in ["dlq", "mail"]"#, true),
            (r#"component like "sm*""#, true),
            (r#"failed_at == "smtp""#, false),
            (r#"failed_at != "smtp""#, true),
            // Unknown is neither the one nor the other.
            (r#"outcome == "ok" or outcome != "ok""#, false),
            (r#"outcome in ["ok"] or outcome not in ["ok"]"#, false),
            (r#"outcome like "o*" or outcome not like "o*""#, false),
            ("user not in [5]", false),
            (r#"component not in ["dlq", "mail"]"#, false),
            (r#"component not in ["dlq"]"#, true),
            (r#"failed_at not in ["smtp"]"#, true),
            (r#"component not like "sm*""#, false),
            (r#"class not like "x*""#, true),
        ] {
            assert_eq!(holds(text), expected, "{text}");
        }
    }
}
