//! Stickiness: a Socket.IO client stays on the server that knows its session.
//!
//! Belongs here: which server a request must go to. Does not belong here: health, turns (upstream).
//!
//! Only Socket.IO is sticky; plain HTTP goes round. A polling client is known by the session id of its
//! handshake, which the balancer reads from the server's answer, so clients without cookies work; browsers
//! get a cookie too, which outlives the session.

use super::upstream::Upstream;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use http_body_util::{BodyExt, Limited};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Sessions remembered; past it the oldest is forgotten.
const SESSIONS_MAX: usize = 100_000;
/// Longest answer to a handshake.
const HANDSHAKE_BYTES_MAX: usize = 4096;
/// Where Socket.IO lives.
pub(super) const PATH: &str = "/socket.io/";
/// Cookie with the server's number, counted from 1.
const COOKIE: &str = "flowreel_server";

/// Which session lives on which server.
#[derive(Default)]
pub(super) struct Sticky {
    sessions: Mutex<Sessions>,
}

/// A server did not answer a handshake to its end.
#[derive(Debug)]
pub(super) struct Broken;

/// What a Socket.IO request says of its session.
pub(super) struct Asked {
    sid: Option<String>,
    server_number: Option<usize>,
}

impl Asked {
    /// `None` where the request is none of Socket.IO's.
    pub(super) fn of(head: &Parts) -> Option<Self> {
        head.uri.path().starts_with(PATH).then(|| Self {
            sid: query_value(head, "sid").map(str::to_owned),
            server_number: cookie(head, COOKIE).and_then(|number| number.parse().ok()),
        })
    }
}

#[derive(Default)]
struct Sessions {
    servers: HashMap<String, usize>,
    order: VecDeque<String>,
}

impl Sticky {
    /// The server this request must go to, where it matters.
    pub(super) fn wanted(&self, asked: &Asked) -> Option<usize> {
        let of_session = |sid: &String| self.sessions().servers.get(sid).copied();
        let known = asked.sid.as_ref().and_then(of_session);
        // A balancer that was started anew knows no session, and the cookie still does.
        known.or_else(|| asked.server_number?.checked_sub(1))
    }

    /// Learns from the answer where a session lives; the answer is whether it is a new one.
    ///
    /// # Errors
    /// [`Broken`] where the answer to a handshake does not come whole.
    pub(super) async fn note(
        &self,
        asked: &Asked,
        upstream: &Upstream,
        response: &mut Response<Body>,
    ) -> Result<bool, Broken> {
        if asked.sid.is_some() || !response.status().is_success() {
            return Ok(false);
        }
        let body = std::mem::take(response.body_mut());
        let read = Limited::new(body, HANDSHAKE_BYTES_MAX).collect().await;
        let bytes = read
            .map_err(|error| {
                tracing::warn!(%error, "a handshake's answer is too long or broke off: {error}");
                Broken
            })?
            .to_bytes();
        let sid = session_id(&bytes);
        *response.body_mut() = Body::from(bytes);
        let text = format!(
            "{COOKIE}={}; Path={PATH}; HttpOnly; SameSite=Lax",
            upstream.index + 1
        );
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
        if let Some(sid) = sid {
            self.remember(sid, upstream.index);
            return Ok(true);
        }
        Ok(false)
    }

    fn remember(&self, sid: String, index: usize) {
        let mut sessions = self.sessions();
        if sessions.servers.insert(sid.clone(), index).is_none() {
            sessions.order.push_back(sid);
        }
        if sessions.order.len() > SESSIONS_MAX
            && let Some(oldest) = sessions.order.pop_front()
        {
            sessions.servers.remove(&oldest);
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The session id in Engine.IO's open packet: `0{"sid":"…",…}`.
fn session_id(body: &Bytes) -> Option<String> {
    let open: serde_json::Value = serde_json::from_slice(body.strip_prefix(b"0")?).ok()?;
    open.get("sid")?.as_str().map(str::to_owned)
}

fn query_value<'a>(head: &'a Parts, key: &str) -> Option<&'a str> {
    head.uri.query()?.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == key && !value.is_empty()).then_some(value)
    })
}

fn cookie<'a>(head: &'a Parts, key: &str) -> Option<&'a str> {
    let lines = head.headers.get_all(header::COOKIE).iter();
    let texts = lines.filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(';')).find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == key).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Upstreams;
    use super::*;
    use crate::telemetry::Place;
    use axum::http::Request;

    fn asked(uri: &str, cookie: Option<&str>) -> Option<Asked> {
        let mut request = Request::get(uri);
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        Asked::of(&request.body(()).unwrap().into_parts().0)
    }

    #[tokio::test]
    async fn a_polling_session_stays_where_its_handshake_was_answered() {
        let upstreams = Upstreams::new(Place::SERVERS.map(|place| (place, String::new())));
        let sticky = Sticky::default();
        let handshake = asked("/socket.io/?EIO=4&transport=polling", None).unwrap();
        assert_eq!(sticky.wanted(&handshake), None);
        let open = r#"0{"sid":"abc","upgrades":["websocket"]}"#;
        let mut response = Response::new(Body::from(open));
        assert!(
            sticky
                .note(&handshake, &upstreams.all()[1], &mut response)
                .await
                .unwrap()
        );
        let set_cookie = response.headers()[header::SET_COOKIE].to_str().unwrap();
        assert!(set_cookie.starts_with("flowreel_server=2;"), "{set_cookie}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, open);
        let poll = asked(
            "/socket.io/?EIO=4&transport=polling&sid=abc",
            Some("flowreel_server=3"),
        )
        .unwrap();
        assert_eq!(sticky.wanted(&poll), Some(1));
        let restarted = Sticky::default();
        assert_eq!(restarted.wanted(&poll), Some(2), "the cookie's");
    }

    #[tokio::test]
    async fn a_handshake_that_breaks_off_is_no_answer() {
        let upstreams = Upstreams::new([(Place::Server1, String::new())]);
        let sticky = Sticky::default();
        let handshake = asked("/socket.io/?EIO=4&transport=polling", None).unwrap();
        let broken = [Ok("0{"), Err(std::io::Error::other("reset"))];
        let long = "0".repeat(HANDSHAKE_BYTES_MAX + 1);
        for body in [
            Body::from_stream(futures_util::stream::iter(broken)),
            Body::from(long),
        ] {
            let mut response = Response::new(body);
            let noted = sticky.note(&handshake, &upstreams.all()[0], &mut response);
            assert!(noted.await.is_err());
        }
    }

    #[test]
    fn cookies_count_for_sockets_only() {
        let sticky = Sticky::default();
        let wanted = |cookie| sticky.wanted(&asked("/socket.io/?EIO=4", Some(cookie)).unwrap());
        assert_eq!(wanted("a=b; flowreel_server=3"), Some(2));
        for cookie in ["flowreel_server=0", "flowreel_server=x", "other=1"] {
            assert_eq!(wanted(cookie), None, "{cookie}");
        }
        assert!(asked("/api/logins", Some("flowreel_server=3")).is_none());
    }

    #[test]
    fn remembered_sessions_are_bounded() {
        let sticky = Sticky::default();
        for number in 0..=SESSIONS_MAX {
            sticky.remember(number.to_string(), 0);
        }
        assert_eq!(sticky.sessions().servers.len(), SESSIONS_MAX);
        assert!(!sticky.sessions().servers.contains_key("0"));
    }
}
