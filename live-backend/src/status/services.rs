//! The parts without a listener of ours: store, queue, relay, and the workers between them.
//!
//! Belongs here: asking each in its own protocol. Does not belong here: how answers read (status).

use super::{PATIENCE, PartStatus};
use crate::config::{Address, QueuePart, Relay, RemoteRelay, Security, Settings, StorePart};
use crate::redis_client::redis_client;
use crate::store::MongoAddress;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::TcpStream;

/// Longest greeting of a relay that is read.
const GREETING_BYTES_MAX: u64 = 1024;

/// Asks the store, the queue and the relay; embedded ones live in the servers and are asked there.
pub(super) async fn ask(settings: &Settings, healths: &[&Value]) -> Vec<PartStatus> {
    let embedded = |id: &'static str| PartStatus::new(id, "embedded", by_health(id, healths));
    let store = async {
        match &settings.store {
            StorePart::Embedded => embedded("store"),
            StorePart::MongoDb(address) => {
                in_time("store", address.to_string(), asked(address)).await
            }
        }
    };
    let queue = async {
        match &settings.queue {
            QueuePart::Embedded => embedded("queue"),
            QueuePart::Redis(address) => {
                in_time("queue", address.to_string(), redis(address)).await
            }
        }
    };
    let relay = async {
        match &settings.relay {
            Relay::Embedded => embedded("smtp"),
            Relay::Remote(relay) => {
                let shown = format!("{}:{}", relay.host, relay.port);
                in_time("smtp", shown, greeting(relay)).await
            }
        }
    };
    let (store, queue, relay) = tokio::join!(store, queue, relay);
    vec![store, queue, relay]
}

async fn in_time(
    id: &'static str,
    address: String,
    asking: impl Future<Output = Result<(), String>>,
) -> PartStatus {
    let problem = match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer.err(),
        Err(_late) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    PartStatus::new(id, address, problem)
}

/// What the servers say about a part that lives in them.
fn by_health(id: &str, healths: &[&Value]) -> Option<String> {
    let path = format!("/checks/{id}");
    let said: Vec<&str> = healths
        .iter()
        .filter_map(|health| health.pointer(&path)?.as_str())
        .collect();
    if said.is_empty() {
        return Some("no server answers for it".to_owned());
    }
    said.contains(&"down")
        .then(|| "a server says that it is down".to_owned())
}

async fn redis(address: &Address) -> Result<(), String> {
    let client = redis_client(address.with_secret(), address.ca());
    let client = client.map_err(|error| error.to_string())?;
    let asking = async {
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("PING")
            .query_async::<String>(&mut connection)
            .await
    };
    asking.await.map(drop).map_err(|error| error.to_string())
}

async fn asked(address: &MongoAddress) -> Result<(), String> {
    address.answers().await.map_err(|error| error.to_string())
}

/// A relay that is well greets with 220; behind TLS from the first byte, that it listens must do.
async fn greeting(relay: &RemoteRelay) -> Result<(), String> {
    let stream = TcpStream::connect((relay.host.as_str(), relay.port)).await;
    let stream = stream.map_err(|error| error.to_string())?;
    if relay.security == Security::Tls {
        return Ok(());
    }
    let mut line = String::new();
    let mut reader = BufReader::new(stream.take(GREETING_BYTES_MAX));
    let reading = reader.read_line(&mut line).await;
    reading.map_err(|error| error.to_string())?;
    if line.starts_with("220") {
        return Ok(());
    }
    Err("it does not greet as a mail relay does".to_owned())
}
