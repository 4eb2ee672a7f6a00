//! Numbers as people read them: with units, separators, and no more digits than they carry.
//!
//! Belongs here: number to text. Does not belong here: where the text stands.

use flowreel_engine::model::id::RequestId;
use flowreel_engine::model::time::{NS_PER_S, TimeNs, seconds_from_ns};

/// What stands where a number is unknown.
pub const UNKNOWN: &str = "–";

/// `41,286`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 gap`, `2 gaps`.
#[must_use]
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A duration: `2 ms`, `1.18 s`, `5 m 00 s`, `2 h 05 m`.
#[must_use]
pub fn duration_ns(ns: u64) -> String {
    let seconds = seconds_from_ns(ns);
    if ns == 0 {
        "0 ms".to_owned()
    } else if ns < 1_000_000 {
        format!("{:.2} ms", seconds * 1e3)
    } else if ns < 10_000_000 {
        format!("{:.1} ms", seconds * 1e3)
    } else if ns < NS_PER_S {
        format!("{:.0} ms", seconds * 1e3)
    } else if ns < 60 * NS_PER_S {
        format!("{seconds:.2} s")
    } else if ns < 3600 * NS_PER_S {
        let whole = (ns + NS_PER_S / 2) / NS_PER_S;
        format!("{} m {:02} s", whole / 60, whole % 60)
    } else {
        let minutes = ns / (60 * NS_PER_S);
        format!("{} h {:02} m", minutes / 60, minutes % 60)
    }
}

/// A duration to the millisecond: `5 m 02.496 s`, `899 ms`.
#[must_use]
pub fn duration_exact(ns: u64) -> String {
    if ns < NS_PER_S {
        return duration_ns(ns);
    }
    let ms = ns / 1_000_000;
    if ms < 60_000 {
        return format!("{}.{:03} s", ms / 1000, ms % 1000);
    }
    let (minutes, rest) = (ms / 60_000, ms % 60_000);
    if minutes < 60 {
        format!("{minutes} m {:02}.{:03} s", rest / 1000, rest % 1000)
    } else {
        format!(
            "{} h {:02} m {:02} s",
            minutes / 60,
            minutes % 60,
            rest / 1000
        )
    }
}

/// A duration in seconds as number and unit: `("182", "ms")`, `("1.24", "s")`.
#[must_use]
pub fn seconds_parts(seconds: f64) -> (String, &'static str) {
    if seconds <= 0.0 {
        ("0".to_owned(), "ms")
    } else if seconds < 0.0095 {
        (format!("{:.1}", seconds * 1e3), "ms")
    } else if seconds < 0.9995 {
        (format!("{:.0}", seconds * 1e3), "ms")
    } else if seconds < 99.5 {
        (format!("{seconds:.2}"), "s")
    } else {
        (format!("{:.1}", seconds / 60.0), "min")
    }
}

/// A duration in seconds with its unit, or a dash.
#[must_use]
pub fn seconds(value: Option<f64>) -> String {
    value.map_or_else(
        || UNKNOWN.to_owned(),
        |value| {
            let (number, unit) = seconds_parts(value);
            format!("{number} {unit}")
        },
    )
}

/// A rate without its unit: `18.6`, `0.42`, `1,204`.
#[must_use]
pub fn rate(per_s: f64) -> String {
    if per_s <= 0.0 {
        "0".to_owned()
    } else if per_s < 1.0 {
        format!("{per_s:.2}")
    } else if per_s < 1000.0 {
        format!("{per_s:.1}")
    } else {
        count(per_s.round() as u64)
    }
}

/// A rate with its unit, or a dash.
#[must_use]
pub fn per_second(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |per_s| format!("{}/s", rate(per_s)))
}

/// A share as percent without the sign: `0.8`, `98.4`, `100`.
#[must_use]
pub fn percent(ratio: f64) -> String {
    let value = ratio * 100.0;
    if value == 0.0 || value >= 99.95 {
        format!("{value:.0}")
    } else if value < 0.1 {
        "< 0.1".to_owned()
    } else {
        format!("{value:.1}")
    }
}

/// A share with its sign, or a dash.
#[must_use]
pub fn percent_sign(ratio: Option<f64>) -> String {
    ratio.map_or_else(
        || UNKNOWN.to_owned(),
        |ratio| format!("{} %", percent(ratio)),
    )
}

/// A tick of the time axis: `08:30`, `00:01.5` where ticks are closer than a second.
#[must_use]
pub fn tick(at: TimeNs, step_ns: u64) -> String {
    let text = at.to_string();
    let keep = if step_ns.is_multiple_of(NS_PER_S) {
        text.len() - 4
    } else if step_ns.is_multiple_of(100_000_000) {
        text.len() - 2
    } else {
        text.len()
    };
    text.get(..keep).unwrap_or(&text).to_owned()
}

/// How long the system has been up: `6 d 04:12`, `10:00`.
#[must_use]
pub fn uptime(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (days, rest) = (whole / 86_400, whole % 86_400);
    let (hours, minutes) = (rest / 3600, rest / 60 % 60);
    if days > 0 {
        format!("{days} d {hours:02}:{minutes:02}")
    } else if hours > 0 {
        format!("{hours}:{minutes:02}:{:02}", rest % 60)
    } else {
        format!("{minutes:02}:{:02}", rest % 60)
    }
}

/// `r-4821`.
#[must_use]
pub fn request(id: RequestId) -> String {
    format!("r-{}", id.0)
}

/// A name from a scenario as words: `reset-password` becomes `Reset password`.
#[must_use]
pub fn words(name: &str) -> String {
    let spaced = name.replace(['-', '_'], " ");
    let mut letters = spaced.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => spaced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (41_286, "41,286")] {
            assert_eq!(count(number), text);
        }
        assert_eq!(count(1_234_567), "1,234,567");
    }

    #[test]
    fn durations_carry_the_unit_that_fits() {
        for (ns, text) in [
            (0, "0 ms"),
            (40_000, "0.04 ms"),
            (2_000_000, "2.0 ms"),
            (412_000_000, "412 ms"),
            (1_184_000_000, "1.18 s"),
            (300 * NS_PER_S, "5 m 00 s"),
            (7_500 * NS_PER_S, "2 h 05 m"),
        ] {
            assert_eq!(duration_ns(ns), text);
        }
        assert_eq!(duration_exact(302_496_000_000), "5 m 02.496 s");
        assert_eq!(duration_exact(59_999_999_999), "59.999 s");
    }

    #[test]
    fn ticks_show_no_more_than_their_step() {
        assert_eq!(tick(TimeNs(540 * NS_PER_S), 60 * NS_PER_S), "09:00");
        assert_eq!(tick(TimeNs(1_500_000_000), 500_000_000), "00:01.5");
        assert_eq!(tick(TimeNs(1_550_000_000), 50_000_000), "00:01.550");
    }

    #[test]
    fn a_share_just_below_one_is_not_rounded_up_to_it() {
        assert_eq!(percent(0.9994), "99.9");
        assert_eq!(percent(0.0001), "< 0.1");
        assert_eq!(percent(0.0), "0");
    }

    #[test]
    fn names_become_words() {
        assert_eq!(words("reset-password"), "Reset password");
        assert_eq!(words(""), "");
    }
}
