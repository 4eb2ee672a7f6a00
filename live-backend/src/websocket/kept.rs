//! What processes of one system keep for each other beside messages: what is in force, and who lives.
//!
//! Belongs here: keys in Redis and how long they live. Does not belong here: what the fields mean (control).

use super::bus::{Bus, BusError};
use crate::security::random_hex;
use std::collections::BTreeMap;
use std::time::Duration;

/// What operators set and broke.
const IN_FORCE_KEY: &str = "flowreel:in-force";
/// It stays for so long after the last process of the system has looked at it.
const IN_FORCE_LIFE: Duration = Duration::from_secs(30);
/// Is there as soon as anything was, and another one after a loss, so that an end is told from a loss.
pub(crate) const MARK: &str = "is-kept";
/// The mark where everything was ended at once: nothing was lost.
pub(crate) const ANEW: &str = "anew";

/// Processes by role and name, with the time at which each last said that it lives, in Redis's seconds.
pub(crate) const LIVING_KEY: &str = "flowreel:living";
/// Redis's own clock counts: those of the processes may differ.
const SAY_ALIVE: &str = "
local now = redis.call('TIME')[1]
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 60)
redis.call('EXPIRE', KEYS[1], 60)
return 1
";
/// Who has said so within the last seconds.
pub(crate) const WHO_LIVES: &str =
    "return redis.call('ZRANGEBYSCORE', KEYS[1], redis.call('TIME')[1] - ARGV[1], '+inf')";

impl Bus {
    /// Whether other processes hear this bus too.
    pub(crate) fn is_shared(&self) -> bool {
        self.redis().is_some()
    }

    /// What is in force, which lives on; nothing where nothing was ever kept.
    pub(crate) async fn kept(&self) -> Result<BTreeMap<String, String>, BusError> {
        let Some(mut redis) = self.redis() else {
            return Ok(BTreeMap::new());
        };
        let mut asked = redis::pipe();
        asked.hgetall(IN_FORCE_KEY);
        asked
            .cmd("PEXPIRE")
            .arg(IN_FORCE_KEY)
            .arg(life_ms())
            .ignore();
        let (kept,): (BTreeMap<String, String>,) = asked.query_async(&mut redis).await?;
        Ok(kept)
    }

    /// Keeps these fields.
    pub(crate) async fn keep(&self, fields: &[(String, String)]) -> Result<(), BusError> {
        self.keep_by("HSET", fields).await
    }

    /// Keeps those of these fields that are not there.
    pub(crate) async fn keep_missing(&self, fields: &[(String, String)]) -> Result<(), BusError> {
        self.keep_by("HSETNX", fields).await
    }

    async fn keep_by(&self, command: &str, fields: &[(String, String)]) -> Result<(), BusError> {
        let Some(mut redis) = self.redis().filter(|_| !fields.is_empty()) else {
            return Ok(());
        };
        let mut said = redis::pipe();
        said.atomic()
            .hset_nx(IN_FORCE_KEY, MARK, random_hex::<8>())
            .ignore();
        for (field, value) in fields {
            said.cmd(command)
                .arg(IN_FORCE_KEY)
                .arg(field)
                .arg(value)
                .ignore();
        }
        said.cmd("PEXPIRE")
            .arg(IN_FORCE_KEY)
            .arg(life_ms())
            .ignore();
        Ok(said.exec_async(&mut redis).await?)
    }

    /// Forgets one field; false where it was gone already.
    pub(crate) async fn forget(&self, field: &str) -> Result<bool, BusError> {
        let Some(mut redis) = self.redis() else {
            return Ok(false);
        };
        let mut said = redis::pipe();
        said.hdel(IN_FORCE_KEY, field);
        let (count,): (u64,) = said.query_async(&mut redis).await?;
        Ok(count > 0)
    }

    /// Forgets every field.
    pub(crate) async fn keep_nothing(&self) -> Result<(), BusError> {
        let Some(mut redis) = self.redis() else {
            return Ok(());
        };
        let mut said = redis::pipe();
        said.atomic().del(IN_FORCE_KEY).ignore();
        said.hset(IN_FORCE_KEY, MARK, ANEW).ignore();
        said.cmd("PEXPIRE")
            .arg(IN_FORCE_KEY)
            .arg(life_ms())
            .ignore();
        Ok(said.exec_async(&mut redis).await?)
    }

    /// This process lives.
    pub(crate) async fn say_alive(&self, name: &str) -> Result<(), BusError> {
        let Some(mut redis) = self.redis() else {
            return Ok(());
        };
        let mut said = redis::cmd("EVAL");
        said.arg(SAY_ALIVE).arg(1).arg(LIVING_KEY).arg(name);
        Ok(said.exec_async(&mut redis).await?)
    }

    /// This process ends.
    pub(crate) async fn say_gone(&self, name: &str) -> Result<(), BusError> {
        let Some(mut redis) = self.redis() else {
            return Ok(());
        };
        let mut said = redis::pipe();
        said.zrem(LIVING_KEY, name).ignore();
        Ok(said.exec_async(&mut redis).await?)
    }
}

fn life_ms() -> u64 {
    u64::try_from(IN_FORCE_LIFE.as_millis()).unwrap_or(u64::MAX)
}
