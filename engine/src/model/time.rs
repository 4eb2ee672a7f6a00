//! Time since a run's start, in whole nanoseconds, and how people write and read it.
//!
//! Belongs here: the time type, parsing and printing. Does not belong here: clocks.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Nanoseconds in one second.
pub const NS_PER_S: u64 = 1_000_000_000;

/// Time since the run's start in nanoseconds (584 years fit).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct TimeNs(pub u64);

impl TimeNs {
    /// The run's start.
    pub const ZERO: Self = Self(0);
    /// Later than everything.
    pub const MAX: Self = Self(u64::MAX);

    /// Seconds since the run's start, for printing and statistics only.
    #[must_use]
    pub fn as_s(self) -> f64 {
        seconds_from_ns(self.0)
    }

    /// Time from `earlier` to here in nanoseconds; 0 where `earlier` is later.
    #[must_use]
    pub const fn since_ns(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This moment and `ns` more, or `None` past the end of time.
    #[must_use]
    pub fn checked_add_ns(self, ns: u64) -> Option<Self> {
        self.0.checked_add(ns).map(Self)
    }
}

/// Prints `mm:ss.mmm`, or `h:mm:ss.mmm` from one hour on.
impl fmt::Display for TimeNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0 / 1_000_000;
        let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
        let (seconds, rest) = (ms / 1000 % 60, ms % 1000);
        if hours > 0 {
            write!(f, "{hours}:{minutes:02}:{seconds:02}.{rest:03}")
        } else {
            write!(f, "{minutes:02}:{seconds:02}.{rest:03}")
        }
    }
}

/// Seconds as a float, for printing and statistics only; exact to 2^53 ns (104 days).
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "printing; 104 days are exact")]
pub fn seconds_from_ns(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// A duration in seconds rounded to whole nanoseconds; `None` where it is negative, not a number or too long.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "range is checked first"
)]
pub fn ns_from_seconds(seconds: f64) -> Option<u64> {
    let ns = libm::round(seconds * 1e9);
    // 2^63: half of the range stays free, so sums of two durations do not overflow.
    ((0.0..9.223_372_036_854_775e18).contains(&ns)).then_some(ns as u64)
}

/// Why a written duration cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration; write a number and a unit, such as 250ms, 12.5s, 5m or 1h")]
pub struct ParseDurationError {
    /// What was written.
    pub text: String,
}

/// Reads `250ms`, `12.5s`, `5m`, `1h`, `30us`, `7ns`, `2d` or a bare number of seconds, as nanoseconds.
///
/// # Errors
/// [`ParseDurationError`] on anything else, on negative values, and past 292 years.
pub fn parse_duration_ns(text: &str) -> Result<u64, ParseDurationError> {
    let error = || ParseDurationError {
        text: text.to_owned(),
    };
    let trimmed = text.trim();
    let split = trimmed
        .find(|c: char| c.is_ascii_alphabetic() && !(c == 'e' || c == 'E'))
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let factor_s = match unit {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(error()),
    };
    if number.is_empty() || number.starts_with('+') {
        return Err(error());
    }
    let value: f64 = number.parse().map_err(|_ignored| error())?;
    ns_from_seconds(value * factor_s).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_every_unit() {
        for (text, ns) in [
            ("250ms", 250_000_000),
            ("12.5s", 12_500_000_000),
            ("5m", 300 * NS_PER_S),
            ("1h", 3600 * NS_PER_S),
            ("20", 20 * NS_PER_S),
            ("7ns", 7),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration_ns(text), Ok(ns), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_text_in_the_sentence() {
        for text in [
            "",
            "s",
            "-1s",
            "NaN",
            "inf",
            "1e300h",
            "5 parsecs",
            "+1s",
            "1..2s",
        ] {
            let error = parse_duration_ns(text).unwrap_err();
            assert!(error.to_string().contains(text));
        }
    }

    #[test]
    fn times_print_as_a_clock() {
        assert_eq!(TimeNs(533_719_000_000).to_string(), "08:53.719");
        assert_eq!(TimeNs(3_600 * NS_PER_S).to_string(), "1:00:00.000");
    }
}
