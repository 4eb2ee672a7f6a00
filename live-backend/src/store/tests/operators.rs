//! Checks of the suite: what operators and other programs do.
//!
//! Belongs here: checks that every store passes. Does not belong here: runs.

use super::*;

pub(super) async fn operators_look_up_requeue_and_remove_jobs(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    let login = both("n1", NotificationType::Login);
    let jobs = store
        .record_login(session("s1", id), login, WallMs(6))
        .await
        .unwrap();
    let one = |job: &NewJob| store.job_records(JobFilter::One(job.id), ALL);
    let (found, total) = one(&jobs[1]).await.unwrap();
    assert_eq!(
        (total, found[0].channel, found[0].user),
        (1, Channel::InApp, id)
    );
    assert!(found[0].stored.is_some() && !found[0].is_dead);
    for job in &jobs {
        store
            .step(run(job, 3), RunStep::Dead, WallMs(7))
            .await
            .unwrap();
    }
    let (dead, total) = store.job_records(JobFilter::Dead, ALL).await.unwrap();
    let numbers: Vec<i64> = dead.iter().map(|record| record.id).collect();
    assert_eq!((total, numbers), (2, vec![jobs[0].id, jobs[1].id]));
    assert!(dead.iter().all(|record| record.is_dead));
    let failed = JobFilter::Ended(Channel::Email, "failed");
    let (ended, total) = store.job_records(failed, ALL).await.unwrap();
    assert_eq!((total, ended[0].id), (1, jobs[0].id));

    let requeued = store.requeue_dead(jobs[0].id, WallMs(8)).await.unwrap();
    let requeued = requeued.unwrap();
    assert_eq!((requeued.job.id, requeued.attempt), (jobs[0].id, 1));
    assert!(requeued.parked.is_none());
    let again = store.requeue_dead(jobs[0].id, WallMs(9)).await.unwrap();
    assert!(again.is_none(), "it is not dead any more");
    assert_eq!(store.open_jobs().await.unwrap().len(), 1);
    let (found, _) = one(&jobs[0]).await.unwrap();
    let notification = json_of(&found[0].notification);
    assert_eq!(notification["status"], "pending");
    assert_eq!(
        statuses(&notification["deliveryHistory"]),
        ["pending", "queued", "failed", "queued"]
    );
    let done = store.step(run(&jobs[0], 1), RunStep::DELIVERED, WallMs(10));
    done.await.unwrap();
    let (found, _) = one(&jobs[0]).await.unwrap();
    assert!(found[0].stored.is_none());

    let removal = Removal {
        status: "removed",
        tier: "dlq",
        reason: "no longer wanted".to_owned(),
    };
    let both = vec![jobs[0].id, jobs[1].id, 999];
    let removed = store.remove_jobs(both, removal, WallMs(11)).await.unwrap();
    assert_eq!(removed, 1, "the other is delivered");
    assert_eq!(store.dead_job_count().await.unwrap(), 0);
    let (logins, _) = store.logins(Which::All, Some(id), ALL).await.unwrap();
    let logins = json_of(&logins);
    assert_eq!(logins[0]["loginAlertEmail"]["status"], "delivered");
    assert_eq!(logins[0]["loginInAppNotification"]["status"], "failed");
    let delivered = JobFilter::Ended(Channel::Email, "delivered");
    let (ended, total) = store.job_records(delivered, ALL).await.unwrap();
    assert_eq!((total, ended[0].id), (1, jobs[0].id));
    open.close().await;
}

pub(super) async fn what_operators_set_is_kept(site: &Site) {
    let open = site.open().await;
    let set = |name: &str, value: Option<&str>| {
        let value = value.map(str::to_owned);
        open.store.set_setting(name.to_owned(), value)
    };
    set("b", Some("1")).await.unwrap();
    set("a", Some("2")).await.unwrap();
    set("b", Some("3")).await.unwrap();
    set("c", Some("4")).await.unwrap();
    set("c", None).await.unwrap();
    set("d", None).await.unwrap();
    open.close().await;
    let open = site.open().await;
    let kept = open.store.settings().await.unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(kept, [pair("a", "2"), pair("b", "3")]);
    open.close().await;
}

pub(super) async fn what_another_program_asks_for_is_stored_once(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", welcome("n1")).await;
    let asked = || news("f1", Channel::Email, NotificationType::Signup);
    let nobody = store.adopt(UserId(999), asked(), WallMs(6)).await.unwrap();
    assert!(matches!(nobody, Adopted::NoUser), "{nobody:?}");
    let at_once = (0..4).map(|_| store.adopt(id, asked(), WallMs(7)));
    let mut numbers = BTreeSet::new();
    let mut job = None;
    for adopted in join_all(at_once).await {
        let Ok(Adopted::Open(open)) = adopted else {
            panic!("{adopted:?}");
        };
        numbers.insert(open.id);
        job = Some(open);
    }
    assert_eq!(numbers.len(), 1);
    let done = store.step(run(&job.unwrap(), 1), RunStep::DELIVERED, WallMs(8));
    done.await.unwrap();
    let over = store.adopt(id, asked(), WallMs(9)).await.unwrap();
    assert!(matches!(over, Adopted::Over), "{over:?}");
    // The signup's own welcome is another message.
    let welcome = json_of(&store.welcome_email(id).await.unwrap());
    assert_eq!(welcome["status"], "queued");
    open.close().await;
}
