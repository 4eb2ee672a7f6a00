//! What people read: one title and one text per kind and channel.
//!
//! Belongs here: wording. Does not belong here: who gets it.

use crate::models::{Channel, NotificationType, WallMs};

/// Something to tell, with what its wording needs.
pub(super) enum Told<'a> {
    Signup {
        username: &'a str,
        /// Proves the address when it comes back.
        token: &'a str,
    },
    Login {
        username: &'a str,
        at: WallMs,
    },
    ResetPassword {
        username: &'a str,
        token: &'a str,
    },
    Purchase {
        item: &'a str,
        amount: f64,
        currency: &'a str,
    },
    FriendRequest {
        from: &'a str,
    },
}

impl Told<'_> {
    pub(super) const fn kind(&self) -> NotificationType {
        match self {
            Self::Signup { .. } => NotificationType::Signup,
            Self::Login { .. } => NotificationType::Login,
            Self::ResetPassword { .. } => NotificationType::ResetPassword,
            Self::Purchase { .. } => NotificationType::Purchase,
            Self::FriendRequest { .. } => NotificationType::FriendRequest,
        }
    }

    /// Title and text; the title is short and holds nothing a person typed.
    pub(super) fn text(&self, channel: Channel) -> (String, String) {
        let (title, text) = match self {
            Self::Signup { username, token } => (
                "Welcome",
                format!(
                    "Hello {username}, your account is ready. To prove your address, send this request:\r\n\r\n\
                     POST /api/signups/verify/{token}"
                ),
            ),
            Self::Login { username, at } => (
                "New login",
                format!(
                    "Hello {username}, somebody logged in to your account at {at}. If it was not you, change your password."
                ),
            ),
            Self::ResetPassword { username, token } => (
                "Reset your password",
                format!(
                    "Hello {username}, use this code to set a new password within half an hour: {token}"
                ),
            ),
            Self::Purchase {
                item,
                amount,
                currency,
            } => (
                "Your purchase",
                format!("You bought {item} for {amount:.2} {currency}."),
            ),
            Self::FriendRequest { from } => (
                "New friend request",
                format!("{from} would like to be your friend."),
            ),
        };
        let text = match channel {
            Channel::Email => format!("{text}\r\n\r\nFlowreel\r\n"),
            Channel::InApp => text,
        };
        (title.to_owned(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purchase_names_its_item_and_price_on_both_channels() {
        let told = Told::Purchase {
            item: "Tea",
            amount: 4.5,
            currency: "EUR",
        };
        for channel in [Channel::Email, Channel::InApp] {
            let (_, text) = told.text(channel);
            assert!(text.starts_with("You bought Tea for 4.50 EUR."), "{text}");
        }
    }
}
