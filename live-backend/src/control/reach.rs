//! What a command can reach in one process.
//!
//! Belongs here: the parts that commands change. Does not belong here: the commands (control).

use crate::app::App;
use crate::config::Process;
use crate::faults::Faults;
use crate::load_balancer::Upstreams;
use crate::models::WallMs;
use crate::telemetry::Telemetry;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Parts of one process; cheap to copy.
#[derive(Clone)]
pub(crate) struct Reach {
    pub(crate) faults: Arc<Faults>,
    pub(crate) upstreams: Arc<Upstreams>,
    pub(crate) telemetry: Telemetry,
    /// Faults are ended here when their time is over.
    pub(crate) tracker: TaskTracker,
    pub(crate) stopping: CancellationToken,
    /// Everything else; the balancer has nothing else.
    pub(crate) app: Option<Arc<App>>,
}

impl Reach {
    pub(crate) fn of(app: &Arc<App>) -> Self {
        Self {
            faults: Arc::clone(&app.faults),
            upstreams: Arc::clone(&app.upstreams),
            telemetry: app.telemetry.clone(),
            tracker: app.tracker.clone(),
            stopping: app.stopping.clone(),
            app: Some(Arc::clone(app)),
        }
    }

    /// Whether others of the system live on when this process stops, and with them what is in force.
    pub(super) fn is_one_of_many(&self) -> bool {
        let process = self.app.as_ref().map(|app| app.settings.process);
        process != Some(Process::All)
    }

    pub(super) fn now(&self) -> WallMs {
        WallMs(self.telemetry.clock().wall_ms())
    }
}
