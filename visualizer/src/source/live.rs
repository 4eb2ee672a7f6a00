//! Follows the reel of a running backend over HTTP, and comes back when the connection is lost.
//!
//! Belongs here: one long GET, retries. Does not belong here: what the bytes mean, credentials.

use super::decode::{Feed, Passed};
use super::{Message, Outlet, SourceError, Stopped};
use std::io::Read;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Where a backend offers the reel it is writing.
const PATH: &str = "/api/live-view/reel";
const RETRY_IN: Duration = Duration::from_secs(4);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Bytes read at a time; small, so that events show at once.
const PIECE_BYTES: usize = 16 * 1024;

pub(super) fn follow(address: &str, outlet: &Outlet) -> Result<(), Stopped> {
    let url = format!("{address}{PATH}");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_WITHIN))
        .timeout_recv_response(Some(CONNECT_WITHIN))
        .build()
        .into();
    let mut passed = Passed::default();
    let mut was_connected = false;
    loop {
        let cause = match agent.get(&url).call() {
            Ok(response) => {
                if was_connected {
                    outlet.send(Message::Back)?;
                }
                was_connected = true;
                let mut body = response.into_body().into_reader();
                let mut feed = Feed::new(outlet, address.to_owned(), passed)?;
                let cause = copy(&mut body, &mut feed)?;
                passed = feed.passed();
                match cause {
                    Some(cause) => cause,
                    None => return Ok(()),
                }
            }
            Err(ureq::Error::StatusCode(code)) if !was_connected => {
                return Err(SourceError::Unreachable(format!(
                    "{url} answers with status {code}; name the address of a running flowreel-live"
                ))
                .into());
            }
            Err(error) if !was_connected => {
                return Err(SourceError::Unreachable(format!(
                    "nothing answers at {address} ({error}); check the port and start flowreel-live"
                ))
                .into());
            }
            Err(error) => error.to_string(),
        };
        outlet.send(Message::Lost {
            cause: format!("Connection lost: {cause}."),
            retry_in_s: RETRY_IN.as_secs_f32(),
        })?;
        wait(RETRY_IN);
    }
}

/// Passes bytes on until they end; `None` where the reel itself ended, else what broke.
fn copy(body: &mut impl Read, feed: &mut Feed) -> Result<Option<String>, Stopped> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match body.read(&mut piece) {
            Ok(0) if feed.is_complete() => return Ok(None),
            Ok(0) => return Ok(Some("the backend closed it".to_owned())),
            Ok(count) => feed.feed(piece.get(..count).unwrap_or_default())?,
            Err(error) => return Ok(Some(error.to_string())),
        }
    }
}

/// Lets time pass between two tries: nothing is ever sent on this channel.
fn wait(length: Duration) {
    let (_sender, receiver) = sync_channel::<()>(0);
    match receiver.recv_timeout(length) {
        Ok(()) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
    }
}
