//! What Redis does with several jobs in one step: taking them, ending their runs, keeping their locks.
//!
//! Belongs here: our scripts over BullMQ's keys. Does not belong here: when they are called.
//!
//! They leave every key and event as BullMQ 5's own scripts would for one job after the other
//! (`moveToActive`, `moveToFinished`, `extendLock`, `moveJobFromActiveToWait`), so that its programs read and
//! serve the same queues. What those do for parents, children and deduplication is left to them.

use super::link::Link;
use super::outbox::{TRIMMED, trimmed_field};
use super::taking::{lock, wall_ms};
use crate::queue::QueueError;
use crate::telemetry::Place;
use redis::Script;
use std::sync::LazyLock;

/// How a run ended, as Redis keeps it.
pub(super) struct End {
    pub(super) id: String,
    pub(super) is_good: bool,
    /// The result as JSON, or the reason.
    pub(super) value: String,
}

/// What became of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Done,
    /// It has a parent, children or a deduplication: BullMQ's own script is to end it.
    Related,
    /// BullMQ's number for what is wrong: there is no job (-1), no lock (-2), no active job (-3), or the
    /// lock is another one's (-6).
    Refused(i64),
}

/// A job that was taken.
pub(super) struct Found {
    pub(super) id: String,
    pub(super) data: String,
    pub(super) added_ms: u64,
    /// How often it was taken, this time included.
    pub(super) starts: u32,
}

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(TAKE_LUA));
static FINISH: LazyLock<Script> = LazyLock::new(|| Script::new(FINISH_LUA));
static EXTEND: LazyLock<Script> = LazyLock::new(|| Script::new(EXTEND_LUA));
static HAND_OVER: LazyLock<Script> = LazyLock::new(|| Script::new(HAND_OVER_LUA));
static GIVE_BACK: LazyLock<Script> = LazyLock::new(|| Script::new(GIVE_BACK_LUA));

/// Takes and locks up to so many jobs, in the order in which they leave; also how many more wait.
pub(super) async fn take(
    link: &Link,
    queue: Place,
    token: &str,
    count: usize,
) -> Result<(Vec<Found>, u64), QueueError> {
    let keys = link.keys(queue)?;
    let mut call = TAKE.key(keys.wait());
    call.key(keys.active())
        .key(keys.prioritized())
        .key(keys.events())
        .key(keys.limiter())
        .key(keys.delayed())
        .key(keys.meta())
        .key(keys.pc())
        .key(keys.marker());
    call.arg(keys.key_prefix()).arg(wall_ms()).arg(token);
    call.arg(lock_ms(queue)).arg(count);
    let (left, found): (u64, Vec<(String, String, u64, u32)>) = link.script(&call).await?;
    let found = found.into_iter().map(|(id, data, added_ms, starts)| Found {
        id,
        data,
        added_ms,
        starts,
    });
    Ok((found.collect(), left))
}

/// Ends runs whose locks have this token; the answers are in the same order.
pub(super) async fn finish(
    link: &Link,
    queue: Place,
    token: &str,
    ends: impl Iterator<Item = &End>,
) -> Result<Vec<Ended>, QueueError> {
    let keys = link.keys(queue)?;
    let mut call = FINISH.key(keys.wait());
    call.key(keys.active())
        .key(keys.prioritized())
        .key(keys.events())
        .key(keys.stalled())
        .key(keys.meta())
        .key(keys.completed())
        .key(keys.failed())
        .key(TRIMMED);
    call.arg(keys.key_prefix()).arg(wall_ms()).arg(token);
    call.arg(trimmed_field(queue, ""));
    for end in ends {
        call.arg(&end.id).arg(end.is_good).arg(&end.value);
    }
    let codes: Vec<i64> = link.script(&call).await?;
    let ended = codes.into_iter().map(|code| match code {
        0 => Ended::Done,
        1 => Ended::Related,
        code => Ended::Refused(code),
    });
    Ok(ended.collect())
}

/// Keeps locks for another while; the answer is whose lock is gone or another one's.
pub(super) async fn extend(
    link: &Link,
    queue: Place,
    token: &str,
    ids: &[String],
) -> Result<Vec<String>, QueueError> {
    let keys = link.keys(queue)?;
    let mut call = EXTEND.key(keys.stalled());
    call.arg(keys.key_prefix()).arg(token).arg(lock_ms(queue));
    call.arg(ids);
    link.script(&call).await
}

/// Jobs that were taken for nobody wait again, in front; the answer is how many.
pub(super) async fn give_back(
    link: &Link,
    queue: Place,
    token: &str,
    ids: &[String],
) -> Result<u64, QueueError> {
    let keys = link.keys(queue)?;
    let mut call = GIVE_BACK.key(keys.wait());
    call.key(keys.active())
        .key(keys.prioritized())
        .key(keys.events())
        .key(keys.stalled())
        .key(keys.meta())
        .key(keys.marker());
    call.arg(keys.key_prefix()).arg(token).arg(ids);
    link.script(&call).await
}

/// Gives our lock of a job to the empty token; the answer is whether it was ours.
pub(super) async fn hand_over(
    link: &Link,
    queue: Place,
    token: &str,
    id: &str,
) -> Result<bool, QueueError> {
    let keys = link.keys(queue)?;
    let mut call = HAND_OVER.key(format!("{}:lock", keys.job_key(id)));
    call.arg(token).arg(lock_ms(queue));
    link.script(&call).await
}

pub(super) fn lock_ms(queue: Place) -> u64 {
    u64::try_from(lock(queue).as_millis()).unwrap_or(u64::MAX)
}

/// Ids whose job is gone are dropped on the way.
const TAKE_LUA: &str = r"
local wait, active, prioritized, events, limiter = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local delayed, counter, marker = KEYS[6], KEYS[8], KEYS[9]
local prefix, now, token, lock_ms, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local rcall = redis.call
local meta = rcall('HMGET', KEYS[7], 'paused', 'concurrency', 'max', 'duration')
local is_held = meta[1] and true or false
if not is_held and meta[2] then
  count = math.min(count, tonumber(meta[2]) - rcall('LLEN', active))
  is_held = count <= 0
end
local due = rcall('ZRANGEBYSCORE', delayed, 0, (now + 1) * 0x1000 - 1, 'LIMIT', 0, 1000)
if #due > 0 then
  rcall('ZREM', delayed, unpack(due))
  for _, id in ipairs(due) do
    local key = prefix .. id
    local priority = tonumber(rcall('HGET', key, 'priority')) or 0
    if priority == 0 then
      rcall('LPUSH', wait, id)
    else
      rcall('ZADD', prioritized, priority * 0x100000000 + rcall('INCR', counter) % 0x100000000, id)
    end
    rcall('XADD', events, '*', 'event', 'waiting', 'jobId', id, 'prev', 'delayed')
    rcall('HSET', key, 'delay', 0)
  end
  if not is_held then rcall('ZADD', marker, 0, '0') end
end
if is_held then return {0, {}} end
local most = tonumber(meta[3])
if most then
  local used = tonumber(rcall('GET', limiter) or 0)
  if used >= most then
    local ttl = rcall('PTTL', limiter)
    if ttl > 0 then return {0, {}} end
    if ttl == 0 then rcall('DEL', limiter) end
    used = 0
  end
  count = math.min(count, most - used)
end
local ids = {}
while #ids < count do
  local id = rcall('RPOP', wait)
  if not id then break end
  -- Older versions kept markers here.
  if string.sub(id, 1, 2) ~= '0:' then ids[#ids + 1] = id end
end
if #ids < count then
  local popped = rcall('ZPOPMIN', prioritized, count - #ids)
  for i = 1, #popped, 2 do ids[#ids + 1] = popped[i] end
  if #ids < count then rcall('DEL', counter) end
end
local taken, found = {}, {}
for _, id in ipairs(ids) do
  local key = prefix .. id
  local job = rcall('HMGET', key, 'data', 'timestamp', 'ats', 'defa')
  if job[1] or job[2] then
    rcall('SET', key .. ':lock', token, 'PX', lock_ms)
    if most and not job[4] and rcall('INCR', limiter) == 1 then
      rcall('PEXPIRE', limiter, math.floor(math.abs(tonumber(meta[4]) or 0)))
    end
    rcall('XADD', events, '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
    local starts = (tonumber(job[3]) or 0) + 1
    rcall('HSET', key, 'processedOn', now, 'ats', starts)
    taken[#taken + 1] = id
    found[#found + 1] = id
    found[#found + 1] = job[1] or ''
    found[#found + 1] = job[2] or '0'
    found[#found + 1] = starts
  end
end
if #taken > 0 then
  rcall('LPUSH', active, unpack(taken))
  rcall('ZADD', marker, 0, '0')
end
-- Where there is a limit nobody shall count on more.
if most or meta[2] then return {0, found} end
return {rcall('LLEN', wait) + rcall('ZCARD', prioritized), found}
";

/// Per job: its id, whether its run was good, its value.
const FINISH_LUA: &str = r"
local wait, active, prioritized, events, stalled, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local prefix, now, token = ARGV[1], ARGV[2], ARGV[3]
local rcall = redis.call
local function remove(key)
  rcall('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed',
    key .. ':unsuccessful')
end
local function options(text)
  local is_json, told = pcall(cjson.decode, text)
  return is_json and type(told) == 'table' and told or {}
end
-- A number that Redis does not take would break the whole call off, with everybody else's ends.
local function whole(value)
  local number = tonumber(value)
  if number and number == number then return math.max(-1, math.min(math.floor(number), 2147483647)) end
end
local function trim(set, word, keep)
  local age, most, gone = tonumber(keep['age']), whole(keep['count']), {}
  if age then
    gone = rcall('ZREVRANGEBYSCORE', set, now - age * 1000, '-inf', 'LIMIT', 0, whole(keep['limit']) or 1000)
  end
  if most and most > 0 then
    for _, id in ipairs(rcall('ZREVRANGE', set, most, most + 999)) do gone[#gone + 1] = id end
  end
  for _, id in ipairs(gone) do
    remove(prefix .. id)
    if rcall('ZREM', set, id) == 1 then rcall('HINCRBY', KEYS[9], ARGV[4] .. word, 1) end
  end
end
local events_max = rcall('HGET', meta, 'opts.maxLenEvents')
if not events_max then
  events_max = 10000
  rcall('HSET', meta, 'opts.maxLenEvents', events_max)
end
rcall('XTRIM', events, 'MAXLEN', '~', events_max)
local function finish(id, is_good, value)
  local key = prefix .. id
  local job = rcall('HMGET', key, 'opts', 'atm', 'parentKey', 'parent', 'deid')
  local lock = rcall('GET', key .. ':lock')
  if not job[1] and rcall('EXISTS', key) == 0 then return -1 end
  if lock ~= token then return lock and -6 or -2 end
  if job[3] or job[4] or job[5] or rcall('EXISTS', key .. ':dependencies', key .. ':unsuccessful') > 0 then
    return 1
  end
  rcall('DEL', key .. ':lock')
  rcall('SREM', stalled, id)
  if rcall('LREM', active, -1, id) < 1 then return -3 end
  local attempts, told, keep = (tonumber(job[2]) or 0) + 1, {}, nil
  if job[1] and (not is_good or string.find(job[1], 'removeOn', 1, true)) then
    told = options(job[1])
    keep = told[is_good and 'removeOnComplete' or 'removeOnFail']
    if keep == true then keep = {count = 0} end
    if type(keep) == 'number' then keep = {count = keep} end
    if type(keep) ~= 'table' then keep = nil end
  end
  local word, field = is_good and 'completed' or 'failed', is_good and 'returnvalue' or 'failedReason'
  if keep and whole(keep['count']) == 0 then
    remove(key)
    rcall('HINCRBY', KEYS[9], ARGV[4] .. word, 1)
  else
    local set = is_good and KEYS[7] or KEYS[8]
    rcall('ZADD', set, now, id)
    rcall('HSET', key, 'atm', attempts, field, value, 'finishedOn', now)
    if not is_good then rcall('HDEL', key, 'defa') end
    if keep then trim(set, word, keep) end
  end
  rcall('XADD', events, '*', 'event', word, 'jobId', id, field, value, 'prev', 'active')
  if not is_good and attempts >= (tonumber(told['attempts']) or 0) then
    rcall('XADD', events, '*', 'event', 'retries-exhausted', 'jobId', id, 'attemptsMade', attempts)
  end
  return 0
end
local codes, is_any = {}, false
for i = 5, #ARGV, 3 do
  local code = finish(ARGV[i], ARGV[i + 1] == '1', ARGV[i + 2])
  codes[#codes + 1] = code
  is_any = is_any or code == 0
end
if is_any and rcall('LLEN', wait) == 0 and rcall('LLEN', active) == 0 and rcall('ZCARD', prioritized) == 0 then
  rcall('XADD', events, '*', 'event', 'drained')
end
return codes
";

const EXTEND_LUA: &str = r"
local lost = {}
for i = 4, #ARGV do
  local lock = ARGV[1] .. ARGV[i] .. ':lock'
  if redis.call('GET', lock) == ARGV[2] then
    redis.call('SET', lock, ARGV[2], 'PX', ARGV[3])
    redis.call('SREM', KEYS[1], ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
";

const GIVE_BACK_LUA: &str = r"
local back = 0
for i = #ARGV, 3, -1 do
  local id = ARGV[i]
  local key = ARGV[1] .. id
  if redis.call('GET', key .. ':lock') == ARGV[2] then
    redis.call('DEL', key .. ':lock')
    redis.call('SREM', KEYS[5], id)
    if redis.call('LREM', KEYS[2], 1, id) == 1 then
      local priority = tonumber(redis.call('HGET', key, 'priority')) or 0
      if priority > 0 then
        redis.call('ZADD', KEYS[3], priority * 0x100000000, id)
      else
        redis.call('RPUSH', KEYS[1], id)
      end
      redis.call('XADD', KEYS[4], '*', 'event', 'waiting', 'jobId', id, 'prev', 'active')
      back = back + 1
    end
  end
end
if back > 0 and redis.call('HEXISTS', KEYS[6], 'paused') == 0 then redis.call('ZADD', KEYS[7], 0, '0') end
return back
";

const HAND_OVER_LUA: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '', 'PX', ARGV[2])
return 1
";
