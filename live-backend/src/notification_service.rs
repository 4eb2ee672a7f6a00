//! The decisions: who is told what, by which channel.
//!
//! Belongs here: channels per kind, one function per action that tells somebody something.
//! Does not belong here: HTTP, SQL, sockets.

mod texts;

use crate::error::AppError;
use crate::models::{Channel, NotificationType, Priority, UserId, WallMs};
use crate::queue::Queues;
use crate::request::RequestContext;
use crate::security::random_hex;
use crate::store::Store;
use crate::store::jobs::JobOrigin;
use crate::store::notifications::News;
use crate::store::records::{NewFriendRequest, NewPurchase, NewReset};
use crate::store::sessions::NewSession;
use crate::store::users::{NewUser, User};
use texts::Told;

/// An in-app notification is worth delivering for a day.
const IN_APP_LIFE_MS: u64 = 24 * 60 * 60 * 1000;
/// A link for a new password is good for half an hour.
const RESET_LIFE_MS: u64 = 30 * 60 * 1000;

/// How each kind of news is told, and how urgently.
const fn channels(kind: NotificationType) -> &'static [Channel] {
    match kind {
        NotificationType::Signup | NotificationType::ResetPassword => &[Channel::Email],
        NotificationType::Login | NotificationType::Purchase | NotificationType::FriendRequest => {
            &[Channel::Email, Channel::InApp]
        }
    }
}

const fn priority(kind: NotificationType) -> Priority {
    match kind {
        NotificationType::ResetPassword => Priority::Urgent,
        NotificationType::Signup | NotificationType::Purchase => Priority::High,
        NotificationType::Login | NotificationType::FriendRequest => Priority::Normal,
    }
}

/// Tells people what happened.
#[derive(Clone)]
pub(crate) struct NotificationService {
    store: Store,
    queues: Queues,
}

impl NotificationService {
    pub(crate) const fn new(store: Store, queues: Queues) -> Self {
        Self { store, queues }
    }

    /// Refuses new work where the queues are full, before anything is stored.
    pub(crate) fn check_room(&self) -> Result<(), AppError> {
        if self.queues.has_room() {
            return Ok(());
        }
        Err(AppError::unavailable(
            "queues_full",
            "too many notifications wait already, try again later",
        ))
    }

    /// Whether the queues answer and take more.
    pub(crate) async fn are_queues_well(&self) -> bool {
        self.queues.has_room() && self.queues.is_well().await
    }

    /// Makes an account and welcomes its owner with the token that proves the address.
    pub(crate) async fn sign_up(
        &self,
        context: &RequestContext,
        user: NewUser,
        verification: &str,
        now: WallMs,
    ) -> Result<UserId, AppError> {
        let told = Told::Signup {
            username: &user.username,
            token: verification,
        };
        let news = self.news(context, &told, now);
        let (id, jobs) = context
            .in_database(self.store.create_user(user, news, now))
            .await?;
        context.hand_over(&self.queues, jobs).await;
        Ok(id)
    }

    /// Opens a session and tells its owner.
    pub(crate) async fn log_in(
        &self,
        context: &RequestContext,
        user: &User,
        session: NewSession,
        now: WallMs,
    ) -> Result<(), AppError> {
        let news = self.news(
            context,
            &Told::Login {
                username: &user.username,
                at: now,
            },
            now,
        );
        let jobs = context
            .in_database(self.store.record_login(session, news, now))
            .await?;
        context.hand_over(&self.queues, jobs).await;
        Ok(())
    }

    /// Sends a token for a new password.
    pub(crate) async fn reset_password(
        &self,
        context: &RequestContext,
        user: &User,
        token: &str,
        token_hash: String,
        now: WallMs,
    ) -> Result<(), AppError> {
        let news = self.news(
            context,
            &Told::ResetPassword {
                username: &user.username,
                token,
            },
            now,
        );
        let reset = NewReset {
            id: random_hex::<16>(),
            user: user.id,
            token_hash,
            expires_at: WallMs(now.0.saturating_add(RESET_LIFE_MS)),
        };
        let jobs = context
            .in_database(self.store.record_reset(reset, news, now))
            .await?;
        context.hand_over(&self.queues, jobs).await;
        Ok(())
    }

    /// Stores a purchase and tells its buyer; the answer is its id.
    pub(crate) async fn purchase(
        &self,
        context: &RequestContext,
        purchase: NewPurchase,
        now: WallMs,
    ) -> Result<String, AppError> {
        let told = Told::Purchase {
            item: &purchase.item,
            amount: purchase.amount,
            currency: &purchase.currency,
        };
        let (news, id) = (self.news(context, &told, now), purchase.id.clone());
        let jobs = context
            .in_database(self.store.record_purchase(purchase, news, now))
            .await?;
        context.hand_over(&self.queues, jobs).await;
        Ok(id)
    }

    /// Stores a friend request and tells the other person; the answer is its id.
    pub(crate) async fn request_friend(
        &self,
        context: &RequestContext,
        from: &User,
        to: UserId,
        now: WallMs,
    ) -> Result<String, AppError> {
        let news = self.news(
            context,
            &Told::FriendRequest {
                from: &from.username,
            },
            now,
        );
        let request = NewFriendRequest {
            id: random_hex::<16>(),
            from: from.id,
            to,
        };
        let id = request.id.clone();
        let stored = context
            .in_database(self.store.record_friend_request(request, news, now))
            .await?;
        let jobs =
            stored.ok_or_else(|| AppError::not_found("there is no user with this toUserId"))?;
        context.hand_over(&self.queues, jobs).await;
        Ok(id)
    }

    fn news(&self, context: &RequestContext, told: &Told<'_>, now: WallMs) -> Vec<News> {
        let kind = told.kind();
        let run = self.queues.run_id();
        let count = channels(kind).len();
        let news_on = |(index, &channel): (usize, &Channel)| {
            let (title, message) = told.text(channel);
            News {
                id: random_hex::<16>(),
                channel,
                kind,
                title,
                message,
                priority: priority(kind),
                expires_at: match channel {
                    Channel::Email => None,
                    Channel::InApp => Some(WallMs(now.0.saturating_add(IN_APP_LIFE_MS))),
                },
                origin: context
                    .part_of_job(index, count)
                    .zip(run.clone())
                    .map(|(part, run)| JobOrigin { run, part }),
            }
        };
        channels(kind).iter().enumerate().map(news_on).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_kinds_go_both_ways_and_the_others_by_mail() {
        for &kind in NotificationType::ALL {
            let both = matches!(
                kind,
                NotificationType::Login
                    | NotificationType::Purchase
                    | NotificationType::FriendRequest
            );
            assert_eq!(channels(kind).contains(&Channel::InApp), both, "{kind}");
            assert!(channels(kind).contains(&Channel::Email), "{kind}");
        }
    }
}
