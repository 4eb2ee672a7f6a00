//! `GET /metrics`: the live view's figures for monitoring systems, in OpenMetrics' text format.
//!
//! Belongs here: names, units and the text. Does not belong here: how figures are counted (telemetry).
//!
//! Format: OpenMetrics 1.0 (<https://prometheus.io/docs/specs/om/open_metrics_spec/>): a family's lines
//! stand together, counters end in `_total`, times are in seconds, the last line is `# EOF`.

use crate::app::App;
use crate::queue::NamedCounts;
use crate::router::ServerState;
use crate::telemetry::status::{LiveStatus, Spread};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use std::fmt::{Display, Write as _};
use std::sync::Arc;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(crate) async fn show(State(server): State<ServerState>) -> impl IntoResponse {
    answer(&server.app).await
}

/// As [`show`], for the gateway's listener.
pub(crate) async fn show_at_gateway(State(app): State<Arc<App>>) -> impl IntoResponse {
    answer(&app).await
}

/// Everything that is known: an outage is when the rest of the page is needed most.
async fn answer(app: &App) -> impl IntoResponse + use<> {
    let queues = app.queues.counts_if_any().await;
    let text = text(app, queues.as_ref().map(<[NamedCounts; 6]>::as_slice));
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text)
}

fn text(app: &App, queue_counts: Option<&[NamedCounts]>) -> String {
    let status = app.telemetry.status();
    let mut page = Page::default();
    page.family("flowreel_build", "info", "", "The program.");
    page.line(
        "flowreel_build_info",
        &[("version", env!("CARGO_PKG_VERSION"))],
        1,
    );
    page.family(
        "flowreel_uptime_seconds",
        "gauge",
        "seconds",
        "Time since the start.",
    );
    page.line("flowreel_uptime_seconds", &[], app.telemetry.now().as_s());
    page.family(
        "flowreel_ready",
        "gauge",
        "",
        "1 where new requests are welcome.",
    );
    page.line("flowreel_ready", &[], u8::from(app.is_ready()));
    requests(&mut page, &status);
    components(&mut page, &status);
    queues(&mut page, queue_counts);
    balancer(&mut page, app);
    sockets(&mut page, app, &status);
    recording(&mut page, &status);
    page.family(
        "flowreel_password_hashes",
        "counter",
        "",
        "Password hashes made and checked.",
    );
    let hashes = app.passwords.run_count();
    page.line("flowreel_password_hashes_total", &[], hashes);
    page.end()
}

fn requests(page: &mut Page, status: &LiveStatus) {
    let requests = &status.requests;
    page.family("flowreel_requests_begun", "counter", "", "Requests begun.");
    page.line("flowreel_requests_begun_total", &[], requests.started);
    page.family(
        "flowreel_requests_finished",
        "counter",
        "",
        "Requests finished, by how they ended.",
    );
    for (outcome, count) in [
        ("completed", requests.completed),
        ("failed", requests.failed),
        ("rejected", requests.rejected),
    ] {
        page.line(
            "flowreel_requests_finished_total",
            &[("outcome", outcome)],
            count,
        );
    }
    page.family(
        "flowreel_requests_in_flight",
        "gauge",
        "",
        "Requests begun and not finished.",
    );
    page.line("flowreel_requests_in_flight", &[], requests.in_flight);
}

fn components(page: &mut Page, status: &LiveStatus) {
    let components = &status.components;
    type Value = fn(&crate::telemetry::status::ComponentStatus) -> u64;
    let gauges: [(&str, &str, Value); 3] = [
        (
            "flowreel_component_healthy",
            "1 where it answers health checks.",
            |c| u64::from(c.healthy),
        ),
        (
            "flowreel_component_waiting",
            "Parts of requests that wait.",
            |c| c.waiting,
        ),
        (
            "flowreel_component_in_service",
            "Parts of requests in service.",
            |c| c.in_service,
        ),
    ];
    for (name, help, value) in gauges {
        page.family(name, "gauge", "", help);
        for component in components {
            page.line(name, &[("component", &component.id)], value(component));
        }
    }
    let counters: [(&str, &str, Value); 3] = [
        (
            "flowreel_component_arrivals",
            "Parts of requests that came.",
            |c| c.arrivals,
        ),
        (
            "flowreel_component_completed",
            "Services ended well.",
            |c| c.completed,
        ),
        ("flowreel_component_failed", "Services ended badly.", |c| {
            c.failed
        }),
    ];
    for (name, help, value) in counters {
        page.family(name, "counter", "", help);
        for component in components {
            page.line(
                &format!("{name}_total"),
                &[("component", &component.id)],
                value(component),
            );
        }
    }
    type Durations = fn(&crate::telemetry::status::ComponentStatus) -> &Spread;
    let summaries: [(&str, &str, Durations); 2] = [
        (
            "flowreel_component_waiting_time_seconds",
            "Arrival to start of service.",
            |c| &c.waiting_time,
        ),
        (
            "flowreel_component_service_time_seconds",
            "Start to end of service.",
            |c| &c.service_time,
        ),
    ];
    for (name, help, durations) in summaries {
        page.family(name, "summary", "seconds", help);
        for component in components {
            page.summary(name, &component.id, durations(component));
        }
    }
}

fn queues(page: &mut Page, queues: Option<&[NamedCounts]>) {
    page.family(
        "flowreel_queues_up",
        "gauge",
        "",
        "1 where the queues answer; 0 leaves their figures out.",
    );
    page.line("flowreel_queues_up", &[], u8::from(queues.is_some()));
    let queues = queues.unwrap_or_default();
    page.family(
        "flowreel_queue_jobs",
        "gauge",
        "",
        "Jobs in each queue, by state.",
    );
    for queue in queues {
        for (state, count) in [
            ("waiting", queue.counts.waiting),
            ("active", queue.counts.active),
            ("delayed", queue.counts.delayed),
        ] {
            page.line(
                "flowreel_queue_jobs",
                &[("queue", queue.name), ("state", state)],
                count,
            );
        }
    }
    page.family(
        "flowreel_queue_runs",
        "counter",
        "",
        "Runs of jobs ended, by how.",
    );
    for queue in queues {
        for (outcome, count) in [
            ("completed", queue.counts.completed),
            ("failed", queue.counts.failed),
        ] {
            let labels = [("queue", queue.name), ("outcome", outcome)];
            page.line("flowreel_queue_runs_total", &labels, count);
        }
    }
}

fn balancer(page: &mut Page, app: &App) {
    page.family(
        "flowreel_upstream_healthy",
        "gauge",
        "",
        "1 where the balancer sends requests there.",
    );
    for upstream in app.upstreams.all() {
        let labels = [("server", upstream.place.name())];
        page.line(
            "flowreel_upstream_healthy",
            &labels,
            u8::from(upstream.is_healthy()),
        );
    }
    page.family(
        "flowreel_upstream_requests",
        "counter",
        "",
        "Requests the balancer sent there.",
    );
    for upstream in app.upstreams.all() {
        let labels = [("server", upstream.place.name())];
        page.line(
            "flowreel_upstream_requests_total",
            &labels,
            upstream.handled_count(),
        );
    }
}

fn sockets(page: &mut Page, app: &App, status: &LiveStatus) {
    let users = app.sockets.user_count();
    page.family("flowreel_sockets", "gauge", "", "Open client sockets.");
    page.line("flowreel_sockets", &[], app.sockets.open_count());
    page.family(
        "flowreel_online_users",
        "gauge",
        "",
        "People with a socket that proved who they are.",
    );
    page.line("flowreel_online_users", &[], users);
    page.family(
        "flowreel_in_app_notifications",
        "counter",
        "",
        "In-app notifications, by what became of them.",
    );
    for (state, count) in [
        ("written", status.websocket.delivered),
        ("acknowledged", status.websocket.acknowledged),
    ] {
        page.line(
            "flowreel_in_app_notifications_total",
            &[("state", state)],
            count,
        );
    }
    page.family(
        "flowreel_mails",
        "counter",
        "",
        "Mails offered to the relay, by its answer.",
    );
    for (outcome, count) in [
        ("sent", status.email.sent),
        ("refused", status.email.failed),
    ] {
        page.line("flowreel_mails_total", &[("outcome", outcome)], count);
    }
}

fn recording(page: &mut Page, status: &LiveStatus) {
    let recording = &status.recording;
    page.family(
        "flowreel_recording_events",
        "counter",
        "",
        "Stage events, by what became of them.",
    );
    for (state, count) in [
        ("emitted", recording.counts.emitted),
        ("written", recording.counts.written),
        ("dropped", recording.counts.dropped),
    ] {
        page.line(
            "flowreel_recording_events_total",
            &[("state", state)],
            count,
        );
    }
    page.family(
        "flowreel_recording_disk_faults",
        "counter",
        "",
        "Writes that the disk refused.",
    );
    page.line(
        "flowreel_recording_disk_faults_total",
        &[],
        recording.counts.disk_faults,
    );
    page.family(
        "flowreel_recording_size_bytes",
        "gauge",
        "bytes",
        "The reel's length so far.",
    );
    page.line("flowreel_recording_size_bytes", &[], recording.bytes);
    page.family(
        "flowreel_recording_followers",
        "gauge",
        "",
        "Clients that follow the reel.",
    );
    page.line("flowreel_recording_followers", &[], recording.followers);
}

/// The answer as it grows.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        self.push(format_args!("# TYPE {name} {kind}\n"));
        if !unit.is_empty() {
            self.push(format_args!("# UNIT {name} {unit}\n"));
        }
        self.push(format_args!("# HELP {name} {help}\n"));
    }

    /// Label values come from closed sets of ours, so nothing in them needs escaping.
    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (position, (label, text)) in labels.iter().enumerate() {
            let before = if position == 0 { '{' } else { ',' };
            self.push(format_args!("{before}{label}=\"{text}\""));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        self.push(format_args!(" {value}\n"));
    }

    fn summary(&mut self, name: &str, component: &str, spread: &Spread) {
        for (quantile, ms) in [
            ("0.5", spread.p50_ms),
            ("0.95", spread.p95_ms),
            ("0.99", spread.p99_ms),
        ] {
            if let Some(ms) = ms {
                let labels = [("component", component), ("quantile", quantile)];
                self.line(name, &labels, ms / 1e3);
            }
        }
        let labels = [("component", component)];
        self.line(&format!("{name}_count"), &labels, spread.count);
        if let Some(mean_ms) = spread.mean_ms {
            #[expect(clippy::cast_precision_loss, reason = "printing")]
            let sum_s = mean_ms / 1e3 * spread.count as f64;
            self.line(&format!("{name}_sum"), &labels, sum_s);
        }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        self.text.write_fmt(text).unwrap_or(());
    }

    fn end(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }
}
