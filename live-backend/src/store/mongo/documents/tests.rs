//! Every document comes back as it was, under the names that others read.
//!
//! Belongs here: round trips. Does not belong here: documents on a server (the tests of mongo).

use super::*;
use mongodb::bson::{Document, deserialize_from_slice, serialize_to_vec};
use serde::de::DeserializeOwned;
use std::fmt::Debug;

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(document: &T, fields: &[&str]) {
    let bytes = serialize_to_vec(document).unwrap();
    assert_eq!(&deserialize_from_slice::<T>(&bytes).unwrap(), document);
    let plain: Document = deserialize_from_slice(&bytes).unwrap();
    for field in fields {
        assert!(plain.contains_key(field), "{field} in {plain}");
    }
}

fn told() -> Told {
    Told {
        status: TrackedStatus::Sending,
        job_id: 7,
        notification_id: "n".to_owned(),
        attempts: 1,
        message_id: Some("<m@h>".to_owned()),
        delivery_history: vec![Entry {
            at: DateTime::from_millis(6),
            status: "sending".to_owned(),
            attempt: 1,
            tier: "mail".to_owned(),
            code: Some(250),
            reason: Some("fine".to_owned()),
        }],
    }
}

#[test]
fn accounts_and_records_come_back_as_they_were() {
    let at = DateTime::from_millis(5);
    comes_back(
        &Signup {
            user_id: 1,
            username: "Ada".to_owned(),
            email: "a@b.example".to_owned(),
            password: "$argon2id$".to_owned(),
            email_verified: true,
            verification_hash: None,
            welcome_email: Some(told()),
            created_at: at,
            updated_at: at,
        },
        &[
            "userId",
            "username",
            "email",
            "password",
            "emailVerified",
            "welcomeEmail",
            "createdAt",
            "updatedAt",
        ],
    );
    comes_back(
        &Login {
            id: "l".to_owned(),
            user_id: Some(1),
            username: Some("Ada".to_owned()),
            email: Some("a@b.example".to_owned()),
            login_successful: true,
            session_id: Some("s".to_owned()),
            session_token: Some("t".to_owned()),
            login_alert_email: Some(told()),
            login_in_app_notification: Some(told()),
            created_at: at,
        },
        &[
            "userId",
            "username",
            "email",
            "loginSuccessful",
            "sessionId",
            "sessionToken",
            "loginAlertEmail",
            "loginInAppNotification",
            "createdAt",
        ],
    );
    comes_back(
        &Purchase {
            id: "p".to_owned(),
            user_id: 1,
            item: "Tea".to_owned(),
            amount: 4.0,
            currency: "EUR".to_owned(),
            email_notification: Some(told()),
            in_app_notification: None,
            created_at: at,
        },
        &["userId", "item", "amount", "emailNotification", "createdAt"],
    );
    comes_back(
        &FriendRequest {
            id: "f".to_owned(),
            from_user_id: 1,
            to_user_id: 2,
            email_notification: Some(told()),
            in_app_notification: Some(told()),
            created_at: at,
        },
        &[
            "fromUserId",
            "toUserId",
            "emailNotification",
            "inAppNotification",
        ],
    );
    comes_back(
        &ResetPassword {
            id: "r".to_owned(),
            user_id: 1,
            token_hash: "h".to_owned(),
            email_notification: Some(told()),
            in_app_notification: None,
            expires_at: at,
            created_at: at,
        },
        &["userId", "tokenHash", "emailNotification", "expiresAt"],
    );
}

#[test]
fn notifications_come_back_as_they_were_and_keep_to_their_channel() {
    let email: EmailNotification = notification(EmailStatus::Processing);
    comes_back(
        &email,
        &[
            "type",
            "recipient",
            "status",
            "attempts",
            "retryHistory",
            "messageId",
            "createdAt",
        ],
    );
    let in_app: InAppNotification = notification(InAppStatus::Expired);
    comes_back(
        &in_app,
        &[
            "type",
            "recipient",
            "title",
            "message",
            "status",
            "priority",
            "attempts",
            "deliveredAt",
            "socketId",
            "expiresAt",
            "createdAt",
        ],
    );
    // A status of the other channel is none of this one's.
    let bytes = serialize_to_vec(&in_app).unwrap();
    assert!(deserialize_from_slice::<EmailNotification>(&bytes).is_err());
    assert!(
        deserialize_from_slice::<InAppNotification>(&serialize_to_vec(&email).unwrap()).is_err()
    );
}

fn notification<Status>(status: Status) -> Notification<Status> {
    let at = DateTime::from_millis(5);
    Notification {
        id: "n".to_owned(),
        kind: NotificationType::FriendRequest,
        recipient: Recipient {
            user_id: 1,
            username: "Ada".to_owned(),
            email: "a@b.example".to_owned(),
        },
        title: "t".to_owned(),
        message: "m".to_owned(),
        status,
        priority: Priority::Urgent,
        attempts: 2,
        job_id: 7,
        retry_history: vec![Retry {
            time: at,
            tier: "mail".to_owned(),
            error: "later".to_owned(),
            code: None,
        }],
        delivery_history: Vec::new(),
        message_id: Some("<m@h>".to_owned()),
        socket_id: Some("s".to_owned()),
        delivered_at: Some(at),
        read_at: None,
        expires_at: Some(at),
        record_id: Some("f".to_owned()),
        created_at: at,
    }
}

#[test]
fn jobs_and_sessions_come_back_as_they_were() {
    let at = DateTime::from_millis(5);
    let job = Job {
        id: 7,
        channel: Channel::InApp,
        state: JobState::Delayed,
        notification_id: "n".to_owned(),
        user_id: 1,
        kind: NotificationType::Login,
        priority: Priority::Low,
        attempt: 2,
        station: Some("retry-1".to_owned()),
        due_at: Some(at),
        is_missed: false,
        origin: Some(Origin {
            run: "ab".to_owned(),
            part: "1".to_owned(),
        }),
        record_id: None,
        created_at: at,
    };
    comes_back(
        &job,
        &["channel", "state", "notificationId", "attempt", "dueAt"],
    );
    let session = Session {
        id: "s".to_owned(),
        user_id: 1,
        refresh_hash: "h".to_owned(),
        created_at: at,
        refreshed_at: at,
        expires_at: at,
        ended_at: None,
    };
    comes_back(&session, &["userId", "refreshHash", "expiresAt"]);
}
