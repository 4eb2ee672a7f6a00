//! Checks of the suite: accounts, sessions, records and what is listed of them.
//!
//! Belongs here: checks that every store passes. Does not belong here: runs.

use super::*;

pub(super) async fn an_address_belongs_to_one_account_and_a_refusal_leaves_nothing(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let signups = (0..20).map(|number| {
        let news = welcome(&format!("n{number}"));
        store.create_user(user("a@b.example"), news, WallMs(5))
    });
    let results = join_all(signups).await;
    let (made, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for refusal in refused {
        let error = refusal.unwrap_err();
        assert!(
            matches!(error, StoreError::Taken { field: "email" }),
            "{error}"
        );
    }
    assert_eq!(store.open_jobs().await.unwrap().len(), 1);
    let mut stored = 0;
    for number in 0..20 {
        let found = store
            .notification(format!("n{number}"), Channel::Email)
            .await
            .unwrap();
        stored += usize::from(found.is_some());
    }
    assert_eq!(stored, 1);
    open.close().await;
}

pub(super) async fn numbers_are_given_once_under_many_hands(site: &Site) {
    let open = site.open().await;
    let (store, second) = (&open.store, site.open().await);
    let signups = (0..40).map(|number| {
        let store = if number % 2 == 0 {
            store
        } else {
            &second.store
        };
        let email = format!("p{number}@b.example");
        let news = welcome(&format!("n{number}"));
        async move {
            store
                .create_user(user(&email), news, WallMs(5))
                .await
                .unwrap()
        }
    });
    let made = join_all(signups).await;
    let users: BTreeSet<UserId> = made.iter().map(|(id, _)| *id).collect();
    let jobs: BTreeSet<i64> = made
        .iter()
        .flat_map(|(_, jobs)| jobs)
        .map(|job| job.id)
        .collect();
    assert_eq!((users.len(), jobs.len()), (40, 40));
    let left = store.open_jobs().await.unwrap();
    assert!(left.is_sorted_by_key(|left| left.job.id));
    assert_eq!(left.len(), 40);
    let page = Page {
        offset: 30,
        limit: 7,
    };
    let (listed, total) = store.signups(Which::All, page).await.unwrap();
    let listed = json_of(&listed);
    let numbers: Vec<u64> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|signup| signup["userId"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!((total, numbers.len()), (40, 7));
    assert!(numbers.is_sorted_by(|one, next| one > next), "{numbers:?}");
    second.close().await;
    open.close().await;
}

pub(super) async fn only_own_notifications_are_marked_and_listed(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (ada, _) = new_user(store, "a@b.example", welcome("a")).await;
    let (bob, _) = new_user(store, "b@b.example", welcome("b")).await;
    let ids = ["b", "a", "nobody"].map(str::to_owned).to_vec();
    let own = store.mark_read(ada, ids, WallMs(7)).await.unwrap();
    assert_eq!(own, ["a"]);
    let again = store
        .mark_read(ada, vec!["a".to_owned()], WallMs(8))
        .await
        .unwrap();
    assert_eq!(again, ["a"]);
    let (listed, total) = store
        .notifications_of(ada, Channel::Email, ALL)
        .await
        .unwrap();
    assert_eq!((total, listed[0].read_at), (1, Some(WallMs(7))));
    let (listed, _) = store
        .notifications_of(bob, Channel::Email, ALL)
        .await
        .unwrap();
    assert_eq!(listed[0].read_at, None);
    assert!(
        store
            .mark_read(ada, Vec::new(), WallMs(9))
            .await
            .unwrap()
            .is_empty()
    );
    open.close().await;
}

pub(super) async fn sessions_open_rotate_once_and_end(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    for (name, at) in [("s1", 6), ("s2", 7)] {
        store
            .open_session(session(name, id), WallMs(at))
            .await
            .unwrap();
    }
    let is_open = |name: &str, at| store.is_session_open(name.to_owned(), WallMs(at));
    assert!(is_open("s1", 99_999).await.unwrap());
    assert!(!is_open("s1", 100_000).await.unwrap(), "past its time");
    assert!(!is_open("s3", 8).await.unwrap());
    let rotate =
        |old: &str, new: &str, at| store.rotate_refresh(old.to_owned(), new.to_owned(), WallMs(at));
    let rotated = rotate("refresh of s1", "next", 9).await.unwrap();
    assert_eq!(rotated, Some((id, "s1".to_owned())));
    assert_eq!(
        rotate("refresh of s1", "third", 10).await.unwrap(),
        None,
        "used"
    );
    assert_eq!(
        rotate("next", "late", 100_000).await.unwrap(),
        None,
        "past its time"
    );
    let (first, second) = tokio::join!(rotate("next", "one", 11), rotate("next", "two", 11));
    let winners = [first.unwrap(), second.unwrap()];
    assert_eq!(winners.iter().flatten().count(), 1, "one of two at once");
    let listed = store.open_sessions(id, WallMs(12)).await.unwrap();
    let listed: Vec<(&str, WallMs)> = listed
        .iter()
        .map(|session| (session.id.as_str(), session.refreshed_at))
        .collect();
    assert_eq!(listed, [("s2", WallMs(7)), ("s1", WallMs(11))]);
    let end = |name: &str| store.end_session(name.to_owned(), WallMs(12));
    store
        .open_session(session("s4", id), WallMs(8))
        .await
        .unwrap();
    let late = store.end_session("s4".to_owned(), WallMs(100_000)).await;
    assert!(!late.unwrap(), "past its time it was not open any more");
    assert!(end("s4").await.unwrap());
    assert!(!end("s4").await.unwrap(), "ended before");
    assert!(!end("nobody").await.unwrap());
    assert!(!is_open("s4", 13).await.unwrap());
    assert_eq!(store.end_sessions(id, WallMs(100_000)).await.unwrap(), 0);
    assert_eq!(store.end_sessions(id, WallMs(13)).await.unwrap(), 2);
    assert_eq!(store.end_sessions(id, WallMs(14)).await.unwrap(), 0);
    assert!(!is_open("s2", 15).await.unwrap());
    assert!(
        store
            .open_sessions(id, WallMs(15))
            .await
            .unwrap()
            .is_empty()
    );
    open.close().await;
}

pub(super) async fn attempts_at_logging_in_are_listed_newest_first(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    store
        .record_failed_login(Some(id), WallMs(6))
        .await
        .unwrap();
    store.record_failed_login(None, WallMs(7)).await.unwrap();
    let login = both("n1", NotificationType::Login);
    let jobs = store
        .record_login(session("s1", id), login, WallMs(8))
        .await
        .unwrap();
    let (all, total) = store.logins(Which::All, None, ALL).await.unwrap();
    let all = json_of(&all);
    assert_eq!(total, 3);
    let kinds: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|login| {
            (
                login["loginSuccessful"].as_bool().unwrap(),
                login["userId"].is_string(),
            )
        })
        .collect();
    assert_eq!(kinds, [(true, true), (false, false), (false, true)]);
    assert_eq!(all[0]["username"], "Ada");
    assert_eq!(all[2]["email"], "a@b.example");
    assert_eq!(
        all[0]["loginAlertEmail"]["jobId"],
        json!(jobs[0].id.to_string())
    );
    assert_eq!(all[0]["loginAlertEmail"]["notificationId"], "n1");
    assert_eq!(
        all[0]["loginInAppNotification"]["jobId"],
        json!(jobs[1].id.to_string())
    );
    let (own, total) = store.logins(Which::All, Some(id), ALL).await.unwrap();
    assert_eq!((own.len(), total), (2, 2));
    store
        .step(run(&jobs[0], 3), RunStep::Dead, WallMs(9))
        .await
        .unwrap();
    let (failed, total) = store.logins(Which::EmailFailed, None, ALL).await.unwrap();
    assert_eq!(
        (json_of(&failed)[0]["sessionId"].as_str(), total),
        (Some("s1"), 1)
    );
    assert_eq!(all[0]["sessionToken"], hash_hex("token of s1"));
    assert_eq!(all[1]["sessionToken"], json!(null), "it had none");
    open.close().await;
}

pub(super) async fn records_come_with_what_is_told_about_them(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (ada, _) = new_user(store, "a@b.example", Vec::new()).await;
    let (bob, _) = new_user(store, "b@b.example", Vec::new()).await;
    let purchase = NewPurchase {
        id: "p1".to_owned(),
        user: ada,
        item: "Tea".to_owned(),
        amount: 4.0,
        currency: "EUR".to_owned(),
    };
    let told = both("n1", NotificationType::Purchase);
    let jobs = store
        .record_purchase(purchase, told, WallMs(6))
        .await
        .unwrap();
    assert_eq!(
        jobs.iter().map(|job| job.user).collect::<Vec<_>>(),
        [ada, ada]
    );
    let request = |id: &str, to| NewFriendRequest {
        id: id.to_owned(),
        from: ada,
        to,
    };
    let told = both("n2", NotificationType::FriendRequest);
    let jobs = store
        .record_friend_request(request("f1", bob), told, WallMs(7))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(jobs[1].user, bob);
    let told = both("n3", NotificationType::FriendRequest);
    let nobody = store.record_friend_request(request("f2", UserId(999)), told, WallMs(8));
    assert!(nobody.await.unwrap().is_none());
    assert!(
        store
            .notification("n3".to_owned(), Channel::Email)
            .await
            .unwrap()
            .is_none()
    );
    let reset = NewReset {
        id: "r1".to_owned(),
        user: bob,
        token_hash: "hash".to_owned(),
        expires_at: WallMs(100),
    };
    let told = vec![news("n4", Channel::Email, NotificationType::ResetPassword)];
    store.record_reset(reset, told, WallMs(9)).await.unwrap();
    let (listed, _) = store
        .notifications_of(bob, Channel::Email, ALL)
        .await
        .unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|item| (item.kind.as_str(), item.message.as_str()))
        .collect();
    // What a reset says holds its code.
    assert_eq!(shown, [("reset_password", ""), ("friend_request", "m")]);
    for job in store.open_jobs().await.unwrap() {
        let done = store.step(run(&job.job, 1), RunStep::DELIVERED, WallMs(10));
        done.await.unwrap();
    }
    assert!(store.open_jobs().await.unwrap().is_empty());
    open.close().await;
}

pub(super) async fn an_address_is_proved_once_and_counted(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", Vec::new()).await;
    new_user(store, "b@b.example", Vec::new()).await;
    let verify = || store.verify_email("token of a@b.example".to_owned(), WallMs(9));
    assert_eq!(verify().await.unwrap(), Some(id));
    assert_eq!(verify().await.unwrap(), None, "used");
    let statistics = json_of(&store.signup_statistics().await.unwrap());
    assert_eq!(
        (&statistics["total"], &statistics["verified"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        statistics["perDay"],
        json!([{"day": "1970-01-01", "count": 2}])
    );
    let (listed, _) = store.signups(Which::All, ALL).await.unwrap();
    let verified = &json_of(&listed)[1];
    assert_eq!(verified["emailVerified"], true);
    assert_eq!(verified["updatedAt"], "1970-01-01T00:00:00.009Z");
    open.close().await;
}

pub(super) async fn what_people_type_is_a_value_and_nothing_else(site: &Site) {
    let open = site.open().await;
    let store = &open.store;
    let (id, _) = new_user(store, "a@b.example", welcome("n1")).await;
    for typed in [
        "{\"$ne\":null}",
        "$where",
        "' OR 1=1 --",
        "a@b.example\0",
        ".*",
    ] {
        let typed = typed.to_owned();
        assert!(store.user_by_email(typed.clone()).await.unwrap().is_none());
        assert!(
            store
                .notification(typed.clone(), Channel::Email)
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            !store
                .is_session_open(typed.clone(), WallMs(6))
                .await
                .unwrap()
        );
        let marked = store.mark_read(id, vec![typed.clone()], WallMs(6)).await;
        assert!(marked.unwrap().is_empty());
        let rotated = store.rotate_refresh(typed.clone(), typed, WallMs(6)).await;
        assert!(rotated.unwrap().is_none());
    }
    let odd = NewUser {
        username: "$set.{\"a\":1}".to_owned(),
        ..user("$gt@b.example")
    };
    store.create_user(odd, Vec::new(), WallMs(7)).await.unwrap();
    let found = store
        .user_by_email("$gt@b.example".to_owned())
        .await
        .unwrap();
    assert_eq!(found.unwrap().username, "$set.{\"a\":1}");
    open.close().await;
}
