//! What the system is doing now, as `GET /api/live-view/status` answers it.
//!
//! Belongs here: the fold's figures in the words and units of the live view (milliseconds, percent,
//! per second). Does not belong here: what only the backend knows (rooms, sticky sessions, addresses);
//! the controller adds that.

use super::emit::Telemetry;
use super::fold::RecorderCounts;
use super::live::figures::{ChannelRates, RecentEvent, channels, recent_events};
use super::topology::Place;
use flowreel_engine::model::event::EventKind;
use flowreel_engine::model::metrics::Durations;
use flowreel_engine::model::state::{SystemState, SystemStatus};
use flowreel_engine::model::time::TimeNs;
use serde::Serialize;

/// Window of the rates on cards (requirements LV-061).
const RATE_WINDOW_S: u64 = 10;

/// The fold's part of the live view's status.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveStatus {
    /// One entry per component of the map, in its order.
    pub components: Vec<ComponentStatus>,
    /// The header.
    pub metrics: SystemMetrics,
    /// Wall time in milliseconds since 1970.
    pub timestamp: u64,
    /// The servers' figures.
    pub servers: Vec<ServerStatus>,
    /// The six queues, dead letters included.
    pub queues: Vec<QueueStatus>,
    /// The store.
    pub database: DatabaseStatus,
    /// The client sockets.
    pub websocket: WebsocketStatus,
    /// The mail relay.
    pub email: EmailStatus,
    /// What became of deliveries, by channel.
    pub channels: ChannelRates,
    /// Requests by how they ended, since the start.
    pub requests: RequestTotals,
    /// The recording.
    pub recording: RecordingStatus,
}

/// The six header values.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemMetrics {
    /// `healthy`, `degraded` or `critical`.
    pub system_status: &'static str,
    /// Requests begun and not finished.
    pub active_requests: u64,
    /// Requests begun in the last full second.
    pub requests_per_second: u64,
    /// Mean time to the server's answer over the last minute, in ms; null without any.
    pub average_latency: Option<f64>,
    /// Badly ended among those finished in the last minute, in percent; null without any.
    pub error_rate: Option<f64>,
    /// Time since the start, such as `1d 02:03:04`.
    pub uptime: String,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: &'static str,
    /// Its name for people.
    pub label: String,
    /// The port it listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// `idle`, `processing`, `waiting`, `error` or `offline`.
    pub status: &'static str,
    /// Whether it answers health checks.
    pub healthy: bool,
    /// Parts waiting here.
    pub waiting: u64,
    /// Parts in service here.
    pub in_service: u64,
    /// Parts that came.
    pub arrivals: u64,
    /// Services ended well.
    pub completed: u64,
    /// Services ended badly.
    pub failed: u64,
    /// Parts that left per second over the last 10 s.
    pub rate_per_second: f64,
    /// Arrival to start of service.
    pub waiting_time: Spread,
    /// Start to end of service.
    pub service_time: Spread,
}

/// A distribution of durations in ms; absent values mean nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// Mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_ms: Option<f64>,
    /// Median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<f64>,
    /// 95th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<f64>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    /// Its id.
    pub id: String,
    /// Whether it answers health checks.
    pub healthy: bool,
    /// Requests in service there.
    pub active_connections: u64,
    /// Requests it has begun.
    pub requests_handled: u64,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueStatus {
    /// Its id.
    pub name: String,
    /// Jobs waiting.
    pub waiting: u64,
    /// Runs in progress at its worker.
    pub active: u64,
    /// Runs that went well at its worker; for parked jobs, those that came due.
    pub completed: u64,
    /// Runs that went badly at its worker.
    pub failed: u64,
    /// Jobs parked until later.
    pub delayed: u64,
    /// Jobs per second over the last 10 s.
    pub processing_rate: f64,
    /// Mean time from entering to pick-up, in ms; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_wait_time: Option<f64>,
    /// Its workers.
    pub workers: WorkerCounts,
}

/// Runs a worker may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerCounts {
    /// In progress.
    pub active: u64,
    /// Free.
    pub idle: u64,
}

/// The store.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStatus {
    /// Operations ended.
    pub query_count: u64,
    /// Mean duration in ms; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_query_ms: Option<f64>,
    /// 95th percentile in ms; absent without any.
    #[serde(rename = "p95QueryMs", skip_serializing_if = "Option::is_none")]
    pub p95_query_ms: Option<f64>,
    /// Operations per second over the last 10 s.
    pub queries_per_second: f64,
}

/// The client sockets.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebsocketStatus {
    /// Open sockets.
    pub total_connections: u64,
    /// Of these, sockets whose client proved who it is.
    pub authenticated_connections: u64,
    /// Messages to clients per second.
    pub messages_per_second: f64,
    /// Notifications written.
    pub delivered: u64,
    /// Notifications confirmed by their client.
    pub acknowledged: u64,
    /// What happened last, newest first.
    pub recent_events: Vec<RecentEvent>,
}

/// The mail relay.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailStatus {
    /// Mails taken.
    pub sent: u64,
    /// Mails refused.
    pub failed: u64,
    /// Mails offered per second over the last 10 s.
    pub delivery_rate: f64,
    /// Taken among offered, in percent; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_rate: Option<f64>,
}

/// Requests by how they ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequestTotals {
    /// Begun.
    pub started: u64,
    /// Ended well.
    pub completed: u64,
    /// Ended badly.
    pub failed: u64,
    /// Refused.
    pub rejected: u64,
    /// Begun and not finished.
    pub in_flight: u64,
}

/// The recording.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingStatus {
    /// Whether a reel is written.
    pub on: bool,
    /// Bytes of the reel written so far.
    pub bytes: u64,
    /// Clients that follow it.
    pub followers: u64,
    /// Followers dropped because they left data lying.
    pub dropped_followers: u64,
    /// Bytes that wait in memory for a disk that refuses them.
    pub waiting_bytes: u64,
    /// Events that contradicted the state; 0 in a sound run.
    pub anomalies: u64,
    /// Emitted, written and lost.
    #[serde(flatten)]
    pub counts: RecorderCounts,
}

impl Telemetry {
    /// What the system is doing now.
    #[must_use]
    pub fn status(&self) -> LiveStatus {
        let now = self.now();
        let folded = self.shared.folded.lock();
        let state = folded.fold.state();
        LiveStatus {
            components: Place::ALL
                .into_iter()
                .map(|place| self.component(state, place, now))
                .collect(),
            metrics: header(state, now, self.shared.live.judged()),
            timestamp: self.clock().wall_ns_at(now) / 1_000_000,
            servers: Place::SERVERS
                .into_iter()
                .map(|place| server(state, place))
                .collect(),
            queues: [
                (Place::Mail, Place::MailWorker),
                (Place::Retry1, Place::MailWorker),
                (Place::Retry2, Place::MailWorker),
                (Place::Dlq, Place::Dlq),
                (Place::InApp, Place::InAppWorker),
                (Place::InAppRetry, Place::InAppWorker),
            ]
            .into_iter()
            .map(|(queue, worker)| self.queue(state, queue, worker, now))
            .collect(),
            database: database(state, now),
            websocket: websocket(state, now, recent_events(&folded.tap, self.clock())),
            email: email(state, now),
            channels: channels(state),
            requests: request_totals(state),
            recording: RecordingStatus {
                anomalies: state.anomalies().total(),
                counts: self.counts(),
                ..self.recording()
            },
        }
    }

    /// The recording, without what is counted with the state.
    pub(super) fn recording(&self) -> RecordingStatus {
        let elsewhere = self.shared.elsewhere.as_ref();
        if let Some(elsewhere) = elsewhere {
            let pulse = elsewhere
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .pulse;
            return RecordingStatus {
                on: pulse.is_on,
                bytes: pulse.bytes,
                followers: pulse.followers,
                dropped_followers: pulse.dropped_followers,
                waiting_bytes: pulse.waiting_bytes,
                anomalies: 0,
                counts: pulse.counts,
            };
        }
        let published = self.shared.reel.as_ref().map(|reel| &reel.published);
        RecordingStatus {
            on: published.is_some(),
            bytes: published.map_or(0, |it| it.bytes()),
            followers: published.map_or(0, |it| it.follower_count()),
            dropped_followers: published.map_or(0, |it| it.dropped_follower_count()),
            waiting_bytes: self.waiting_bytes(),
            anomalies: 0,
            counts: RecorderCounts::default(),
        }
    }

    fn component(&self, state: &SystemState, place: Place, now: TimeNs) -> ComponentStatus {
        let id = place.component();
        let held = &state.components()[id.index()];
        let map = &self.topology().components[id.index()];
        let measures = &held.measures;
        ComponentStatus {
            id: map.id.clone(),
            kind: map.kind.name(),
            label: map.label.clone(),
            port: map.port,
            status: state.component_status(id, now).name(),
            healthy: held.healthy,
            waiting: measures.waiting.value,
            in_service: measures.in_service.value,
            arrivals: measures.arrivals,
            completed: measures.completed,
            failed: measures.failed,
            rate_per_second: measures.departures_window.rate_per_s(now, RATE_WINDOW_S),
            waiting_time: spread(&measures.waiting_time),
            service_time: spread(&measures.service_time),
        }
    }

    fn queue(&self, state: &SystemState, queue: Place, worker: Place, now: TimeNs) -> QueueStatus {
        let held = &state.components()[queue.component().index()].measures;
        let run = &state.components()[worker.component().index()].measures;
        let has_runs = matches!(queue, Place::Mail | Place::InApp);
        let servers = self.topology().components[worker.component().index()].servers;
        let active = if has_runs { run.in_service.value } else { 0 };
        // A job is processed once its run has ended; those that rest are once they go on.
        let processed = &if has_runs { run } else { held }.departures_window;
        QueueStatus {
            name: queue.name().to_owned(),
            waiting: held.waiting.value,
            active,
            completed: if has_runs {
                run.completed
            } else {
                held.completed
            },
            failed: if has_runs { run.failed } else { held.failed },
            delayed: held.in_service.value,
            processing_rate: processed.rate_per_s(now, RATE_WINDOW_S),
            average_wait_time: held.waiting_time.mean_s().map(ms_from_s),
            workers: WorkerCounts {
                active,
                idle: servers.map_or(0, |count| u64::from(count).saturating_sub(active)),
            },
        }
    }
}

fn header(state: &SystemState, now: TimeNs, judged: Option<SystemStatus>) -> SystemMetrics {
    let this_second = state.system().begun_window.sum(now, 0);
    SystemMetrics {
        // Until the first judgement there is the fold's own, which knows neither store nor machine.
        system_status: judged.unwrap_or_else(|| state.status(now)).name(),
        active_requests: state.requests().in_flight,
        requests_per_second: state.system().begun_window.sum(now, 1) - this_second,
        average_latency: state.answer_mean_s(now).map(ms_from_s),
        error_rate: state.error_ratio(now).map(|ratio| ratio * 100.0),
        uptime: uptime_text(now.0 / 1_000_000_000),
    }
}

fn server(state: &SystemState, place: Place) -> ServerStatus {
    let held = &state.components()[place.component().index()];
    ServerStatus {
        id: place.name().to_owned(),
        healthy: held.healthy,
        active_connections: held.measures.present(),
        requests_handled: held.measures.started,
    }
}

fn database(state: &SystemState, now: TimeNs) -> DatabaseStatus {
    let held = &state.components()[Place::Database.component().index()].measures;
    DatabaseStatus {
        query_count: held.service_time.count,
        avg_query_ms: held.service_time.mean_s().map(ms_from_s),
        p95_query_ms: held.service_time.quantile_s(0.95).map(ms_from_s),
        queries_per_second: held.departures_window.rate_per_s(now, RATE_WINDOW_S),
    }
}

fn websocket(state: &SystemState, now: TimeNs, recent_events: Vec<RecentEvent>) -> WebsocketStatus {
    let held = &state.components()[Place::Websocket.component().index()].measures;
    WebsocketStatus {
        total_connections: state.system().connections,
        authenticated_connections: state.system().authenticated,
        messages_per_second: held.departures_window.rate_per_s(now, RATE_WINDOW_S),
        delivered: state.kind_count(EventKind::InAppDelivered),
        acknowledged: state.kind_count(EventKind::InAppAcknowledged),
        recent_events,
    }
}

#[expect(clippy::cast_precision_loss, reason = "printing")]
fn email(state: &SystemState, now: TimeNs) -> EmailStatus {
    let held = &state.components()[Place::Smtp.component().index()].measures;
    let sent = state.kind_count(EventKind::EmailSent);
    let failed = state.kind_count(EventKind::EmailBounced);
    let offered = sent + failed;
    EmailStatus {
        sent,
        failed,
        delivery_rate: held.departures_window.rate_per_s(now, RATE_WINDOW_S),
        success_rate: (offered > 0).then(|| sent as f64 * 100.0 / offered as f64),
    }
}

fn request_totals(state: &SystemState) -> RequestTotals {
    let counts = state.requests();
    RequestTotals {
        started: counts.started,
        completed: counts.completed,
        failed: counts.failed,
        rejected: counts.rejected,
        in_flight: counts.in_flight,
    }
}

fn spread(durations: &Durations) -> Spread {
    let quantile_ms = |q| durations.quantile_s(q).map(ms_from_s);
    Spread {
        count: durations.count,
        mean_ms: durations.mean_s().map(ms_from_s),
        p50_ms: quantile_ms(0.5),
        p95_ms: quantile_ms(0.95),
        p99_ms: quantile_ms(0.99),
    }
}

fn ms_from_s(seconds: f64) -> f64 {
    seconds * 1000.0
}

/// `1d 02:03:04`, without the days where there are none.
fn uptime_text(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let clock = format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60);
    if days > 0 {
        format!("{days}d {clock}")
    } else {
        clock
    }
}

#[cfg(test)]
mod tests;
