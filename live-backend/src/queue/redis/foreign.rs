//! What a job in one of our queues is: one of ours, one that another program added, or nonsense.
//!
//! Belongs here: reading its data, storing what another program asks for. Does not belong here: its run.
//!
//! Another program adds `{"type","userId","title","message"}` with, if it likes, `priority` and
//! `expiresAt` (ms since 1970); from there on the job is like one of ours.

use super::Inner;
use super::parcel::Parcel;
use super::scripts::Found;
use super::taking::Taken;
use crate::models::{Channel, NotificationType, Priority, UserId, WallMs};
use crate::queue::{Job, first_queue};
use crate::store::foreign::Adopted;
use crate::store::notifications::News;
use crate::telemetry::Place;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Where nothing else is said, as for our own.
const IN_APP_LIFE_MS: u64 = 24 * 60 * 60 * 1000;
/// As long as titles and messages of our own may be.
const TITLE_BYTES_MAX: usize = 200;
const MESSAGE_BYTES_MAX: usize = 10_000;

impl Inner {
    /// The job as the workers know it; `None` where the store cannot be asked now; an error says what is
    /// wrong with its data.
    pub(super) async fn fit(
        &self,
        taken: &Taken,
        channel: Channel,
    ) -> Result<Option<(Job, Parcel)>, String> {
        let (queue, found) = (first_queue(channel), &taken.found);
        let ours = serde_json::from_str::<Parcel>(&found.data);
        if let Ok(parcel) = ours {
            if parcel.channel != channel {
                return Err(format!(
                    "a job for {} is in queue {}",
                    parcel.channel,
                    queue.name()
                ));
            }
            let part = self.part_of(&parcel, queue).with_attempt(parcel.attempt);
            let job = parcel.job(part)?;
            return Ok(Some((job, parcel)));
        }
        let data: Value = serde_json::from_str(&found.data).unwrap_or_default();
        if let Err(error) = ours
            && data.get("jobId").is_some()
        {
            return Err(format!("its data are not a job's: {error}"));
        }
        let (user, mut news) = read(found, &data, channel)?;
        if channel == Channel::InApp && news.expires_at.is_none() {
            news.expires_at = Some(WallMs(self.now().0.saturating_add(IN_APP_LIFE_MS)));
        }
        let stored = match self.store.adopt(user, news, self.now()).await {
            Ok(Adopted::Open(job)) => job,
            Ok(Adopted::Over) => return Err("it was delivered or given up before".to_owned()),
            Ok(Adopted::NoUser) => return Err(format!("there is no user {user}")),
            Err(error) => {
                tracing::warn!(%error, "a job of another program waits: {error}");
                return Ok(None);
            }
        };
        let part = self.telemetry.resume_job(stored.kind.class(), queue, 1);
        let parcel = self.parcel(&stored, part);
        if let Err(error) = self.adopted(queue, &found.id, &parcel).await {
            tracing::debug!(%error, "{error}");
        }
        Ok(Some((Job::new(stored, part), parcel)))
    }

    /// Should this process die, the next one knows it as ours.
    async fn adopted(&self, queue: Place, id: &str, parcel: &Parcel) -> Result<(), bullmq::Error> {
        let queue = self.link.queue(queue);
        let queue = queue.map_err(|error| bullmq::Error::InvalidConfig(error.to_string()))?;
        match queue.get_job(id).await? {
            Some(mut bull) => bull.update_data(serde_json::to_value(parcel)?).await,
            None => Ok(()),
        }
    }
}

/// What another program asks for; an error says what is wrong with it.
fn read(found: &Found, data: &Value, channel: Channel) -> Result<(UserId, News), String> {
    let kind = text(data, "type")?;
    let kind = NotificationType::from_name(kind)
        .ok_or_else(|| format!("type `{}` is none of {}", shown(kind), kinds()))?;
    let user = data
        .get("userId")
        .or_else(|| data.get("recipient").and_then(|it| it.get("userId")));
    let user = match user {
        Some(Value::String(text)) => UserId::parse(text),
        Some(Value::Number(number)) => UserId::parse(&number.to_string()),
        _ => None,
    };
    let user = user.ok_or("userId is missing, or is no whole number from 1 upwards")?;
    let priority = match data.get("priority") {
        None => Priority::Normal,
        Some(priority) => priority
            .as_str()
            .and_then(Priority::from_name)
            .ok_or("priority is none of low, normal, high, urgent")?,
    };
    let expires_at = match data.get("expiresAt") {
        None | Some(Value::Null) => None,
        Some(at) => Some(WallMs(
            at.as_u64().ok_or("expiresAt is no time in ms since 1970")?,
        )),
    };
    let news = News {
        id: notification_id(first_queue(channel).name(), &found.id, found.added_ms),
        channel,
        kind,
        title: bounded(data, "title", TITLE_BYTES_MAX)?,
        message: bounded(data, "message", MESSAGE_BYTES_MAX)?,
        priority,
        expires_at,
        origin: None,
    };
    Ok((user, news))
}

/// The same job has the same notification, however often it is taken.
fn notification_id(queue: &str, id: &str, timestamp: u64) -> String {
    let digest = Sha256::digest(format!("{queue}:{id}:{timestamp}"));
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn bounded(data: &Value, name: &str, bytes_max: usize) -> Result<String, String> {
    let text = text(data, name)?;
    if text.is_empty() || text.len() > bytes_max {
        return Err(format!(
            "{name} has {} bytes; 1 to {bytes_max} are allowed",
            text.len()
        ));
    }
    if text.contains(|c: char| c.is_control() && c != '\n' && c != '\t') {
        return Err(format!("{name} holds a control character"));
    }
    Ok(text.to_owned())
}

fn text<'a>(data: &'a Value, name: &str) -> Result<&'a str, String> {
    data.get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("{name} is missing, or is no text"))
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

fn kinds() -> String {
    let names: Vec<&str> = NotificationType::ALL
        .iter()
        .map(|kind| kind.name())
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn texts_are_bounded_and_free_of_control_characters() {
        let data = json!({"title": "a\u{7}b", "message": "x".repeat(MESSAGE_BYTES_MAX + 1)});
        assert!(
            bounded(&data, "title", TITLE_BYTES_MAX)
                .unwrap_err()
                .contains("control")
        );
        assert!(
            bounded(&data, "message", MESSAGE_BYTES_MAX)
                .unwrap_err()
                .contains("10001")
        );
        assert!(
            bounded(&data, "subject", 9)
                .unwrap_err()
                .contains("missing")
        );
    }

    #[test]
    fn one_job_is_one_notification() {
        let id = notification_id("mail", "5", 1);
        assert_eq!(id.len(), 32);
        assert_eq!(id, notification_id("mail", "5", 1));
        assert_ne!(id, notification_id("mail", "5", 2));
    }
}
