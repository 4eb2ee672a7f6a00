//! Names of collections, and which document tells how a message fares.
//!
//! Belongs here: names that more than one file needs. Does not belong here: fields (documents).

use crate::models::{Channel, NotificationType};

pub(super) const SIGNUPS: &str = "signups";
pub(super) const LOGINS: &str = "logins";
pub(super) const SESSIONS: &str = "sessions";
pub(super) const PURCHASES: &str = "purchases";
pub(super) const FRIEND_REQUESTS: &str = "friendRequests";
pub(super) const RESET_PASSWORDS: &str = "resetPasswords";
pub(super) const EMAIL_NOTIFICATIONS: &str = "emailNotifications";
pub(super) const IN_APP_NOTIFICATIONS: &str = "inAppNotifications";
pub(super) const JOBS: &str = "jobs";
pub(super) const ADMINISTRATORS: &str = "administrators";
pub(super) const SETTINGS: &str = "settings";
pub(super) const COUNTERS: &str = "counters";
pub(super) const SCHEMA: &str = "schema";

/// The counter of users.
pub(super) const USER_COUNTER: &str = "userId";
/// The counter of jobs.
pub(super) const JOB_COUNTER: &str = "jobId";

/// Raised by whoever changes a role.
pub(super) const ROLE_COUNTER: &str = "roles";

/// The collection of a channel's notifications.
pub(super) const fn notifications_on(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => EMAIL_NOTIFICATIONS,
        Channel::InApp => IN_APP_NOTIFICATIONS,
    }
}

/// The collection and field that tell how a message of this kind fares.
pub(super) const fn told_in(
    kind: NotificationType,
    channel: Channel,
) -> Option<(&'static str, &'static str)> {
    let collection = match kind {
        NotificationType::Signup => SIGNUPS,
        NotificationType::Login => LOGINS,
        NotificationType::ResetPassword => RESET_PASSWORDS,
        NotificationType::Purchase => PURCHASES,
        NotificationType::FriendRequest => FRIEND_REQUESTS,
    };
    let field = match (kind, channel) {
        (NotificationType::Signup, Channel::Email) => "welcomeEmail",
        (NotificationType::Signup, Channel::InApp) => return None,
        (NotificationType::Login, Channel::Email) => "loginAlertEmail",
        (NotificationType::Login, Channel::InApp) => "loginInAppNotification",
        (_, Channel::Email) => "emailNotification",
        (_, Channel::InApp) => "inAppNotification",
    };
    Some((collection, field))
}
