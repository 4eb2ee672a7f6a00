//! A Redis that loses what it had, clocks that differ, a run that is not recorded.

use super::*;
use crate::telemetry::ids::OWN_RANGES;
use std::collections::BTreeSet;

impl Redis {
    /// It dies and comes back empty.
    fn lose_all(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.0.join("appendonlydir")).expect("it kept its data");
        self.start_again();
    }

    /// How many processes say that they live.
    fn alive_count(&self) -> u64 {
        let client = redis::Client::open(self.settings().url).expect("an address");
        let mut connection = client.get_connection().expect("it is there");
        let alive = Keys::new(&self.settings().prefix).alive;
        let count = redis::cmd("HLEN").arg(alive).query(&mut connection);
        count.expect("a hash")
    }
}

/// Takes that many leased ids, none of which was there before.
fn take_ids(telemetry: &Telemetry, count: usize, taken: &mut BTreeSet<u64>) {
    let whole = taken.len() + count;
    until("leased ids", || {
        let id = telemetry.next_request_id().0;
        let is_new = taken.insert(id);
        assert!(is_new, "{id} was handed out twice");
        if id > OWN_RANGES {
            taken.remove(&id);
        }
        taken.len() == whole
    });
}

#[test]
fn a_redis_that_lost_its_data_gives_no_number_and_no_id_twice() {
    let Some(mut redis) = Redis::start("lost") else {
        return;
    };
    let folder = Folder::new("transport-lost");
    let recorder = start_recorder(&redis, &folder);
    let run_id = recorder.telemetry().run_id();
    let mut shippers = vec![ship(&redis, "balancer"), ship(&redis, "server")];
    let (from, via) = (shippers[0].telemetry(), shippers[1].telemetry());
    login_across(&from, &via, &via);
    let own = recorder.telemetry();
    until("a login", || own.status().requests.completed == 1);
    let mut ids = BTreeSet::new();
    take_ids(&from, 20, &mut ids);
    redis.lose_all();
    shippers.push(ship(&redis, "mail-worker"));
    until("signs of life of three", || redis.alive_count() == 3);
    for shipper in &shippers {
        take_ids(&shipper.telemetry(), 20, &mut ids);
    }
    play_login(&shippers[2].telemetry());
    until("another login", || own.status().requests.completed == 2);
    // Nobody is there who knows how far the counters were since the last request that is recorded.
    recorder.cut_off();
    redis.lose_all();
    let recorder = start_recorder(&redis, &folder);
    assert_eq!(recorder.telemetry().run_id(), run_id);
    until("signs of life again", || redis.alive_count() == 3);
    for count in 4..=6 {
        shippers.push(ship(&redis, "in-app-worker"));
        until("one more sign of life", || redis.alive_count() == count);
    }
    for shipper in &shippers {
        take_ids(&shipper.telemetry(), 20, &mut ids);
    }
    for shipper in shippers {
        assert!(shipper.finish().is_sent);
    }
    ended(recorder);
}

#[test]
fn a_run_goes_on_whose_other_processes_were_ahead_of_the_next_recorder() {
    let Some(redis) = Redis::start("ahead") else {
        return;
    };
    let folder = Folder::new("transport-ahead");
    let first = start_recorder(&redis, &folder);
    let server = ship_ahead(&redis, "server", 30_000_000_000);
    play_login(&server.telemetry());
    let own = first.telemetry();
    until("a login", || own.status().requests.completed == 1);
    let run_id = own.run_id();
    first.cut_off();
    let second = start_recorder(&redis, &folder);
    assert_eq!(second.telemetry().run_id(), run_id);
    assert!(server.finish().is_sent);
    ended(second);
    assert_eq!(count(&events_of(&folder), EventKind::RequestFinished), 1);
}

#[test]
fn a_recorder_that_records_nothing_still_says_how_far_it_is() {
    let Some(redis) = Redis::start("off") else {
        return;
    };
    let receiving = Receiving {
        transport: redis.settings(),
        address: None,
    };
    let settings = RecordingSettings::default();
    let recorder = Recorder::start_receiving(Clock::start(), topology(), &settings, &receiving)
        .expect("Redis is there");
    let server = ship(&redis, "server");
    let shown = server.telemetry();
    play_login(&shown);
    until("the recorder's word", || shown.counts().written > 50);
    assert!(server.finish().is_sent);
    ended(recorder);
}
