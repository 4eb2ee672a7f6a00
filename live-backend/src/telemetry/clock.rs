//! The only clock: nanoseconds since the run's start, and the wall time that start had.
//!
//! Belongs here: every reading of a clock in this package. Does not belong here: timers, delays.
//!
//! Where a run has several processes, the clock is a hybrid of a physical and a logical one (Kulkarni et
//! al. 2014): what one process says to another carries a [`Stamp`], and whoever hears it moves its own
//! clock past it. So no effect has a time before its cause, however wall clocks differ, and the clocks
//! of a run agree with the one that is furthest ahead.

use flowreel_engine::model::time::TimeNs;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A stamp further ahead than this is no clock's skew but a mistake, and is not believed.
const AHEAD_MAX_NS: u64 = 60_000_000_000;

/// A monotonic clock that counts from the run's start; copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    /// Time of the run at `started`.
    offset_ns: u64,
    started_wall_ns: u64,
    /// By how much others were heard to be ahead; `None` where nobody is listened to. It lives as long
    /// as the process, so that a clock stays a plain value.
    ahead_ns: Option<&'static AtomicU64>,
}

/// A moment as one process tells it another: wall time in ns since 1970 by the clock they share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stamp(pub u64);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Stamp {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Clock {
    /// Starts the run's clock now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the only clock")]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self {
            started: Instant::now(),
            offset_ns: 0,
            started_wall_ns: u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX),
            ahead_ns: None,
        }
    }

    /// The same clock, which listens to others from now on.
    #[must_use]
    pub fn listening(self) -> Self {
        Self {
            ahead_ns: Some(Box::leak(Box::default())),
            ..self
        }
    }

    /// A listening clock of a run that began at that wall time, as far as this machine's wall clock is
    /// right; whatever is wrong with it the first stamps mend.
    #[must_use]
    pub fn joining(started_wall_ns: u64) -> Self {
        let own = Self::start();
        Self {
            offset_ns: own.started_wall_ns.saturating_sub(started_wall_ns),
            started_wall_ns,
            ..own
        }
        .listening()
    }

    /// True where stamps of others move this clock.
    pub(super) const fn is_listening(&self) -> bool {
        self.ahead_ns.is_some()
    }

    /// Now, for another process.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp(self.wall_ns())
    }

    /// Another process was at that moment before it spoke: from here on this clock is past it. False
    /// where the stamp is not believed.
    pub fn observe(&self, stamp: Stamp) -> bool {
        let Some(ahead_ns) = self.ahead_ns else {
            return true;
        };
        let heard_ns = stamp.0.saturating_sub(self.started_wall_ns);
        let own_ns = self.physical_ns();
        observe(ahead_ns, own_ns, heard_ns)
    }

    /// Goes on with the clock of a run that began at that wall time, past `after` whatever the wall
    /// clock shows now, so that time never falls.
    #[must_use]
    pub fn going_on(self, started_wall_ns: u64, after: TimeNs) -> Self {
        let by_wall_ns = self.wall_ns().saturating_sub(started_wall_ns);
        let elapsed_ns = self.now().0;
        Self {
            offset_ns: by_wall_ns
                .max(after.0.saturating_add(1))
                .saturating_sub(elapsed_ns),
            started_wall_ns,
            ..self
        }
    }

    /// Time since the run's start; never falls, and agrees between threads.
    #[inline]
    #[must_use]
    pub fn now(&self) -> TimeNs {
        TimeNs(self.physical_ns() + self.ahead_ns())
    }

    /// Without what others were heard to be ahead.
    #[inline]
    #[expect(clippy::disallowed_methods, reason = "this is the only clock")]
    fn physical_ns(&self) -> u64 {
        let since = Instant::now().saturating_duration_since(self.started);
        let since_ns = since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos());
        self.offset_ns + since_ns
    }

    #[inline]
    fn ahead_ns(&self) -> u64 {
        self.ahead_ns
            .map_or(0, |ahead_ns| ahead_ns.load(Ordering::Relaxed))
    }

    /// Waits until that moment of the run; at once where it has passed.
    pub async fn sleep_until(&self, at: TimeNs) {
        let since_ns =
            at.0.saturating_sub(self.offset_ns.saturating_add(self.ahead_ns()));
        let moment = self.started.checked_add(Duration::from_nanos(since_ns));
        match moment {
            Some(moment) => tokio::time::sleep_until(moment.into()).await,
            // Past the end of time.
            None => std::future::pending().await,
        }
    }

    /// Wall time of the run's start in nanoseconds since 1970.
    #[must_use]
    pub const fn started_wall_ns(&self) -> u64 {
        self.started_wall_ns
    }

    /// Wall time now in nanoseconds since 1970: the start's wall time plus what has passed since, so it
    /// never jumps when somebody sets the machine's clock.
    #[must_use]
    pub fn wall_ns(&self) -> u64 {
        self.wall_ns_at(self.now())
    }

    /// Wall time of a moment of this run in nanoseconds since 1970.
    #[must_use]
    pub const fn wall_ns_at(&self, at: TimeNs) -> u64 {
        self.started_wall_ns.saturating_add(at.0)
    }

    /// Wall time now in milliseconds since 1970, as the JSON of the interface counts it.
    #[must_use]
    pub fn wall_ms(&self) -> u64 {
        self.wall_ns() / 1_000_000
    }
}

/// Moves a clock that shows `own_ns` and what it is ahead past `heard_ns`.
fn observe(ahead_ns: &AtomicU64, own_ns: u64, heard_ns: u64) -> bool {
    let needed_ns = heard_ns.saturating_add(1).saturating_sub(own_ns);
    let before_ns = ahead_ns.load(Ordering::Relaxed);
    if needed_ns <= before_ns {
        return true;
    }
    if needed_ns - before_ns > AHEAD_MAX_NS {
        return false;
    }
    ahead_ns.fetch_max(needed_ns, Ordering::Relaxed);
    true
}

/// A wall time as RFC 3339 in UTC with milliseconds: `2026-01-31T12:00:00.250Z`.
#[must_use]
pub fn rfc3339_from_ns(wall_ns: u64) -> String {
    let ms = wall_ns / 1_000_000;
    let (days, ms_of_day) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60);
    let (second, milli) = (ms_of_day / 1000 % 60, ms_of_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Year, month and day of a day count since 1970-01-01 (Hinnant 2013, `civil_from_days`).
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_falls_and_wall_time_moves_with_it() {
        let clock = Clock::start();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last, "{now:?} after {last:?}");
            last = now;
        }
        assert_eq!(clock.wall_ns_at(TimeNs(5)) - clock.started_wall_ns(), 5);
    }

    #[test]
    fn a_run_that_goes_on_goes_on_in_time() {
        let own = Clock::start();
        let hour_ns = 3_600_000_000_000;
        let began_wall_ns = own.started_wall_ns() - hour_ns;
        let clock = own.going_on(began_wall_ns, TimeNs(5));
        let since_ns = clock.now().0 - hour_ns;
        assert!(since_ns < 10_000_000_000, "{since_ns}");
        assert!(clock.wall_ns().abs_diff(own.wall_ns()) < 1_000_000_000);
        // A wall clock that was set back does not take the run back.
        let clock = own.going_on(began_wall_ns, TimeNs(2 * hour_ns));
        assert!(clock.now().0 > 2 * hour_ns);
        assert_eq!(clock.started_wall_ns(), began_wall_ns);
    }

    #[test]
    fn what_was_heard_is_past_and_nonsense_is_not_believed() {
        let own = Clock::start();
        let clock = own.listening();
        let copy = clock;
        let ahead = Stamp(clock.stamp().0 + 5_000_000_000);
        assert!(clock.observe(ahead));
        assert!(clock.stamp() > ahead && copy.stamp() > ahead);
        assert!(clock.now().0 < 20_000_000_000, "{:?}", clock.now());
        assert!(!clock.observe(Stamp(u64::MAX)));
        assert!(clock.now().0 < 20_000_000_000, "{:?}", clock.now());
        // Who listens to nobody is not moved.
        assert!(own.observe(ahead));
        assert!(own.stamp() < ahead);
        assert_eq!(ahead.to_string().parse(), Ok(ahead));
    }

    #[test]
    fn whoever_joins_with_a_clock_that_is_behind_is_taken_along() {
        let run = Clock::start().listening();
        let hour_ns = 3_600_000_000_000;
        let joined = Clock::joining(run.started_wall_ns() + hour_ns);
        assert!(joined.now().0 < 10_000_000_000);
        let joined = Clock::joining(run.started_wall_ns() - hour_ns);
        assert!(joined.now().0.abs_diff(hour_ns) < 10_000_000_000);
    }

    /// Processes whose wall clocks are off by up to seconds either way send each other messages.
    #[test]
    fn effects_are_never_before_their_causes_whatever_wall_clocks_show() {
        for seed in 1..=200_u64 {
            let mut random = seed;
            let mut draw = |below: u64| {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) % below
            };
            let skews: Vec<u64> = (0..5).map(|_| draw(8_000_000_000)).collect();
            let ahead: Vec<AtomicU64> = skews.iter().map(|_| AtomicU64::new(0)).collect();
            let mut true_ns = 1_000;
            let mut last = [0; 5];
            for _ in 0..500 {
                true_ns += draw(3);
                let (from, to) = (usize::try_from(draw(5)), usize::try_from(draw(5)));
                let (from, to) = (from.expect("small"), to.expect("small"));
                let show = |who: usize| true_ns + skews[who] + ahead[who].load(Ordering::Relaxed);
                let sent_ns = show(from);
                assert!(sent_ns >= last[from], "seed {seed}: the clock fell");
                last[from] = sent_ns;
                if from == to {
                    continue;
                }
                assert!(observe(&ahead[to], true_ns + skews[to], sent_ns));
                let got_ns = show(to);
                assert!(got_ns > sent_ns, "seed {seed}: {got_ns} after {sent_ns}");
                assert!(got_ns >= last[to], "seed {seed}: the clock fell");
                last[to] = got_ns;
            }
            // Nobody runs ahead of the one furthest ahead, but by a step per message.
            let most = true_ns + skews.iter().max().expect("five") + 500;
            assert!(last.iter().all(|&shown| shown <= most), "seed {seed}");
        }
    }

    #[test]
    fn wall_times_print_as_rfc_3339() {
        for (wall_ns, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000Z"),
            (1_769_860_800_250_000_000, "2026-01-31T12:00:00.250Z"),
            (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999Z"),
        ] {
            assert_eq!(rfc3339_from_ns(wall_ns), text);
        }
    }
}
