//! The head of a Socket.IO request in memory of its own.
//!
//! Belongs here: copying it. Does not belong here: what it says.
//!
//! A socket keeps the head of its handshake for as long as it lives. As it was read, each of its values
//! holds the connection's whole read buffer, 8 KiB, of which some hundred bytes are meant.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// Where Socket.IO lives.
const PATH: &str = "/socket.io/";

/// A layer for `axum::middleware::map_request`, to stand around Socket.IO's own.
pub(crate) async fn own_head(request: Request) -> Request {
    if !request.uri().path().starts_with(PATH) {
        return request;
    }
    let (mut head, body) = request.into_parts();
    if let Ok(uri) = Uri::try_from(head.uri.to_string()) {
        head.uri = uri;
    }
    head.headers = copied(&head.headers);
    Request::from_parts(head, body)
}

fn copied(headers: &HeaderMap) -> HeaderMap {
    let mut own = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        // What was read as a name or a value can be read again.
        let name_again = HeaderName::from_bytes(name.as_str().as_bytes());
        let value_again = HeaderValue::from_bytes(value.as_bytes());
        own.append(
            name_again.unwrap_or_else(|_never| name.clone()),
            value_again.unwrap_or_else(|_never| value.clone()),
        );
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::header::COOKIE;
    use bytes::Bytes;

    #[tokio::test]
    async fn a_copied_head_says_the_same_and_holds_nothing_of_the_buffer() {
        let buffer = Bytes::from(vec![b'x'; 8192]);
        let value = || HeaderValue::from_maybe_shared(buffer.slice(10..20)).unwrap();
        let mut request = Request::get("/socket.io/?EIO=4")
            .body(Body::empty())
            .unwrap();
        request.headers_mut().append(COOKIE, value());
        request.headers_mut().append(COOKIE, value());
        request.extensions_mut().insert(7_u8);
        assert!(!buffer.is_unique());
        let request = own_head(request).await;
        assert!(buffer.is_unique());
        let cookies: Vec<_> = request.headers().get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["xxxxxxxxxx"; 2]);
        assert_eq!(request.uri(), "/socket.io/?EIO=4");
        assert_eq!(request.extensions().get(), Some(&7_u8));
    }
}
