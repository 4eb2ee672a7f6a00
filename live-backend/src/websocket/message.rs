//! What the sockets carry: the data of each event, as clients see it.
//!
//! Belongs here: field names of events. Does not belong here: when they are sent.

use crate::models::{NotificationType, Priority, WallMs};
use crate::store::notifications::Notification;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashSet;

/// Data of `notification:new` and `notification:broadcast`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InAppMessage {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: NotificationType,
    pub(crate) title: String,
    pub(crate) message: String,
    pub(crate) priority: Priority,
    pub(crate) created_at: WallMs,
    pub(crate) expires_at: Option<WallMs>,
}

impl From<&Notification> for InAppMessage {
    fn from(notification: &Notification) -> Self {
        let news = &notification.news;
        Self {
            id: news.id.clone(),
            kind: news.kind,
            title: news.title.clone(),
            message: news.message.clone(),
            priority: news.priority,
            created_at: notification.created_at,
            expires_at: news.expires_at,
        }
    }
}

/// Data of `auth:success`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthSuccess {
    pub(super) user_id: String,
    pub(super) socket_id: String,
}

/// Data of `auth:error`.
#[derive(Serialize)]
pub(super) struct AuthError {
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

/// Data of `notifications:markedRead`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MarkedRead {
    pub(super) count: usize,
    pub(super) notification_ids: Vec<String>,
}

/// The text under `key`, or the data itself where it is a text.
pub(super) fn text_of<'a>(data: &'a Value, keys: &[&str]) -> Option<&'a str> {
    let named = || keys.iter().find_map(|key| data.get(key)?.as_str());
    data.as_str().or_else(named)
}

/// The texts under `notificationIds`, or the data itself where it is a list.
pub(super) fn texts_of(data: &Value, count_max: usize) -> Option<Vec<String>> {
    let list = data
        .as_array()
        .or_else(|| data.get("notificationIds")?.as_array())?;
    if list.len() > count_max {
        return None;
    }
    let mut seen = HashSet::with_capacity(list.len());
    let mut texts = Vec::with_capacity(list.len());
    for item in list {
        let text = item.as_str()?;
        // What is named twice is meant once.
        if seen.insert(text) {
            texts.push(text.to_owned());
        }
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_are_read_from_every_form_a_client_may_send() {
        let keys = ["id", "notificationId"];
        for data in [
            json!("n1"),
            json!({"id": "n1"}),
            json!({"notificationId": "n1"}),
        ] {
            assert_eq!(text_of(&data, &keys), Some("n1"));
        }
        for data in [
            json!(null),
            json!(5),
            json!({"id": 5}),
            json!({}),
            json!(["n1"]),
        ] {
            assert_eq!(text_of(&data, &keys), None, "{data}");
        }
        assert_eq!(texts_of(&json!(["a"]), 9).unwrap(), ["a"]);
        assert_eq!(
            texts_of(&json!({"notificationIds": ["a", "b"]}), 9).unwrap(),
            ["a", "b"]
        );
        assert_eq!(texts_of(&json!({"notificationIds": ["a", 1]}), 9), None);
        assert_eq!(texts_of(&json!(["b", "a", "b"]), 9).unwrap(), ["b", "a"]);
        assert_eq!(texts_of(&json!(["a", "b"]), 1), None);
    }
}
