//! Details beside an event: why, which, how much, in words; personal data never get in.
//!
//! Belongs here: the masking rule and the size limits. Does not belong here: the reel's own layout.
//!
//! A value that holds an address, a token or a long secret is replaced before it is stored, and so is
//! every value under a key that names one, so that a careless caller records a mask and not a person.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Longest key taken from elsewhere, in bytes.
const KEY_BYTES_MAX: usize = 64;
/// Keys taken from elsewhere.
const KEY_COUNT_MAX: usize = 256;
/// Longest value kept, in bytes.
const VALUE_BYTES_MAX: usize = 256;
/// Most fields kept.
const FIELD_COUNT_MAX: usize = 16;
/// What stands where something was hidden.
const MASK: &str = "[masked]";
/// Keys whose values are never recorded, whatever they look like.
const SECRET_KEYS: [&str; 14] = [
    "address",
    "authorization",
    "body",
    "cookie",
    "email",
    "item",
    "message",
    "name",
    "password",
    "recipient",
    "secret",
    "subject",
    "token",
    "username",
];

/// A short list of named values; text is masked as it is added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    fields: Vec<(&'static str, String)>,
}

impl Detail {
    /// A detail with one field.
    #[must_use]
    pub fn of(key: &'static str, value: &str) -> Self {
        Self::default().text(key, value)
    }

    /// Adds a text: masked where it may be personal, cut at 256 bytes; the seventeenth field is dropped.
    #[must_use]
    pub fn text(mut self, key: &'static str, value: &str) -> Self {
        if self.fields.len() < FIELD_COUNT_MAX {
            self.fields.push((key, masked(key, value)));
        }
        self
    }

    /// Adds an id that we made up ourselves, which names nobody and opens nothing.
    #[must_use]
    pub fn id(mut self, key: &'static str, id: &str) -> Self {
        if self.fields.len() < FIELD_COUNT_MAX && id.len() <= VALUE_BYTES_MAX {
            self.fields.push((key, id.to_owned()));
        }
        self
    }

    /// Adds an e-mail address of which the first letter and the host are left.
    #[must_use]
    pub fn address(mut self, key: &'static str, address: &str) -> Self {
        if self.fields.len() < FIELD_COUNT_MAX {
            self.fields.push((key, masked_address(address)));
        }
        self
    }

    /// Adds a whole number.
    #[must_use]
    pub fn number(mut self, key: &'static str, value: u64) -> Self {
        if self.fields.len() < FIELD_COUNT_MAX {
            self.fields.push((key, value.to_string()));
        }
        self
    }

    /// The fields as another process of the run, or its reel, holds them: masked there, cut here again.
    pub(super) fn of_others<K: AsRef<str>, T: AsRef<str>>(fields: &[(K, T)]) -> Self {
        let kept = fields.iter().take(FIELD_COUNT_MAX);
        let own = |(key, value): &(K, T)| (own_key(key.as_ref()), cut(value.as_ref()).to_owned());
        Self {
            fields: kept.map(own).collect(),
        }
    }

    /// The record as a reel holds it.
    #[must_use]
    pub(super) fn to_record(&self) -> flowreel_engine::recording::Detail {
        let fields = self.fields.iter();
        flowreel_engine::recording::Detail::new(fields.map(|(key, text)| (*key, text.as_str())))
    }

    /// The fields in the order they were added.
    #[must_use]
    pub fn fields(&self) -> &[(&'static str, String)] {
        &self.fields
    }
}

/// The key as one that lives as long as the process. There are few; past the limit, or where one is
/// long, it is nobody's key and reads `note`.
fn own_key(key: &str) -> &'static str {
    static SEEN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = seen.get(key) {
        return known;
    }
    if key.len() > KEY_BYTES_MAX || seen.len() >= KEY_COUNT_MAX {
        return "note";
    }
    let key: &'static str = Box::leak(key.to_owned().into_boxed_str());
    seen.insert(key);
    key
}

/// As much of a value as is kept.
fn cut(value: &str) -> &str {
    let longest = VALUE_BYTES_MAX.min(value.len());
    let end = (0..=longest).rev().find(|&end| value.is_char_boundary(end));
    end.and_then(|end| value.get(..end)).unwrap_or_default()
}

fn masked(key: &str, value: &str) -> String {
    let last_word = key.rsplit(['_', '-', '.']).next().unwrap_or(key);
    if SECRET_KEYS.contains(&last_word) {
        return MASK.to_owned();
    }
    let mut out = String::with_capacity(value.len().min(VALUE_BYTES_MAX));
    for (index, word) in value.split_whitespace().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(if is_personal(word) { MASK } else { word });
        if out.len() >= VALUE_BYTES_MAX {
            break;
        }
    }
    out.truncate(cut(&out).len());
    out
}

/// `a***@people.example`; what is no address is masked whole.
fn masked_address(address: &str) -> String {
    let parts = address.split_once('@');
    let known = parts.and_then(|(own, host)| own.chars().next().zip(Some(host)));
    match known {
        Some((first, host)) if host.len() < VALUE_BYTES_MAX - MASK.len() => {
            format!("{first}***@{host}")
        }
        _ => MASK.to_owned(),
    }
}

/// An address, a web token, or 24 letters and digits in a row that mix letters and digits.
fn is_personal(word: &str) -> bool {
    let is_web_token = word.starts_with("eyJ") && word.contains('.');
    word.contains('@') || is_web_token || has_secret_run(word)
}

fn has_secret_run(word: &str) -> bool {
    word.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| {
        run.len() >= 24
            && run.bytes().any(|byte| byte.is_ascii_digit())
            && run.bytes().any(|byte| byte.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_tokens_and_secrets_are_masked() {
        for (key, value, recorded) in [
            ("reason", "round-robin", "round-robin"),
            (
                "reply",
                "550 no such user <a@b.example>",
                "550 no such user [masked]",
            ),
            (
                "cause",
                "bearer eyJhbGciOi.J9.x refused",
                "bearer [masked] refused",
            ),
            ("cause", "key 0123456789abcdef01234567", "key [masked]"),
            ("user_name", "ada", "[masked]"),
            ("token", "short", "[masked]"),
        ] {
            let detail = Detail::of(key, value);
            assert_eq!(detail.fields(), [(key, recorded.to_owned())]);
        }
    }

    #[test]
    fn ids_are_kept_and_of_an_address_only_what_names_nobody() {
        let id = "0123456789abcdef0123456789abcdef";
        let detail = Detail::default()
            .id("notification", id)
            .address("recipient", "ada@people.example")
            .address("recipient", "nobody");
        let texts: Vec<&str> = detail
            .fields()
            .iter()
            .map(|(_, text)| text.as_str())
            .collect();
        assert_eq!(texts, [id, "a***@people.example", MASK]);
    }

    #[test]
    fn fields_from_elsewhere_come_back_and_are_bounded() {
        let detail = Detail::of("reason", "sticky").address("recipient", "ada@people.example");
        assert_eq!(Detail::of_others(detail.fields()), detail);
        let many = vec![("reason", "ä".repeat(1000)); 100];
        let detail = Detail::of_others(&many);
        assert_eq!(detail.fields().len(), FIELD_COUNT_MAX);
        assert!(
            detail
                .fields()
                .iter()
                .all(|(_, text)| text.len() <= VALUE_BYTES_MAX)
        );
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        let detail = Detail::of_others(&[(long.as_str(), "v")]);
        assert_eq!(detail, Detail::of("note", "v"));
    }

    #[test]
    fn values_and_fields_are_bounded() {
        let long = "ä ".repeat(1000);
        let mut detail = Detail::of("cause", &long);
        for number in 0..100 {
            detail = detail.number("n", number);
        }
        assert_eq!(detail.fields().len(), FIELD_COUNT_MAX);
        assert!(
            detail
                .fields()
                .iter()
                .all(|(_, text)| text.len() <= VALUE_BYTES_MAX)
        );
    }
}
