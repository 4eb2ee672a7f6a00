//! Checks of the suite: what a run of a job leaves behind.
//!
//! Belongs here: checks that every store passes. Does not belong here: accounts.

use super::*;

pub(super) async fn what_is_answered_is_there_after_it_is_opened_again(site: &Site) {
    let open = site.open().await;
    let (_id, jobs) = new_user(&open.store, "a@b.example", welcome("n1")).await;
    let due_at = WallMs(500);
    open.store
        .step(run(&jobs[0], 1), delayed("retry-1", due_at), WallMs(6))
        .await
        .unwrap();
    open.close().await;

    let open = site.open().await;
    let store = &open.store;
    let left = store.open_jobs().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(
        (left[0].attempt, &left[0].parked),
        (2, &Some(("retry-1".to_owned(), due_at)))
    );
    let job = &left[0].job;
    store
        .step(run(job, 2), RunStep::DELIVERED, WallMs(7))
        .await
        .unwrap();
    assert!(store.open_jobs().await.unwrap().is_empty());
    let (listed, total) = store
        .notifications_of(job.user, Channel::Email, ALL)
        .await
        .unwrap();
    assert_eq!(
        (total, listed[0].status.as_str(), listed[0].attempts),
        (1, "delivered", 2)
    );
    let listed = json_of(&listed[0]);
    assert_eq!(
        statuses(&listed["deliveryHistory"]),
        ["pending", "queued", "failed", "delivered"]
    );
    let found = store.user_by_email("a@b.example".to_owned()).await.unwrap();
    assert_eq!(found.unwrap().password_hash, "$argon2id$h");
    open.close().await;
}

pub(super) async fn a_run_is_told_wherever_its_message_is_listed(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, jobs) = new_user(store, "a@b.example", welcome("n1")).await;
    let told = json_of(&store.welcome_email(id).await.unwrap());
    assert_eq!(told["status"], "queued");
    assert_eq!(told["notificationId"], "n1");
    assert_eq!(told["jobId"], json!(jobs[0].id.to_string()));
    let begun = RunEnd {
        code: None,
        reason: String::new(),
        ..run(&jobs[0], 1)
    };
    store.step(begun, RunStep::Began, WallMs(6)).await.unwrap();
    let told = json_of(&store.welcome_email(id).await.unwrap());
    assert_eq!(
        (&told["status"], &told["attempts"]),
        (&json!("sending"), &json!(1))
    );
    let (listed, _) = store
        .notifications_of(id, Channel::Email, ALL)
        .await
        .unwrap();
    assert_eq!(listed[0].status, "processing");
    let delivered = RunStep::Delivered {
        message_id: Some("<m@h>".to_owned()),
        socket_id: None,
    };
    store
        .step(run(&jobs[0], 1), delivered, WallMs(7))
        .await
        .unwrap();
    let told = json_of(&store.welcome_email(id).await.unwrap());
    assert_eq!(
        (&told["status"], &told["messageId"]),
        (&json!("delivered"), &json!("<m@h>"))
    );
    let history = &told["deliveryHistory"];
    assert_eq!(
        statuses(history),
        ["pending", "queued", "sending", "delivered"]
    );
    assert_eq!(history[3]["code"], 451);
    assert_eq!(history[3]["at"], "1970-01-01T00:00:00.007Z");
    assert!(history[2].get("reason").is_none(), "{history}");
    let stored = store
        .notification("n1".to_owned(), Channel::Email)
        .await
        .unwrap()
        .unwrap();
    assert!(stored.is_delivered);
    assert_eq!(
        (stored.recipient.id, stored.recipient.email.as_str()),
        (id, "a@b.example")
    );
    assert!(store.welcome_email(UserId(999)).await.unwrap().is_none());
    open.close().await;
}

pub(super) async fn a_dead_letter_rests_and_its_signup_is_listed_as_failed(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (_, jobs) = new_user(store, "a@b.example", welcome("n1")).await;
    new_user(store, "b@b.example", welcome("n2")).await;
    store
        .step(run(&jobs[0], 3), RunStep::Dead, WallMs(6))
        .await
        .unwrap();
    assert_eq!(store.dead_job_count().await.unwrap(), 1);
    assert_eq!(store.open_jobs().await.unwrap().len(), 1);
    let (failed, total) = store.signups(Which::EmailFailed, ALL).await.unwrap();
    let failed = json_of(&failed);
    assert_eq!((total, &failed[0]["email"]), (1, &json!("a@b.example")));
    let told = &failed[0]["welcomeEmail"];
    assert_eq!(
        (
            &told["status"],
            &told["reason"],
            &told["code"],
            &told["attempts"]
        ),
        (&json!("failed"), &json!("later"), &json!(451), &json!(3))
    );
    let statistics = json_of(&store.signup_statistics().await.unwrap());
    assert_eq!(
        statistics["welcomeEmails"],
        json!({"queued": 1, "sending": 0, "delivered": 0, "failed": 1})
    );
    open.close().await;
}

pub(super) async fn a_run_of_another_stores_job_changes_nothing(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, jobs) = new_user(store, "a@b.example", welcome("n1")).await;
    let told = json_of(&store.welcome_email(id).await.unwrap());
    let steps = [
        RunStep::Began,
        delayed("retry-1", WallMs(500)),
        RunStep::Dead,
        RunStep::Expired,
        RunStep::DELIVERED,
    ];
    for step in steps {
        // A queue that outlived its store knows the number, and another notification under it.
        let stranger = RunEnd {
            notification: "of another store".to_owned(),
            ..run(&jobs[0], 1)
        };
        store.step(stranger, step, WallMs(6)).await.unwrap();
        assert_eq!(json_of(&store.welcome_email(id).await.unwrap()), told);
    }
    let left = store.open_jobs().await.unwrap();
    assert_eq!(
        (left.len(), left[0].attempt, &left[0].parked),
        (1, 1, &None)
    );
    open.close().await;
}

pub(super) async fn what_nobody_wanted_in_time_expires(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    let jobs = store
        .record_login(
            session("s1", id),
            both("n1", NotificationType::Login),
            WallMs(6),
        )
        .await
        .unwrap();
    let in_app = &jobs[1];
    assert_eq!(in_app.channel, Channel::InApp);
    store
        .step(run(in_app, 1), RunStep::Expired, WallMs(90_001))
        .await
        .unwrap();
    let left = store.open_jobs().await.unwrap();
    assert_eq!((left.len(), left[0].job.channel), (1, Channel::Email));
    let (listed, _) = store
        .notifications_of(id, Channel::InApp, ALL)
        .await
        .unwrap();
    assert_eq!(listed[0].status, "expired");
    let (logins, _) = store.logins(Which::All, Some(id), ALL).await.unwrap();
    let logins = json_of(&logins);
    assert_eq!(logins[0]["loginInAppNotification"]["status"], "failed");
    assert_eq!(logins[0]["loginAlertEmail"]["status"], "queued");
    open.close().await;
}

pub(super) async fn a_late_confirmation_counts_once(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    let (other, _) = new_user(store, "b@b.example", Vec::new()).await;
    let login = both("n1", NotificationType::Login);
    let jobs = store
        .record_login(session("s1", id), login, WallMs(6))
        .await
        .unwrap();
    let confirm = |user, at| {
        store.confirm_late(
            user,
            "n1-in-app".to_owned(),
            "socket".to_owned(),
            WallMs(at),
        )
    };
    assert!(!confirm(other, 7).await.unwrap(), "not one's own");
    assert!(confirm(id, 8).await.unwrap());
    assert!(!confirm(id, 9).await.unwrap(), "confirmed before");
    // The run that had given up meanwhile leaves it as it is.
    let due_at = WallMs(100);
    store
        .step(
            run(&jobs[1], 1),
            delayed("in-app-retry", due_at),
            WallMs(10),
        )
        .await
        .unwrap();
    let stored = store
        .notification("n1-in-app".to_owned(), Channel::InApp)
        .await
        .unwrap()
        .unwrap();
    assert!(stored.is_delivered);
    let (listed, _) = store
        .notifications_of(id, Channel::InApp, ALL)
        .await
        .unwrap();
    assert_eq!(listed[0].attempts, 1, "that run counts");
    store
        .step(run(&jobs[1], 2), RunStep::DELIVERED, WallMs(11))
        .await
        .unwrap();
    let (listed, _) = store
        .notifications_of(id, Channel::InApp, ALL)
        .await
        .unwrap();
    let listed = &listed[0];
    assert_eq!(
        (
            listed.delivered_at,
            listed.socket_id.as_deref(),
            listed.status.as_str()
        ),
        (Some(WallMs(8)), Some("socket"), "delivered")
    );
    let (logins, _) = store.logins(Which::All, None, ALL).await.unwrap();
    assert_eq!(
        json_of(&logins)[0]["loginInAppNotification"]["status"],
        "delivered"
    );
    open.close().await;
}

pub(super) async fn a_step_that_is_said_again_changes_nothing_more(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, jobs) = new_user(store, "a@b.example", welcome("n1")).await;
    for at in [6, 7] {
        store
            .step(
                run(&jobs[0], 1),
                delayed("retry-1", WallMs(500)),
                WallMs(at),
            )
            .await
            .unwrap();
    }
    let left = store.open_jobs().await.unwrap();
    assert_eq!((left.len(), left[0].attempt), (1, 2));
    for at in [8, 9] {
        store
            .step(run(&jobs[0], 2), RunStep::DELIVERED, WallMs(at))
            .await
            .unwrap();
    }
    assert!(store.open_jobs().await.unwrap().is_empty());
    let (listed, _) = store
        .notifications_of(id, Channel::Email, ALL)
        .await
        .unwrap();
    let listed = &listed[0];
    assert_eq!((listed.attempts, listed.delivered_at), (2, Some(WallMs(8))));
    let told = |status: &str| {
        let entries = listed.delivery_history.iter();
        let of_it = entries.filter(|entry| entry.status == status);
        of_it.map(|entry| entry.tier.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(told("queued"), ["mail"]);
    assert_eq!(told("delivered"), ["retry_1"], "once, as the second run");
    open.close().await;
}

pub(super) async fn a_run_that_begins_again_takes_no_delivery_back(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, jobs) = new_user(store, "a@b.example", welcome("n1")).await;
    let job = &jobs[0];
    store
        .step(run(job, 2), RunStep::Began, WallMs(6))
        .await
        .unwrap();
    let delivered = store.step(run(job, 2), RunStep::DELIVERED, WallMs(7));
    delivered.await.unwrap();
    // A worker that held the first run until now.
    store
        .step(run(job, 1), RunStep::Began, WallMs(8))
        .await
        .unwrap();
    let (listed, _) = store
        .notifications_of(id, Channel::Email, ALL)
        .await
        .unwrap();
    assert_eq!(
        (listed[0].status.as_str(), listed[0].attempts),
        ("delivered", 2)
    );
    open.close().await;
}

pub(super) async fn a_request_is_known_by_what_is_stored_of_it(site: &Site) {
    let open = site.open().await;
    let run = "00112233445566778899aabbccddeeff";
    let part: Part = "12-1-1-1".parse().unwrap();
    let known = JobOrigin {
        run: run.to_owned(),
        part,
    };
    let strange = JobOrigin {
        run: "no run".to_owned(),
        part,
    };
    for (number, origin) in [Some(known.clone()), Some(strange), None]
        .into_iter()
        .enumerate()
    {
        let id = format!("n{number}");
        let mut news = welcome(&id);
        news[0].origin = origin;
        new_user(&open.store, &format!("{id}@b.example"), news).await;
    }
    let left = open.store.open_jobs().await.unwrap();
    let origins: Vec<_> = left.into_iter().map(|job| job.origin).collect();
    assert_eq!(origins, [Some(known), None, None]);
    open.close().await;
}
