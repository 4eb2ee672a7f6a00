//! One load run: users and sockets first, then the requests, then what is still on its way.
//!
//! Belongs here: the order of a run. Does not belong here: its parts.

use super::act::Actors;
use super::books::{self, Counts, Ours, Reconciliation};
use super::crowd;
use super::http::Http;
use super::ledger::Ledger;
use super::listen::{Ear, Heard, SocketCounts};
use super::renewal;
use super::report::{LoadReport, SocketReport, Times};
use super::settings::{LoadError, LoadSettings};
use super::tally::Tally;
use super::traffic;
use super::user::User;
use crate::telemetry::{Class, Clock};
use flowreel_engine::model::time::TimeNs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Reports on their way to the ledger.
const REPORT_CAPACITY: usize = 65_536;

/// Runs the load and says what it took. Progress goes to the log.
///
/// # Errors
/// [`LoadError`] where the backend cannot be reached or refuses the users; failed requests are no error
/// but part of the report.
pub async fn run(settings: &LoadSettings, clock: Clock) -> Result<LoadReport, LoadError> {
    let http = Http::new(&settings.url);
    let (heard, mut news) = channel(REPORT_CAPACITY);
    let ear = Ear {
        clock,
        heard,
        counts: Arc::new(SocketCounts::new()),
        stop: CancellationToken::new(),
    };
    let signed_up_from = clock.now();
    let users = Arc::new(crowd::create_users(settings, &http, clock).await?);
    let since = renewal::catch_up(&users, &http, clock, signed_up_from, renewal::AGE).await;
    // Ends with this function.
    let mut renewing = JoinSet::new();
    let fresh = renewal::keep_fresh(Arc::clone(&users), http.clone(), clock, since, renewal::AGE);
    renewing.spawn(fresh);
    let mut listening = JoinSet::new();
    let connected = crowd::connect(settings, &users, &ear, &mut listening).await?;
    crowd::settle(&users, &mut news, clock).await;
    tracing::info!(
        "{} users and {} sockets are connected; requests begin",
        users.len(),
        listening.len()
    );
    let before = look(settings, &http, clock).await;
    let tally = if users.is_empty() {
        let end = TimeNs(clock.now().0.saturating_add(settings.duration_ns));
        clock.sleep_until(end).await;
        Tally::new()
    } else {
        drive(settings, &http, users, &ear, &mut news).await?
    };
    let books = match before {
        Some(before) => close(settings, &http, before, &tally, clock).await,
        None => None,
    };
    ear.stop.cancel();
    while listening.join_next().await.is_some() {}
    let counts = &ear.counts;
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let (duplicates, unacked) = (of(&counts.duplicates), of(&counts.unacked));
    let sockets = sockets(settings, &connected, counts);
    Ok(tally.report(settings, sockets, (duplicates, unacked), books))
}

/// The backend's counts, where it shows them.
async fn look(settings: &LoadSettings, http: &Http, clock: Clock) -> Option<Counts> {
    if settings.user_count == 0 {
        return None;
    }
    let counts = books::open(http, settings.token.as_deref(), clock).await;
    counts
        .inspect_err(|error| tracing::warn!("the books cannot be closed: {error}; give --token"))
        .ok()
}

async fn close(
    settings: &LoadSettings,
    http: &Http,
    before: Counts,
    tally: &Tally,
    clock: Clock,
) -> Option<Reconciliation> {
    let (_, heard) = tally.expected();
    let jobs = |count: fn(&Tally, Class) -> u64| {
        let of_class = |class| count(tally, class) * books::jobs_of(class);
        Class::ALL.into_iter().map(of_class).sum()
    };
    let ours = Ours {
        jobs: jobs(Tally::accepted_of),
        unclear: jobs(Tally::unclear_of),
        heard,
    };
    books::close(http, settings.token.as_deref(), before, ours, clock).await
}

fn sockets(settings: &LoadSettings, connected: &Times, counts: &SocketCounts) -> SocketReport {
    SocketReport {
        confirming: settings.socket_count,
        idle: settings.idle_count,
        connect_ms: connected.spread(),
        lost: counts.lost.load(Ordering::Relaxed),
        reconnected: counts.reconnected.load(Ordering::Relaxed),
        breaker_opened: counts.breaker_opened.load(Ordering::Relaxed),
        copies_ms: counts.copies().spread(),
    }
}

async fn drive(
    settings: &LoadSettings,
    http: &Http,
    users: Arc<Vec<User>>,
    ear: &Ear,
    news: &mut Receiver<Heard>,
) -> Result<Tally, LoadError> {
    let clock = ear.clock;
    let begin = clock.now();
    let measured_from = TimeNs(begin.0.saturating_add(settings.warmup_ns));
    ear.counts.measure_from(measured_from);
    let (reports, mut answers) = channel(REPORT_CAPACITY);
    let actors = Actors {
        http: http.clone(),
        users,
        clock,
        reports,
        tickets: Arc::new(AtomicU64::new(0)),
    };
    let mut making = JoinSet::new();
    making.spawn(traffic::make(settings.clone(), actors, begin));
    let mut ledger = Ledger::new(begin, measured_from);
    let last_ns = begin.0.saturating_add(settings.duration_ns);
    let deadline = TimeNs(last_ns.saturating_add(settings.drain_ns));
    let mut is_answered = false;
    loop {
        let (expected, delivered) = ledger.tally().expected();
        if is_answered && delivered >= expected {
            break;
        }
        tokio::select! {
            report = answers.recv(), if !is_answered => match report {
                Some(report) => ledger.take_report(report),
                None => is_answered = true,
            },
            Some(heard) = news.recv() => ledger.take_heard(heard),
            () = clock.sleep_until(deadline) => break,
        }
    }
    if let Some(Ok(Err(error))) = making.try_join_next() {
        return Err(LoadError::NoThread { source: error });
    }
    Ok(ledger.into_tally())
}
