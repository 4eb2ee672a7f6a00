//! What the balancer refuses itself: heads that two programs may read differently, bodies without measure.
//!
//! Belongs here: checks before a server is asked. Does not belong here: fields of bodies (servers), the
//! syntax of HTTP (hyper).
//!
//! A body is read whole before a server sees the request, and sent on with a length of our own, so that a
//! server never reads a part of one client's body as the next client's request.

use crate::error::AppError;
use axum::http::{Method, Request, StatusCode, Version, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Largest body that is passed on, in bytes; servers have smaller limits of their own.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most of a body that is read to answer 413 before the connection closes.
const DISCARD_BYTES_MAX: usize = 8 * BODY_BYTES_MAX;
/// Longest time for a request's body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bodies of all requests in progress, in units.
const ROOM_UNITS: usize = 64 * 1024;
const UNIT_BYTES: usize = 1024;
/// Longest path with its query, in bytes.
const TARGET_BYTES_MAX: usize = 8 * 1024;

/// Refuses tunnels, targets without measure, and hosts that are not one.
pub(super) fn head<B>(request: &Request<B>) -> Result<(), AppError> {
    // Tunnels are not for applications; other methods get the server's 405, which names those it takes.
    if request.method() == Method::CONNECT {
        return Err(AppError::of_status(StatusCode::METHOD_NOT_ALLOWED));
    }
    let target = request.uri().path_and_query();
    if target.is_none_or(|target| !target.as_str().starts_with('/')) {
        return Err(AppError::bad_request(
            "bad_target",
            "the address in the request line must be a path",
        ));
    }
    if target.is_some_and(|target| target.as_str().len() > TARGET_BYTES_MAX) {
        return Err(AppError::new(
            StatusCode::URI_TOO_LONG,
            "address_too_long",
            format!("the address is longer than {TARGET_BYTES_MAX} bytes"),
        ));
    }
    let host_count = request.headers().get_all(header::HOST).iter().count();
    let is_one = host_count == 1 || (host_count == 0 && request.version() == Version::HTTP_10);
    if !is_one {
        return Err(AppError::bad_request(
            "bad_host",
            "send exactly one Host header",
        ));
    }
    Ok(())
}

/// Room for the bodies of all requests in progress.
pub(super) struct Bodies {
    room: Arc<Semaphore>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(ROOM_UNITS)),
        }
    }
}

impl Bodies {
    /// The whole body, with the room it takes until the request is over.
    pub(super) async fn read(
        &self,
        mut body: Incoming,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), AppError> {
        if body.is_end_stream() {
            return Ok((Bytes::new(), None));
        }
        match tokio::time::timeout(BODY_TIMEOUT, self.collect(&mut body)).await {
            Ok(read) => read,
            Err(_late) => Err(AppError::new(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "the body took too long",
            )),
        }
    }

    /// Reads past the limit without keeping it: a client that is still sending would miss the answer. A
    /// body in one piece, as nearly all are, is not copied.
    async fn collect(
        &self,
        body: &mut Incoming,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), AppError> {
        let (mut first, mut more) = (Bytes::new(), BytesMut::new());
        let mut room = None::<OwnedSemaphorePermit>;
        let mut read_bytes = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_broken| {
                AppError::bad_request("incomplete_body", "the body ended early or is cut wrongly")
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            read_bytes += data.len();
            if read_bytes <= BODY_BYTES_MAX {
                self.cover(&mut room, read_bytes)?;
                if first.is_empty() {
                    first = data;
                } else {
                    more.extend_from_slice(&data);
                }
            } else if read_bytes > DISCARD_BYTES_MAX {
                break;
            }
        }
        if read_bytes > BODY_BYTES_MAX {
            return Err(AppError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                format!("the body is longer than {BODY_BYTES_MAX} bytes"),
            ));
        }
        if more.is_empty() {
            return Ok((first, room));
        }
        let mut whole = BytesMut::with_capacity(read_bytes);
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&more);
        Ok((whole.freeze(), room))
    }

    /// Lets the room grow to so many bytes; a body in many small pieces takes no more than one in one.
    fn cover(&self, room: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), AppError> {
        let held_bytes = room
            .as_ref()
            .map_or(0, |room| room.num_permits() * UNIT_BYTES);
        if bytes <= held_bytes {
            return Ok(());
        }
        let taken = self.take(bytes - held_bytes)?;
        match room {
            Some(room) => room.merge(taken),
            None => *room = Some(taken),
        }
        Ok(())
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, AppError> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
        let taken = Arc::clone(&self.room).try_acquire_many_owned(units);
        taken.map_err(|_full| {
            AppError::unavailable("busy", "too many bodies are on their way, try again")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(request: Request<()>) -> Option<String> {
        head(&request).err().map(|error| error.to_json())
    }

    #[test]
    fn heads_with_one_meaning_pass() {
        let host = |builder: axum::http::request::Builder| builder.header("host", "a");
        let plain = host(Request::get("/api/health?x=1")).body(()).unwrap();
        assert_eq!(refused(plain), None);
        let absolute = host(Request::get("http://a/api/health")).body(()).unwrap();
        assert_eq!(refused(absolute), None);
        let old = Request::get("/").version(Version::HTTP_10);
        assert_eq!(refused(old.body(()).unwrap()), None);
        let long = format!("/{}", "a".repeat(TARGET_BYTES_MAX));
        for (request, code) in [
            (Request::get("/"), "bad_host"),
            (host(host(Request::get("/"))), "bad_host"),
            (
                host(Request::builder().method("CONNECT").uri("a:1")),
                "method_not_allowed",
            ),
            (host(Request::options("*")), "bad_target"),
            (host(Request::get(&long)), "address_too_long"),
        ] {
            let error = refused(request.body(()).unwrap()).unwrap();
            assert!(error.contains(code), "{code}: {error}");
        }
    }

    #[test]
    fn bodies_take_room_and_give_it_back() {
        let bodies = Bodies::default();
        let taken = bodies.take(ROOM_UNITS * UNIT_BYTES).unwrap();
        assert!(bodies.take(1).is_err());
        drop(taken);
        assert!(bodies.take(1).is_ok());
    }

    #[test]
    fn a_body_in_many_pieces_takes_the_room_of_its_bytes() {
        let bodies = Bodies::default();
        let mut room = None;
        for read_bytes in 1..=BODY_BYTES_MAX {
            bodies.cover(&mut room, read_bytes).unwrap();
        }
        let units = BODY_BYTES_MAX / UNIT_BYTES;
        assert_eq!(bodies.room.available_permits(), ROOM_UNITS - units);
        drop(room);
        assert_eq!(bodies.room.available_permits(), ROOM_UNITS);
    }
}
