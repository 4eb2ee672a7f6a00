//! JSON over HTTP/1.1 with kept connections.
//!
//! Belongs here: one request and its answer. Does not belong here: what is asked.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::time::Duration;

/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer read.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be used.
    #[error("`{url}` is no address")]
    Address {
        /// What was given.
        url: String,
    },
    /// No connection, or it broke.
    #[error("no answer from {url}: {reason}")]
    Connection {
        /// Which address.
        url: String,
        /// What the system or the protocol said.
        reason: String,
    },
    /// Took too long.
    #[error("no answer from {url} within 30 s")]
    TimedOut {
        /// Which address.
        url: String,
    },
}

/// An HTTP client; copies share their connections.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Http {
    /// A client of the backend at `base`, such as `http://127.0.0.1:8000`.
    #[must_use]
    pub fn new(base: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Self {
            client,
            base: base.trim_end_matches('/').to_owned(),
        }
    }

    /// Where it sends to.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// POSTs JSON; the answer is status and body, an empty or foreign body reads as null.
    ///
    /// # Errors
    /// [`HttpError`] where no whole answer comes.
    pub async fn post(
        &self,
        path: &str,
        body: &Value,
        token: Option<&str>,
    ) -> Result<(u16, Value), HttpError> {
        let body = Bytes::from(body.to_string());
        self.send(Method::POST, path, body, token).await
    }

    /// GETs JSON.
    ///
    /// # Errors
    /// [`HttpError`] where no whole answer comes.
    pub async fn get(&self, path: &str, token: Option<&str>) -> Result<(u16, Value), HttpError> {
        self.send(Method::GET, path, Bytes::new(), token).await
    }

    /// Sends these very bytes as a JSON body.
    ///
    /// # Errors
    /// [`HttpError`] where no whole answer comes.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        token: Option<&str>,
    ) -> Result<(u16, Value), HttpError> {
        let url = format!("{}{path}", self.base);
        let uri: hyper::Uri = url
            .parse()
            .map_err(|_uri| HttpError::Address { url: url.clone() })?;
        let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(HOST, authority)
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Full::new(body))
            .map_err(|_header| HttpError::Address { url: url.clone() })?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                HttpError::Connection {
                    url: url.clone(),
                    reason: cause.unwrap_or_else(|| error.to_string()),
                }
            })?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
            let bytes = body
                .collect()
                .await
                .map_err(|error| HttpError::Connection {
                    url: url.clone(),
                    reason: error.to_string(),
                })?;
            let value = serde_json::from_slice(&bytes.to_bytes()).unwrap_or(Value::Null);
            Ok((status, value))
        };
        match tokio::time::timeout(ANSWER_TIMEOUT, exchange).await {
            Ok(result) => result,
            Err(_elapsed) => Err(HttpError::TimedOut { url }),
        }
    }
}
