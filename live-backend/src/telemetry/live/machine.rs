//! What this program takes of the machine: its share of the processors and of the memory.
//!
//! Belongs here: reading them from the system. Does not belong here: what follows from them (health.rs).
//!
//! The system is asked under `/proc`; where that is not there, both are unknown.

use super::history::Ring;
use crate::telemetry::clock::Clock;
use std::thread::available_parallelism;

/// The kernel counts processor time in hundredths of a second for everybody who asks here.
const TICKS_PER_S: f64 = 100.0;

/// Looks that a share of the processors is taken over: ten seconds, a second apart.
const LOOKS_MAX: usize = 11;

/// One look at the system.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Use {
    /// Share of all processors over the last looks, in percent.
    pub cpu_percent: Option<f64>,
    /// Share of the machine's memory, in percent.
    pub memory_percent: Option<f64>,
}

/// Looks again and again.
#[derive(Debug)]
pub struct Machine {
    clock: Clock,
    looks: Ring<(u64, f64)>,
}

impl Machine {
    /// Nothing looked at yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            looks: Ring::new(LOOKS_MAX),
        }
    }

    /// What it takes now. Reads a few small files of the system; call it where that may block.
    #[expect(clippy::cast_precision_loss, reason = "printing")]
    pub fn look(&mut self) -> Use {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let now_ns = self.clock.now().0;
        let used_s = cpu_s(&read("/proc/self/stat"));
        let processors = available_parallelism().map_or(1.0, |count| count.get() as f64);
        let first = self.looks.last(LOOKS_MAX).first().copied();
        let cpu_percent = used_s.zip(first).and_then(|(used_s, (at_ns, before_s))| {
            let passed_s = now_ns.saturating_sub(at_ns) as f64 / 1e9;
            (passed_s > 0.0).then(|| (used_s - before_s) * 100.0 / passed_s / processors)
        });
        if let Some(used_s) = used_s {
            self.looks.push((now_ns, used_s));
        }
        let own = kilobytes(&read("/proc/self/status"), "VmRSS:");
        let all = kilobytes(&read("/proc/meminfo"), "MemTotal:");
        let memory_percent = own
            .zip(all)
            .filter(|(_, all)| *all > 0.0)
            .map(|(own, all)| own * 100.0 / all);
        Use {
            cpu_percent,
            memory_percent,
        }
    }
}

/// Fields 14 and 15 of `stat`; the name in field 2 may hold anything, so it is passed over by its bracket.
fn cpu_s(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_S)
}

fn kilobytes(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_files_are_read() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4 9 0 0 0 150 50 0 0 20 0 9 0 5 6 7";
        assert_eq!(cpu_s(stat), Some(2.0));
        assert_eq!(cpu_s(""), None);
        let status = "Name:\tx\nVmRSS:\t   2048 kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(2048.0));
        assert_eq!(kilobytes(status, "MemTotal:"), None);
    }

    #[test]
    fn shares_lie_between_nothing_and_everything() {
        let mut machine = Machine::new(Clock::start());
        machine.look();
        let used = machine.look();
        if let Some(memory) = used.memory_percent {
            assert!(memory > 0.0 && memory < 100.0, "{memory}");
        }
    }
}
