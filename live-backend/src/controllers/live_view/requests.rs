//! `GET /api/live-view/requests` and `/requests/:id`: recent requests, and one of them stage by stage.
//!
//! Belongs here: addresses and queries. Does not belong here: the answers' fields (telemetry), older
//! requests, which are in the reel.

use crate::error::AppError;
use crate::models::NotificationType;
use crate::router::ServerState;
use crate::telemetry::live::StageStatus;
use crate::telemetry::live::requests::{Listed, Sort, Wanted};
use crate::telemetry::request::RequestReport;
use axum::Json;
use axum::extract::{Path, Query, State};
use flowreel_engine::model::id::RequestId;
use serde::{Deserialize, Serialize};

/// Requests in one answer where no limit is asked for.
const LIMIT_DEFAULT: usize = 100;
/// Requests in one answer at most: all that are kept.
const LIMIT_MAX: usize = 1000;

#[derive(Default, Deserialize)]
pub(crate) struct Asked {
    status: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "requestId")]
    request_id: Option<String>,
    sort: Option<String>,
    order: Option<String>,
    limit: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    requests: Vec<Listed>,
    /// How many there are, before the limit.
    total: usize,
}

pub(crate) async fn list(
    State(server): State<ServerState>,
    Query(asked): Query<Asked>,
) -> Result<Json<Answer>, AppError> {
    let (requests, total) = server.app.telemetry.list_requests(&read(asked)?);
    Ok(Json(Answer { requests, total }))
}

pub(crate) async fn show(
    State(server): State<ServerState>,
    Path(id): Path<String>,
) -> Result<Json<RequestReport>, AppError> {
    let unknown =
        || AppError::not_found("no request of this id is kept; the last 1000 finished ones are");
    let id = id
        .parse()
        .map(RequestId)
        .map_err(|_not_a_number| unknown())?;
    let report = server.app.telemetry.settled_request_report(id).await;
    report.map(Json).ok_or_else(unknown)
}

fn read(asked: Asked) -> Result<Wanted, AppError> {
    let status = asked.status.map(|name| {
        StageStatus::from_name(&name).ok_or_else(|| {
            AppError::field(
                "status",
                "status is pending, processing, completed or failed",
            )
        })
    });
    let kind = asked.kind.map(|name| {
        let known = NotificationType::from_name(&name.replace('-', "_"));
        known.map(|kind| kind.name().to_owned()).ok_or_else(|| {
            let names: Vec<&str> = NotificationType::ALL.iter().map(|it| it.name()).collect();
            AppError::field("type", format!("type is one of {}", names.join(", ")))
        })
    });
    let sort = match asked.sort.as_deref() {
        None | Some("startTime") => Sort::StartTime,
        Some("totalDuration") => Sort::TotalDuration,
        Some(_) => {
            return Err(AppError::field(
                "sort",
                "sort is startTime or totalDuration",
            ));
        }
    };
    let is_descending = match asked.order.as_deref() {
        None | Some("desc") => true,
        Some("asc") => false,
        Some(_) => return Err(AppError::field("order", "order is asc or desc")),
    };
    let limit = match asked.limit {
        None => LIMIT_DEFAULT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| {
                let message = format!("limit is a whole number from 1 to {LIMIT_MAX}");
                AppError::field("limit", message)
            })?,
    };
    Ok(Wanted {
        status: status.transpose()?,
        kind: kind.transpose()?,
        id_prefix: asked.request_id,
        sort,
        is_descending,
        limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_or_their_wrong_field_is_named() {
        let wanted = read(Asked::default()).unwrap();
        assert_eq!((wanted.limit, wanted.is_descending), (100, true));
        let text = |text: &str| Some(text.to_owned());
        let wanted = read(Asked {
            status: text("failed"),
            kind: text("reset-password"),
            request_id: text("12"),
            sort: text("totalDuration"),
            order: text("asc"),
            limit: text("5"),
        })
        .unwrap();
        let expected = Wanted {
            status: Some(StageStatus::Failed),
            kind: text("reset_password"),
            id_prefix: text("12"),
            sort: Sort::TotalDuration,
            is_descending: false,
            limit: 5,
        };
        assert_eq!(wanted, expected);
        let wrong = |change: fn(&mut Asked), field: &str| {
            let mut asked = Asked::default();
            change(&mut asked);
            let error = read(asked).unwrap_err().to_json();
            assert!(error.contains(&format!("\"field\":\"{field}\"")), "{error}");
        };
        wrong(|it| it.status = Some("well".to_owned()), "status");
        wrong(|it| it.kind = Some("party".to_owned()), "type");
        wrong(|it| it.sort = Some("luck".to_owned()), "sort");
        wrong(|it| it.order = Some("up".to_owned()), "order");
        wrong(|it| it.limit = Some("0".to_owned()), "limit");
        wrong(|it| it.limit = Some("1001".to_owned()), "limit");
    }
}
