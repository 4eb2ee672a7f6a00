//! A thin Socket.IO v4 client over one WebSocket: handshake, namespace, events both ways.
//!
//! Belongs here: packets of Engine.IO 4 and Socket.IO 5 as far as JSON events need them. Does not belong
//! here: polling, binary attachments, reconnection (a lost socket is a finding, not something to hide).

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

type Stream = WebSocketStream<TcpStream>;

/// Bytes a socket reads at once; there may be thousands of them.
const READ_BUFFER_BYTES: usize = 2048;

/// Why a socket is of no use any more.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The WebSocket failed.
    #[error("the socket at {url} failed: {reason}")]
    Broken {
        /// Where.
        url: String,
        /// What happened.
        reason: String,
    },
    /// The server closed it.
    #[error("the server at {url} closed the socket")]
    Closed {
        /// Where.
        url: String,
    },
    /// The server said something that is no Socket.IO.
    #[error("the server at {url} does not speak Socket.IO 5: {packet}")]
    Protocol {
        /// Where.
        url: String,
        /// What it said, shortened.
        packet: String,
    },
    /// The namespace refused the connection, or the server the user.
    #[error("the server at {url} refused: {reason}")]
    Refused {
        /// Where.
        url: String,
        /// In its words.
        reason: String,
    },
}

/// An event from the server.
#[derive(Clone, Debug, PartialEq)]
pub struct SocketEvent {
    /// Its name.
    pub name: String,
    /// Its first argument, null where it has none.
    pub data: Value,
}

/// A connected client.
#[derive(Debug)]
pub struct Socket {
    url: String,
    namespace: String,
    sender: SplitSink<Stream, Message>,
    receiver: SplitStream<Stream>,
}

impl Socket {
    /// Connects to a namespace, such as `/`, of the server at `base`, such as `http://127.0.0.1:8000`.
    ///
    /// # Errors
    /// [`SocketError`] where there is no such server or it refuses.
    pub async fn connect(base: &str, namespace: &str) -> Result<Self, SocketError> {
        Self::connect_from(base, namespace, None).await
    }

    /// Connects as [`Socket::connect`], from this address of the machine: each has its own range of ports.
    ///
    /// # Errors
    /// [`SocketError`] where there is no such server or it refuses.
    pub async fn connect_from(
        base: &str,
        namespace: &str,
        source: Option<IpAddr>,
    ) -> Result<Self, SocketError> {
        let host = base.trim_end_matches('/').replacen("http", "ws", 1);
        let url = format!("{host}/socket.io/?EIO=4&transport=websocket");
        let broken = |reason: String| SocketError::Broken {
            url: url.clone(),
            reason,
        };
        let authority = host.trim_start_matches("ws://");
        let stream = open(authority, source)
            .await
            .map_err(|error| broken(error.to_string()))?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
        let joined =
            tokio_tungstenite::client_async_with_config(url.as_str(), stream, Some(config)).await;
        let (stream, _answer) = joined.map_err(|error| broken(error.to_string()))?;
        let (sender, receiver) = stream.split();
        let mut socket = Self {
            url,
            namespace: namespace.to_owned(),
            sender,
            receiver,
        };
        let open = socket.next_packet().await?;
        if !open.starts_with('0') {
            return Err(socket.protocol(&open));
        }
        let prefix = socket.prefix();
        socket.send_packet(format!("40{prefix}")).await?;
        let answer = socket.next_packet().await?;
        match answer.get(..2) {
            Some("40") => Ok(socket),
            Some("44") => Err(SocketError::Refused {
                url: socket.url.clone(),
                reason: answer,
            }),
            _ => Err(socket.protocol(&answer)),
        }
    }

    /// Sends an event.
    ///
    /// # Errors
    /// [`SocketError::Broken`] where the socket is gone.
    pub async fn emit(&mut self, name: &str, data: &Value) -> Result<(), SocketError> {
        let packet = format!("42{}{}", self.prefix(), json!([name, data]));
        self.send_packet(packet).await
    }

    /// Proves who the client is; the answer is the data of `auth:success`. Events that come before it are dropped.
    ///
    /// # Errors
    /// [`SocketError::Refused`] on `auth:error`, others where the socket fails.
    pub async fn authenticate(&mut self, token: &str) -> Result<Value, SocketError> {
        self.emit("authenticate", &json!({ "token": token }))
            .await?;
        loop {
            let event = self.next_event().await?;
            match event.name.as_str() {
                "auth:success" => return Ok(event.data),
                "auth:error" => {
                    return Err(SocketError::Refused {
                        url: self.url.clone(),
                        reason: event.data.to_string(),
                    });
                }
                _ => {}
            }
        }
    }

    /// Waits for the next event; pings are answered meanwhile.
    ///
    /// # Errors
    /// [`SocketError::Closed`] where the server ended it, others where the socket fails.
    pub async fn next_event(&mut self) -> Result<SocketEvent, SocketError> {
        loop {
            let packet = self.next_packet().await?;
            if packet.starts_with("41") {
                return Err(SocketError::Closed {
                    url: self.url.clone(),
                });
            }
            let Some(rest) = packet.strip_prefix("42") else {
                continue;
            };
            return parse_event(rest).ok_or_else(|| self.protocol(&packet));
        }
    }

    /// Leaves in good order.
    pub async fn close(mut self) {
        // The server may be gone already, which is what is wanted.
        drop(self.send_packet(format!("41{}", self.prefix())).await);
        drop(self.sender.close().await);
    }

    fn prefix(&self) -> String {
        if self.namespace == "/" {
            String::new()
        } else {
            format!("{},", self.namespace)
        }
    }

    async fn send_packet(&mut self, packet: String) -> Result<(), SocketError> {
        let sent = self.sender.send(Message::text(packet)).await;
        sent.map_err(|error| self.broken(&error.to_string()))
    }

    /// The next packet that is not a ping.
    async fn next_packet(&mut self) -> Result<String, SocketError> {
        loop {
            let message = match self.receiver.next().await {
                None => {
                    return Err(SocketError::Closed {
                        url: self.url.clone(),
                    });
                }
                Some(Err(error)) => return Err(self.broken(&error.to_string())),
                Some(Ok(message)) => message,
            };
            let Message::Text(text) = message else {
                continue;
            };
            match text.as_str() {
                "2" => self.send_packet("3".to_owned()).await?,
                "1" => {
                    return Err(SocketError::Closed {
                        url: self.url.clone(),
                    });
                }
                packet => return Ok(packet.to_owned()),
            }
        }
    }

    fn broken(&self, reason: &str) -> SocketError {
        SocketError::Broken {
            url: self.url.clone(),
            reason: reason.to_owned(),
        }
    }

    fn protocol(&self, packet: &str) -> SocketError {
        SocketError::Protocol {
            url: self.url.clone(),
            packet: packet.chars().take(80).collect(),
        }
    }
}

async fn open(authority: &str, source: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let authority = if authority.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let stream = match source {
        None => TcpStream::connect(authority).await?,
        Some(source) => {
            let target = tokio::net::lookup_host(authority)
                .await?
                .find(SocketAddr::is_ipv4);
            let target = target.ok_or(std::io::ErrorKind::AddrNotAvailable)?;
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::new(source, 0))?;
            socket.connect(target).await?
        }
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads `[/namespace,][id]["name",data]`.
fn parse_event(packet: &str) -> Option<SocketEvent> {
    let list = packet.find('[').and_then(|start| packet.get(start..))?;
    let Value::Array(items) = serde_json::from_str(list).ok()? else {
        return None;
    };
    let mut items = items.into_iter();
    let Some(Value::String(name)) = items.next() else {
        return None;
    };
    Some(SocketEvent {
        name,
        data: items.next().unwrap_or(Value::Null),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_with_and_without_namespace_and_id() {
        for (packet, name, data) in [
            (r#"["a",{"b":1}]"#, "a", json!({"b": 1})),
            (r#"/events,["a"]"#, "a", Value::Null),
            (r#"/events,17["a:b",[1,2]]"#, "a:b", json!([1, 2])),
        ] {
            let event = parse_event(packet).expect("an event");
            assert_eq!((event.name.as_str(), event.data), (name, data));
        }
        for packet in ["", "[]", "[1]", "[\"a\"", "{}"] {
            assert_eq!(parse_event(packet), None, "{packet}");
        }
    }
}
