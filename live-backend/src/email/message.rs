//! A notification as a message: addresses and header texts are checked before they reach a header.
//!
//! Belongs here: building the message. Does not belong here: sending it, its wording.

use crate::store::notifications::Notification;
use lettre::Message;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};

/// Longest text in one header line (RFC 5322: 998 bytes a line, with room for the name and encoding).
const HEADER_TEXT_BYTES_MAX: usize = 200;
/// Who sends.
const SENDER_NAME: &str = "Flowreel";
/// Right part of every message id.
const ID_DOMAIN: &str = "flowreel.local";

/// Why a notification cannot become a message; no later run can change that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("the {part} holds a line break or another control character")]
    Control { part: &'static str },
    #[error("the {part} is {length} bytes long, {HEADER_TEXT_BYTES_MAX} fit")]
    Long { part: &'static str, length: usize },
    #[error("the recipient's address cannot be read")]
    Address,
    #[error("the message cannot be built")]
    Build,
}

/// Whether a text may stand in a header: no control characters, not too long.
pub(crate) fn check_header_text(part: &'static str, text: &str) -> Result<(), MessageError> {
    if text.chars().any(char::is_control) {
        return Err(MessageError::Control { part });
    }
    if text.len() > HEADER_TEXT_BYTES_MAX {
        return Err(MessageError::Long {
            part,
            length: text.len(),
        });
    }
    Ok(())
}

/// Whether a text is an address that mail can be sent to.
pub(crate) fn is_address(text: &str) -> bool {
    text.len() <= 254
        && text.parse::<lettre::Address>().is_ok()
        && !text.chars().any(char::is_control)
}

/// The message id of a notification: the same on every run, so that a relay can tell a repeated message.
pub(crate) fn message_id(notification: &str) -> String {
    format!("<{notification}@{ID_DOMAIN}>")
}

/// The message that tells this notification, from the address `sender`.
pub(crate) fn build(notification: &Notification, sender: &str) -> Result<Message, MessageError> {
    let recipient = &notification.recipient;
    // Lettre panics on a line break in a display name and encodes one in a subject, so both are checked.
    check_header_text("recipient's name", &recipient.username)?;
    check_header_text("subject", &notification.news.title)?;
    let address = recipient
        .email
        .parse()
        .map_err(|_unreadable| MessageError::Address)?;
    let sender = sender
        .parse()
        .map_err(|_unreadable| MessageError::Address)?;
    let from = Mailbox::new(Some(SENDER_NAME.to_owned()), sender);
    let builder: MessageBuilder = Message::builder()
        .from(from)
        .to(Mailbox::new(Some(recipient.username.clone()), address))
        .subject(notification.news.title.clone())
        .message_id(Some(message_id(&notification.news.id)));
    builder
        .header(ContentType::TEXT_PLAIN)
        .body(notification.news.message.clone())
        .map_err(|_invalid| MessageError::Build)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Channel, NotificationType, Priority, UserId, WallMs};
    use crate::store::notifications::News;
    use crate::store::users::User;

    fn notification(username: &str, title: &str) -> Notification {
        Notification {
            news: News {
                id: "n1".to_owned(),
                channel: Channel::Email,
                kind: NotificationType::Signup,
                title: title.to_owned(),
                message: "Hello".to_owned(),
                priority: Priority::Normal,
                expires_at: None,
                origin: None,
            },
            recipient: User {
                id: UserId(1),
                username: username.to_owned(),
                email: "ada@example.org".to_owned(),
                password_hash: String::new(),
            },
            is_delivered: false,
            created_at: WallMs(0),
        }
    }

    #[test]
    fn a_message_carries_its_recipient_subject_and_stable_id() {
        let text = String::from_utf8(
            build(&notification("Ada", "Welcome"), "f@flowreel.local")
                .unwrap()
                .formatted(),
        )
        .unwrap();
        for line in [
            "To: Ada <ada@example.org>",
            "Subject: Welcome",
            "Message-ID: <n1@flowreel.local>",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.ends_with("Hello"));
    }

    #[test]
    fn line_breaks_in_header_texts_are_refused_before_lettre_sees_them() {
        for text in ["a\r\nBcc: x@example.org", "a\nb", "a\rb", "a\0b"] {
            assert!(matches!(
                build(&notification(text, "t"), "f@flowreel.local"),
                Err(MessageError::Control { .. })
            ));
            assert!(matches!(
                build(&notification("n", text), "f@flowreel.local"),
                Err(MessageError::Control { .. })
            ));
        }
        let long = "x".repeat(HEADER_TEXT_BYTES_MAX + 1);
        assert!(matches!(
            build(&notification("n", &long), "f@flowreel.local"),
            Err(MessageError::Long { .. })
        ));
    }

    #[test]
    fn addresses_are_told_from_other_texts() {
        assert!(is_address("ada@example.org"));
        for text in [
            "",
            "ada",
            "ada@",
            "@example.org",
            "a b@example.org",
            "a@b\r\nBcc: c@d.e",
        ] {
            assert!(!is_address(text), "{text:?}");
        }
    }
}
