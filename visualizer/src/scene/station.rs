//! What a node says: its figures as short words, bars and slots.
//!
//! Belongs here: which figure stands where on which kind of node. Does not belong here: drawing.

use crate::view::ComponentNumbers;
use flowreel_engine::model::topology::{Component, ComponentKind};

/// Words and bars of one node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words {
    /// The large number.
    pub number: Option<String>,
    /// Small words right of it.
    pub side: String,
    /// Small lines under the name.
    pub lines: [String; 2],
    /// The bar.
    pub bar: Option<Bar>,
    /// Parallel servers and how many are busy.
    pub slots: Option<(u32, u32)>,
    /// Shares of a balancer's targets.
    pub shares: Vec<f32>,
    /// Over its limit.
    pub is_hot: bool,
}

/// A bar with its limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Filled share, 0 to 1.
    pub share: f32,
    /// Where the limit's tick stands.
    pub tick: Option<f32>,
}

/// Where the limit's tick stands on a depth bar: full scale is 1.25 times the limit.
const DEPTH_TICK: f32 = 0.8;
/// Where the limit's tick stands on a rate bar.
const RATE_TICK: f32 = 0.9;
/// More parallel servers than this are shown as a bar.
const SLOTS_MAX: u32 = 12;

/// The words of a component. `inflow_per_s` is the rate of requests begun, for clients.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "shares of a bar")]
pub fn words(
    component: &Component,
    numbers: &ComponentNumbers,
    inflow_per_s: Option<f64>,
    is_last: bool,
) -> Words {
    let rate = |rate: Option<f64>| rate.map_or_else(|| "–".to_owned(), per_s);
    let port = component.port.map(|port| format!(":{port}"));
    match component.kind {
        ComponentKind::Clients => Words {
            lines: [rate(inflow_per_s), String::new()],
            ..Words::default()
        },
        ComponentKind::Balancer => Words {
            lines: [
                port.unwrap_or_else(|| rate(numbers.rate_per_s)),
                String::new(),
            ],
            shares: numbers.shares.iter().map(|share| share.1 as f32).collect(),
            ..Words::default()
        },
        ComponentKind::Server | ComponentKind::Middleware | ComponentKind::Controller => Words {
            lines: [
                port.map_or_else(
                    || rate(numbers.rate_per_s),
                    |port| format!("{port} {}", rate(numbers.rate_per_s)),
                ),
                String::new(),
            ],
            bar: Some(Bar {
                share: numbers.utilization_ratio.unwrap_or(0.0) as f32,
                tick: None,
            }),
            ..Words::default()
        },
        ComponentKind::Database => Words {
            lines: [
                format!("{} ops", rate(numbers.rate_per_s)),
                average(numbers.service_mean_s),
            ],
            ..Words::default()
        },
        ComponentKind::Queue | ComponentKind::Delay => queue(numbers, is_last),
        ComponentKind::Worker => worker(numbers),
        ComponentKind::Smtp | ComponentKind::Websocket | ComponentKind::External => Words {
            lines: [
                numbers.error_ratio.map_or_else(
                    || "ok –".to_owned(),
                    |errors| format!("ok {}%", percent(1.0 - errors)),
                ),
                average(numbers.service_mean_s),
            ],
            ..Words::default()
        },
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "shares of a bar"
)]
fn queue(numbers: &ComponentNumbers, is_last: bool) -> Words {
    let depth = numbers.waiting + numbers.in_service;
    let limit = numbers.alert_limit.unwrap_or(100).max(1);
    let side = match (numbers.next_due_s, numbers.oldest_waiting_s) {
        _ if depth == 0 => "empty".to_owned(),
        _ if is_last => "needs review".to_owned(),
        (Some(due), _) => format!("due in {}", short_duration(due)),
        (None, Some(oldest)) => format!("oldest {}", short_duration(oldest)),
        (None, None) => String::new(),
    };
    Words {
        number: Some(count(depth)),
        side,
        bar: Some(Bar {
            share: (depth as f64 / (limit as f64 * 1.25)).min(1.0) as f32,
            tick: (!is_last).then_some(DEPTH_TICK),
        }),
        is_hot: depth > limit && !is_last,
        ..Words::default()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "shares of a bar")]
fn worker(numbers: &ComponentNumbers) -> Words {
    let busy = u32::try_from(numbers.in_service).unwrap_or(u32::MAX);
    let (side, bar) = match (numbers.rate_limit_per_s, numbers.rate_per_s) {
        (Some(limit), rate) if limit > 0.0 => (
            format!("limit {}", trimmed(limit)),
            Bar {
                share: (rate.unwrap_or(0.0) / limit * f64::from(RATE_TICK)).min(1.0) as f32,
                tick: Some(RATE_TICK),
            },
        ),
        _ => (
            numbers
                .servers
                .map_or_else(String::new, |servers| format!("{busy} of {servers}")),
            Bar {
                share: numbers.utilization_ratio.unwrap_or(0.0) as f32,
                tick: None,
            },
        ),
    };
    Words {
        number: Some(numbers.rate_per_s.map_or_else(|| "–".to_owned(), per_s)),
        side,
        bar: Some(bar),
        slots: numbers
            .servers
            .filter(|servers| *servers <= SLOTS_MAX)
            .map(|servers| (servers, busy.min(servers))),
        ..Words::default()
    }
}

fn average(mean_s: Option<f64>) -> String {
    mean_s.map_or_else(
        || "avg –".to_owned(),
        |mean| format!("avg {}", short_duration(mean)),
    )
}

/// `4.9/s`, `120/s`.
fn per_s(rate: f64) -> String {
    if rate < 100.0 {
        format!("{rate:.1}/s")
    } else {
        format!("{rate:.0}/s")
    }
}

fn percent(ratio: f64) -> String {
    if ratio > 0.9995 {
        "100".to_owned()
    } else {
        format!("{:.1}", ratio * 100.0)
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// `6`, `1,204`, `38k`.
fn count(value: u64) -> String {
    match value {
        0..=999 => value.to_string(),
        1000..=9999 => format!("{},{:03}", value / 1000, value % 1000),
        _ => format!("{}k", value / 1000),
    }
}

/// `12 ms`, `0.9 s`, `42 s`, `5 min`, `2 h`.
#[must_use]
pub fn short_duration(seconds: f64) -> String {
    if seconds < 0.0995 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else if seconds < 99.5 {
        format!("{seconds:.0} s")
    } else if seconds < 5970.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.0} h", seconds / 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_stay_short_and_never_lose_their_unit() {
        for (seconds, text) in [
            (0.0, "0 ms"),
            (0.012, "12 ms"),
            (0.9, "0.9 s"),
            (42.4, "42 s"),
            (300.0, "5 min"),
            (7200.0, "2 h"),
        ] {
            assert_eq!(short_duration(seconds), text);
        }
    }

    #[test]
    fn a_queue_over_its_limit_is_hot_and_its_bar_is_full_at_five_quarters() {
        let numbers = ComponentNumbers {
            waiting: 125,
            alert_limit: Some(100),
            ..ComponentNumbers::default()
        };
        let words = queue(&numbers, false);
        assert!(words.is_hot);
        assert_eq!(words.bar.map(|bar| bar.share), Some(1.0));
        let below = ComponentNumbers {
            waiting: 80,
            ..numbers
        };
        assert!(!queue(&below, false).is_hot);
    }
}
