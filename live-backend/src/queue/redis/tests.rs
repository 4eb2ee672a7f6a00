//! Queues on a Redis of one test alone: many in one call, what is taken for nobody, locks that are lost.
//!
//! Belongs here: what no program sees from outside. Does not belong here: BullMQ's programs (tests/it).
//!
//! Where there is no Redis the test says so and checks nothing, unless `FLOWREEL_SERVICES=required`.

use super::scripts::{self, End, Ended};
use super::{LeftJob, Redis, first_queue};
use crate::config::StorePart;
use crate::models::{Channel, NotificationType, Priority, UserId};
use crate::queue_speed::telemetry;
use crate::store::jobs::{NewJob, StoredJob};
use crate::store::{Store, StoreWriter};
use crate::telemetry::{Class, Part, Place, Recorder};
use flowreel_engine::model::id::RequestId;
use futures_util::FutureExt;
use futures_util::future::join_all;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    child: Child,
    port: u16,
    folder: PathBuf,
}

impl Server {
    async fn start() -> Option<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let started = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            assert!(
                !is_required(),
                "FLOWREEL_SERVICES=required, but there is no redis-server"
            );
            let mut out = std::io::stderr().lock();
            drop(writeln!(
                out,
                "skipped: redis-server is not installed; apt-get install redis-server"
            ));
            return None;
        };
        let name = format!("flowreel-queues-{}", crate::security::random_hex::<8>());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let server = Self {
            child,
            port,
            folder,
        };
        let answers = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_err()
            {}
        };
        let answered = tokio::time::timeout(PATIENCE, answers).await;
        answered.expect("redis-server answers");
        Some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "whether services must be there is told by the environment"
)]
fn is_required() -> bool {
    std::env::var_os("FLOWREEL_SERVICES").is_some_and(|value| value == "required")
}

/// One process's queues.
struct Site {
    queues: Redis,
    _recorder: Recorder,
    _writer: StoreWriter,
    _server: Server,
}

impl Site {
    async fn open() -> Option<Self> {
        let server = Server::start().await?;
        let (telemetry, recorder) = telemetry().unwrap();
        let opened = Store::open(&StorePart::Embedded, &server.folder).await;
        let (store, writer) = opened.unwrap();
        let url = format!("redis://127.0.0.1:{}", server.port);
        Some(Self {
            queues: Redis::open(&url, None, telemetry, store, std::sync::Arc::default())
                .await
                .unwrap(),
            _recorder: recorder,
            _writer: writer,
            _server: server,
        })
    }

    async fn add(&self, priorities: &[Priority]) {
        for (id, priority) in (1_i64..).zip(priorities) {
            let job = new_job(id, *priority);
            let main = Part::main(RequestId(1), Class::Login);
            self.queues.announce(main, Place::Server1, vec![job]).await;
        }
    }

    async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut pipe = redis::pipe();
        pipe.cmd(words.first().unwrap()).arg(words.get(1..));
        let (answer,): (T,) = self.queues.inner.link.pipe(&pipe).await.unwrap();
        answer
    }

    /// How often a script was called since it was counted last.
    async fn calls(&self) -> u64 {
        let told: String = self.ask(&["INFO", "commandstats"]).await;
        let line = told
            .lines()
            .find(|line| line.starts_with("cmdstat_evalsha:"));
        let count = line.and_then(|line| line.split(['=', ',']).nth(1));
        let count = count.map_or(0, |count| count.parse().unwrap());
        let _ok: String = self.ask(&["CONFIG", "RESETSTAT"]).await;
        count
    }
}

fn new_job(id: i64, priority: Priority) -> NewJob {
    NewJob {
        id,
        channel: Channel::InApp,
        kind: NotificationType::Login,
        notification: format!("{id:032x}"),
        user: UserId(17),
        priority,
    }
}

#[tokio::test]
async fn many_that_take_at_once_share_one_call_and_get_the_most_urgent_jobs() {
    let Some(site) = Site::open().await else {
        return;
    };
    let priorities = [
        Priority::Low,
        Priority::Normal,
        Priority::Urgent,
        Priority::High,
        Priority::Normal,
        Priority::Urgent,
        Priority::Low,
    ];
    site.add(&priorities).await;
    // The first call loads the script.
    let first = site.queues.take(Channel::InApp).await.unwrap();
    assert_eq!(first.id, 3);
    site.calls().await;
    let taken = join_all((0..4).map(|_| site.queues.take(Channel::InApp))).await;
    assert_eq!(site.calls().await, 1);
    let ids: Vec<i64> = taken.iter().flatten().map(|job| job.id).collect();
    assert_eq!(ids, [6, 4, 2, 5]);
    let active: Vec<String> = site.ask(&["LRANGE", "bull:in-app:active", "0", "-1"]).await;
    assert_eq!(active, ["5-1", "2-1", "4-1", "6-1", "3-1"]);
    let waiting: u64 = site.ask(&["ZCARD", "bull:in-app:prioritized"]).await;
    assert_eq!(waiting, 2, "nothing is taken ahead");

    site.queues.completed(&first).await;
    site.calls().await;
    join_all(taken.iter().flatten().map(|job| site.queues.completed(job))).await;
    assert_eq!(site.calls().await, 1);
    let active: u64 = site.ask(&["LLEN", "bull:in-app:active"]).await;
    let completed: u64 = site.ask(&["ZCARD", "bull:in-app:completed"]).await;
    assert_eq!((active, completed), (0, 5));
    let locks: Vec<String> = site.ask(&["KEYS", "bull:in-app:*:lock"]).await;
    assert_eq!(locks, [""; 0]);
}

#[tokio::test]
async fn a_job_that_was_taken_for_nobody_waits_again_in_front() {
    let Some(site) = Site::open().await else {
        return;
    };
    site.add(&[Priority::Normal, Priority::Normal, Priority::Normal])
        .await;
    let mut take = Box::pin(site.queues.take(Channel::InApp));
    assert!((&mut take).now_or_never().is_none());
    while site.ask::<u64>(&["LLEN", "bull:in-app:active"]).await == 0 {}
    // Redis has moved it; whether this process has read so is open.
    drop(take);
    let back = tokio::time::timeout(PATIENCE, async {
        while site.ask::<u64>(&["LLEN", "bull:in-app:active"]).await > 0 {}
    });
    back.await
        .expect("it is given back before its lock runs out");
    let locks: Vec<String> = site.ask(&["KEYS", "bull:in-app:*:lock"]).await;
    assert_eq!(locks, [""; 0]);
    assert!(!site.queues.inner.taking(Channel::InApp).is_busy());
    for id in 1..=3 {
        assert_eq!(site.queues.take(Channel::InApp).await.unwrap().id, id);
    }
    assert!(site.queues.take(Channel::InApp).await.is_none());
}

#[tokio::test]
async fn a_run_whose_lock_another_one_holds_is_not_ended_here() {
    let Some(site) = Site::open().await else {
        return;
    };
    site.add(&[Priority::Normal, Priority::Normal]).await;
    let lost = site.queues.take(Channel::InApp).await.unwrap();
    let kept = site.queues.take(Channel::InApp).await.unwrap();
    let lock = "bull:in-app:1-1:lock";
    let _ok: String = site.ask(&["SET", lock, "other", "PX", "60000"]).await;
    let (link, queue) = (&site.queues.inner.link, first_queue(Channel::InApp));
    let ends = [lost.id, 77].map(|id| End {
        id: format!("{id}-1"),
        is_good: true,
        value: "\"delivered\"".to_owned(),
    });
    let answers = scripts::finish(link, queue, "mine", ends.iter())
        .await
        .unwrap();
    assert_eq!(answers, [Ended::Refused(-6), Ended::Refused(-1)]);
    tokio::join!(site.queues.completed(&lost), site.queues.completed(&kept));
    let active: Vec<String> = site.ask(&["LRANGE", "bull:in-app:active", "0", "-1"]).await;
    assert_eq!(active, ["1-1"]);
    let completed: Vec<String> = site
        .ask(&["ZRANGE", "bull:in-app:completed", "0", "-1"])
        .await;
    assert_eq!(completed, ["2-1"]);
    let holder: String = site.ask(&["GET", lock]).await;
    assert_eq!(holder, "other");
    let ended: Option<String> = site.ask(&["HGET", "bull:in-app:1-1", "finishedOn"]).await;
    assert_eq!(ended, None);
}

#[tokio::test]
async fn locks_of_all_runs_are_kept_by_one_call() {
    let Some(site) = Site::open().await else {
        return;
    };
    site.add(&[Priority::Normal; 3]).await;
    let taken = join_all((0..3).map(|_| site.queues.take(Channel::InApp))).await;
    assert_eq!(taken.iter().flatten().count(), 3);
    for id in ["1-1", "2-1", "3-1"] {
        let _set: u64 = site
            .ask(&["PEXPIRE", &format!("bull:in-app:{id}:lock"), "1000"])
            .await;
    }
    let taking = site.queues.inner.taking(Channel::InApp);
    taking.extend_locks(&site.queues.inner.link).await;
    for id in ["1-1", "2-1", "3-1"] {
        let left_ms: u64 = site.ask(&["PTTL", &format!("bull:in-app:{id}:lock")]).await;
        assert!(left_ms > 1000, "{id}: {left_ms} ms");
    }
}

#[tokio::test]
async fn a_number_that_redis_does_not_take_breaks_no_other_end_off() {
    let Some(site) = Site::open().await else {
        return;
    };
    site.add(&[Priority::Normal; 4]).await;
    let odd = r#"{"removeOnComplete":{"count":1.5,"age":0.5,"limit":1e300}}"#;
    for id in ["1-1", "3-1"] {
        let _new: u64 = site
            .ask(&["HSET", &format!("bull:in-app:{id}"), "opts", odd])
            .await;
    }
    let taken = join_all((0..4).map(|_| site.queues.take(Channel::InApp))).await;
    join_all(taken.iter().flatten().map(|job| site.queues.completed(job))).await;
    let active: u64 = site.ask(&["LLEN", "bull:in-app:active"]).await;
    let done: u64 = site.ask(&["ZCARD", "bull:in-app:completed"]).await;
    let trimmed: u64 = site
        .ask(&["HGET", "flowreel:trimmed", "in-app:completed"])
        .await;
    assert_eq!((active, done + trimmed), (0, 4));
}

#[tokio::test]
async fn what_is_done_there_under_the_number_of_another_notification_is_missing_here() {
    let Some(site) = Site::open().await else {
        return;
    };
    site.add(&[Priority::Normal]).await;
    let job = site.queues.take(Channel::InApp).await.unwrap();
    site.queues.completed(&job).await;
    let left = |notification: &str| LeftJob {
        stored: StoredJob {
            job: NewJob {
                notification: notification.to_owned(),
                ..new_job(1, Priority::Normal)
            },
            attempt: 1,
            parked: None,
            origin: None,
        },
        parked: None,
    };
    let (same, other) = (left(&format!("{:032x}", 1)), left("of a new store"));
    for (left, missing_count) in [(same, 0), (other, 1)] {
        let left = [left];
        let missing = site.queues.inner.missing(&left).await.unwrap();
        assert_eq!(missing.len(), missing_count);
    }
}
