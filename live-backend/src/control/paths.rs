//! Settings that change while the system runs: their paths, and which values they take.
//!
//! Belongs here: reading and refusing. Does not belong here: what a setting does (control).

use crate::error::AppError;
use crate::faults::DELAY_NAMES;
use crate::load_balancer::Algorithm;
use crate::models::Channel;
use crate::queue::{QUEUES, first_queue};
use crate::telemetry::Place;
use crate::worker::crew::WORKERS_MAX;
use flowreel_engine::scenario::nearest_hint;
use serde_json::{Map, Value};

/// Longest delay of one stage, in ms.
const DELAY_MS_MAX: u64 = 60_000;
/// Fastest rate of one worker and of generated load.
const RATE_MAX: f64 = 10_000.0;
/// Most runs of one worker at once.
const CONCURRENCY_MAX: u64 = 1000;

/// One setting with its new value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Setting {
    /// Position in [`DELAY_NAMES`], milliseconds.
    Delay(usize, u64),
    Algorithm(Algorithm),
    Paused(Place, bool),
    Rate(Channel, f64),
    Concurrency(Channel, usize),
    Count(Channel, usize),
    LoadEnabled(bool),
    LoadRate(f64),
}

/// What a path takes.
#[derive(Clone, Copy)]
enum Takes {
    Delay(usize),
    Algorithm,
    Paused(Place),
    Rate(Channel),
    Concurrency(Channel),
    Count(Channel),
    LoadEnabled,
    LoadRate,
}

impl Setting {
    /// Its path.
    pub(crate) fn path(self) -> String {
        match self {
            Self::Delay(index, _) => {
                let name = DELAY_NAMES.get(index).copied().unwrap_or_default();
                format!("delays.{name}")
            }
            Self::Algorithm(_) => "balancer.algorithm".to_owned(),
            Self::Paused(queue, _) => format!("queues.{}.paused", queue.name()),
            Self::Rate(channel, _) => worker_path(channel, "rate_per_s"),
            Self::Concurrency(channel, _) => worker_path(channel, "concurrency"),
            Self::Count(channel, _) => worker_path(channel, "count"),
            Self::LoadEnabled(_) => "load.enabled".to_owned(),
            Self::LoadRate(_) => "load.rate_per_s".to_owned(),
        }
    }

    /// Whether setting it asks somebody who may not answer.
    pub(crate) const fn may_fail(self) -> bool {
        matches!(self, Self::Paused(..) | Self::LoadEnabled(true))
    }

    /// Where it shows in a recording.
    pub(crate) const fn place(self) -> Place {
        match self {
            Self::Delay(index, _) => match index {
                1 => Place::Server1,
                2 => Place::Database,
                3 => Place::Mail,
                4 => Place::MailWorker,
                5 => Place::Smtp,
                6 => Place::Websocket,
                _ => Place::Balancer,
            },
            Self::Algorithm(_) => Place::Balancer,
            Self::Paused(queue, _) => queue,
            Self::Rate(channel, _) | Self::Concurrency(channel, _) | Self::Count(channel, _) => {
                match channel {
                    Channel::Email => Place::MailWorker,
                    Channel::InApp => Place::InAppWorker,
                }
            }
            Self::LoadEnabled(_) | Self::LoadRate(_) => Place::Clients,
        }
    }

    /// Its value as a number: yes is 1, an algorithm its position.
    #[expect(
        clippy::cast_precision_loss,
        reason = "checked values are small whole numbers"
    )]
    pub(crate) fn amount(self) -> f64 {
        match self {
            Self::Delay(_, ms) => ms as f64,
            Self::Algorithm(algorithm) => f64::from(u8::from(algorithm != Algorithm::RoundRobin)),
            Self::Paused(_, is_on) | Self::LoadEnabled(is_on) => f64::from(u8::from(is_on)),
            Self::Rate(_, rate) | Self::LoadRate(rate) => rate,
            Self::Concurrency(_, count) | Self::Count(_, count) => count as f64,
        }
    }
}

/// Reads all, or refuses all.
pub(crate) fn read_all(values: &Map<String, Value>) -> Result<Vec<Setting>, AppError> {
    if values.is_empty() {
        return Err(AppError::field("set", "write set as {\"<path>\": value}"));
    }
    values
        .iter()
        .map(|(path, value)| read(path, value))
        .collect()
}

pub(super) fn read(path: &str, value: &Value) -> Result<Setting, AppError> {
    let takes = takes_of(path).ok_or_else(|| unknown(path))?;
    let wrong = |what: &str| AppError::field("set", format!("{path} is {what}"));
    let whole = |max: u64| value.as_u64().filter(|&number| number <= max);
    let count = |max: u64| {
        let number = whole(max).filter(|&number| number >= 1);
        number.and_then(|number| usize::try_from(number).ok())
    };
    let rate = || {
        let rate = value.as_f64();
        rate.filter(|rate| (0.001..=RATE_MAX).contains(rate))
            .ok_or_else(|| wrong(&format!("a number from 0.001 to {RATE_MAX}")))
    };
    let flag = || value.as_bool().ok_or_else(|| wrong("true or false"));
    let workers_max = u64::try_from(WORKERS_MAX).unwrap_or(u64::MAX);
    Ok(match takes {
        Takes::Delay(index) => {
            let what = format!("a whole number of milliseconds up to {DELAY_MS_MAX}");
            Setting::Delay(index, whole(DELAY_MS_MAX).ok_or_else(|| wrong(&what))?)
        }
        Takes::Algorithm => {
            let algorithm = value.as_str().and_then(Algorithm::from_name);
            Setting::Algorithm(algorithm.ok_or_else(|| wrong("round-robin or least-connections"))?)
        }
        Takes::Paused(queue) => Setting::Paused(queue, flag()?),
        Takes::Rate(channel) => Setting::Rate(channel, rate()?),
        Takes::Concurrency(channel) => {
            let what = format!("a whole number from 1 to {CONCURRENCY_MAX}");
            Setting::Concurrency(channel, count(CONCURRENCY_MAX).ok_or_else(|| wrong(&what))?)
        }
        Takes::Count(channel) => {
            let what = format!("a whole number up to {WORKERS_MAX}");
            let number = whole(workers_max).and_then(|number| usize::try_from(number).ok());
            Setting::Count(channel, number.ok_or_else(|| wrong(&what))?)
        }
        Takes::LoadEnabled => Setting::LoadEnabled(flag()?),
        Takes::LoadRate => Setting::LoadRate(rate()?),
    })
}

/// The setting at a path of its own, or at the one that scenarios and the live view have for it.
fn takes_of(path: &str) -> Option<Takes> {
    let other = match path {
        "simulateLoad" => "load.enabled",
        "simulationRate" => "load.rate_per_s",
        "station.mail-worker.rate_limit.per_s" => "workers.mail.rate_per_s",
        "station.mail-worker.servers" => "workers.mail.concurrency",
        "station.in-app-worker.rate_limit.per_s" => "workers.in-app.rate_per_s",
        "station.in-app-worker.servers" => "workers.in-app.concurrency",
        "station.balancer.next.choose" => "balancer.algorithm",
        own => own,
    };
    all()
        .into_iter()
        .find(|(own, _)| own == other)
        .map(|(_, takes)| takes)
}

fn all() -> Vec<(String, Takes)> {
    let delays = DELAY_NAMES.iter().enumerate();
    let mut all: Vec<(String, Takes)> = delays
        .map(|(index, name)| (format!("delays.{name}"), Takes::Delay(index)))
        .collect();
    all.push(("balancer.algorithm".to_owned(), Takes::Algorithm));
    let paused = |queue: Place| {
        (
            format!("queues.{}.paused", queue.name()),
            Takes::Paused(queue),
        )
    };
    all.extend(QUEUES.map(paused));
    for channel in [Channel::Email, Channel::InApp] {
        all.push((worker_path(channel, "rate_per_s"), Takes::Rate(channel)));
        all.push((
            worker_path(channel, "concurrency"),
            Takes::Concurrency(channel),
        ));
        all.push((worker_path(channel, "count"), Takes::Count(channel)));
    }
    all.push(("load.enabled".to_owned(), Takes::LoadEnabled));
    all.push(("load.rate_per_s".to_owned(), Takes::LoadRate));
    all
}

fn unknown(path: &str) -> AppError {
    let all = all();
    let names: Vec<&str> = all.iter().map(|(path, _)| path.as_str()).collect();
    let hint = nearest_hint(path, &names);
    let shown: String = path.chars().take(100).collect();
    AppError::field("set", format!("there is no setting `{shown}`; {hint}"))
}

fn worker_path(channel: Channel, what: &str) -> String {
    format!("workers.{}.{what}", first_queue(channel).name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_path_reads_back_what_it_names() {
        for (path, takes) in all() {
            let value = match takes {
                Takes::Paused(_) | Takes::LoadEnabled => json!(true),
                Takes::Algorithm => json!("least-connections"),
                _ => json!(2),
            };
            assert_eq!(read(&path, &value).unwrap().path(), path);
        }
        let setting = read("station.mail-worker.rate_limit.per_s", &json!(7.5)).unwrap();
        assert_eq!(setting, Setting::Rate(Channel::Email, 7.5));
    }

    #[test]
    fn wrong_paths_and_values_are_refused_with_what_would_do() {
        for (path, value, told) in [
            (
                "delays.serverProcesing",
                json!(5),
                "`delays.serverProcessing`",
            ),
            ("queues.mail.pause", json!(true), "`queues.mail.paused`"),
            ("moon", json!(true), "queues.in-app-retry.paused"),
            ("delays.queueing", json!(-1), "up to 60000"),
            ("delays.queueing", json!(60_001), "up to 60000"),
            ("workers.mail.rate_per_s", json!(0), "from 0.001"),
            ("workers.in-app.concurrency", json!(0), "from 1"),
            ("workers.in-app.count", json!(65), "up to 64"),
            ("balancer.algorithm", json!("fastest"), "least-connections"),
            ("load.enabled", json!("yes"), "true or false"),
        ] {
            let error = read(path, &value).unwrap_err().to_json();
            assert!(error.contains(told), "{path}: {error}");
        }
        let both = json!({"delays.queueing": 5, "delays.moon": 5});
        assert!(read_all(both.as_object().unwrap()).is_err());
        assert!(read_all(&Map::new()).is_err());
    }
}
