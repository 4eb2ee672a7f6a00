//! Checks of the suite: steps that come when their job has gone on without them.
//!
//! Belongs here: checks that every store passes. Does not belong here: steps in their order (runs).

use super::*;

/// What is told of the user's only mail: its status, how many runs, its history.
async fn told(store: &Store, id: UserId) -> (String, u64, Vec<String>) {
    let listed = store.notifications_of(id, Channel::Email, ALL).await;
    let (mut listed, total) = listed.unwrap();
    assert_eq!(total, 1);
    let listed = listed.remove(0);
    let history = listed.delivery_history.into_iter();
    let history = history.map(|entry| format!("{} {}", entry.status, entry.tier));
    (listed.status, listed.attempts, history.collect())
}

/// The steps that a run of a worker which was held up may still say.
fn failures() -> [RunStep; 3] {
    [
        RunStep::Began,
        delayed("retry-1", WallMs(500)),
        RunStep::Dead,
    ]
}

pub(super) async fn a_run_that_another_one_has_overtaken_sets_nothing_back(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, jobs) = new_user(store, "a@b.example", welcome("n1")).await;
    for (attempt, station) in [(1, "retry-1"), (2, "retry-2")] {
        let rests = delayed(station, WallMs(900));
        let ended = store.step(run(&jobs[0], attempt), rests, WallMs(6));
        ended.await.unwrap();
    }
    let history = [
        "pending mail",
        "queued mail",
        "failed mail",
        "failed retry_1",
    ];
    for (step, at) in failures().into_iter().zip(7..) {
        let late = store.step(run(&jobs[0], 1), step, WallMs(at));
        late.await.unwrap();
        let left = store.open_jobs().await.unwrap();
        let parked = Some(("retry-2".to_owned(), WallMs(900)));
        assert_eq!((left[0].attempt, &left[0].parked), (3, &parked));
        let (status, attempts, entries) = told(store, id).await;
        assert_eq!((status.as_str(), attempts), ("pending", 2));
        assert_eq!(entries, history);
    }
    let tracked = json_of(&store.welcome_email(id).await.unwrap());
    assert_eq!(
        (&tracked["status"], &tracked["attempts"]),
        (&json!("queued"), &json!(2))
    );
    open.close().await;
}

pub(super) async fn what_is_given_up_stays_so_unless_it_arrives(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, jobs) = new_user(store, "a@b.example", welcome("n1")).await;
    let given_up = store.step(run(&jobs[0], 3), RunStep::Dead, WallMs(6));
    given_up.await.unwrap();
    for (step, at) in failures().into_iter().zip(7..) {
        let late = store.step(run(&jobs[0], 3), step, WallMs(at));
        late.await.unwrap();
        assert_eq!(store.dead_job_count().await.unwrap(), 1);
        let (status, attempts, entries) = told(store, id).await;
        assert_eq!((status.as_str(), attempts), ("failed", 3));
        assert_eq!(entries, ["pending mail", "queued mail", "failed retry_2"]);
    }
    // The relay has the mail, whoever gave up on it.
    let sent = store.step(run(&jobs[0], 3), RunStep::DELIVERED, WallMs(10));
    sent.await.unwrap();
    assert_eq!(store.dead_job_count().await.unwrap(), 0);
    assert_eq!(told(store, id).await.0, "delivered");
    let tracked = json_of(&store.welcome_email(id).await.unwrap());
    assert_eq!(tracked["status"], "delivered");
    open.close().await;
}

pub(super) async fn nothing_is_told_of_a_job_that_is_gone(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, jobs) = new_user(store, "a@b.example", welcome("n1")).await;
    let delivered = store.step(run(&jobs[0], 1), RunStep::DELIVERED, WallMs(6));
    delivered.await.unwrap();
    let before = told(store, id).await;
    assert_eq!(before.2, ["pending mail", "queued mail", "delivered mail"]);
    let ends = [RunStep::Expired, RunStep::DELIVERED];
    for (step, at) in failures().into_iter().chain(ends).zip(7..) {
        let late = store.step(run(&jobs[0], 2), step, WallMs(at));
        late.await.unwrap();
        assert_eq!(told(store, id).await, before);
    }
    assert!(store.open_jobs().await.unwrap().is_empty());
    open.close().await;
}
