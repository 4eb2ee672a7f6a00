//! JSON bodies: read with a limit, and their fields checked one by one.
//!
//! Belongs here: media type, size, syntax, the shape of single fields.
//! Does not belong here: what a route does with them.

use crate::error::AppError;
use crate::router::schema::Field;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};
use std::time::Duration;

/// Largest JSON body, in bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
/// Longest time for a body that comes here without the balancer.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest part of a field's name that is repeated in an answer, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The fields a route's body may have, as its entry in the table says.
#[derive(Clone, Copy)]
pub(crate) struct AllowedFields(pub(crate) Option<&'static [Field]>);

/// The fields of a JSON object.
pub(crate) struct Fields {
    map: Map<String, Value>,
}

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = AppError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, AppError> {
        if !is_json(&request) {
            return Err(AppError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send a JSON object with Content-Type: application/json",
            ));
        }
        let allowed = request.extensions().get::<AllowedFields>().copied();
        let fields = Self::parse(&read(request).await?)?;
        if let Some(AllowedFields(Some(allowed))) = allowed {
            fields.must_be_among(allowed)?;
        }
        Ok(fields)
    }
}

async fn read(request: Request) -> Result<Bytes, AppError> {
    let limited = Limited::new(request.into_body(), BODY_BYTES_MAX);
    let Ok(read) = tokio::time::timeout(BODY_TIMEOUT, limited.collect()).await else {
        return Err(AppError::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "the body took too long",
        ));
    };
    match read {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(AppError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("the body is longer than {BODY_BYTES_MAX} bytes"),
        )),
        Err(_broken) => Err(AppError::bad_request(
            "incomplete_body",
            "the body ended early",
        )),
    }
}

fn is_json(request: &Request) -> bool {
    let value = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value.and_then(|text| text.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

impl Fields {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, AppError> {
        let value = super::json::parse(bytes).map_err(|error| {
            AppError::bad_request("invalid_json", format!("the body is not JSON: {error}"))
        })?;
        match value {
            Value::Object(map) => Ok(Self { map }),
            _ => Err(AppError::bad_request(
                "invalid_json",
                "the body is not a JSON object",
            )),
        }
    }

    /// Refuses a body with a field that nobody would read: the client means something that is not done.
    fn must_be_among(&self, allowed: &[Field]) -> Result<(), AppError> {
        let unknown = |name: &&String| !allowed.iter().any(|field| field.name == name.as_str());
        let Some(name) = self.map.keys().find(unknown) else {
            return Ok(());
        };
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        let known: Vec<&str> = allowed.iter().map(|field| field.name).collect();
        let message = format!(
            "there is no field `{name}` here; known are {}",
            known.join(", ")
        );
        Err(AppError::unknown_field(name, message))
    }

    /// The value, or `None` where it is absent or null.
    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// A text of `1..=chars_max` characters, without control characters, trimmed.
    pub(crate) fn text(&self, field: &'static str, chars_max: usize) -> Result<String, AppError> {
        let text = self.raw_text(field)?.trim();
        if text.chars().any(char::is_control) {
            return Err(AppError::field(
                field,
                format!("{field} holds a line break or another control character"),
            ));
        }
        if text.is_empty() || text.chars().count() > chars_max {
            return Err(AppError::field(
                field,
                format!("write a {field} of 1 to {chars_max} characters"),
            ));
        }
        Ok(text.to_owned())
    }

    /// A text exactly as it was sent, of `bytes_min..=bytes_max` bytes.
    pub(crate) fn secret(
        &self,
        field: &'static str,
        bytes_min: usize,
        bytes_max: usize,
    ) -> Result<String, AppError> {
        let text = self.raw_text(field)?;
        if !(bytes_min..=bytes_max).contains(&text.len()) {
            let message = format!("write a {field} of {bytes_min} to {bytes_max} bytes");
            return Err(AppError::field(field, message));
        }
        Ok(text.to_owned())
    }

    /// An e-mail address in lower case.
    pub(crate) fn address(&self, field: &'static str) -> Result<String, AppError> {
        let text = self.raw_text(field)?.trim().to_lowercase();
        if !crate::email::message::is_address(&text) {
            return Err(AppError::field(
                field,
                format!("write an e-mail address as {field}, such as ada@example.org"),
            ));
        }
        Ok(text)
    }

    /// A number above 0, and `max` at most.
    pub(crate) fn positive(&self, field: &'static str, max: f64) -> Result<f64, AppError> {
        let number = self.get(field).and_then(Value::as_f64);
        number
            .filter(|&number| number > 0.0 && number <= max)
            .ok_or_else(|| {
                AppError::field(
                    field,
                    format!("write a number above 0 and up to {max} as {field}"),
                )
            })
    }

    fn raw_text(&self, field: &'static str) -> Result<&str, AppError> {
        match self.get(field) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(AppError::field(field, format!("{field} must be a text"))),
            None => Err(AppError::field(field, format!("{field} is missing"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: &str) -> Fields {
        Fields::parse(json.as_bytes()).ok().unwrap()
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        let deep = "[".repeat(200);
        for text in [
            "",
            "{",
            "[]",
            "5",
            "{\"a\":1,}",
            "\u{feff}{}",
            deep.as_str(),
        ] {
            let error = Fields::parse(text.as_bytes()).err().unwrap();
            assert!(error.to_json().contains("\"invalid_json\""), "{text}");
        }
        assert!(Fields::parse(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn fields_that_nobody_reads_are_named() {
        use crate::router::schema::{Schema, always};
        let allowed = [always("a", Schema::Flag), always("b", Schema::Flag)];
        assert!(fields(r#"{"a":1}"#).must_be_among(&allowed).is_ok());
        let error = fields(r#"{"a":1,"isAdmin":true}"#)
            .must_be_among(&allowed)
            .unwrap_err();
        let json = error.to_json();
        assert!(json.contains(r#""field":"isAdmin""#), "{json}");
        assert!(json.contains(r#""code":"unknown_field""#), "{json}");
    }

    #[test]
    fn texts_are_trimmed_and_bounded_and_name_their_field() {
        let fields = fields(r#"{"a":" x ","b":"","c":5,"d":"x\ny","e":null}"#);
        assert_eq!(fields.text("a", 1).unwrap(), "x");
        for field in ["b", "c", "d", "e", "f"] {
            let error = fields.text(field, 9).unwrap_err();
            assert!(
                error.to_json().contains(&format!("\"field\":\"{field}\"")),
                "{field}"
            );
        }
        assert_eq!(fields.secret("a", 3, 3).unwrap(), " x ");
        assert!(fields.secret("a", 4, 9).is_err());
    }

    #[test]
    fn numbers_must_be_positive() {
        let fields = fields(r#"{"a":1.5,"b":0,"c":-1,"d":"2","e":1e300}"#);
        assert_eq!(fields.positive("a", 10.0), Ok(1.5));
        for field in ["b", "c", "d", "e", "f"] {
            assert!(fields.positive(field, 10.0).is_err(), "{field}");
        }
    }

    #[test]
    fn addresses_are_kept_in_lower_case() {
        let fields = fields(r#"{"a":" Ada@Example.ORG ","b":"ada"}"#);
        assert_eq!(fields.address("a").unwrap(), "ada@example.org");
        assert!(fields.address("b").is_err());
    }
}
