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

/// Reads `250ms`, `12.5s`, `5m`, `1h`, `30us`, `7ns`, `2d`, several of them from large to small
/// (`1h30m`), or a bare number of seconds, as nanoseconds.
///
/// # Errors
/// [`ParseDurationError`] on anything else, on negative values, and past 292 years.
pub fn parse_duration_ns(text: &str) -> Result<u64, ParseDurationError> {
    let error = || ParseDurationError {
        text: text.to_owned(),
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(error());
    }
    let (mut sum_ns, mut before_s) = (0_u64, f64::INFINITY);
    while !rest.is_empty() {
        let is_part = |c: char| c.is_ascii_digit() || c == '.';
        let number_end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        // An exponent belongs to the number where digits follow it: `1e3s`.
        let number_end = exponent_end(rest, number_end);
        let (number, after) = rest.split_at(number_end);
        let unit_end = after.find(is_part).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let factor_s = match unit.trim() {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "" if after.is_empty() && before_s.is_infinite() => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return Err(error()),
        };
        if factor_s >= before_s {
            return Err(error());
        }
        let value: f64 = number.parse().map_err(|_ignored| error())?;
        let ns = ns_from_seconds(value * factor_s).ok_or_else(error)?;
        // Each part is below 2^63 and so is the sum of what is accepted.
        sum_ns = sum_ns
            .checked_add(ns)
            .filter(|sum| i64::try_from(*sum).is_ok())
            .ok_or_else(error)?;
        (before_s, rest) = (factor_s, after);
    }
    Ok(sum_ns)
}

fn exponent_end(text: &str, mantissa_end: usize) -> usize {
    let (mantissa, after) = text.split_at(mantissa_end);
    let Some(digits) = after
        .strip_prefix(['e', 'E'])
        .filter(|_| !mantissa.is_empty())
    else {
        return mantissa_end;
    };
    let unsigned = digits.strip_prefix(['-', '+']).unwrap_or(digits);
    let length = unsigned
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(unsigned.len());
    if length == 0 {
        return mantissa_end;
    }
    text.len() - unsigned.len() + length
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
            ("1h30m", 5400 * NS_PER_S),
            ("1d2h3m4.5s", 93_784_500_000_000),
            ("1m500ms", 60_500_000_000),
            ("1e3s", 1000 * NS_PER_S),
            ("1.5e-3", 1_500_000),
            ("2 h", 7200 * NS_PER_S),
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
            "1h2h",
            "30m1h",
            "1h30",
            "h",
            "1e3e3s",
            "200000d100000d",
            "100000d600000h",
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
