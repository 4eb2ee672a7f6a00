//! The embedded relay: takes mail on a real socket and keeps each message as `mail/<n>.eml`.
//!
//! Belongs here: its sockets and files, the faults it shows. Does not belong here: SMTP's rules
//! (conversation), sending (transport).
//!
//! A message whose id is already kept is accepted again without a second file, so that a run repeated
//! after a crash is not seen twice. Several processes may share the folder: a file gets its number by a link,
//! which never replaces another, and what others kept meanwhile is learnt before.

use super::conversation::{Conversation, LINE_BYTES_MAX, MESSAGE_BYTES_MAX, Step, message_line};
use crate::faults::Faults;
use crate::telemetry::Place;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::fs;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Conversations at once; a further client waits.
const CONNECTIONS_MAX: usize = 64;
/// Longest silence of a client.
const SILENCE_MAX: Duration = Duration::from_secs(300);
/// Bytes of an old message that are searched for its id on start.
const HEAD_BYTES: u64 = 4096;

/// The messages kept.
pub(crate) struct MailBox {
    folder: PathBuf,
    kept: Mutex<Kept>,
}

struct Kept {
    next_number: u64,
    ids: HashSet<String>,
}

/// One message and whether it was kept.
#[derive(Debug, PartialEq, Eq)]
enum Stored {
    New(u64),
    Again,
}

impl MailBox {
    /// Opens the folder and learns which messages it holds.
    pub(crate) async fn open(folder: PathBuf) -> std::io::Result<Self> {
        fs::create_dir_all(&folder).await?;
        let mut kept = Kept {
            next_number: 1,
            ids: HashSet::new(),
        };
        let mut entries = fs::read_dir(&folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            let Some(number) = message_number(&path) else {
                continue;
            };
            kept.next_number = kept.next_number.max(number + 1);
            kept.ids.extend(message_id(&head_of(&path).await?));
        }
        Ok(Self {
            folder,
            kept: Mutex::new(kept),
        })
    }

    /// Keeps the message; it is on the disk when this returns.
    async fn keep(&self, message: &[u8]) -> std::io::Result<Stored> {
        let id = message_id(message);
        let mut kept = self.kept.lock().await;
        self.learn(&mut kept).await?;
        if kept.has(id.as_ref()) {
            return Ok(Stored::Again);
        }
        let name = crate::security::random_hex::<8>();
        let part = self.folder.join(format!("{name}.part"));
        let placed = async {
            let mut file = fs::File::create(&part).await?;
            file.write_all(message).await?;
            file.sync_all().await?;
            self.place(&part, id.as_ref(), &mut kept).await
        };
        let placed = placed.await;
        let removed = fs::remove_file(&part).await;
        let stored = placed?;
        removed?;
        kept.ids.extend(id);
        Ok(stored)
    }

    /// Gives a whole file the next number that nobody has.
    async fn place(
        &self,
        part: &Path,
        id: Option<&String>,
        kept: &mut Kept,
    ) -> std::io::Result<Stored> {
        loop {
            let number = kept.next_number;
            match fs::hard_link(part, self.message_path(number)).await {
                Ok(()) => {
                    kept.next_number += 1;
                    return Ok(Stored::New(number));
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    self.learn(kept).await?;
                    if kept.has(id) {
                        return Ok(Stored::Again);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes note of the messages that other processes kept since the last look.
    async fn learn(&self, kept: &mut Kept) -> std::io::Result<()> {
        loop {
            match head_of(&self.message_path(kept.next_number)).await {
                Ok(head) => {
                    kept.ids.extend(message_id(&head));
                    kept.next_number += 1;
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn message_path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.eml"))
    }
}

impl Kept {
    fn has(&self, id: Option<&String>) -> bool {
        id.is_some_and(|id| self.ids.contains(id))
    }
}

/// So much of a message that its id is in it.
async fn head_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let file = fs::File::open(path).await?;
    file.take(HEAD_BYTES).read_to_end(&mut head).await?;
    Ok(head)
}

/// Serves until stopped; conversations end with the command they are at.
pub(crate) async fn serve(
    listener: TcpListener,
    mail_box: Arc<MailBox>,
    faults: Arc<Faults>,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (listener.accept().await, slot)
            } => accepted,
        };
        let (Ok((stream, _peer)), Ok(slot)) = accepted else {
            continue;
        };
        let (mail_box, faults, stop) = (Arc::clone(&mail_box), Arc::clone(&faults), stop.clone());
        tracker.spawn(async move {
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => Ok(()),
                ended = converse(stream, &mail_box, &faults) => ended,
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "mail conversation broke off: {error}");
            }
            drop(slot);
        });
    }
}

async fn converse(stream: TcpStream, mail_box: &MailBox, faults: &Faults) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    if faults.is_cut(Place::Smtp) {
        return Ok(());
    }
    if faults.is_down(Place::Smtp) {
        return writer
            .write_all(b"421 closed by an injected fault\r\n")
            .await;
    }
    writer.write_all(b"220 flowreel.local ESMTP\r\n").await?;
    let mut conversation = Conversation::default();
    loop {
        let Some(line) = read_line(&mut reader).await? else {
            return Ok(());
        };
        let Ok(text) = std::str::from_utf8(&line) else {
            writer.write_all(b"500 not UTF-8\r\n").await?;
            continue;
        };
        if line.len() >= LINE_BYTES_MAX {
            return writer.write_all(b"500 line too long\r\n").await;
        }
        match conversation.command(text.trim_end_matches(['\r', '\n'])) {
            Step::Reply(reply) => writer.write_all(reply.as_bytes()).await?,
            Step::Close(reply) => return writer.write_all(reply.as_bytes()).await,
            Step::ReadMessage(reply) => {
                writer.write_all(reply.as_bytes()).await?;
                let Some(message) = read_message(&mut reader).await? else {
                    return writer.write_all(b"552 message too long\r\n").await;
                };
                conversation.end_message();
                answer_message(&mut writer, &message, mail_box, faults).await?;
            }
        }
    }
}

async fn answer_message(
    writer: &mut OwnedWriteHalf,
    message: &[u8],
    mail_box: &MailBox,
    faults: &Faults,
) -> std::io::Result<()> {
    faults.released(Place::Smtp).await;
    let verdict = faults.verdict(Place::Smtp);
    faults.wait(verdict.delay).await;
    if verdict.is_cut {
        return Err(std::io::ErrorKind::ConnectionReset.into());
    }
    if verdict.is_down {
        return writer
            .write_all(b"421 closed by an injected fault\r\n")
            .await;
    }
    if let Some(code) = verdict.reply_code {
        return writer
            .write_all(format!("{code} refused by an injected fault\r\n").as_bytes())
            .await;
    }
    match mail_box.keep(message).await {
        Ok(Stored::New(number)) => {
            writer
                .write_all(format!("250 kept as {number}.eml\r\n").as_bytes())
                .await
        }
        Ok(Stored::Again) => writer.write_all(b"250 kept before\r\n").await,
        Err(error) => {
            tracing::error!(%error, "a message cannot be kept: {error}");
            writer.write_all(b"451 cannot be kept now\r\n").await
        }
    }
}

/// The next line with its end, or `None` at the end of the connection.
async fn read_line(reader: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut limited = reader.take(LINE_BYTES_MAX as u64);
    let read = tokio::time::timeout(SILENCE_MAX, limited.read_until(b'\n', &mut line));
    let count = read
        .await
        .map_err(|_silent| std::io::ErrorKind::TimedOut)??;
    Ok((count > 0).then_some(line))
}

/// The message up to its final dot, or `None` where it is too long.
async fn read_message(reader: &mut BufReader<OwnedReadHalf>) -> std::io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    while message.len() <= MESSAGE_BYTES_MAX {
        let mut is_line_start = true;
        loop {
            let line = read_line(reader)
                .await?
                .ok_or(std::io::ErrorKind::UnexpectedEof)?;
            let is_line_end = line.ends_with(b"\n");
            match if is_line_start {
                message_line(&line)
            } else {
                Some(line.as_slice())
            } {
                Some(bytes) => message.extend_from_slice(bytes),
                None => return Ok(Some(message)),
            }
            if is_line_end {
                break;
            }
            // A line longer than the buffer goes on; its middle is no line start.
            is_line_start = false;
            if message.len() > MESSAGE_BYTES_MAX {
                return Ok(None);
            }
        }
    }
    Ok(None)
}

fn message_number(path: &Path) -> Option<u64> {
    if path.extension()? != "eml" {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

/// The message id in the header, where there is one.
fn message_id(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message.get(..HEAD_BYTES as usize).unwrap_or(message));
    text.lines()
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("message-id")
                .then(|| value.trim().to_owned())
        })
        .filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RemoteRelay;
    use crate::email::transport::Mailer;
    use crate::faults::FaultKind;
    use crate::models::{Channel, NotificationType, Priority, UserId, WallMs};
    use crate::store::notifications::{News, Notification};
    use crate::store::users::User;

    fn notification(id: &str) -> Notification {
        Notification {
            news: News {
                id: id.to_owned(),
                channel: Channel::Email,
                kind: NotificationType::Signup,
                title: "Welcome".to_owned(),
                message: ".a line that begins with a dot".to_owned(),
                priority: Priority::Normal,
                expires_at: None,
                origin: None,
            },
            recipient: User {
                id: UserId(1),
                username: "Ada".to_owned(),
                email: "ada@example.org".to_owned(),
                password_hash: String::new(),
            },
            is_delivered: false,
            created_at: WallMs(0),
        }
    }

    #[tokio::test]
    async fn a_message_is_kept_once_and_faults_are_answered_with_their_code() {
        let name = format!("flowreel-sink-{}", crate::security::random_hex::<8>());
        let folder = std::env::temp_dir().join(name);
        let listener = crate::server::bind("test sink", 0).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (faults, tracker, stop) = (
            Arc::new(Faults::default()),
            TaskTracker::new(),
            CancellationToken::new(),
        );
        let mail_box = Arc::new(MailBox::open(folder.clone()).await.unwrap());
        let sink = serve(
            listener,
            mail_box,
            Arc::clone(&faults),
            tracker.clone(),
            stop.clone(),
        );
        tracker.spawn(sink);
        let mailer = Mailer::new(&RemoteRelay::embedded(port)).unwrap();

        assert_eq!(
            mailer.send(&notification("n1"), || {}).await.unwrap().reply,
            "kept as 1.eml"
        );
        assert_eq!(
            mailer.send(&notification("n1"), || {}).await.unwrap().reply,
            "kept before"
        );
        let text = std::fs::read_to_string(folder.join("1.eml")).unwrap();
        assert!(
            text.contains("\r\n.a line that begins with a dot"),
            "{text}"
        );
        for (reply_code, is_lasting) in [(451, false), (550, true)] {
            let kind = FaultKind::ErrorRate {
                probability: 1.0,
                reply_code,
            };
            let fault = Faults::fault(Place::Smtp, kind);
            let id = fault.id.clone();
            assert!(faults.begin(fault));
            let failure = mailer.send(&notification("n2"), || {}).await.unwrap_err();
            assert_eq!(
                (failure.reply_code, failure.is_lasting),
                (reply_code, is_lasting)
            );
            assert!(faults.end(&id).is_some());
        }
        assert_eq!(
            mailer.send(&notification("n2"), || {}).await.unwrap().reply,
            "kept as 2.eml"
        );

        // Another start knows what is kept.
        let again = MailBox::open(folder.clone()).await.unwrap();
        let message = std::fs::read(folder.join("2.eml")).unwrap();
        assert_eq!(again.keep(&message).await.unwrap(), Stored::Again);
        mailer.close().await;
        stop.cancel();
        tracker.close();
        tracker.wait().await;
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn processes_that_share_the_folder_keep_every_message_and_none_twice() {
        let name = format!("flowreel-sink-{}", crate::security::random_hex::<8>());
        let folder = std::env::temp_dir().join(name);
        let one = MailBox::open(folder.clone()).await.unwrap();
        let other = MailBox::open(folder.clone()).await.unwrap();
        let message = |id: usize| format!("Message-ID: <{id}@x>\r\n\r\n{id}\r\n").into_bytes();
        let all: Vec<_> = (0..20).map(message).collect();
        let keeping = all.iter().enumerate().map(|(index, message)| {
            let mail_box = if index % 2 == 0 { &one } else { &other };
            mail_box.keep(message)
        });
        let mut numbers = HashSet::new();
        for stored in futures_util::future::join_all(keeping).await {
            let Stored::New(number) = stored.unwrap() else {
                panic!("each of them is new");
            };
            assert!(numbers.insert(number), "{number} twice");
        }
        // A run that another process repeats after a crash.
        for message in &all {
            assert_eq!(one.keep(message).await.unwrap(), Stored::Again);
            assert_eq!(other.keep(message).await.unwrap(), Stored::Again);
        }
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&folder).unwrap() {
            found.push(std::fs::read(entry.unwrap().path()).unwrap());
        }
        found.sort();
        let mut expected = all;
        expected.sort();
        assert_eq!(found, expected);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_message_id_is_found_in_the_header_only() {
        let message = b"From: a\r\nMessage-ID: <1@x>\r\n\r\nMessage-ID: <2@x>\r\n";
        assert_eq!(message_id(message).as_deref(), Some("<1@x>"));
        assert_eq!(message_id(b"From: a\r\n\r\nMessage-ID: <2@x>\r\n"), None);
    }

    #[test]
    fn only_kept_messages_have_a_number() {
        assert_eq!(message_number(Path::new("mail/12.eml")), Some(12));
        for path in ["mail/12.part", "mail/x.eml", "mail/eml", "mail/.eml"] {
            assert_eq!(message_number(Path::new(path)), None, "{path}");
        }
    }
}
