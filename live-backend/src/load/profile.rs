//! The intended rate over time: steady, ramps, steps, bursts.
//!
//! Belongs here: the text of a profile, its integral and the integral's inverse. Does not belong here:
//! random draws (schedule.rs).

use flowreel_engine::model::time::{TimeNs, ns_from_seconds, parse_duration_ns, seconds_from_ns};
use std::fmt;
use std::str::FromStr;

/// Pieces of one profile.
const PIECE_COUNT_MAX: usize = 1000;
/// Highest rate.
const RATE_MAX_PER_S: f64 = 1e6;
/// What ends a profile that begins anew.
const REPEAT: &str = "repeat";

/// Requests per second over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    pieces: Vec<Piece>,
    /// Begins anew at its end; otherwise the last rate is held.
    repeats: bool,
    text: String,
}

/// A stretch in which the rate goes evenly from one value to another.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    from_per_s: f64,
    to_per_s: f64,
    length_ns: u64,
}

/// Why a text is no profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no profile of rates; write RATE:TIME or FROM..TO:TIME pieces such as `50..500:60s,500:30s`, \
     with rates up to 1000000 of which one is above 0, and `,repeat` at the end to begin anew"
)]
pub struct ParseProfileError {
    /// What was written.
    pub text: String,
}

impl Piece {
    /// Requests expected in its first `for_s` seconds.
    fn area(&self, for_s: f64) -> f64 {
        let length_s = seconds_from_ns(self.length_ns);
        let slope = (self.to_per_s - self.from_per_s) / length_s;
        self.from_per_s * for_s + slope * for_s * for_s / 2.0
    }

    fn whole_area(&self) -> f64 {
        (self.from_per_s + self.to_per_s) / 2.0 * seconds_from_ns(self.length_ns)
    }

    /// Seconds after which `area` requests are expected; the positive root in the form that cancels nothing.
    fn seconds_until(&self, area: f64) -> f64 {
        let slope = (self.to_per_s - self.from_per_s) / seconds_from_ns(self.length_ns);
        let root = (self.from_per_s * self.from_per_s + 2.0 * slope * area).max(0.0);
        2.0 * area / (self.from_per_s + root.sqrt())
    }
}

impl Profile {
    /// The same rate for ever.
    #[must_use]
    pub fn steady(rate_per_s: f64) -> Self {
        Self {
            pieces: vec![Piece {
                from_per_s: rate_per_s,
                to_per_s: rate_per_s,
                length_ns: 1_000_000_000,
            }],
            repeats: false,
            text: rate_per_s.to_string(),
        }
    }

    /// Requests expected until `until_ns`.
    #[must_use]
    pub fn expected_count(&self, until_ns: u64) -> f64 {
        let (mut begin_ns, mut area) = (0_u64, 0.0);
        for number in 0.. {
            let (piece, is_last) = self.piece(number);
            let left_ns = until_ns.saturating_sub(begin_ns);
            if is_last && !self.repeats && left_ns > piece.length_ns {
                let held_s = seconds_from_ns(left_ns - piece.length_ns);
                return area + piece.whole_area() + piece.to_per_s * held_s;
            }
            if left_ns <= piece.length_ns {
                return area + piece.area(seconds_from_ns(left_ns));
            }
            area += piece.whole_area();
            begin_ns = begin_ns.saturating_add(piece.length_ns);
        }
        area
    }

    /// Answers, for growing numbers of requests, when so many are expected.
    pub(super) fn moments(&self) -> Moments<'_> {
        Moments {
            profile: self,
            number: 0,
            begin_ns: 0,
            area_before: 0.0,
        }
    }

    fn piece(&self, number: usize) -> (&Piece, bool) {
        let count = self.pieces.len();
        let index = if self.repeats {
            number % count
        } else {
            number.min(count - 1)
        };
        (&self.pieces[index], index + 1 == count)
    }
}

/// See [`Profile::moments`].
#[derive(Debug)]
pub(super) struct Moments<'a> {
    profile: &'a Profile,
    number: usize,
    begin_ns: u64,
    area_before: f64,
}

impl Moments<'_> {
    /// When `area` requests are expected; `None` where so many never are. `area` must not fall.
    pub(super) fn at(&mut self, area: f64) -> Option<TimeNs> {
        loop {
            let (piece, is_last) = self.profile.piece(self.number);
            let within = area - self.area_before;
            let whole = piece.whole_area();
            let after_s = if within <= whole && whole > 0.0 {
                piece.seconds_until(within)
            } else if is_last && !self.profile.repeats {
                if piece.to_per_s <= 0.0 {
                    return None;
                }
                seconds_from_ns(piece.length_ns) + (within - whole) / piece.to_per_s
            } else {
                self.area_before += whole;
                self.begin_ns = self.begin_ns.checked_add(piece.length_ns)?;
                self.number += 1;
                continue;
            };
            let after_ns = ns_from_seconds(after_s)?;
            return self.begin_ns.checked_add(after_ns).map(TimeNs);
        }
    }
}

impl FromStr for Profile {
    type Err = ParseProfileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseProfileError {
            text: text.chars().take(200).collect(),
        };
        let mut parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let repeats = parts.last() == Some(&REPEAT);
        if repeats {
            parts.pop();
        }
        let pieces: Option<Vec<Piece>> = parts.into_iter().map(parse_piece).collect();
        let pieces = pieces.ok_or_else(error)?;
        let has_requests = pieces.iter().any(|piece| piece.whole_area() > 0.0);
        if !has_requests || pieces.len() > PIECE_COUNT_MAX {
            return Err(error());
        }
        Ok(Self {
            pieces,
            repeats,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_piece(text: &str) -> Option<Piece> {
    let (rates, time) = text.split_once(':')?;
    let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
    let rate = |text: &str| -> Option<f64> {
        let rate = text.trim().parse().ok()?;
        (0.0..=RATE_MAX_PER_S).contains(&rate).then_some(rate)
    };
    let length_ns = parse_duration_ns(time.trim()).ok()?;
    Some(Piece {
        from_per_s: rate(from)?,
        to_per_s: rate(to)?,
        length_ns: (length_ns > 0).then_some(length_ns)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str) -> Profile {
        text.parse().expect("a profile")
    }

    #[test]
    fn moments_undo_what_is_expected() {
        for text in [
            "10:1s",
            "0..100:10s",
            "100..0:10s,5:1s",
            "20:9s,500:1s,repeat",
            "0:5s,50..500:60s,500:30s",
        ] {
            let profile = profile(text);
            let mut moments = profile.moments();
            for count in 1..400 {
                let area = f64::from(count) * 0.75;
                let at = moments.at(area).expect("the rate stays above 0");
                let back = profile.expected_count(at.0);
                assert!((back - area).abs() < 1e-3, "{text}: {area} gave {back}");
            }
        }
    }

    #[test]
    fn a_rate_that_ends_at_zero_ends_the_requests() {
        let profile = profile("100..0:10s");
        let mut moments = profile.moments();
        assert!(moments.at(499.0).is_some());
        assert_eq!(moments.at(501.0), None);
    }

    #[test]
    fn bursts_hold_their_share() {
        let profile = profile("20:9s,500:1s,repeat");
        let of = |seconds: u64| profile.expected_count(seconds * 1_000_000_000);
        assert!((of(9) - 180.0).abs() < 1e-9);
        assert!((of(10) - 680.0).abs() < 1e-9);
        assert!((of(30) - 2040.0).abs() < 1e-9);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "", "repeat", "5", "5:", ":5s", "-1:5s", "NaN:5s", "5:0s", "0:5s", "1..:5s", "1:5s,,",
            "2e6:1s",
        ] {
            assert!(text.parse::<Profile>().is_err(), "{text}");
        }
    }
}
