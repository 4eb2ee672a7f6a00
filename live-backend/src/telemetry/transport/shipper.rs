//! A process of the run that is not the recorder: its stages go out to the one that is.
//!
//! Belongs here: taking part in a run, the two threads that ship, their end. Does not belong here: what
//! waits (outgoing.rs), what the recorder makes of it.
//!
//! One thread empties the lanes every 5 ms, puts the stages in order and encodes them; the other talks
//! to Redis, at least every 20 ms, and hears what the recorder says. So the lanes are emptied whatever
//! Redis does.

use super::counters::NUMBER;
use super::drainer::Drainer;
use super::outgoing::{HOLD_BYTES_MAX, Outgoing};
use super::sender::{BEAT_INTERVAL, Sender, ns_from_score};
use super::{Announcement, Keys, Link, Pulse, TransportError, TransportSettings};
use crate::telemetry::clock::{Clock, Stamp};
use crate::telemetry::emit::{Elsewhere, Telemetry};
use crate::telemetry::fold::Fold;
use redis::{Connection, RedisResult};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The shipping end of a process; end it with [`Shipper::finish`].
#[derive(Debug)]
pub struct Shipper {
    telemetry: Telemetry,
    control: SyncSender<()>,
    draining: JoinHandle<ShippingEnd>,
    sending: JoinHandle<bool>,
    outgoing: Arc<Outgoing>,
    address: Option<String>,
}

/// How shipping ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShippingEnd {
    /// Stages handed in.
    pub emitted: u64,
    /// Of these, stages lost here; the recorder knows and says so in the reel.
    pub dropped: u64,
    /// Whether Redis has all that was not lost.
    pub is_sent: bool,
}

impl Telemetry {
    /// Takes part in the run of the recorder at `settings.url`, as a process of that role. Waits for the
    /// recorder's run, so call it from a thread that may block.
    ///
    /// # Errors
    /// [`TransportError`] where Redis or the recorder cannot be had in time.
    pub fn start_shipping(
        settings: &TransportSettings,
        role: &str,
    ) -> Result<Shipper, TransportError> {
        Shipper::start(settings, role, HOLD_BYTES_MAX, Clock::joining)
    }
}

impl Shipper {
    pub(super) fn start(
        settings: &TransportSettings,
        role: &str,
        hold_bytes: usize,
        joining: impl FnOnce(u64) -> Clock,
    ) -> Result<Self, TransportError> {
        let keys = Keys::new(&settings.prefix);
        let mut link = Link::new(settings)?;
        let found = link.insist(settings.wait, |connection| {
            redis::cmd("GET")
                .arg(&keys.run)
                .query::<Option<Vec<u8>>>(connection)
        })?;
        let address = link.address();
        let Some(announced) = found else {
            return Err(TransportError::NoRun { address });
        };
        let Some(run) = Announcement::decode(&announced) else {
            return Err(TransportError::OtherVersion { address });
        };
        let joined = link.insist(settings.wait, |connection| {
            join(connection, &keys).map(Some)
        })?;
        let Some((process, highest)) = joined else {
            return Err(TransportError::NoRun { address });
        };
        let clock = joining(run.started_wall_ns);
        clock.observe(Stamp(highest));
        let fold = Fold::bare(&run.topology);
        let elsewhere = Elsewhere {
            run_id: run.run_id,
            pulse: Pulse::default(),
        };
        let telemetry =
            Telemetry::of_many(clock, run.topology, fold, None, process, Some(elsewhere));
        let outgoing = Arc::new(Outgoing::new(hold_bytes));
        let asked = Arc::new(AtomicU64::new(0));
        let mut sender = Sender {
            link,
            keys,
            telemetry: telemetry.clone(),
            outgoing: Arc::clone(&outgoing),
            asked: Arc::clone(&asked),
            process,
            steady: Clock::start(),
        };
        let mut drainer = Drainer::new(
            telemetry.clone(),
            Arc::clone(&outgoing),
            asked,
            process,
            role,
        );
        // The recorder knows of this process before its first stage.
        drainer.ship(false);
        let ready_ns = sender
            .steady
            .now()
            .0
            .saturating_add(u64::try_from(settings.wait.as_nanos()).unwrap_or(u64::MAX));
        while !sender.send(&outgoing.next(Duration::ZERO)) && sender.steady.now().0 < ready_ns {
            std::thread::park_timeout(BEAT_INTERVAL);
        }
        let (control, commands) = sync_channel(1);
        let thread = |source| TransportError::Thread { source };
        let draining = std::thread::Builder::new()
            .name("shipper".to_owned())
            .spawn(move || drainer.run(&commands))
            .map_err(thread)?;
        let sending = std::thread::Builder::new()
            .name("shipper-redis".to_owned())
            .spawn(move || sender.run())
            .map_err(thread)?;
        Ok(Self {
            telemetry,
            control,
            draining,
            sending,
            outgoing,
            address: run.address,
        })
    }

    /// The handle for everybody else.
    #[must_use]
    pub fn telemetry(&self) -> Telemetry {
        self.telemetry.clone()
    }

    /// Where the recorder said at the start that it answers, as `HOST:PORT`.
    #[must_use]
    pub fn recorder_address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// Stages lost so far because Redis was away for too long.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.outgoing.dropped()
    }

    /// What a kill does: nothing more is said.
    #[cfg(test)]
    pub(super) fn cut_off(self) {
        self.telemetry.cut_off();
        drop(self.control);
        self.draining.join().expect("no panic");
        self.sending.join().expect("no panic");
    }

    /// Sends everything emitted so far and says goodbye; it waits up to 3 s for a Redis that is away, so
    /// call it from a thread that may block. Call it last: what is emitted afterwards is lost.
    #[must_use]
    pub fn finish(self) -> ShippingEnd {
        drop(self.control);
        let mut end = self.draining.join().unwrap_or_default();
        end.is_sent = self.sending.join().unwrap_or(false);
        if !end.is_sent {
            tracing::error!(
                "Redis was away at the end, and the last stages of this process are lost"
            );
        }
        end
    }
}

/// A number for this process, and the highest moment anybody was at.
fn join(connection: &mut Connection, keys: &Keys) -> RedisResult<(u64, u64)> {
    let (process, highest): (u64, Option<f64>) = redis::pipe()
        .cmd("EVAL")
        .arg(NUMBER)
        .arg(2)
        .arg(&keys.processes)
        .arg(&keys.alive)
        .cmd("ZSCORE")
        .arg(&keys.clock)
        .arg("highest")
        .query(connection)?;
    Ok((process, ns_from_score(highest)))
}
