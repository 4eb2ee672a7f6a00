//! The live view's clockwork: a batch every 100 ms, a look at the whole system twice a second.
//!
//! Belongs here: both loops, what changed since the last look. Does not belong here: what a card holds.

use super::LiveView;
use super::cards::Status;
use crate::telemetry::Place;
use crate::telemetry::live::event::{
    ComponentMetricsTold, ComponentStatusTold, SystemMetricsTold, SystemStatusTold,
};
use crate::telemetry::live::health::Signs;
use crate::telemetry::live::history::{Rate, Sample};
use crate::telemetry::live::machine::{Machine, Use};
use crate::telemetry::live::{Payload, Pump};
use serde_json::Value;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Between two batches (requirements LV-156).
const BATCH_INTERVAL: Duration = Duration::from_millis(100);
/// Between two looks; what is told once a second is told every second time.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// Looks between two cards of one component.
const CARD_LOOKS: u64 = 2;
/// The store answers within this, or counts as away.
const STORE_TIMEOUT: Duration = Duration::from_secs(1);
/// Seconds that messages per second are taken over.
const MESSAGES_WINDOW_S: usize = 3;
/// Seconds that reads and writes per second are taken over.
const STORE_WINDOW_S: usize = 10;
const WORKERS: [Place; 2] = [Place::MailWorker, Place::InAppWorker];

/// How fast what is only counted goes.
#[derive(Debug, Default)]
pub(super) struct Rates {
    messages: Rate,
    reads: Rate,
    writes: Rate,
}

impl Rates {
    pub(super) fn messages_per_s(&self) -> f64 {
        self.messages.per_s(MESSAGES_WINDOW_S)
    }

    /// Reads and writes.
    pub(super) fn store_per_s(&self) -> (f64, f64) {
        (
            self.reads.per_s(STORE_WINDOW_S),
            self.writes.per_s(STORE_WINDOW_S),
        )
    }
}

/// What was told of each component.
struct Told {
    status: [Option<(&'static str, bool)>; Place::ALL.len()],
    card: [Option<Value>; Place::ALL.len()],
    card_at: [u64; Place::ALL.len()],
    connections: u64,
}

impl LiveView {
    /// Starts both loops; they end with `stop`.
    pub(crate) fn start(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        let (view, until) = (self.clone(), stop.clone());
        tracker.spawn(async move { until.run_until_cancelled(view.send_batches()).await });
        let (view, until) = (self.clone(), stop.clone());
        tracker.spawn(async move { until.run_until_cancelled(view.look_around()).await });
    }

    async fn send_batches(&self) {
        let mut pump = Pump::new(self.inner.parts.telemetry.clone());
        let mut ticks = tokio::time::interval(BATCH_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let pending = std::mem::take(
                &mut *self
                    .inner
                    .pending
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            pump.flush(pending);
        }
    }

    async fn look_around(&self) {
        let parts = &self.inner.parts;
        let mut machine = Machine::new(parts.telemetry.clock());
        let mut told = Told {
            status: [None; Place::ALL.len()],
            card: std::array::from_fn(|_| None),
            card_at: [0; Place::ALL.len()],
            connections: 0,
        };
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = 0;
        loop {
            ticks.tick().await;
            let (is_second, is_heard) =
                (look % CARD_LOOKS == 0, parts.telemetry.listener_count() > 0);
            look += 1;
            let mut news = Vec::new();
            if is_second {
                self.note_rates();
                // These files are no files: the system writes them as they are read.
                let used = machine.look();
                let status = self.status();
                let is_well = parts.store.is_well();
                let store_up = tokio::time::timeout(STORE_TIMEOUT, is_well);
                let (store_up, queue_up) = tokio::join!(store_up, parts.service.are_queues_well());
                let up = (store_up.unwrap_or(false), queue_up);
                self.judge(&status, used, up, &mut news);
                told.compare(&status, look, is_heard, &mut news);
            } else if is_heard {
                told.compare(&self.status(), look, is_heard, &mut news);
            }
            if is_heard {
                self.inner
                    .pending
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .append(&mut news);
            }
        }
    }

    fn note_rates(&self) {
        let parts = &self.inner.parts;
        let now_ns = parts.telemetry.now().0;
        let (reads, writes) = parts.store.tally();
        let mut rates = self
            .inner
            .rates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // What workers write is recorded, the rest is counted where it is written.
        let written = parts.telemetry.written_count() + self.inner.audience.sent_count();
        rates.messages.push(now_ns, written);
        rates.reads.push(now_ns, reads);
        rates.writes.push(now_ns, writes);
    }

    /// Judges the system, keeps the second's figures, and tells the header and a changed word.
    fn judge(
        &self,
        status: &Status,
        used: Use,
        (store_up, queue_up): (bool, bool),
        news: &mut Vec<Payload>,
    ) {
        let parts = &self.inner.parts;
        let header = &status.metrics;
        let signs = Signs {
            servers: Place::SERVERS.len(),
            servers_up: status.up_count(&Place::SERVERS),
            workers_down: WORKERS.len() - status.up_count(&WORKERS),
            store_up,
            queue_up,
            answer_ms: header.average_latency,
            errors_percent: header.error_rate,
            requests_per_s: number(header.requests_per_second),
            cpu_percent: used.cpu_percent,
            memory_percent: used.memory_percent,
        };
        let (word, is_new) = parts.telemetry.judge(&signs);
        parts.telemetry.keep_sample(sample(status, used));
        let (mut metrics, timestamp) = (header.clone(), status.timestamp);
        metrics.system_status = word.name();
        news.push(Payload::SystemMetrics(SystemMetricsTold {
            header: metrics,
            timestamp,
        }));
        if is_new {
            news.push(Payload::SystemStatus(SystemStatusTold {
                status: word.name(),
                components: status.components.clone(),
                timestamp,
            }));
        }
    }
}

impl Told {
    /// Tells components whose status, or whose card, is not what was told last.
    fn compare(&mut self, status: &Status, look: u64, is_heard: bool, news: &mut Vec<Payload>) {
        let connections = status.cards.websocket.recorded.total_connections;
        let some_came_or_went =
            std::mem::replace(&mut self.connections, connections) != connections;
        for (index, (component, place)) in status.components.iter().zip(Place::ALL).enumerate() {
            let now = Some((component.status, component.healthy));
            let before = std::mem::replace(&mut self.status[index], now);
            if before.is_some() && before != now {
                news.push(Payload::ComponentStatus(ComponentStatusTold {
                    component: place.name(),
                    status: component.status,
                    healthy: component.healthy,
                    timestamp: status.timestamp,
                }));
            }
            if !is_heard {
                self.card[index] = None;
                continue;
            }
            // Who comes and goes is seen within a second (requirement NB-149).
            let is_urgent = place == Place::Websocket && some_came_or_went;
            let is_due =
                is_urgent || self.card[index].is_none() || look >= self.card_at[index] + CARD_LOOKS;
            if !is_due {
                continue;
            }
            let card = status.card_of(place);
            if card != self.card[index]
                && let Some(metrics) = card
            {
                self.card[index] = Some(metrics.clone());
                self.card_at[index] = look;
                news.push(Payload::ComponentMetrics(ComponentMetricsTold {
                    component: place.name(),
                    metrics,
                    timestamp: status.timestamp,
                }));
            }
        }
    }
}

fn sample(status: &Status, used: Use) -> Sample {
    let (header, cards) = (&status.metrics, &status.cards);
    let sum = |figure: fn(&crate::telemetry::status::QueueStatus) -> u64| {
        let queues = cards.queues.iter();
        Some(number(
            queues
                .filter(|queue| queue.name != Place::Dlq.name())
                .map(figure)
                .sum(),
        ))
    };
    let sockets = &cards.websocket.recorded;
    Sample {
        timestamp: status.timestamp,
        active_requests: Some(number(header.active_requests)),
        requests_per_second: Some(number(header.requests_per_second)),
        average_latency: header.average_latency,
        error_rate: header.error_rate,
        total_connections: Some(number(sockets.total_connections)),
        messages_per_second: Some(sockets.messages_per_second),
        jobs_waiting: sum(|queue| queue.waiting),
        jobs_delayed: sum(|queue| queue.delayed),
        reads_per_second: Some(cards.database.reads_per_second),
        writes_per_second: Some(cards.database.writes_per_second),
        cpu_percent: used.cpu_percent,
        memory_percent: used.memory_percent,
    }
}

#[expect(clippy::cast_precision_loss, reason = "printing")]
fn number(count: u64) -> f64 {
    count as f64
}
