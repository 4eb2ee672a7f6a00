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
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// Requests sent and not answered at one time.
const IN_PROGRESS_MAX: usize = 64;
/// How long made-up people stay logged in; their access tokens run out earlier.
const SESSION_LIFE_MS: u64 = 60 * 60 * 1000;

/// Made-up people are renewed that often: well before their access tokens run out.
const ACTORS_LIFE: Duration = Duration::from_secs(300);

/// Load that is generated until it is switched off.
pub(crate) struct Generated {
    plan: watch::Sender<Plan>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    load: Load,
    rate_per_s: f64,
    /// Counts switches; a loop that was begun under another number ends.
    number: u64,
}

/// Who generates load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    Off,
    Here,
    /// Another process of the system.
    Elsewhere,
}

impl Plan {
    fn switch(&mut self, load: Load) {
        self.load = load;
        self.number += 1;
    }
}

impl Default for Generated {
    fn default() -> Self {
        Self {
            plan: watch::Sender::new(Plan {
                load: Load::Off,
                rate_per_s: 1.0,
                number: 0,
            }),
        }
    }
}

impl Generated {
    pub(crate) fn is_on(&self) -> bool {
        self.plan.borrow().load != Load::Off
    }

    pub(crate) fn rate(&self) -> f64 {
        self.plan.borrow().rate_per_s
    }

    pub(crate) fn set_rate(&self, rate_per_s: f64) {
        self.plan.send_modify(|plan| plan.rate_per_s = rate_per_s);
    }

    /// No further request is sent.
    pub(crate) fn stop(&self) {
        self.plan.send_modify(|plan| plan.switch(Load::Off));
    }

    /// Another process generates it from now on.
    pub(crate) fn leave_to_another(&self) {
        self.plan.send_modify(|plan| plan.switch(Load::Elsewhere));
    }

    /// The number of the loop to begin; `None` where one goes on here already.
    fn begin(&self) -> Option<u64> {
        let mut begun = None;
        self.plan.send_if_modified(|plan| {
            if plan.load != Load::Here {
                plan.switch(Load::Here);
                // Read under the lock: the next switch may come at once.
                begun = Some(plan.number);
            }
            begun.is_some()
        });
        begun
    }

    /// Undoes [`Self::begin`], where nobody has switched since.
    fn fail(&self, number: u64) {
        self.plan.send_if_modified(|plan| {
            let is_ours = plan.number == number;
            if is_ours {
                plan.switch(Load::Off);
            }
            is_ours
        });
    }
}

/// Sends requests of purchases and friend requests in turn, which reach both channels, until it is
/// switched off.
pub(crate) async fn generate(app: &Arc<App>) -> Result<(), AppError> {
    let Some(number) = app.generated.begin() else {
        return Ok(());
    };
    let made = Senders::make(app).await;
    let senders = made.inspect_err(|_| app.generated.fail(number))?;
    let app = Arc::clone(app);
    app.tracker
        .clone()
        .spawn(async move { keep_sending(app, senders, number).await });
    Ok(())
}

async fn keep_sending(app: Arc<App>, mut senders: Senders, own_number: u64) {
    let slots = Arc::new(Semaphore::new(IN_PROGRESS_MAX));
    let mut plan = app.generated.plan.subscribe();
    let mut next = Instant::now();
    let mut renew_at = next + ACTORS_LIFE;
    loop {
        let Plan {
            rate_per_s, number, ..
        } = *plan.borrow_and_update();
        if number != own_number {
            return;
        }
        tokio::select! {
            biased;
            () = app.stopping.cancelled() => return,
            // The new rate holds at once.
            _changed = plan.changed() => { next = Instant::now(); continue; }
            () = tokio::time::sleep_until(next) => {}
        }
        let period = Duration::try_from_secs_f64(1.0 / rate_per_s).unwrap_or(Duration::MAX);
        // Lateness is caught up, but a long one is no burst.
        next = (next + period).max(Instant::now().checked_sub(period * 4).unwrap_or(next));
        if Instant::now() >= renew_at {
            match Senders::make(&app).await {
                Ok(fresh) => senders = fresh,
                Err(error) => {
                    tracing::warn!("generated load keeps its people: {}", error.to_json());
                }
            }
            renew_at = Instant::now() + ACTORS_LIFE;
        }
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        if plan.borrow().number != own_number {
            return;
        }
        let (sender, id) = (senders.next(), app.telemetry.next_request_id());
        app.tracker.spawn(async move {
            sender.send(id).await;
            drop(slot);
        });
    }
}

/// One sender of each kind that is generated, in turn.
struct Senders {
    all: Vec<Arc<Sender>>,
    turn: usize,
}

impl Senders {
    async fn make(app: &Arc<App>) -> Result<Self, AppError> {
        let mut all = Vec::new();
        for kind in [NotificationType::Purchase, NotificationType::FriendRequest] {
            all.push(Arc::new(Sender::make(app, kind).await?));
        }
        Ok(Self { all, turn: 0 })
    }

    fn next(&mut self) -> Arc<Sender> {
        self.turn = (self.turn + 1) % self.all.len();
        Arc::clone(&self.all[self.turn])
    }
}

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
    let sender = Arc::new(Sender::make(app, injection.kind).await?);
    let ids: Vec<RequestId> = (0..injection.count)
        .map(|_| app.telemetry.next_request_id())
        .collect();
    let sending = send_all(sender, ids.clone(), injection.interval);
    app.tracker.spawn(sending);
    Ok(ids)
}

async fn send_all(mut sender: Arc<Sender>, ids: Vec<RequestId>, interval: Duration) {
    let mut renew_at = Instant::now() + ACTORS_LIFE;
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
        if Instant::now() >= renew_at {
            match Sender::make(&sender.app, sender.kind).await {
                Ok(fresh) => sender = Arc::new(fresh),
                Err(error) => {
                    tracing::warn!("simulated requests keep their people: {}", error.to_json());
                }
            }
            renew_at = Instant::now() + ACTORS_LIFE;
        }
        let (sender, tracker) = (Arc::clone(&sender), sender.app.tracker.clone());
        tracker.spawn(async move {
            sender.send(id).await;
            drop(slot);
        });
    }
}

impl Sender {
    async fn make(app: &Arc<App>, kind: NotificationType) -> Result<Self, AppError> {
        Ok(Self {
            app: Arc::clone(app),
            client: Client::builder(TokioExecutor::new()).build_http(),
            kind,
            actor: make_actor(app).await?,
            friend: make_actor(app).await?,
        })
    }

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
    let session_id = random_hex::<16>();
    let token = app.tokens.sign_user(id, &session_id, now);
    let session = NewSession {
        id: session_id,
        user: id,
        token_hash: hash_hex(&token),
        refresh_hash: hash_hex(&random_hex::<32>()),
        expires_at: crate::models::WallMs(now.0.saturating_add(SESSION_LIFE_MS)),
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Wake, Waker};

    #[test]
    fn one_loop_at_most_generates_load_and_the_last_asked_process_has_it() {
        let generated = Generated::default();
        let first = generated.begin().expect("it was off");
        assert_eq!(generated.begin(), None);
        generated.stop();
        // The first loop may still be making its people.
        let second = generated.begin().expect("it was switched off");
        assert_ne!(first, second);
        generated.fail(first);
        assert!(generated.is_on());
        generated.leave_to_another();
        assert!(generated.is_on());
        assert_ne!(generated.plan.borrow().number, second);
        assert!(generated.begin().is_some());
        generated.set_rate(7.0);
        assert_eq!(generated.begin(), None);
        generated.stop();
        assert!(!generated.is_on());
    }

    /// Switches load off as soon as it hears of a change.
    struct Stopper(Arc<Generated>);

    impl Wake for Stopper {
        fn wake(self: Arc<Self>) {
            self.0.stop();
        }
    }

    #[test]
    fn a_loop_never_goes_by_the_number_of_the_switch_that_ended_it() {
        let generated = Arc::new(Generated::default());
        let mut plan = generated.plan.subscribe();
        let stopper = Waker::from(Arc::new(Stopper(Arc::clone(&generated))));
        let mut changed = std::pin::pin!(plan.changed());
        let heard = changed.as_mut().poll(&mut Context::from_waker(&stopper));
        assert!(heard.is_pending());
        let begun = generated.begin().expect("it was off");
        assert!(!generated.is_on(), "it was switched off in that moment");
        assert_ne!(generated.plan.borrow().number, begun);
    }
}
