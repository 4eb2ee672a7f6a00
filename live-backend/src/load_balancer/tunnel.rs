//! Upgraded connections: bytes both ways between a client and a server.
//!
//! Belongs here: passing bytes. Does not belong here: how the two came together (forward.rs).
//!
//! Thousands of these are open and idle, so none holds a buffer of its own: bytes go through one buffer
//! of the thread, and only what the receiver does not take at once is kept for it.

use bytes::Bytes;
use std::cell::RefCell;
use std::io::{self, ErrorKind};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// Bytes passed at once.
const BUFFER_BYTES: usize = 16 * 1024;

thread_local! {
    static BUFFER: RefCell<[u8; BUFFER_BYTES]> = const { RefCell::new([0; BUFFER_BYTES]) };
}

/// One end, with what was read from it already.
pub(super) struct End {
    pub(super) stream: TcpStream,
    pub(super) read: Bytes,
}

/// What became of one reading.
enum Passed {
    All,
    /// The receiver is slow.
    Left(Vec<u8>),
    End,
}

/// Passes bytes until both ends have ended or one has failed.
pub(super) async fn join(mut one: End, mut other: End) -> io::Result<()> {
    let (one_reads, mut one_writes) = one.stream.split();
    let (other_reads, mut other_writes) = other.stream.split();
    other_writes.write_all(&one.read).await?;
    one_writes.write_all(&other.read).await?;
    drop((one.read, other.read));
    futures_util::future::try_join(pass(one_reads, other_writes), pass(other_reads, one_writes))
        .await?;
    Ok(())
}

async fn pass(from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<()> {
    loop {
        from.readable().await?;
        match pass_some(&from, &to) {
            Ok(Passed::All) => {}
            Ok(Passed::Left(left)) => to.write_all(&left).await?,
            Ok(Passed::End) => return to.shutdown().await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

fn pass_some(from: &ReadHalf<'_>, to: &WriteHalf<'_>) -> io::Result<Passed> {
    BUFFER.with_borrow_mut(|buffer| {
        let count = from.try_read(buffer)?;
        if count == 0 {
            return Ok(Passed::End);
        }
        let read = buffer.get(..count).unwrap_or_default();
        let written = match to.try_write(read) {
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        let left = read.get(written..).unwrap_or_default();
        Ok(if left.is_empty() {
            Passed::All
        } else {
            Passed::Left(left.to_vec())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn everything_arrives_in_order_at_slow_readers_and_each_way_ends_by_itself() {
        let (mut client, client_end) = pair().await;
        let (mut server, server_end) = pair().await;
        let end = |stream, read| End { stream, read };
        let joined = join(
            end(client_end, Bytes::from_static(b"early ")),
            end(server_end, Bytes::new()),
        );
        // More than the system buffers, so that the receiver holds the sender up.
        let sent: Vec<u8> = (0..32_u32 << 20)
            .map(|at| (at % 251).to_le_bytes()[0])
            .collect();
        let talk = async {
            let (mut reads, mut writes) = client.split();
            let writing = async {
                writes.write_all(&sent).await.unwrap();
                writes.shutdown().await.unwrap();
            };
            let answered = async {
                let mut answer = String::new();
                reads.read_to_string(&mut answer).await.unwrap();
                answer
            };
            tokio::join!(writing, answered).1
        };
        let serve = async {
            let mut got = Vec::new();
            server.read_to_end(&mut got).await.unwrap();
            server.write_all(b"late answer").await.unwrap();
            server.shutdown().await.unwrap();
            got
        };
        let (joined, answer, got) = tokio::join!(joined, talk, serve);
        joined.unwrap();
        assert_eq!(answer, "late answer");
        assert_eq!(got.strip_prefix(b"early "), Some(sent.as_slice()));
    }

    #[tokio::test]
    async fn an_end_that_fails_ends_both() {
        let (client, client_end) = pair().await;
        let (mut server, server_end) = pair().await;
        client.set_zero_linger().unwrap();
        drop(client);
        let end = |stream| End {
            stream,
            read: Bytes::new(),
        };
        assert!(join(end(client_end), end(server_end)).await.is_err());
        let mut rest = Vec::new();
        assert_eq!(server.read_to_end(&mut rest).await.unwrap(), 0);
    }
}
