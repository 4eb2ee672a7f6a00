//! The recorder's end of the stream: a thread that reads what the others ship and says what is written.
//!
//! Belongs here: talking to Redis for the recorder. Does not belong here: what batches mean (recorder).

use super::counters::{Highest, NUMBER, announce};
use super::sender::ns_from_score;
use super::{Announcement, Keys, LEASE, Link, Mark, Pulse, TransportError, TransportSettings};
use crate::telemetry::clock::Stamp;
use crate::telemetry::emit::Telemetry;
use crate::telemetry::ids::RequestIds;
use flowreel_engine::model::time::TimeNs;
use redis::streams::{StreamId, StreamRangeReply, StreamReadReply};
use redis::{Pipeline, RedisResult};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest wait for the next batch.
const BLOCK_MS: u64 = 10;
/// Batches read at once.
const READ_AT_ONCE: usize = 128;
/// Reads that wait for the recorder; past it Redis keeps the stages.
const READS_WAITING: usize = 4;
/// Positions kept: some 10 s, twice the time between two syncs to the disk.
const POSITIONS_KEPT: isize = 80;
/// Longest wait for Redis at the end.
const END_WAIT: Duration = Duration::from_secs(3);

/// One look at the stream.
#[derive(Debug)]
pub(in crate::telemetry) struct Read {
    /// The run's time when it was asked.
    pub(in crate::telemetry) asked_at: TimeNs,
    /// Signs of life, each of them older than the end of what was read.
    pub(in crate::telemetry) marks: Vec<(u64, Mark)>,
    /// Entries of the stream, each with its id.
    pub(in crate::telemetry) entries: Vec<(String, Vec<u8>)>,
    /// Whether the stream had no more.
    pub(in crate::telemetry) is_at_end: bool,
    /// Whether Redis was away before.
    pub(in crate::telemetry) is_back: bool,
}

/// What the recorder wants to have written to Redis.
#[derive(Debug, Default)]
pub(in crate::telemetry) struct Told {
    pub(in crate::telemetry) pulse: Pulse,
    /// How far the stream is in the reel.
    pub(in crate::telemetry) position: Option<Vec<u8>>,
    /// Entries before this one are not needed any more.
    pub(in crate::telemetry) trim: Option<String>,
    /// Processes that are over.
    pub(in crate::telemetry) over: Vec<u64>,
    pub(in crate::telemetry) ending: Option<Ending>,
}

/// How the recorder ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::telemetry) enum Ending {
    /// The run is over.
    Over,
    /// The next recorder goes on with it.
    GoesOn,
}

/// What is found on Redis before a run begins or goes on.
#[derive(Debug)]
pub(in crate::telemetry) struct Found {
    pub(in crate::telemetry) positions: Vec<Vec<u8>>,
    /// Id of the stream's last entry.
    pub(in crate::telemetry) last_id: Option<String>,
    /// Number of this process.
    pub(in crate::telemetry) process: u64,
    /// The highest moment anybody was at.
    pub(in crate::telemetry) highest_wall_ns: u64,
}

/// The reading thread.
#[derive(Debug)]
pub(in crate::telemetry) struct Reader {
    pub(in crate::telemetry) reads: Receiver<Read>,
    pub(in crate::telemetry) told: Arc<Mutex<Told>>,
    thread: JoinHandle<bool>,
}

/// Redis as the recorder finds it.
pub(in crate::telemetry) fn find(
    link: &mut Link,
    keys: &Keys,
    wait: Duration,
) -> Result<Found, TransportError> {
    let found = link.insist(wait, |connection| {
        let (positions, last, process, highest): (
            Vec<Vec<u8>>,
            StreamRangeReply,
            u64,
            Option<f64>,
        ) = redis::pipe()
            .cmd("LRANGE")
            .arg(&keys.positions)
            .arg(0)
            .arg(-1)
            .cmd("XREVRANGE")
            .arg(&keys.events)
            .arg("+")
            .arg("-")
            .arg("COUNT")
            .arg(1)
            .cmd("EVAL")
            .arg(NUMBER)
            .arg(2)
            .arg(&keys.processes)
            .arg(&keys.alive)
            .cmd("ZSCORE")
            .arg(&keys.clock)
            .arg("highest")
            .query(connection)?;
        Ok(Some(Found {
            highest_wall_ns: ns_from_score(highest),
            positions,
            last_id: last.ids.into_iter().next().map(|entry| entry.id),
            process,
        }))
    })?;
    found.ok_or_else(|| TransportError::NoRun {
        address: link.address(),
    })
}

/// Every batch the stream still has, the oldest first.
pub(in crate::telemetry) fn each_kept(
    link: &mut Link,
    keys: &Keys,
    wait: Duration,
    mut see: impl FnMut(&[u8]),
) -> Result<(), TransportError> {
    let mut from = "-".to_owned();
    loop {
        let found = link.insist(wait, |connection| {
            redis::cmd("XRANGE")
                .arg(&keys.events)
                .arg(&from)
                .arg("+")
                .arg("COUNT")
                .arg(READ_AT_ONCE)
                .query::<StreamRangeReply>(connection)
                .map(Some)
        })?;
        let entries = found.map(|reply| reply.ids).unwrap_or_default();
        let Some(last) = entries.last() else {
            return Ok(());
        };
        from = format!("({}", last.id);
        for entry in &entries {
            if let Some(bytes) = bytes_of(entry) {
                see(&bytes);
            }
        }
    }
}

impl Reader {
    /// Announces the run and reads what comes after `after`; a new run has a position to begin with.
    /// `process` is this one's number.
    pub(in crate::telemetry) fn start(
        mut link: Link,
        settings: &TransportSettings,
        telemetry: Telemetry,
        announcement: &Announcement,
        (after, beginning): (String, Option<Vec<u8>>),
        (pulse, process): (Pulse, u64),
    ) -> Result<Self, TransportError> {
        let keys = Keys::new(&settings.prefix);
        let announced = announcement.encode();
        let highest = Highest {
            requests: pulse.requests,
            processes: process,
        };
        link.insist(settings.wait, |connection| {
            if let Some(beginning) = &beginning {
                redis::pipe()
                    .atomic()
                    .cmd("DEL")
                    .arg(&keys.positions)
                    .cmd("LPUSH")
                    .arg(&keys.positions)
                    .arg(beginning.as_slice())
                    .query::<()>(connection)?;
            }
            announce(connection, &keys, &announced, pulse, highest).map(Some)
        })?;
        let told = Arc::new(Mutex::new(Told {
            pulse,
            ..Told::default()
        }));
        let (sender, reads) = sync_channel(READS_WAITING);
        let mut reading = Reading {
            link,
            keys,
            telemetry,
            announced,
            after,
            told: Arc::clone(&told),
            highest,
            was_away: false,
        };
        let thread = std::thread::Builder::new()
            .name("recorder-redis".to_owned())
            .spawn(move || reading.run(&sender))
            .map_err(|source| TransportError::Thread { source })?;
        Ok(Self {
            reads,
            told,
            thread,
        })
    }

    /// Writes what was told last and ends; false where Redis is away.
    pub(in crate::telemetry) fn end(self, ending: Ending) -> bool {
        lock(&self.told).ending = Some(ending);
        drop(self.reads);
        self.thread.join().unwrap_or(false)
    }
}

fn lock(told: &Mutex<Told>) -> std::sync::MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Reading {
    link: Link,
    keys: Keys,
    telemetry: Telemetry,
    announced: Vec<u8>,
    /// Id of the last entry read.
    after: String,
    told: Arc<Mutex<Told>>,
    highest: Highest,
    was_away: bool,
}

impl Reading {
    fn run(&mut self, reads: &SyncSender<Read>) -> bool {
        let mut waiting: Option<Read> = None;
        loop {
            #[cfg(test)]
            if self.telemetry.is_cut_off() {
                return false;
            }
            let ending = lock(&self.told).ending;
            if let Some(ending) = ending {
                return self.end(ending);
            }
            if let Some(read) = waiting.take() {
                match reads.try_send(read) {
                    Ok(()) => {}
                    // The recorder is busy: what Redis has not given away yet it keeps.
                    Err(TrySendError::Full(read)) => {
                        waiting = Some(read);
                        std::thread::park_timeout(Duration::from_millis(1));
                        continue;
                    }
                    Err(TrySendError::Disconnected(_)) => {
                        std::thread::park_timeout(Duration::from_millis(1));
                        continue;
                    }
                }
            }
            waiting = self.look();
            if waiting.is_none() {
                self.was_away = true;
                std::thread::park_timeout(Duration::from_millis(BLOCK_MS));
            }
        }
    }

    /// One look; `None` where Redis is away.
    fn look(&mut self) -> Option<Read> {
        self.write(None)?.ok()?;
        let asked_at = self.telemetry.now();
        let (keys, after) = (&self.keys, &self.after);
        let answer = self.link.ask(|connection| {
            let marks: BTreeMap<u64, Vec<u8>> =
                redis::cmd("HGETALL").arg(&keys.alive).query(connection)?;
            let stream: Option<StreamReadReply> = redis::cmd("XREAD")
                .arg("COUNT")
                .arg(READ_AT_ONCE)
                .arg("BLOCK")
                .arg(BLOCK_MS)
                .arg("STREAMS")
                .arg(&keys.events)
                .arg(after)
                .query(connection)?;
            Ok((marks, stream))
        });
        let (marks, stream) = answer?.ok()?;
        if let Some((&last, _)) = marks.last_key_value() {
            self.highest.processes = self.highest.processes.max(last);
        }
        let found = stream.into_iter().flat_map(|reply| reply.keys);
        let entries: Vec<StreamId> = found.flat_map(|key| key.ids).collect();
        let is_at_end = entries.len() < READ_AT_ONCE;
        if let Some(last) = entries.last() {
            self.after.clone_from(&last.id);
        }
        let marks = marks.into_iter();
        Some(Read {
            asked_at,
            marks: marks
                .filter_map(|(process, sign)| Some((process, Mark::decode(&sign)?)))
                .collect(),
            entries: entries
                .into_iter()
                .map(|entry| (entry.id.clone(), bytes_of(&entry).unwrap_or_default()))
                .collect(),
            is_at_end,
            is_back: std::mem::take(&mut self.was_away),
        })
    }

    /// Writes what the recorder told since, and hears the clock and the counter.
    fn write(&mut self, ending: Option<Ending>) -> Option<RedisResult<()>> {
        let (mut pulse, position, trim, over) = {
            let told = lock(&self.told);
            let (position, trim) = (told.position.clone(), told.trim.clone());
            (told.pulse, position, trim, told.over.clone())
        };
        pulse.requests = self.highest.requests;
        let wanted = match &self.telemetry.shared.ids {
            RequestIds::Leased(leases) => leases.wanted(),
            RequestIds::Counted(_) => None,
        };
        let mut question = redis::pipe();
        question
            .atomic()
            .cmd("SET")
            .arg(&self.keys.pulse)
            .arg(pulse.encode())
            .ignore();
        self.tell(&mut question, position.as_deref(), trim.as_deref(), &over);
        self.question(&mut question, ending, wanted);
        let (keys, announced, known) = (&self.keys, &self.announced, self.highest);
        let answer = self.link.ask(|connection| {
            let (highest, is_announced, mut leased): (Option<f64>, bool, Option<u64>) =
                question.query(connection)?;
            // Redis came back without its data, or with those of an earlier moment.
            let least = known.requests.saturating_add(wanted.unwrap_or(0));
            let is_behind = leased.is_none_or(|last| last < least);
            let is_lost = ending.is_none() && (!is_announced || is_behind);
            if is_lost {
                leased = Some(announce(connection, keys, announced, pulse, known)?);
            }
            Ok((highest, leased, is_lost))
        })?;
        let (highest, leased, is_lost) = match answer {
            Ok(answer) => answer,
            Err(error) => return Some(Err(error)),
        };
        if is_lost {
            tracing::warn!("Redis has lost what it knew of this run; it was told again");
        }
        self.telemetry.observe(Stamp(ns_from_score(highest)));
        if let Some(last) = leased {
            self.highest.requests = self.highest.requests.max(last);
            if let (RequestIds::Leased(leases), Some(count), false) =
                (&self.telemetry.shared.ids, wanted, is_lost)
            {
                leases.lease(count, last);
            }
        }
        let mut told = lock(&self.told);
        told.position = told
            .position
            .take()
            .filter(|it| Some(it) != position.as_ref());
        told.trim = told.trim.take().filter(|it| Some(it) != trim.as_ref());
        told.over.retain(|process| !over.contains(process));
        Some(Ok(()))
    }

    /// What the recorder wants to have written.
    fn tell(
        &self,
        question: &mut Pipeline,
        position: Option<&[u8]>,
        trim: Option<&str>,
        over: &[u64],
    ) {
        let keys = &self.keys;
        if let Some(position) = position {
            question
                .cmd("LPUSH")
                .arg(&keys.positions)
                .arg(position)
                .ignore()
                .cmd("LTRIM")
                .arg(&keys.positions)
                .arg(0)
                .arg(POSITIONS_KEPT)
                .ignore();
        }
        if let Some(trim) = trim {
            question
                .cmd("XTRIM")
                .arg(&keys.events)
                .arg("MINID")
                .arg("~")
                .arg(trim)
                .ignore();
        }
        for process in over {
            question.cmd("HDEL").arg(&keys.alive).arg(*process).ignore();
        }
    }

    /// What the recorder wants to know: the clock, whether the run is announced, the last id leased.
    fn question(&self, question: &mut Pipeline, ending: Option<Ending>, wanted: Option<u64>) {
        let keys = &self.keys;
        if ending == Some(Ending::Over) {
            for key in [&keys.run, &keys.pulse, &keys.alive, &keys.positions] {
                question.cmd("DEL").arg(key).ignore();
            }
        }
        question
            .cmd("ZADD")
            .arg(&keys.clock)
            .arg("GT")
            .arg(self.telemetry.stamp().0)
            .arg("highest")
            .ignore()
            .cmd("ZSCORE")
            .arg(&keys.clock)
            .arg("highest")
            .cmd("EXISTS")
            .arg(&keys.run)
            .cmd("EVAL")
            .arg(LEASE)
            .arg(1)
            .arg(&keys.requests)
            .arg(wanted.unwrap_or(0));
    }

    fn end(&mut self, ending: Ending) -> bool {
        let steady = crate::telemetry::clock::Clock::start();
        let longest_ns = u64::try_from(END_WAIT.as_nanos()).unwrap_or(u64::MAX);
        while steady.now().0 < longest_ns {
            if let Some(Ok(())) = self.write(Some(ending)) {
                return true;
            }
            std::thread::park_timeout(Duration::from_millis(BLOCK_MS));
        }
        false
    }
}

fn bytes_of(entry: &StreamId) -> Option<Vec<u8>> {
    entry.get("b")
}
