//! Counters that the processes of a run share: request ids and process numbers.
//!
//! Belongs here: what holds where Redis loses them. Does not belong here: what the numbers are for.

use super::{Keys, Pulse};
use redis::{Connection, RedisResult};

/// Ids that may have been leased since the counter was last seen, when Redis lost it.
const LEASED_MEANWHILE: u64 = 1 << 20;

/// Raises a counter to what was given out as far as is known; one that was lost or is behind goes on so
/// far beyond, for what was given out meanwhile. The answer is where it stands.
const RAISE: &str = "local had = tonumber(redis.call('GET', KEYS[1]) or '-1') \
                     local least = tonumber(ARGV[1]) \
                     if had < least then \
                       if least > 0 then least = least + tonumber(ARGV[2]) end \
                       redis.call('SET', KEYS[1], string.format('%.0f', least)) \
                     elseif had < 0 then redis.call('SET', KEYS[1], '0') end \
                     return tonumber(redis.call('GET', KEYS[1]))";

/// A number that no living process has, also where Redis has lost its count.
pub(super) const NUMBER: &str = "local n repeat n = redis.call('INCR', KEYS[1]) \
                      until redis.call('HEXISTS', KEYS[2], string.format('%.0f', n)) == 0 \
                      return n";

/// What was given out, as far as it is known here.
#[derive(Clone, Copy)]
pub(super) struct Highest {
    /// The counter of request ids as last seen.
    pub(super) requests: u64,
    /// The highest number of a process.
    pub(super) processes: u64,
}

/// The run is there, and no id and no number is given twice.
pub(super) fn announce(
    connection: &mut Connection,
    keys: &Keys,
    announced: &[u8],
    pulse: Pulse,
    highest: Highest,
) -> RedisResult<u64> {
    let (leased,): (u64,) = redis::pipe()
        .atomic()
        .cmd("EVAL")
        .arg(RAISE)
        .arg(1)
        .arg(&keys.requests)
        .arg(highest.requests)
        .arg(LEASED_MEANWHILE)
        .cmd("EVAL")
        .arg(RAISE)
        .arg(1)
        .arg(&keys.processes)
        .arg(highest.processes)
        .arg(0)
        .ignore()
        .cmd("SET")
        .arg(&keys.pulse)
        .arg(pulse.encode())
        .ignore()
        .cmd("SET")
        .arg(&keys.run)
        .arg(announced)
        .ignore()
        .query(connection)?;
    Ok(leased)
}
