//! The run as a process sees it that does not record it: the recorder's growing reel, folded here too.
//!
//! Belongs here: following the recorder's stream, catching up after a break. Does not belong here: what
//! is answered (status.rs, request.rs, live view), which use the same fold as in the recorder itself.
//!
//! It reads what every follower reads, `GET /api/live-view/reel`, from the newest segment on, so that
//! what a server answers is what the reel says. While the recorder is away the last state stays.

use super::detail::Detail;
use super::emit::Telemetry;
use super::fold::{Fold, FoldedInner};
use super::journal::Journal;
use super::transport::Pulse;
use bytes::Bytes;
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::id::DetailId;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::{ReelError, RunId, StreamDecoder, StreamItem};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time between two tries to reach the recorder.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest wait for the beginning of an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How often it is looked at how far the recorder says it is.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// Details that wait for their events at most: those of one block.
const DETAILS_MAX: usize = 65_536;

/// Gives an access token, or none.
pub type Token = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// A copy of the run as the recorder has it.
#[derive(Clone, Copy, Debug)]
pub struct Mirror;

impl Mirror {
    /// Begins to follow the recorder at `HOST:PORT` ([`super::Shipper::recorder_address`]) into the
    /// telemetry of a shipping process, as a task of `tracker` until `stop`. Status, requests and the live
    /// view then answer here as they do in the recorder. `token` gives the access token that the recorder
    /// asks for, anew for each connection; `None` where it asks for none.
    pub fn start(
        telemetry: &Telemetry,
        address: &str,
        token: Token,
        tracker: &TaskTracker,
        stop: CancellationToken,
    ) {
        let following = Following {
            telemetry: telemetry.clone(),
            address: address.to_owned(),
            token,
            run_id: None,
        };
        tracker.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = following.run() => {}
            }
        });
    }
}

struct Following {
    telemetry: Telemetry,
    address: String,
    token: Token,
    run_id: Option<RunId>,
}

/// Why following broke off.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("it cannot be reached: {0}")]
    Unreached(#[from] hyper_util::client::legacy::Error),
    #[error("it does not answer in time")]
    Silent,
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its address makes no request: {0}")]
    Address(#[from] axum::http::Error),
    #[error("it broke off: {0}")]
    Cut(#[from] hyper::Error),
    #[error("what it sends is no reel: {0}")]
    Reel(#[from] ReelError),
    #[error("there is no memory to read it: {0}")]
    Memory(#[from] std::io::Error),
}

impl Following {
    async fn run(mut self) {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let mut is_told = false;
        let mut tries = tokio::time::interval(RETRY_INTERVAL);
        tries.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tries.tick().await;
            match self.follow(&client).await {
                Ok(()) => is_told = false,
                Err(error) => {
                    if !is_told {
                        tracing::warn!(
                            %error,
                            "the recorder at {} cannot be followed: {error}; what was known stays",
                            self.address
                        );
                    }
                    is_told = true;
                }
            }
        }
    }

    async fn follow(&mut self, client: &Client<HttpConnector, Empty<Bytes>>) -> Result<(), Broken> {
        let uri = format!("http://{}/api/live-view/reel?from=latest", self.address);
        let mut request = Request::get(uri);
        if let Some(token) = (self.token)() {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Empty::new())?;
        let response = answer(client, request, ANSWER_TIMEOUT).await?;
        if response.status() != StatusCode::OK {
            return Err(Broken::Status(response.status()));
        }
        let mut body = response.into_body();
        let mut decoder = StreamDecoder::new()?;
        let mut copy = Copy::new(&self.telemetry, self.run_id);
        let mut instance = 0;
        loop {
            // A recorder that is gone without a word leaves a connection that never says so.
            let heard = copy.pulse().instance;
            if instance != 0 && heard != instance {
                return Ok(());
            }
            instance = heard;
            let Ok(frame) = tokio::time::timeout(LOOK_INTERVAL, body.frame()).await else {
                copy.settle();
                continue;
            };
            let Some(frame) = frame else {
                return Ok(());
            };
            if let Ok(data) = frame?.into_data() {
                decoder.feed(&data);
                while let Some(item) = decoder.next_item()? {
                    copy.take(item);
                }
                self.run_id = copy.run_id;
                copy.settle();
            }
        }
    }
}

async fn answer(
    client: &Client<HttpConnector, Empty<Bytes>>,
    request: Request<Empty<Bytes>>,
    longest: Duration,
) -> Result<Response<Incoming>, Broken> {
    match tokio::time::timeout(longest, client.request(request)).await {
        Ok(answered) => Ok(answered?),
        Err(_elapsed) => Err(Broken::Silent),
    }
}

/// One connection's way to the shared fold.
struct Copy<'a> {
    telemetry: &'a Telemetry,
    run_id: Option<RunId>,
    /// Folded aside until it has what is known already.
    aside: Option<Fold>,
    details: BTreeMap<u32, flowreel_engine::recording::Detail>,
}

impl<'a> Copy<'a> {
    fn new(telemetry: &'a Telemetry, run_id: Option<RunId>) -> Self {
        Self {
            telemetry,
            run_id,
            aside: Some(Fold::bare(telemetry.topology())),
            details: BTreeMap::new(),
        }
    }

    fn take(&mut self, item: StreamItem<'_>) {
        match item {
            StreamItem::Run(meta) => {
                if self.run_id.is_some_and(|known| known != meta.run_id) {
                    // Another run: nothing of the former one is true of it.
                    let mut folded = self.telemetry.shared.folded.lock();
                    folded.fold = Fold::bare(self.telemetry.topology());
                    folded.journal = Journal::default();
                }
                self.run_id = Some(meta.run_id);
            }
            StreamItem::State(state) => {
                let mut folded = self.telemetry.shared.folded.lock();
                let aside = Fold::Bare(state);
                if aside.next_seq() >= folded.fold.next_seq() {
                    folded.fold = aside;
                    self.aside = None;
                } else {
                    self.aside = Some(aside);
                }
            }
            StreamItem::Details { first, records } => {
                if self.details.len() > DETAILS_MAX {
                    self.details.clear();
                }
                self.details.extend((first.0..).zip(records));
            }
            StreamItem::Events(events) => self.take_events(events),
            StreamItem::Topology(_) | StreamItem::Gap(_) | StreamItem::End(_) => {}
        }
    }

    fn take_events(&mut self, events: &[StageEvent]) {
        let mut folded = self.telemetry.shared.folded.lock();
        for event in events {
            let detail = self.details.remove(&event.detail.0).map(|record| {
                let fields: Vec<(String, String)> = record.0.into_iter().collect();
                Detail::of_others(&fields)
            });
            if let Some(mut aside) = self.aside.take() {
                if aside.next_seq() < folded.fold.next_seq() {
                    // Known already; the journal has it.
                    report(aside.push(event, detail.as_ref()));
                    self.aside = Some(aside);
                    continue;
                }
                folded.fold = aside;
            }
            report(folded.fold.push(event, detail.as_ref()));
            let FoldedInner { fold, journal, tap } = &mut *folded;
            // As the recorder keeps it: the detail itself, not its number.
            let event = StageEvent {
                detail: DetailId::NONE,
                ..*event
            };
            tap.take_in(&event, detail.as_ref(), journal, fold.state());
            journal.add(&event, detail);
        }
    }

    fn pulse(&self) -> Pulse {
        let elsewhere = self.telemetry.shared.elsewhere.as_ref();
        elsewhere.map_or_else(Pulse::default, |held| {
            held.lock().unwrap_or_else(PoisonError::into_inner).pulse
        })
    }

    /// Everything up to the moment the recorder says is folded, once as many events are here.
    fn settle(&self) {
        let shared = &self.telemetry.shared;
        let pulse = self.pulse();
        let here = shared.folded.lock().fold.next_seq();
        if here >= pulse.next_seq {
            let started_ns = self.telemetry.clock().started_wall_ns();
            let settled_ns = pulse.settled_wall_ns.saturating_sub(started_ns);
            shared.folded.settle(TimeNs(settled_ns));
        }
    }
}

// A fold without a writer takes every event.
fn report(pushed: Result<(), flowreel_engine::recording::WriteError>) {
    if let Err(error) = pushed {
        tracing::error!(%error, "a stage event of the recorder cannot be folded: {error}");
    }
}

#[cfg(test)]
mod tests;
