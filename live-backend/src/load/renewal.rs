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

/// Age at which a session's token is renewed; it is good for fifteen minutes.
pub(super) const AGE: Duration = Duration::from_secs(600);
/// Pause after renewals that did not work.
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

/// Renews all tokens where the oldest is past that age already; the answer is when the oldest was made.
pub(super) async fn catch_up(
    users: &[User],
    http: &Http,
    clock: Clock,
    since: TimeNs,
    age: Duration,
) -> TimeNs {
    let now = clock.now();
    if now < after(since, age) {
        return since;
    }
    renew_all(users, http, clock, after(now, age)).await;
    now
}

/// Renews the tokens of all users, the oldest of which is from `since`, whenever it has reached that age.
pub(super) async fn keep_fresh(
    users: Arc<Vec<User>>,
    http: Http,
    clock: Clock,
    mut since: TimeNs,
    age: Duration,
) {
    loop {
        clock.sleep_until(after(since, age)).await;
        since = clock.now();
        renew_all(&users, &http, clock, after(since, age)).await;
    }
}

/// One after the other; who cannot be renewed is tried again until then, and keeps nobody else waiting.
async fn renew_all(users: &[User], http: &Http, clock: Clock, until: TimeNs) {
    let mut left: Vec<&User> = users.iter().collect();
    loop {
        let (mut failed, mut reason) = (Vec::new(), None);
        for user in left {
            if let Err(error) = renew(user, http).await {
                reason.get_or_insert(error);
                failed.push(user);
            }
        }
        let (Some(first), Some(error)) = (failed.first(), reason) else {
            return;
        };
        let (count, email) = (failed.len(), &first.email);
        tracing::warn!(
            %error,
            "{count} sessions cannot be renewed yet, the first is that of {email}: {error}"
        );
        clock.sleep_until(after(clock.now(), PAUSE)).await;
        if clock.now() >= until {
            return;
        }
        left = failed;
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
    use tokio::task::JoinSet;
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

    fn user(email: &str, refresh_token: &str) -> User {
        User {
            email: email.to_owned(),
            password: "p".to_owned(),
            id: "1".to_owned(),
            session: Arc::new(Session::new(LoggedIn {
                user_id: "1".to_owned(),
                session_token: "a0".to_owned(),
                refresh_token: refresh_token.to_owned(),
            })),
            expected: Arc::default(),
        }
    }

    /// A backend that answers requests for a session so; its URL.
    async fn serve(
        tasks: &mut JoinSet<()>,
        answer: impl Fn(&Value) -> (StatusCode, Json<Value>) + Clone + Send + Sync + 'static,
    ) -> String {
        let answering = post(async move |Json(asked): Json<Value>| answer(&asked));
        let routes = Router::new().route("/api/session", answering);
        let listener = server::bind("test", 0).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tasks.spawn(server::serve(listener, routes, CancellationToken::new()));
        url
    }

    async fn has_another_token(user: &User, than: &str) {
        let renewed = async {
            while user.token() == than {
                tokio::task::yield_now().await;
            }
        };
        let renewed = tokio::time::timeout(Duration::from_secs(30), renewed).await;
        renewed.expect("another token");
    }

    #[tokio::test]
    async fn a_long_run_has_fresh_tokens_even_where_one_was_used_already() {
        for (refresh_token, first) in [("r0", "a1"), ("lost", "a2")] {
            let count = Arc::new(AtomicU64::new(0));
            let mut tasks = JoinSet::new();
            let url = serve(&mut tasks, move |asked| session(asked, &count)).await;
            let user = user("ada@load.example", refresh_token);
            renew(&user, &Http::new(&url)).await.unwrap();
            assert_eq!(user.token(), first);
            let (users, clock) = (Arc::new(vec![user.clone()]), Clock::start());
            let age = Duration::from_millis(1);
            let mut renewing = JoinSet::new();
            renewing.spawn(keep_fresh(users, Http::new(&url), clock, clock.now(), age));
            has_another_token(&user, first).await;
        }
    }

    #[tokio::test]
    async fn tokens_are_renewed_by_their_age_and_not_by_that_of_the_requests() {
        let count = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        let url = serve(&mut tasks, move |asked| session(asked, &count)).await;
        let (user, http) = (user("ada@load.example", "r0"), Http::new(&url));
        let users = Arc::new(vec![user.clone()]);
        // Signing up took ten minutes.
        let began = Clock::start().wall_ns() - 600_000_000_000;
        let clock = Clock::joining(began);
        let hour = Duration::from_secs(3600);
        let since = catch_up(&users, &http, clock, TimeNs(0), hour).await;
        assert_eq!((since, user.token()), (TimeNs(0), "a0".to_owned()));
        let since = catch_up(&users, &http, clock, TimeNs(0), AGE).await;
        assert!(since.0 >= 600_000_000_000, "{since:?}");
        assert_eq!(user.token(), "a1");
        let mut renewing = JoinSet::new();
        renewing.spawn(keep_fresh(users, http, clock, TimeNs(0), AGE));
        has_another_token(&user, "a1").await;
    }

    #[tokio::test]
    async fn one_session_that_cannot_be_renewed_keeps_no_other_waiting() {
        let count = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        let answer = move |asked: &Value| {
            if asked["refreshToken"] == "gone" || asked["email"] == "eve@load.example" {
                let error = json!({"error": {"code": "unauthorized", "message": "gone"}});
                return (StatusCode::UNAUTHORIZED, Json(error));
            }
            session(asked, &count)
        };
        let url = serve(&mut tasks, answer).await;
        let (eve, ada) = (
            user("eve@load.example", "gone"),
            user("ada@load.example", "r0"),
        );
        let users = Arc::new(vec![eve.clone(), ada.clone()]);
        let (http, clock) = (Http::new(&url), Clock::start());
        let mut renewing = JoinSet::new();
        let age = Duration::from_millis(1);
        renewing.spawn(keep_fresh(users, http, clock, clock.now(), age));
        has_another_token(&ada, "a0").await;
        // She is not forgotten, and the others' next turn comes all the same.
        has_another_token(&ada, "a1").await;
        assert_eq!(eve.token(), "a0");
    }
}
