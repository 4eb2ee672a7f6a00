//! The five actions of a user as HTTP requests, and what of their answers is needed.
//!
//! Belongs here: paths, bodies, statuses. Does not belong here: when they are done.

use super::http::{Http, HttpError};
use serde_json::{Value, json};

/// A request the backend took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub request_id: String,
}

/// What a login gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoggedIn {
    pub(super) user_id: String,
    pub(super) session_token: String,
    pub(super) refresh_token: String,
}

/// Why an action did not work.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// No whole answer came.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The backend said no.
    #[error("status {status}: {reason}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its word for programs; empty where there is none.
        code: String,
        /// Its words.
        reason: String,
    },
    /// The answer lacks what it must have.
    #[error("status {status} without `{field}`")]
    Incomplete {
        /// HTTP status.
        status: u16,
        /// What is missing.
        field: &'static str,
    },
}

impl ActionError {
    /// Whether the backend may have taken the request all the same: the answer was lost on its way, or came
    /// from one that does not know.
    pub(super) fn is_unclear(&self) -> bool {
        match self {
            Self::Http(_) | Self::Incomplete { .. } => true,
            Self::Refused { status, code, .. } => {
                matches!(status, 500 | 502 | 504) || code == "store_unavailable"
            }
        }
    }

    /// A short name to count by.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Http(HttpError::TimedOut { .. }) => "no answer in time".to_owned(),
            Self::Http(HttpError::Connection { .. } | HttpError::Address { .. }) => {
                "no connection".to_owned()
            }
            Self::Refused { status, .. } => format!("status {status}"),
            Self::Incomplete { field, .. } => format!("answer without {field}"),
        }
    }
}

pub(super) async fn sign_up(
    http: &Http,
    username: &str,
    email: &str,
    password: &str,
) -> Result<Accepted, ActionError> {
    let body = json!({ "username": username, "email": email, "password": password });
    accepted(http.post("/api/signups", &body, None).await?)
}

pub(super) async fn log_in(
    http: &Http,
    email: &str,
    password: &str,
) -> Result<LoggedIn, ActionError> {
    let body = json!({ "email": email, "password": password });
    logged_in(http.post("/api/logins", &body, None).await?)
}

/// The next token of a session.
pub(super) async fn renew(http: &Http, refresh_token: &str) -> Result<LoggedIn, ActionError> {
    let body = json!({ "refreshToken": refresh_token });
    logged_in(http.post("/api/session", &body, None).await?)
}

/// A session that nobody is told about.
pub(super) async fn open_session(
    http: &Http,
    email: &str,
    password: &str,
) -> Result<LoggedIn, ActionError> {
    let body = json!({ "email": email, "password": password });
    logged_in(http.post("/api/session", &body, None).await?)
}

fn logged_in(answer: (u16, Value)) -> Result<LoggedIn, ActionError> {
    let answer = checked(answer)?;
    Ok(LoggedIn {
        user_id: text(&answer, "userId")?,
        session_token: text(&answer, "sessionToken")?,
        refresh_token: text(&answer, "refreshToken")?,
    })
}

pub(super) async fn reset_password(http: &Http, email: &str) -> Result<Accepted, ActionError> {
    let body = json!({ "email": email });
    accepted(http.post("/api/reset-password", &body, None).await?)
}

pub(super) async fn purchase(
    http: &Http,
    token: &str,
    item: &str,
) -> Result<Accepted, ActionError> {
    let body = json!({ "item": item, "amount": 12.5, "currency": "EUR" });
    accepted(http.post("/api/purchases", &body, Some(token)).await?)
}

pub(super) async fn request_friend(
    http: &Http,
    token: &str,
    to_user_id: &str,
) -> Result<Accepted, ActionError> {
    let body = json!({ "toUserId": to_user_id });
    accepted(
        http.post("/api/friend-requests", &body, Some(token))
            .await?,
    )
}

fn accepted(answer: (u16, Value)) -> Result<Accepted, ActionError> {
    let answer = checked(answer)?;
    Ok(Accepted {
        request_id: text(&answer, "requestId")?,
    })
}

fn checked((status, body): (u16, Value)) -> Result<(u16, Value), ActionError> {
    if (200..300).contains(&status) {
        return Ok((status, body));
    }
    let said = |pointer| body.pointer(pointer).and_then(Value::as_str);
    Err(ActionError::Refused {
        status,
        code: said("/error/code").unwrap_or_default().to_owned(),
        reason: said("/error/message")
            .unwrap_or("no reason given")
            .to_owned(),
    })
}

fn text((status, body): &(u16, Value), field: &'static str) -> Result<String, ActionError> {
    match body.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(ActionError::Incomplete {
            status: *status,
            field,
        }),
    }
}
