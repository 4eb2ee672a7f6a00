//! One SMTP conversation, without a socket: lines in, replies out (RFC 5321).
//!
//! Belongs here: commands, their order, limits. Does not belong here: sockets and files (sink).

/// Longest command line accepted, in bytes (RFC 5321: 512; more for long addresses).
pub(super) const LINE_BYTES_MAX: usize = 2048;
/// Longest message accepted, in bytes.
pub(super) const MESSAGE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Recipients of one message.
const RECIPIENTS_MAX: usize = 100;

/// Where the conversation stands.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    is_greeted: bool,
    has_sender: bool,
    recipient_count: usize,
}

/// What a command asks the connection to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Send these lines and go on.
    Reply(&'static str),
    /// Send this line, then read the message up to its final dot.
    ReadMessage(&'static str),
    /// Send this line and close.
    Close(&'static str),
}

impl Conversation {
    /// Answers one command line, without its line end.
    pub(super) fn command(&mut self, line: &str) -> Step {
        let (verb, rest) = line.split_once([' ', ':']).unwrap_or((line, ""));
        let verb = verb.to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                *self = Self {
                    is_greeted: true,
                    ..Self::default()
                };
                Step::Reply(
                    "250-flowreel.local\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 10485760\r\n",
                )
            }
            "HELO" => {
                *self = Self {
                    is_greeted: true,
                    ..Self::default()
                };
                Step::Reply("250 flowreel.local\r\n")
            }
            "NOOP" => Step::Reply("250 ok\r\n"),
            "VRFY" => Step::Reply("252 send it and see\r\n"),
            "QUIT" => Step::Close("221 bye\r\n"),
            "RSET" => {
                self.end_message();
                Step::Reply("250 ok\r\n")
            }
            "MAIL" => self.mail(rest),
            "RCPT" => self.rcpt(rest),
            "DATA" => self.data(),
            _ => Step::Reply("500 unknown command\r\n"),
        }
    }

    /// The message is read; the next one starts from the beginning.
    pub(super) fn end_message(&mut self) {
        self.has_sender = false;
        self.recipient_count = 0;
    }

    fn mail(&mut self, rest: &str) -> Step {
        if !self.is_greeted {
            return Step::Reply("503 say EHLO first\r\n");
        }
        if self.has_sender {
            return Step::Reply("503 one sender at a time\r\n");
        }
        if !is_path(rest, "FROM") {
            return Step::Reply("501 write MAIL FROM:<address>\r\n");
        }
        self.has_sender = true;
        Step::Reply("250 sender ok\r\n")
    }

    fn rcpt(&mut self, rest: &str) -> Step {
        if !self.has_sender {
            return Step::Reply("503 say MAIL first\r\n");
        }
        if !is_path(rest, "TO") {
            return Step::Reply("501 write RCPT TO:<address>\r\n");
        }
        if self.recipient_count >= RECIPIENTS_MAX {
            return Step::Reply("452 too many recipients\r\n");
        }
        self.recipient_count += 1;
        Step::Reply("250 recipient ok\r\n")
    }

    fn data(&self) -> Step {
        if self.recipient_count == 0 {
            return Step::Reply("503 say RCPT first\r\n");
        }
        Step::ReadMessage("354 go on, end with a dot on its own line\r\n")
    }
}

/// Whether the text is `KEYWORD:<…>` with optional parameters after it.
fn is_path(text: &str, keyword: &str) -> bool {
    let text = text.trim_start();
    let Some((head, tail)) = text.split_once(':') else {
        return false;
    };
    let tail = tail.trim_start();
    head.trim_end().eq_ignore_ascii_case(keyword) && tail.starts_with('<') && tail.contains('>')
}

/// Undoes the doubling of dots at line starts (RFC 5321 4.5.2), and tells the end of the message.
/// The answer is `None` for the final dot.
pub(super) fn message_line(line: &[u8]) -> Option<&[u8]> {
    match line {
        b".\r\n" | b".\n" => None,
        [b'.', rest @ ..] => Some(rest),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(step: &Step) -> &str {
        match step {
            Step::Reply(text) | Step::ReadMessage(text) | Step::Close(text) => {
                text.get(..3).unwrap()
            }
        }
    }

    #[test]
    fn a_whole_conversation_in_order_is_accepted() {
        let mut conversation = Conversation::default();
        for (line, expected) in [
            ("EHLO me", "250"),
            ("MAIL FROM:<a@b.example> BODY=8BITMIME", "250"),
            ("RCPT TO:<c@d.example>", "250"),
            ("DATA", "354"),
        ] {
            assert_eq!(code(&conversation.command(line)), expected, "{line}");
        }
        conversation.end_message();
        assert_eq!(code(&conversation.command("DATA")), "503");
        assert_eq!(code(&conversation.command("QUIT")), "221");
    }

    #[test]
    fn commands_out_of_order_or_malformed_are_refused() {
        for (lines, expected) in [
            (vec!["MAIL FROM:<a@b>"], "503"),
            (vec!["HELO x", "RCPT TO:<a@b>"], "503"),
            (vec!["HELO x", "MAIL a@b"], "501"),
            (vec!["HELO x", "MAIL FROM:a@b"], "501"),
            (vec!["HELO x", "MAIL FROM:<>", "RCPT <a@b>"], "501"),
            (vec!["HELO x", "MAIL FROM:<>", "MAIL FROM:<>"], "503"),
            (vec![""], "500"),
            (vec!["BLAH"], "500"),
        ] {
            let mut conversation = Conversation::default();
            let last = lines
                .iter()
                .map(|line| conversation.command(line))
                .last()
                .unwrap();
            assert_eq!(code(&last), expected, "{lines:?}");
        }
    }

    #[test]
    fn recipients_are_bounded() {
        let mut conversation = Conversation::default();
        conversation.command("EHLO x");
        conversation.command("MAIL FROM:<a@b>");
        for _ in 0..RECIPIENTS_MAX {
            assert_eq!(code(&conversation.command("RCPT TO:<a@b>")), "250");
        }
        assert_eq!(code(&conversation.command("RCPT TO:<a@b>")), "452");
    }

    #[test]
    fn dots_are_undoubled_and_the_last_one_ends() {
        assert_eq!(message_line(b"..a\r\n"), Some(&b".a\r\n"[..]));
        assert_eq!(message_line(b"a.\r\n"), Some(&b"a.\r\n"[..]));
        assert_eq!(message_line(b".\r\n"), None);
    }
}
