//! What a process has used, as the system tells it (proc(5)).
//!
//! Belongs here: reading. Does not belong here: what it is compared with.

use anyhow::{Context, Result};

/// Processor time is told in these, 100 a second on every Linux there is.
const TICK_S: f64 = 0.01;

/// Processor time so far, in seconds: fields 14 and 15 of `stat`.
pub(super) fn cpu_s(pid: u32) -> Result<f64> {
    let stat = read(&format!("/proc/{pid}/stat"))?;
    let ticks = ticks_in(&stat).with_context(|| format!("process {pid} has no times"))?;
    Ok(ticks * TICK_S)
}

fn ticks_in(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Memory in use, in bytes.
pub(super) fn rss_bytes(pid: u32) -> Result<f64> {
    let status = read(&format!("/proc/{pid}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
        .with_context(|| format!("process {pid} has no memory"))?;
    Ok(kib * 1024.0)
}

/// The load averages of 1, 5 and 15 minutes.
pub(super) fn load_average() -> Result<String> {
    let text = read("/proc/loadavg")?;
    Ok(text
        .split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" "))
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("{path} cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1";
        assert_eq!(ticks_in(stat), Some(300.0));
        assert_eq!(ticks_in("7 (a)"), None);
    }
}
