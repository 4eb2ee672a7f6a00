//! The only clock: nanoseconds since the run's start, and the wall time that start had.
//!
//! Belongs here: every reading of a clock in this package. Does not belong here: timers, delays.

use flowreel_engine::model::time::TimeNs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A monotonic clock that counts from the run's start; copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    /// Time of the run at `started`.
    offset_ns: u64,
    started_wall_ns: u64,
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
        }
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
    #[expect(clippy::disallowed_methods, reason = "this is the only clock")]
    pub fn now(&self) -> TimeNs {
        let since = Instant::now().saturating_duration_since(self.started);
        let since_ns = since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos());
        TimeNs(self.offset_ns + since_ns)
    }

    /// Waits until that moment of the run; at once where it has passed.
    pub async fn sleep_until(&self, at: TimeNs) {
        let since_ns = at.0.saturating_sub(self.offset_ns);
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
