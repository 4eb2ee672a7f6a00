//! The pacer: a thread that hands out each arrival at its intended moment.
//!
//! Belongs here: waiting for moments. Does not belong here: which moments (schedule.rs), what is sent.
//!
//! A thread of its own, because the runtime's timers count whole milliseconds and wait their turn behind
//! the driver's other work.

use super::schedule::{Arrival, Schedule};
use crate::telemetry::Clock;
use flowreel_engine::model::time::TimeNs;
use std::sync::mpsc::{Receiver as Stopped, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Arrivals the runtime may be behind before the pacer waits for it; each keeps its intended start.
const CAPACITY: usize = 4096;

/// Arrivals as their time comes; dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Pacer {
    pub(super) arrivals: Receiver<Arrival>,
    _stop: SyncSender<()>,
}

/// Starts the thread.
pub(super) fn start(schedule: Schedule, begin: TimeNs, clock: Clock) -> std::io::Result<Pacer> {
    let (sender, arrivals) = channel(CAPACITY);
    let (stop, stopped) = sync_channel(1);
    std::thread::Builder::new()
        .name("load-pacer".to_owned())
        .spawn(move || pace(&schedule, begin, clock, &sender, &stopped))?;
    Ok(Pacer {
        arrivals,
        _stop: stop,
    })
}

fn pace(
    schedule: &Schedule,
    begin: TimeNs,
    clock: Clock,
    sender: &Sender<Arrival>,
    stopped: &Stopped<()>,
) {
    for arrival in schedule.arrivals() {
        let due = begin.0.saturating_add(arrival.intended.0);
        loop {
            let left_ns = due.saturating_sub(clock.now().0);
            if left_ns == 0 {
                break;
            }
            match stopped.recv_timeout(Duration::from_nanos(left_ns)) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        if sender.blocking_send(arrival).is_err() {
            return;
        }
    }
}
