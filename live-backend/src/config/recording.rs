//! Settings of the recorder: when a recording goes on in another file, and how long files are kept.
//!
//! Belongs here: their names, defaults and units. Does not belong here: what they do (telemetry).

use super::sources::{Sources, wrong};
use super::{Args, ConfigError};
use crate::telemetry::Keep;
use std::time::Duration;

/// Least size of a segment: its keyframe alone takes some 40 KiB.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;
/// Least time of a segment.
const SEGMENT_TIME_MIN: Duration = Duration::from_secs(1);

/// How a run is cut into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recording {
    pub(crate) segment_bytes: Option<u64>,
    pub(crate) segment_time: Option<Duration>,
    pub(crate) keep: Keep,
}

impl Recording {
    pub(super) fn read(args: &Args, sources: &Sources<'_>) -> Result<Self, ConfigError> {
        let setting = |flag: &Option<String>, names: &[&str], key, default: Option<&str>| {
            let text = sources.text(flag.as_deref(), names, key)?;
            let text = text.or_else(|| default.map(str::to_owned));
            Ok(text.filter(|text| text != "off"))
        };
        let segment_bytes = Bytes::at(
            "record_segment_bytes",
            &["FLOWREEL_RECORD_SEGMENT_BYTES"],
            SEGMENT_BYTES_MIN,
        );
        let segment_time = Time::at(
            "record_segment_time",
            &["FLOWREEL_RECORD_SEGMENT_TIME"],
            SEGMENT_TIME_MIN,
        );
        let keep_bytes = Bytes::at("record_keep_bytes", &["FLOWREEL_RECORD_KEEP_BYTES"], 1);
        let keep_time = Time::at(
            "record_keep_time",
            &["FLOWREEL_RECORD_KEEP_TIME"],
            Duration::from_secs(1),
        );
        Ok(Self {
            segment_bytes: segment_bytes.parse(setting(
                &args.record_segment_bytes,
                segment_bytes.names,
                segment_bytes.key,
                Some("256MiB"),
            )?)?,
            segment_time: segment_time.parse(setting(
                &args.record_segment_time,
                segment_time.names,
                segment_time.key,
                Some("1h"),
            )?)?,
            keep: Keep {
                bytes: keep_bytes.parse(setting(
                    &args.record_keep_bytes,
                    keep_bytes.names,
                    keep_bytes.key,
                    None,
                )?)?,
                time: keep_time.parse(setting(
                    &args.record_keep_time,
                    keep_time.names,
                    keep_time.key,
                    None,
                )?)?,
            },
        })
    }
}

/// A setting in bytes.
struct Bytes {
    key: &'static str,
    names: &'static [&'static str],
    least: u64,
}

impl Bytes {
    const fn at(key: &'static str, names: &'static [&'static str], least: u64) -> Self {
        Self { key, names, least }
    }

    fn parse(&self, text: Option<String>) -> Result<Option<u64>, ConfigError> {
        let Some(text) = text else {
            return Ok(None);
        };
        let least = self.least;
        let wanted = format!("a size from {least} bytes on such as 64MiB, 1GiB or 500MB, or `off`");
        let bytes = bytes_from(&text).filter(|&bytes| bytes >= least);
        match bytes {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(wrong(self.names, self.key, &text, &wanted)),
        }
    }
}

/// A setting in time.
struct Time {
    key: &'static str,
    names: &'static [&'static str],
    least: Duration,
}

impl Time {
    const fn at(key: &'static str, names: &'static [&'static str], least: Duration) -> Self {
        Self { key, names, least }
    }

    fn parse(&self, text: Option<String>) -> Result<Option<Duration>, ConfigError> {
        let Some(text) = text else {
            return Ok(None);
        };
        let time = time_from(&text).filter(|&time| time >= self.least);
        match time {
            Some(time) => Ok(Some(time)),
            None => Err(wrong(
                self.names,
                self.key,
                &text,
                "a time from 1s on such as 90s, 30min, 1h or 7d, or `off`",
            )),
        }
    }
}

/// Number and unit, without a blank or with one.
fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit());
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    Some((number.parse().ok()?, unit.trim_start()))
}

fn bytes_from(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let unit: u64 = match unit {
        "" | "B" => 1,
        "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn time_from(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let unit_s = match unit {
        "s" => 1,
        "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(unit_s).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, Settings};
    use clap::Parser;

    fn read(args: &[&str], environment: &[(&str, &str)]) -> Result<Recording, String> {
        let args = Args::try_parse_from(std::iter::once(&"flowreel-live").chain(args));
        let args = args.map_err(|error| error.to_string())?;
        let settings = Settings::read(&args, &Environment::of(environment));
        settings.map(|it| it.recording).map_err(|it| it.to_string())
    }

    #[test]
    fn recordings_are_cut_by_default_and_kept_for_ever() {
        let recording = read(&[], &[]).expect("defaults hold");
        assert_eq!(recording.segment_bytes, Some(256 << 20));
        assert_eq!(recording.segment_time, Some(Duration::from_secs(3600)));
        assert_eq!(recording.keep, Keep::default());
    }

    #[test]
    fn sizes_and_times_have_units_and_an_off() {
        let args = [
            "--record-segment-bytes",
            "off",
            "--record-keep-bytes",
            "2GB",
        ];
        let environment = [
            ("FLOWREEL_RECORD_SEGMENT_TIME", "30min"),
            ("FLOWREEL_RECORD_KEEP_TIME", "7d"),
            ("FLOWREEL_RECORD_KEEP_BYTES", "1GiB"),
        ];
        let recording = read(&args, &environment).expect("all is well");
        assert_eq!(recording.segment_bytes, None);
        assert_eq!(recording.segment_time, Some(Duration::from_secs(1800)));
        assert_eq!(recording.keep.bytes, Some(2_000_000_000));
        assert_eq!(recording.keep.time, Some(Duration::from_secs(7 * 86_400)));
        assert_eq!(bytes_from("1048576"), Some(1 << 20));
    }

    #[test]
    fn what_is_no_size_or_time_is_named() {
        for (flag, value) in [
            ("--record-segment-bytes", "1000"),
            ("--record-segment-bytes", "many"),
            ("--record-segment-bytes", "99999999999TiB"),
            ("--record-segment-time", "0s"),
            ("--record-segment-time", "1"),
            ("--record-keep-bytes", "-1"),
            ("--record-keep-time", "1 fortnight"),
        ] {
            let key = flag.trim_start_matches('-').replace('-', "_");
            let error = read(&[&format!("{flag}={value}")], &[]).expect_err(value);
            assert!(error.contains(value) && error.contains(&key), "{error}");
        }
    }
}
