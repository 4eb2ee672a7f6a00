//! Checks of the suite: what is to be told to a user first.
//!
//! Belongs here: checks that every store passes. Does not belong here: who waits for whom (queue).

use super::*;
use crate::store::jobs::EarlierJob;

pub(super) async fn what_is_to_be_told_before_a_job_is_known(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (ada, _) = new_user(store, "a@b.example", welcome("mail")).await;
    let (bea, _) = new_user(store, "b@b.example", Vec::new()).await;
    let mut jobs = Vec::new();
    for (number, (user, priority)) in [
        (ada, Priority::High),
        (bea, Priority::High),
        (ada, Priority::Low),
        (ada, Priority::Normal),
        (ada, Priority::Urgent),
        (ada, Priority::Normal),
    ]
    .into_iter()
    .enumerate()
    {
        let item = News {
            priority,
            ..news(
                &format!("n{number}"),
                Channel::InApp,
                NotificationType::Login,
            )
        };
        let at = WallMs(10 + number as u64);
        let login = store.record_login(session(&format!("s{number}"), user), vec![item], at);
        jobs.extend(login.await.unwrap());
    }
    let before = async |job: &NewJob| -> Vec<EarlierJob> {
        let asked = store.earlier_jobs(job.user, job.priority, job.id).await;
        asked.unwrap()
    };
    let ids =
        async |job: &NewJob| -> Vec<i64> { before(job).await.iter().map(|job| job.id).collect() };
    let id = |at: usize| jobs[at].id;
    assert_eq!(ids(&jobs[0]).await, [0; 0]);
    assert_eq!(ids(&jobs[1]).await, [0; 0], "another user's");
    assert_eq!(ids(&jobs[2]).await, [id(0)]);
    assert_eq!(ids(&jobs[3]).await, [id(0)], "the less urgent do not count");
    assert_eq!(ids(&jobs[4]).await, [0; 0]);
    assert_eq!(ids(&jobs[5]).await, [id(0), id(3), id(4)]);
    // Of those that rest only what found the user away is to be told.
    let rests = || delayed("in-app-retry", WallMs(900));
    let missed_run = |at: usize, attempt, is_missed| RunEnd {
        is_missed,
        ..run(&jobs[at], attempt)
    };
    for (at, is_missed) in [(0, true), (3, false)] {
        store
            .step(missed_run(at, 1, is_missed), rests(), WallMs(50))
            .await
            .unwrap();
    }
    let waits = EarlierJob {
        id: id(4),
        attempt: 1,
        is_missed: false,
    };
    let missed = EarlierJob {
        id: id(0),
        attempt: 2,
        is_missed: true,
    };
    assert_eq!(before(&jobs[5]).await, [missed, waits]);
    // One that rests asks for itself as well.
    assert_eq!(before(&jobs[3]).await, [missed]);
    store
        .step(missed_run(0, 2, false), rests(), WallMs(51))
        .await
        .unwrap();
    store
        .step(run(&jobs[4], 1), RunStep::Dead, WallMs(52))
        .await
        .unwrap();
    assert!(before(&jobs[5]).await.is_empty());
    // One that died of it and is sent again begins anew.
    for (attempt, step) in [(3, rests()), (4, RunStep::Dead)] {
        let ended = store.step(missed_run(0, attempt, true), step, WallMs(53));
        ended.await.unwrap();
    }
    store.requeue_dead(id(0), WallMs(54)).await.unwrap();
    let anew = EarlierJob {
        id: id(0),
        attempt: 1,
        is_missed: false,
    };
    assert_eq!(before(&jobs[5]).await, [anew]);
    open.close().await;
}
