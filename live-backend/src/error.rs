//! What goes wrong in a request, and the answer it gets: decided here and nowhere else.
//!
//! Belongs here: error codes, their HTTP status and JSON body. Does not belong here: how a client's
//! mistake is found (controllers, middleware), exit codes (main).

use crate::queue::QueueError;
use crate::store::StoreError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::borrow::Cow;

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    field: Option<Cow<'static, str>>,
    /// For refusals that end by themselves.
    retry_after_s: Option<u64>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: Inner<'a>,
}

#[derive(Serialize)]
struct Inner<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl AppError {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            field: None,
            retry_after_s: None,
        }
    }

    /// 400: the body is not JSON, or a part of the address cannot be read.
    pub(crate) fn bad_request(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 400 naming the field that is missing or wrong.
    pub(crate) fn field(
        field: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::bad_request("invalid_field", message)
        }
    }

    /// 400 naming a field that the route does not know.
    pub(crate) fn unknown_field(
        field: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::bad_request("unknown_field", message)
        }
    }

    /// 429: too many tries; the next one is welcome after so many seconds.
    pub(crate) fn too_many(retry_after_s: u64, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", message)
        }
    }

    /// An answer that a library made, in our form.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let message = match status {
            StatusCode::BAD_REQUEST => "a part of the address or the query cannot be read",
            StatusCode::NOT_FOUND => "there is nothing at this address",
            StatusCode::METHOD_NOT_ALLOWED => "this address does not take this method",
            _ => "this request cannot be served",
        };
        let code = match status {
            StatusCode::BAD_REQUEST => "bad_request",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            _ => "refused",
        };
        Self::new(status, code, message)
    }

    /// 401: no token, or one that is wrong, expired or ended.
    pub(crate) fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    /// 403: the token is fine, its owner may not do this.
    pub(crate) fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404: no such thing.
    pub(crate) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// 409 naming the field whose value is taken.
    pub(crate) fn conflict(field: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(StatusCode::CONFLICT, "conflict", message)
        }
    }

    /// 503: this cannot be served now, later it can.
    pub(crate) fn unavailable(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    /// 500: our fault; the cause is logged where it is found, the client sees none of it.
    pub(crate) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed on this request; it is logged under the X-Request-Id of this answer",
        )
    }

    /// The JSON body of the answer.
    pub(crate) fn to_json(&self) -> String {
        let body = Body {
            error: Inner {
                code: self.code,
                message: &self.message,
                field: self.field.as_deref(),
            },
        };
        serde_json::to_string(&body).expect("texts always serialize")
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Taken { field } => {
                Self::conflict(field, format!("this {field} is already in use"))
            }
            StoreError::Closed
            | StoreError::Injected
            | StoreError::Refused { .. }
            | StoreError::Unavailable { .. } => {
                tracing::error!(%error, "store operation failed: {error}");
                Self::unavailable(
                    "store_unavailable",
                    "the store cannot be reached now, try again",
                )
            }
            StoreError::Open { .. }
            | StoreError::Unreachable { .. }
            | StoreError::NoReplicaSet { .. }
            | StoreError::Corrupt { .. } => {
                tracing::error!(%error, "store holds what it should not: {error}");
                Self::internal()
            }
        }
    }
}

impl From<QueueError> for AppError {
    fn from(error: QueueError) -> Self {
        tracing::error!(%error, "a queue does not answer: {error}");
        Self::unavailable(
            "queue_unavailable",
            "the queues cannot be reached now, try again",
        )
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        let mut response =
            (self.status, [(header::CONTENT_TYPE, json)], self.to_json()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        let is_unavailable = self.status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(seconds) = self.retry_after_s.or(is_unavailable.then_some(1)) {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        let may_be_unread = [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::REQUEST_TIMEOUT];
        if may_be_unread.contains(&self.status) {
            // What is left of the body would be read as the next request; nobody may send one here.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_error_names_its_field_and_others_have_none() {
        let error = AppError::field("email", "write an address");
        assert_eq!(
            error.to_json(),
            r#"{"error":{"code":"invalid_field","message":"write an address","field":"email"}}"#
        );
        assert!(!AppError::internal().to_json().contains("field"));
    }
}
