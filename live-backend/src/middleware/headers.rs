//! Headers that every answer of every listener carries: nothing is guessed, framed, cached or passed on.
//!
//! Belongs here: the headers. Does not belong here: origins (CORS), what an answer says.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

/// What is not set yet is set to this.
const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    // Answers hold tokens and personal data.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// Adds what is missing; an answer that becomes another protocol has no body to protect.
pub(crate) fn protect<B>(response: &mut Response<B>) {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_headers_are_added_and_given_ones_kept() {
        let mut response = Response::new(());
        let kept = HeaderValue::from_static("max-age=5");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, kept.clone());
        protect(&mut response);
        assert_eq!(response.headers()[header::CACHE_CONTROL], kept);
        assert_eq!(response.headers()[header::X_FRAME_OPTIONS], "DENY");
        assert_eq!(response.headers().len(), 5);
    }
}
