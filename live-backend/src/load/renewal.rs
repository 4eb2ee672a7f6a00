//! Sessions that outlast their tokens: a long run renews them before they expire.
//!
//! Belongs here: the tokens of a user and their renewal. Does not belong here: requests that use them.

use super::answer::{self, ActionError, LoggedIn};
use super::http::Http;
use super::user::User;
use crate::telemetry::Clock;
use flowreel_engine::model::time::TimeNs;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Pause after a renewal that did not work.
const PAUSE: Duration = Duration::from_secs(1);

/// The tokens of one session.
#[derive(Debug)]
pub(super) struct Session {
    tokens: Mutex<Tokens>,
}

#[derive(Debug)]
struct Tokens {
    access: String,
    refresh: String,
}

impl Session {
    pub(super) fn new(opened: LoggedIn) -> Self {
        let session = Self {
            tokens: Mutex::new(Tokens {
                access: String::new(),
                refresh: String::new(),
            }),
        };
        session.replace(opened);
        session
    }

    pub(super) fn token(&self) -> String {
        self.tokens().access.clone()
    }

    fn replace(&self, opened: LoggedIn) {
        let mut tokens = self.tokens();
        tokens.access = opened.session_token;
        tokens.refresh = opened.refresh_token;
    }

    fn tokens(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Renews the tokens of all users, one after the other, whenever that much time has passed.
pub(super) async fn keep_fresh(users: Arc<Vec<User>>, http: Http, clock: Clock, every: Duration) {
    let mut due = clock.now();
    loop {
        due = after(due, every);
        clock.sleep_until(due).await;
        for user in users.iter() {
            while let Err(error) = renew(user, &http).await {
                let email = &user.email;
                tracing::warn!(%error, "the session of {email} cannot be renewed yet: {error}");
                clock.sleep_until(after(clock.now(), PAUSE)).await;
            }
        }
    }
}

/// By the refresh token; where it was used and its answer lost, by the password.
async fn renew(user: &User, http: &Http) -> Result<(), ActionError> {
    let refresh = user.session.tokens().refresh.clone();
    let opened = match answer::renew(http, &refresh).await {
        Err(ActionError::Refused { status: 401, .. }) => {
            answer::open_session(http, &user.email, &user.password).await?
        }
        renewed => renewed?,
    };
    user.session.replace(opened);
    Ok(())
}

fn after(moment: TimeNs, time: Duration) -> TimeNs {
    let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    TimeNs(moment.0.saturating_add(time_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server;
    use axum::http::StatusCode;
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::{Value, json};
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio_util::sync::CancellationToken;

    /// Tokens of the first request that came, of the second and so on; refresh tokens are good once.
    fn session(asked: &Value, count: &AtomicU64) -> (StatusCode, Json<Value>) {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let is_good = match asked["refreshToken"].as_str() {
            Some(token) => token == format!("r{number}"),
            None => asked["password"] == "p",
        };
        if !is_good {
            let error = json!({"error": {"code": "unauthorized", "message": "used"}});
            return (StatusCode::UNAUTHORIZED, Json(error));
        }
        let (access, refresh) = (format!("a{}", number + 1), format!("r{}", number + 1));
        let opened = json!({"userId": "1", "sessionToken": access, "refreshToken": refresh});
        (StatusCode::CREATED, Json(opened))
    }

    #[tokio::test]
    async fn a_long_run_has_fresh_tokens_even_where_one_was_used_already() {
        for (refresh_token, first) in [("r0", "a1"), ("lost", "a2")] {
            let count = Arc::new(AtomicU64::new(0));
            let answering = post(async move |Json(asked): Json<Value>| session(&asked, &count));
            let routes = Router::new().route("/api/session", answering);
            let listener = server::bind("test", 0).await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let mut tasks = tokio::task::JoinSet::new();
            tasks.spawn(server::serve(listener, routes, CancellationToken::new()));
            let user = User {
                email: "ada@load.example".to_owned(),
                password: "p".to_owned(),
                id: "1".to_owned(),
                session: Arc::new(Session::new(LoggedIn {
                    user_id: "1".to_owned(),
                    session_token: "a0".to_owned(),
                    refresh_token: refresh_token.to_owned(),
                })),
                expected: Arc::default(),
            };
            renew(&user, &Http::new(&url)).await.unwrap();
            assert_eq!(user.token(), first);
            let users = Arc::new(vec![user.clone()]);
            let every = Duration::from_millis(1);
            tasks.spawn(keep_fresh(users, Http::new(&url), Clock::start(), every));
            let renewed = async {
                while user.token() == first {
                    tokio::task::yield_now().await;
                }
            };
            let renewed = tokio::time::timeout(Duration::from_secs(30), renewed).await;
            renewed.expect("another token");
        }
    }
}
