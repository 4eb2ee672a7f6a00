//! Requests made on purpose: real ones, sent through our own balancer by made-up people.
//!
//! Belongs here: who acts, what is sent, at which pace. Does not belong here: load with figures (load),
//! how a request is served.
//!
//! Their ids are handed out before they are sent, so that whoever asked can watch for them, and their
//! first event says that they are simulated.

use crate::app::App;
use crate::error::AppError;
use crate::middleware::record::HOP_HEADER;
use crate::models::{NotificationType, UserId};
use crate::security::{hash_hex, random_hex};
use crate::store::sessions::NewSession;
use crate::store::users::NewUser;
use crate::telemetry::Part;
use crate::telemetry::journey::PART_HEADER;
use axum::http::{Request, header};
use bytes::Bytes;
use flowreel_engine::model::id::RequestId;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

/// Requests sent and not answered at one time.
const IN_PROGRESS_MAX: usize = 64;
/// How long made-up people stay logged in: longer than an injection takes.
const SESSION_LIFE_MS: u64 = 24 * 60 * 60 * 1000;

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Injection {
    pub(crate) kind: NotificationType,
    pub(crate) count: u32,
    /// Time between two requests.
    pub(crate) interval: Duration,
}

/// A made-up person.
struct Actor {
    id: UserId,
    email: String,
    password: String,
    token: String,
}

struct Sender {
    app: Arc<App>,
    client: Client<HttpConnector, Full<Bytes>>,
    kind: NotificationType,
    actor: Actor,
    friend: Actor,
}

/// Begins to send; the answer is the ids the requests will have.
pub(crate) async fn start(
    app: &Arc<App>,
    injection: Injection,
) -> Result<Vec<RequestId>, AppError> {
    let sender = Arc::new(Sender {
        app: Arc::clone(app),
        client: Client::builder(TokioExecutor::new()).build_http(),
        kind: injection.kind,
        actor: make_actor(app).await?,
        friend: make_actor(app).await?,
    });
    let ids: Vec<RequestId> = (0..injection.count)
        .map(|_| app.telemetry.next_request_id())
        .collect();
    let sending = send_all(sender, ids.clone(), injection.interval);
    app.tracker.spawn(sending);
    Ok(ids)
}

async fn send_all(sender: Arc<Sender>, ids: Vec<RequestId>, interval: Duration) {
    let slots = Arc::new(Semaphore::new(IN_PROGRESS_MAX));
    // A ticker has no period of zero.
    let mut ticks = tokio::time::interval(interval.max(Duration::from_nanos(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for id in ids {
        let next = async {
            ticks.tick().await;
            Arc::clone(&slots).acquire_owned().await
        };
        let slot = tokio::select! {
            biased;
            () = sender.app.stopping.cancelled() => return,
            slot = next => slot,
        };
        let Ok(slot) = slot else { return };
        let (sender, tracker) = (Arc::clone(&sender), sender.app.tracker.clone());
        tracker.spawn(async move {
            sender.send(id).await;
            drop(slot);
        });
    }
}

impl Sender {
    async fn send(&self, id: RequestId) {
        let Some(request) = self.request(id) else {
            tracing::error!(
                request.id = id.0,
                "simulated request {} cannot be written",
                id.0
            );
            return;
        };
        match self.client.request(request).await {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => {
                tracing::warn!(
                    request.id = id.0,
                    "simulated request {} got {}",
                    id.0,
                    response.status()
                );
            }
            Err(error) => {
                tracing::warn!(%error, request.id = id.0, "simulated request {} failed: {error}", id.0);
            }
        }
    }

    fn request(&self, id: RequestId) -> Option<Request<Full<Bytes>>> {
        let (path, body) = self.action();
        Request::post(format!("http://{}{path}", self.app.balancer_authority))
            .header(header::CONTENT_TYPE, "application/json")
            .header(
                header::AUTHORIZATION,
                format!("Bearer {}", self.actor.token),
            )
            .header(HOP_HEADER, &self.app.hop_secret)
            .header(PART_HEADER, Part::main(id, self.kind.class()).to_string())
            .body(Full::new(body.to_string().into()))
            .ok()
    }

    fn action(&self) -> (&'static str, Value) {
        match self.kind {
            NotificationType::Signup => (
                "/api/signups",
                json!({ "username": "Simulated", "email": made_up_address(), "password": random_hex::<12>() }),
            ),
            NotificationType::Login => (
                "/api/logins",
                json!({ "email": self.actor.email, "password": self.actor.password }),
            ),
            NotificationType::ResetPassword => {
                ("/api/reset-password", json!({ "email": self.actor.email }))
            }
            NotificationType::Purchase => (
                "/api/purchases",
                json!({ "item": "Simulated item", "amount": 9.5, "currency": "EUR" }),
            ),
            NotificationType::FriendRequest => (
                "/api/friend-requests",
                json!({ "toUserId": self.friend.id }),
            ),
        }
    }
}

/// An account that nobody is told about.
async fn make_actor(app: &App) -> Result<Actor, AppError> {
    let (email, password) = (made_up_address(), random_hex::<12>());
    let user = NewUser {
        username: "Simulated".to_owned(),
        email: email.clone(),
        password_hash: app.passwords.hash(password.clone()).await?,
        verification_hash: None,
    };
    let now = app.now();
    let (id, _no_jobs) = app.store.create_user(user, Vec::new(), now).await?;
    let session = NewSession {
        id: random_hex::<16>(),
        user: id,
        refresh_hash: hash_hex(&random_hex::<32>()),
        expires_at: crate::models::WallMs(now.0.saturating_add(SESSION_LIFE_MS)),
    };
    let token = app.tokens.sign_user(id, &session.id, now);
    app.store.open_session(session, now).await?;
    Ok(Actor {
        id,
        email,
        password,
        token,
    })
}

fn made_up_address() -> String {
    format!("simulated-{}@flowreel.local", random_hex::<8>())
}
