//! Moments on the command line: `12.5s` since the start, or `2026-01-31T12:00:00Z` by the wall clock.
//!
//! Belongs here: reading and writing them. Does not belong here: clocks; durations (model::time).

use super::CliError;
use flowreel_engine::model::time::{NS_PER_S, TimeNs, parse_duration_ns};
use std::fmt;
use std::str::FromStr;

/// A moment as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Since the run's start.
    Offset(TimeNs),
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    Wall(i64),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('T') && text.contains(':') {
            return parse_wall_ns(text).map(Self::Wall).ok_or_else(|| {
                format!("`{text}` is not a moment; write it as 2026-01-31T12:00:00Z")
            });
        }
        parse_duration_ns(text)
            .map(|ns| Self::Offset(TimeNs(ns)))
            .map_err(|error| error.to_string())
    }
}

impl Moment {
    /// The moment as time since the start of a run that began at `started_at_unix_ns`.
    pub(crate) fn resolve(self, started_at_unix_ns: Option<i64>) -> Result<TimeNs, CliError> {
        match (self, started_at_unix_ns) {
            (Self::Offset(t), _) => Ok(t),
            (Self::Wall(wall), Some(start)) => wall
                .checked_sub(start)
                .and_then(|ns| u64::try_from(ns).ok())
                .map(TimeNs)
                .ok_or_else(|| {
                    CliError::input(format!(
                        "{} is before the run's start, {}",
                        WallClock(wall),
                        WallClock(start)
                    ))
                    .hint("name a later moment, or a time since the start such as 12.5s")
                }),
            (Self::Wall(wall), None) => Err(CliError::input(format!(
                "{} names a wall clock, and this reel has none",
                WallClock(wall)
            ))
            .hint("give the time since the run's start, such as 12.5s")),
        }
    }
}

/// Prints nanoseconds since 1970 as `2026-01-31T12:00:00.250Z`.
pub(crate) struct WallClock(pub(crate) i64);

impl fmt::Display for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second_ns = i64::try_from(NS_PER_S).unwrap_or(i64::MAX);
        let (seconds, rest_ns) = (self.0.div_euclid(second_ns), self.0.rem_euclid(second_ns));
        let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second) = (
            second_of_day / 3600,
            second_of_day / 60 % 60,
            second_of_day % 60,
        );
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if rest_ns % 1_000_000 != 0 {
            write!(f, ".{rest_ns:09}")?;
        } else if rest_ns != 0 {
            write!(f, ".{:03}", rest_ns / 1_000_000)?;
        }
        f.write_str("Z")
    }
}

/// Reads `YYYY-MM-DDThh:mm:ss[.fraction]Z`; `None` for anything else and outside the years 1678 to 2261.
fn parse_wall_ns(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date_parts = date.split('-').map(digits);
    let (year, month, day) = (
        date_parts.next()??,
        date_parts.next()??,
        date_parts.next()??,
    );
    let (clock, fraction) = time.split_once('.').map_or((time, ""), |(c, f)| (c, f));
    let mut clock_parts = clock.split(':').map(digits);
    let (hour, minute, second) = (
        clock_parts.next()??,
        clock_parts.next()??,
        clock_parts.next()??,
    );
    let is_whole = date_parts.next().is_none() && clock_parts.next().is_none();
    let is_in_range = (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
    let days = days_from_civil(year, month, day);
    if !is_whole
        || !is_in_range
        || civil_from_days(days) != (year, month, day)
        || fraction.len() > 9
    {
        return None;
    }
    let fraction_ns = if time.contains('.') {
        digits(&format!("{fraction:0<9}")).filter(|_ns| !fraction.is_empty())?
    } else {
        0
    };
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    seconds
        .checked_mul(i64::try_from(NS_PER_S).ok()?)?
        .checked_add(fraction_ns)
}

/// A number of up to nine digits and nothing else.
fn digits(text: &str) -> Option<i64> {
    let is_number = (1..=9).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Hinnant 2013, `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The date of a day counted from 1970-01-01 (Hinnant 2013, `civil_from_days`).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_clocks_are_read_and_written_alike() {
        for (text, ns) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-01-31T12:00:00Z", 1_769_860_800_000_000_000),
            ("2024-02-29T23:59:59.250Z", 1_709_251_199_250_000_000),
            ("1969-12-31T23:59:59.000000001Z", -999_999_999),
        ] {
            assert_eq!(text.parse(), Ok(Moment::Wall(ns)), "{text}");
            assert_eq!(WallClock(ns).to_string(), text);
        }
    }

    #[test]
    fn moments_that_do_not_exist_are_refused() {
        for text in [
            "2026-02-30T12:00:00Z",
            "2026-13-01T12:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31T12:00:00.Z",
            "9999-01-31T12:00:00Z",
            "T:Z",
            "12 parsecs",
        ] {
            assert!(text.parse::<Moment>().unwrap_err().contains(text));
        }
    }

    #[test]
    fn a_wall_clock_needs_a_reel_that_has_one() {
        let moment: Moment = "1970-01-01T00:00:10Z".parse().unwrap();
        assert_eq!(
            moment.resolve(Some(4_000_000_000)).unwrap(),
            TimeNs(6_000_000_000)
        );
        assert!(moment.resolve(None).is_err());
        assert!(moment.resolve(Some(11_000_000_000)).is_err());
    }
}
