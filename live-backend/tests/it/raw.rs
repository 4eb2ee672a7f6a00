//! HTTP as bytes: requests that no well-behaved client would send, and answers as they come.
//!
//! Belongs here: one connection's bytes out and in. Does not belong here: what a test claims.

use crate::harness::PATIENCE;
use std::io::ErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection.
pub(crate) struct Raw(TcpStream);

impl Raw {
    /// Connects to `http://127.0.0.1:8000` or the like.
    pub(crate) async fn connect(url: &str) -> Self {
        let address = url.trim_start_matches("http://");
        Self(TcpStream::connect(address).await.expect("somebody listens"))
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that has refused already may have closed; its answer is what counts.
        drop(self.0.write_all(bytes.as_ref()).await);
    }

    /// The head of the next answer, without what follows.
    pub(crate) async fn head(&mut self) -> String {
        let reading = async {
            let mut text = Vec::new();
            while !text.ends_with(b"\r\n\r\n") {
                match self.0.read_u8().await {
                    Ok(byte) => text.push(byte),
                    Err(_closed) => break,
                }
            }
            String::from_utf8(text).expect("heads are text")
        };
        tokio::time::timeout(PATIENCE, reading)
            .await
            .expect("an answer")
    }

    /// The body that this head announces.
    pub(crate) async fn body(&mut self, head: &str) -> String {
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse().ok());
        let mut bytes = vec![0; length.expect("a length")];
        let reading = tokio::time::timeout(PATIENCE, self.0.read_exact(&mut bytes));
        reading.await.expect("an answer").expect("it comes whole");
        String::from_utf8(bytes).expect("text")
    }

    /// Everything until the server closes the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let reading = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut bytes));
        match reading.await.expect("the server closes it") {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error}"),
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Everything a server answers to these bytes before it closes.
pub(crate) async fn exchange(url: &str, bytes: impl AsRef<[u8]>) -> String {
    let mut raw = Raw::connect(url).await;
    raw.send(bytes).await;
    raw.rest().await
}

/// A request that ends its connection.
pub(crate) fn request(line: &str, headers: &str, body: &str) -> String {
    let length = if body.is_empty() {
        String::new()
    } else {
        format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        )
    };
    format!(
        "{line} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n{headers}{length}\r\n{body}"
    )
}

/// `Authorization`, or nothing.
pub(crate) fn bearer(token: Option<&str>) -> String {
    token.map_or_else(String::new, |token| {
        format!("authorization: Bearer {token}\r\n")
    })
}

/// The status of the first answer.
pub(crate) fn status(answer: &str) -> u16 {
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}
