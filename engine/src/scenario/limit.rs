//! Limits of a station and of a ladder: time, breakers, rates, backoff, attempts, budgets.
//!
//! Belongs here: reading and holding them. Does not belong here: what they do (kernel::limit).

use super::fields::{self, Bound, Fields};
use super::problem::{Place, Problems, nearest_hint};
use super::raw::{Node, Value};
use super::valid::Role;
use crate::model::time::ns_from_seconds;

/// Refuses everybody for a while after too many failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// Failures that open it.
    pub failures: u32,
    /// They count for this long, in ns.
    pub window_ns: u64,
    /// It stays open for this long, in ns, and then lets one request through to try.
    pub open_ns: u64,
}

/// Starts of service, or admissions, per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// In the long run.
    pub per_s: f64,
    /// At once after a pause; the bucket starts full.
    pub burst: u32,
    /// Refuses who finds no token, at the door; else starts of service wait for tokens.
    pub drops: bool,
    /// Tokens come whole at multiples of 1 / `per_s`; else the level rises continuously.
    pub ticks: bool,
}

/// How delays of a ladder scatter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Jitter {
    /// Not at all.
    None,
    /// Evenly from 0 to the delay.
    Full,
    /// Evenly from half of the delay to all of it.
    Equal,
    /// Evenly from the first delay to three times the one before, at most the longest.
    Decorrelated,
    /// Evenly within this share of the delay to both sides.
    Share(f64),
}

/// Delays that grow from retry to retry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Before the first retry.
    pub first_s: f64,
    /// From one retry to the next.
    pub factor: f64,
    /// Longest, before it scatters; infinite where none is set.
    pub max_s: f64,
    /// How it scatters.
    pub jitter: Jitter,
}

/// What bounds a ladder beside its steps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RetryLimits {
    /// In place of the steps' own delays.
    pub backoff: Option<Backoff>,
    /// Runs in all, the first included; the last step serves for all further ones.
    pub attempts: Option<u32>,
    /// Retries per second over the whole ladder; who finds none left falls off its end.
    pub budget_per_s: Option<f64>,
}

/// Retries per second, and rates of tokens, within the clock's reach.
const RATES_PER_S: std::ops::RangeInclusive<f64> = 1e-6..=1e9;

pub(super) fn timeout(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<u64> {
    let node = fields.take("timeout_s")?;
    positive_ns(node, "timeout_s", problems)
}

/// Whole nanoseconds, at least one.
fn positive_ns(node: &Node, key: &str, problems: &mut Problems<'_>) -> Option<u64> {
    let ns = ns_from_seconds(fields::seconds(node, key, Bound::Positive, problems)?)?;
    if ns == 0 {
        problems.add_with_hint(
            node.place,
            format!("`{key}` is shorter than a nanosecond"),
            "write a longer time",
        );
        return None;
    }
    Some(ns)
}

pub(super) fn breaker(node: &Node, problems: &mut Problems<'_>) -> Option<Breaker> {
    let mut fields = Fields::new(node, "`breaker`", problems)?;
    let failures = fields
        .need("failures", problems)
        .and_then(|node| fields::count(node, "failures", 1, 1_000_000, problems));
    let mut time = |key: &'static str| {
        let node = fields.need(key, problems)?;
        positive_ns(node, key, problems)
    };
    let (window_ns, open_ns) = (time("window_s"), time("open_s"));
    fields.finish(problems);
    Some(Breaker {
        failures: u32::try_from(failures?).ok()?,
        window_ns: window_ns?,
        open_ns: open_ns?,
    })
}

pub(super) fn rate_limit(node: &Node, problems: &mut Problems<'_>) -> Option<RateLimit> {
    let mut fields = Fields::new(node, "`rate_limit`", problems)?;
    let per_s = rate("per_s", &mut fields, problems);
    let burst = fields
        .take_count("burst", 1, 1_000_000_000, problems)
        .unwrap_or(1);
    let drops = one_of(&mut fields, "when_empty", ["delay", "drop"], problems);
    let ticks = one_of(&mut fields, "refill", ["continuous", "tick"], problems);
    fields.finish(problems);
    Some(RateLimit {
        per_s: per_s?,
        burst: u32::try_from(burst).ok()?,
        drops,
        ticks,
    })
}

fn rate(key: &'static str, fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> Option<f64> {
    let node = fields.need(key, problems)?;
    let per_s = fields::number(node, key, Bound::Positive, problems)?;
    if RATES_PER_S.contains(&per_s) {
        return Some(per_s);
    }
    problems.add_with_hint(
        node.place,
        format!("`{key}` is {per_s}"),
        "write a rate from 0.000001 to 1000000000",
    );
    None
}

/// True for the second of two words; the first is what is meant where nothing is written.
fn one_of(
    fields: &mut Fields<'_>,
    key: &'static str,
    words: [&str; 2],
    problems: &mut Problems<'_>,
) -> bool {
    let Some(node) = fields.take(key) else {
        return false;
    };
    let written = fields::text(node, key, problems);
    if let Some(other) = written.filter(|word| !words.contains(word)) {
        problems.add_with_hint(
            node.place,
            format!("`{key}` is \"{other}\""),
            nearest_hint(other, &words),
        );
    }
    written == Some(words[1])
}

/// Limits stand where something is served or held.
pub(super) fn check(
    role: Role,
    key: Option<&str>,
    breaker: Option<&Node>,
    what: &str,
    place: Place,
    problems: &mut Problems<'_>,
) {
    if let Some(key) = key
        && !matches!(role, Role::Serve | Role::Hold)
    {
        problems.add_with_hint(
            place,
            format!("{what} has `{key}`, but neither serves nor feeds workers"),
            "take it away, or give the station `service`",
        );
    }
    if let Some(node) = breaker.filter(|_| role != Role::Serve) {
        problems.add_with_hint(
            node.place,
            format!("{what} has a breaker, but does not serve"),
            "put it at the station whose failures it counts",
        );
    }
}

/// The keys of a ladder beside its steps.
pub(super) fn retry(fields: &mut Fields<'_>, problems: &mut Problems<'_>) -> RetryLimits {
    let backoff = fields
        .take("backoff")
        .and_then(|node| backoff(node, problems));
    let attempts = fields
        .take_count("attempts", 1, 60_000, problems)
        .and_then(|count| u32::try_from(count).ok());
    let budget_per_s = fields.take("budget_per_s").and_then(|node| {
        let per_s = fields::number(node, "budget_per_s", Bound::Positive, problems)?;
        if !RATES_PER_S.contains(&per_s) {
            problems.add_with_hint(
                node.place,
                format!("`budget_per_s` is {per_s}"),
                "write a rate from 0.000001 to 1000000000",
            );
            return None;
        }
        Some(per_s)
    });
    RetryLimits {
        backoff,
        attempts,
        budget_per_s,
    }
}

/// What contradicts itself in a ladder that may go on for ever.
pub(super) fn check_ladder(
    limits: RetryLimits,
    repeats: bool,
    place: Place,
    problems: &mut Problems<'_>,
) -> Option<()> {
    let repeats = repeats && limits.attempts.is_none();
    let grows = |backoff: Backoff| backoff.factor > 1.0 && backoff.max_s.is_infinite();
    if repeats && limits.backoff.is_some_and(grows) {
        problems.add_with_hint(
            place,
            "a `backoff` that repeats for ever grows without bound",
            "give it `max_s`",
        );
        return None;
    }
    Some(())
}

fn backoff(node: &Node, problems: &mut Problems<'_>) -> Option<Backoff> {
    let mut fields = Fields::new(node, "`backoff`", problems)?;
    let first_s = fields.need_seconds("first_s", Bound::NotNegative, problems);
    let factor = match fields.take("factor") {
        Some(node) => fields::number(node, "factor", Bound::Positive, problems),
        None => Some(2.0),
    };
    let max_s = match fields.take("max_s") {
        Some(node) => fields::seconds(node, "max_s", Bound::Positive, problems),
        None => Some(f64::INFINITY),
    };
    let jitter = match fields.take("jitter") {
        Some(node) => jitter(node, problems),
        None => Some(Jitter::None),
    };
    fields.finish(problems);
    let (first_s, max_s) = (first_s?, max_s?);
    if first_s > max_s {
        problems.add_with_hint(
            node.place,
            format!("`first_s` {first_s} is above `max_s` {max_s}"),
            "swap or correct them",
        );
        return None;
    }
    Some(Backoff {
        first_s,
        factor: factor?,
        max_s,
        jitter: jitter?,
    })
}

fn jitter(node: &Node, problems: &mut Problems<'_>) -> Option<Jitter> {
    const KINDS: &[&str] = &["none", "full", "equal", "decorrelated"];
    let Value::Text(text) = &node.value else {
        let share = fields::number(node, "jitter", Bound::Probability, problems)?;
        return Some(Jitter::Share(share));
    };
    match text.as_str() {
        "none" => Some(Jitter::None),
        "full" => Some(Jitter::Full),
        "equal" => Some(Jitter::Equal),
        "decorrelated" => Some(Jitter::Decorrelated),
        other => {
            problems.add_with_hint(
                node.place,
                format!("no jitter is named `{other}`"),
                nearest_hint(other, KINDS),
            );
            None
        }
    }
}
