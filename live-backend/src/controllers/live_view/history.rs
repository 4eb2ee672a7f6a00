//! `GET /api/live-view/history?metric=&seconds=`: one figure over the last seconds, a point a second.
//!
//! Belongs here: the query and answer. Does not belong here: the ring (telemetry).

use crate::error::AppError;
use crate::router::ServerState;
use crate::telemetry::live::history::{FIGURES, SAMPLES_MAX};
use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};

/// Seconds where none are asked for.
const SECONDS_DEFAULT: usize = 60;

#[derive(Deserialize)]
pub(crate) struct Asked {
    metric: Option<String>,
    seconds: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    metric: &'static str,
    unit: &'static str,
    points: Vec<Point>,
}

/// What was at a moment; null where nothing was measured.
#[derive(Serialize)]
struct Point {
    timestamp: u64,
    value: Option<f64>,
}

pub(crate) async fn show(
    State(server): State<ServerState>,
    Query(asked): Query<Asked>,
) -> Result<Json<Answer>, AppError> {
    let (metric, unit, seconds) = read(&asked)?;
    let samples = server.app.telemetry.history(seconds);
    let points = samples.iter().map(|sample| Point {
        timestamp: sample.timestamp,
        value: sample.figure(metric),
    });
    Ok(Json(Answer {
        metric,
        unit,
        points: points.collect(),
    }))
}

fn read(asked: &Asked) -> Result<(&'static str, &'static str, usize), AppError> {
    let name = asked.metric.as_deref().unwrap_or_default();
    let found = FIGURES.iter().find(|(known, _)| *known == name);
    let (metric, unit) = found.ok_or_else(|| {
        let names: Vec<&str> = FIGURES.iter().map(|(known, _)| *known).collect();
        AppError::field("metric", format!("metric is one of {}", names.join(", ")))
    })?;
    let seconds = match &asked.seconds {
        None => SECONDS_DEFAULT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| (1..=SAMPLES_MAX).contains(seconds))
            .ok_or_else(|| {
                let message = format!("seconds is a whole number from 1 to {SAMPLES_MAX}");
                AppError::field("seconds", message)
            })?,
    };
    Ok((metric, unit, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_its_wrong_field_is_named() {
        let asked = |metric: Option<&str>, seconds: Option<&str>| Asked {
            metric: metric.map(str::to_owned),
            seconds: seconds.map(str::to_owned),
        };
        let read_pair = |metric, seconds| read(&asked(metric, seconds));
        assert_eq!(
            read_pair(Some("errorRate"), Some("5")).ok(),
            Some(("errorRate", "%", 5))
        );
        assert_eq!(
            read_pair(Some("cpuPercent"), None).ok(),
            Some(("cpuPercent", "%", 60))
        );
        for (metric, seconds, field) in [
            (None, None, "metric"),
            (Some("luck"), None, "metric"),
            (Some("errorRate"), Some("0"), "seconds"),
            (Some("errorRate"), Some("3601"), "seconds"),
            (Some("errorRate"), Some("x"), "seconds"),
        ] {
            let error = read_pair(metric, seconds).unwrap_err().to_json();
            assert!(error.contains(&format!("\"field\":\"{field}\"")), "{error}");
        }
    }
}
