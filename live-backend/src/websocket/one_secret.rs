//! All processes of one system sign with one secret, and notice at the start where they do not.
//!
//! Belongs here: comparing secrets over Redis without showing them. Does not belong here: where a secret
//! comes from (data), what it signs (security).
//!
//! What stands in Redis is a hash made for this alone, and it lives as long as somebody says it again: when
//! all processes are gone the next ones may have another secret.

use super::bus::{Bus, BusError};
use crate::security::hash_hex;
use redis::Script;
use redis::aio::ConnectionManager;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const KEY: &str = "flowreel:secret";
/// How long the hash stands after it was said last.
const LIFE: Duration = Duration::from_secs(4);
/// How often it is said.
const RENEWAL: Duration = Duration::from_secs(1);
/// How long a start looks: those with the other secret may be leaving.
const PATIENCE: Duration = Duration::from_secs(6);

/// Says the hash where no other one stands; the answer is whether that holds.
const SAY: &str = r"
local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
";

/// The secret that this process has, as the others see it.
struct Said {
    redis: ConnectionManager,
    hash: String,
}

/// Whether no process has another secret; then ours is said again and again until stopped.
pub(crate) async fn agree_on_secret(
    bus: &Bus,
    secret: &str,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Result<bool, BusError> {
    let Some(redis) = bus.redis() else {
        return Ok(true);
    };
    let hash = hash_hex(&format!("processes of one system {secret}"));
    let said = Said { redis, hash };
    let give_up_at = Instant::now() + PATIENCE;
    while !said.say().await? {
        if Instant::now() >= give_up_at {
            return Ok(false);
        }
        tokio::time::sleep_until(Instant::now() + RENEWAL).await;
    }
    let stop = stop.clone();
    tracker.spawn(async move {
        stop.run_until_cancelled(said.keep_saying()).await;
    });
    Ok(true)
}

impl Said {
    async fn say(&self) -> Result<bool, BusError> {
        let script = Script::new(SAY);
        let life_ms = u64::try_from(LIFE.as_millis()).unwrap_or(u64::MAX);
        let mut call = script.key(KEY);
        call.arg(&self.hash).arg(life_ms);
        Ok(call.invoke_async(&mut self.redis.clone()).await?)
    }

    async fn keep_saying(&self) {
        let mut ticks = tokio::time::interval(RENEWAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_alone = false;
        loop {
            ticks.tick().await;
            let holds = match self.say().await {
                Ok(holds) => holds,
                Err(error) => {
                    tracing::debug!(%error, "{error}");
                    continue;
                }
            };
            if !holds && !is_alone {
                tracing::error!("a process on this Redis signs with another secret now");
            }
            is_alone = !holds;
        }
    }
}
