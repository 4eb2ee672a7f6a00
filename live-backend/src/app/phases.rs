//! What is stopped together, and in which order.
//!
//! Belongs here: trackers and tokens of each phase, bounded waiting. Does not belong here: the order
//! itself (running), what the tasks do.

use crate::server;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Longest wait for the balancer to ask once more: two health checks and their answers.
const NOTICE_MAX: Duration = Duration::from_millis(2500);

/// What is stopped together.
#[derive(Default)]
pub(super) struct Phases {
    pub(super) workers: Phase,
    pub(super) balancer: Phase,
    /// Requests at the balancer whose answer has not begun.
    pub(super) answering: TaskTracker,
    pub(super) servers: Phase,
    pub(super) relay: Phase,
}

#[derive(Default)]
pub(super) struct Phase {
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Phase {
    pub(super) async fn end(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Waits for the tracker's tasks, but not for ever.
pub(super) async fn ended(tracker: &TaskTracker) {
    tracker.close();
    if tokio::time::timeout(server::DRAIN_MAX, tracker.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            "{} requests took too long to end and are cut off",
            tracker.len()
        );
    }
}

/// Waits until the balancer knows that this server takes nothing new; nobody may be asking.
pub(super) async fn noticed(knows: impl Future<Output = ()>) {
    if tokio::time::timeout(NOTICE_MAX, knows).await.is_err() {
        tracing::info!("no balancer asked in time; requests in progress end now");
    }
}
