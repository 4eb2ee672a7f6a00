//! The books of a run: everything the backend accepted is delivered, queued or failed (requirement NB-150).
//!
//! Belongs here: the backend's counts before and after, and the sum. Does not belong here: the driver's own
//! counts (tally.rs).
//!
//! Each accepted request becomes jobs, an e-mail and for most kinds an in-app notification. What was
//! delivered in-app the driver knows from its users' sockets; the rest the backend says. The sum holds
//! only where nobody else uses the backend during the run.

use super::http::Http;
use crate::telemetry::{Class, Clock};
use flowreel_engine::model::time::TimeNs;
use serde::Serialize;
use serde_json::Value;

/// What counts are behind the truth at most, and how often they are looked at.
const CLOSING_NS: u64 = 5_000_000_000;
const LOOK_NS: u64 = 50_000_000;

/// Jobs that entered, and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// Jobs of accepted requests, and those that were open before the run.
    pub accepted: u64,
    /// Jobs of requests that failed without the backend saying that it did not take them.
    pub unclear: u64,
    /// E-mails the relay took, and notifications on their user's socket.
    pub delivered: u64,
    /// Waiting, parked, or in progress when the run was over.
    pub queued: u64,
    /// Dead letters of this run.
    pub failed: u64,
    /// `delivered`, `queued` and `failed` together are `accepted`, and no more beside it than are unclear.
    pub holds: bool,
}

/// What the backend counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    mail_open: u64,
    in_app_open: u64,
    dead: u64,
    mailed: u64,
}

impl Counts {
    const fn open(self) -> u64 {
        self.mail_open + self.in_app_open
    }
}

/// What the driver counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ours {
    /// Jobs that its accepted requests must have made.
    pub(super) jobs: u64,
    /// Jobs of those that failed and may be accepted all the same.
    pub(super) unclear: u64,
    /// Notifications its users heard of.
    pub(super) heard: u64,
}

/// Jobs of one accepted request: an e-mail each, and a notification where the kind has one.
pub(super) const fn jobs_of(class: Class) -> u64 {
    match class {
        Class::Signup | Class::ResetPassword => 1,
        Class::Login | Class::Purchase | Class::FriendRequest => 2,
    }
}

/// The backend's counts now, or why they cannot be had.
async fn look(http: &Http, token: Option<&str>) -> Result<Counts, String> {
    let answer = http.get("/api/live-view/status", token).await;
    let (status, body) = answer.map_err(|error| error.to_string())?;
    if status != 200 {
        return Err(format!("the live view's status answers {status}"));
    }
    read(&body).ok_or_else(|| "the live view's status lacks its counts".to_owned())
}

/// The counts before a run: what users have heard of already is not open any more once it is confirmed.
pub(super) async fn open(http: &Http, token: Option<&str>, clock: Clock) -> Result<Counts, String> {
    let end = TimeNs(clock.now().0.saturating_add(CLOSING_NS));
    loop {
        let counts = look(http, token).await?;
        if counts.in_app_open == 0 || clock.now() >= end {
            return Ok(counts);
        }
        clock
            .sleep_until(TimeNs(clock.now().0.saturating_add(LOOK_NS)))
            .await;
    }
}

fn read(status: &Value) -> Option<Counts> {
    let queues = status.get("queues")?.as_array()?;
    let mut counts = Counts::default();
    for queue in queues {
        let name = queue.get("name")?.as_str()?;
        let of = |key: &str| queue.get(key).and_then(Value::as_u64);
        // A worker's runs stand at each of its queues; its first one speaks for all.
        match name {
            "mail" => {
                counts.mailed = of("completed")?;
                counts.mail_open += of("waiting")? + of("delayed")? + of("active")?;
            }
            "retry-1" | "retry-2" => counts.mail_open += of("waiting")? + of("delayed")?,
            "in-app" => counts.in_app_open += of("waiting")? + of("delayed")? + of("active")?,
            "in-app-retry" => counts.in_app_open += of("waiting")? + of("delayed")?,
            "dlq" => counts.dead = of("waiting")?,
            _other => {}
        }
    }
    Some(counts)
}

/// Looks until the sum holds or the counts have had their time, and says what it came to.
pub(super) async fn close(
    http: &Http,
    token: Option<&str>,
    before: Counts,
    ours: Ours,
    clock: Clock,
) -> Option<Reconciliation> {
    let end = TimeNs(clock.now().0.saturating_add(CLOSING_NS));
    loop {
        let now = look(http, token).await;
        let now = now
            .inspect_err(|error| tracing::warn!("the books stay open: {error}"))
            .ok()?;
        let sum = reconcile(before, now, ours);
        if sum.holds || clock.now() >= end {
            return Some(sum);
        }
        clock
            .sleep_until(TimeNs(clock.now().0.saturating_add(LOOK_NS)))
            .await;
    }
}

fn reconcile(before: Counts, after: Counts, ours: Ours) -> Reconciliation {
    let accepted = ours.jobs + before.open();
    let delivered = ours.heard + after.mailed.saturating_sub(before.mailed);
    let failed = after.dead.saturating_sub(before.dead);
    let found = delivered + after.open() + failed;
    Reconciliation {
        accepted,
        unclear: ours.unclear,
        delivered,
        queued: after.open(),
        failed,
        holds: (accepted..=accepted + ours.unclear).contains(&found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_are_read_from_the_status() {
        let queue = |name: &str, waiting: u64, active: u64, delayed: u64| json!({"name": name, "waiting": waiting, "active": active, "delayed": delayed, "completed": 7});
        let status = json!({"queues": [
            queue("mail", 3, 2, 0), queue("retry-1", 0, 2, 4), queue("retry-2", 0, 2, 5),
            queue("dlq", 6, 0, 0), queue("in-app", 1, 1, 0), queue("in-app-retry", 0, 1, 2),
        ]});
        let counts = Counts {
            mail_open: 14,
            in_app_open: 4,
            dead: 6,
            mailed: 7,
        };
        assert_eq!(read(&status), Some(counts));
        assert_eq!(read(&json!({"queues": [{"name": "mail"}]})), None);
    }

    #[test]
    fn a_lost_job_leaves_the_books_open() {
        let before = Counts {
            mail_open: 2,
            in_app_open: 0,
            dead: 1,
            mailed: 10,
        };
        let after = Counts {
            mail_open: 2,
            in_app_open: 1,
            dead: 2,
            mailed: 15,
        };
        let holds = |jobs, unclear| {
            let heard = 4;
            let ours = Ours {
                jobs,
                unclear,
                heard,
            };
            reconcile(before, after, ours).holds
        };
        assert!(holds(11, 0));
        assert!(!holds(12, 0));
        // What nobody could say was taken after all, or some of it; a loss is none of that.
        assert!(!holds(9, 0));
        assert!(holds(9, 2));
        assert!(holds(9, 5));
        assert!(!holds(9, 1));
        assert!(!holds(12, 3));
    }
}
