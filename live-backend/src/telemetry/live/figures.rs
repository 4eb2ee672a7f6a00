//! Figures of the live view's status that stand beside the cards: deliveries by channel, the last facts of
//! the sockets.
//!
//! Belongs here: their form, read from the fold. Does not belong here: the cards (status.rs).

use super::tap::{SocketFact, Tap};
use crate::telemetry::clock::Clock;
use flowreel_engine::model::id::PathId;
use flowreel_engine::model::state::{PathState, SystemState};
use serde::Serialize;

/// Something that happened at a client socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecentEvent {
    /// Kind of the stage event.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whose socket; null where that is not known.
    pub user_id: Option<String>,
    /// Wall time in milliseconds since 1970.
    pub timestamp: u64,
}

/// What became of deliveries, by channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelRates {
    /// E-mails.
    pub email: ChannelRate,
    /// In-app notifications.
    pub in_app: ChannelRate,
}

/// What became of one channel's deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelRate {
    /// Delivered.
    pub delivered: u64,
    /// Given up: dead letters and expired ones.
    pub failed: u64,
    /// Delivered among both, in percent; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<f64>,
    /// Given up among both, in percent; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_rate: Option<f64>,
}

/// The last facts, newest first.
pub(in crate::telemetry) fn recent_events(tap: &Tap, clock: Clock) -> Vec<RecentEvent> {
    let told = |fact: &SocketFact| RecentEvent {
        kind: fact.kind.name(),
        user_id: (fact.user > 0).then(|| fact.user.to_string()),
        timestamp: clock.wall_ns_at(fact.t_ns) / 1_000_000,
    };
    tap.facts().map(told).collect()
}

/// The two paths of the map.
pub(in crate::telemetry) fn channels(state: &SystemState) -> ChannelRates {
    let of = |path| channel(state.path(PathId(path)));
    ChannelRates {
        email: of(0),
        in_app: of(1),
    }
}

#[expect(clippy::cast_precision_loss, reason = "printing")]
fn channel(path: Option<&PathState>) -> ChannelRate {
    let (delivered, failed) = path.map_or((0, 0), |path| (path.completed, path.failed));
    let ended = delivered + failed;
    let percent = |count: u64| (ended > 0).then(|| count as f64 * 100.0 / ended as f64);
    ChannelRate {
        delivered,
        failed,
        success_rate: percent(delivered),
        failure_rate: percent(failed),
    }
}
