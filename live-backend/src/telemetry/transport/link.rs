//! The connection to Redis of one thread: made when needed, made anew after a failure.
//!
//! Belongs here: connecting, time limits, how long to wait after a failure. Does not belong here: what is said.

use super::{TransportError, TransportSettings};
use crate::redis_client::redis_client;
use crate::telemetry::clock::Clock;
use flowreel_engine::model::time::TimeNs;
use redis::{Client, Connection, RedisResult};
use std::time::Duration;

/// Longest wait for a connection or an answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Time between two tries.
const RETRY_NS: u64 = 100_000_000;

/// One thread's connection.
pub(in crate::telemetry) struct Link {
    client: Client,
    connection: Option<Connection>,
    /// A clock of its own: the run's may jump.
    steady: Clock,
    try_at: TimeNs,
    is_down: bool,
}

impl Link {
    pub(in crate::telemetry) fn new(settings: &TransportSettings) -> Result<Self, TransportError> {
        let client = redis_client(settings.url.as_str(), settings.ca.as_deref())
            .map_err(|source| TransportError::Address { source })?;
        Ok(Self {
            client,
            connection: None,
            steady: Clock::start(),
            try_at: TimeNs::ZERO,
            is_down: false,
        })
    }

    /// Where it leads, without secrets.
    pub(in crate::telemetry) fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// Says something and hears the answer; `None` while it is too early for another try.
    pub(in crate::telemetry) fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut Connection) -> RedisResult<T>,
    ) -> Option<RedisResult<T>> {
        let now = self.steady.now();
        if self.connection.is_none() && now < self.try_at {
            return None;
        }
        let answer = self.connected().and_then(question);
        match &answer {
            Ok(_) if self.is_down => {
                self.is_down = false;
                tracing::info!("telemetry reaches Redis at {} again", self.address());
            }
            Ok(_) => {}
            Err(error) => {
                if !self.is_down {
                    tracing::warn!(
                        %error,
                        "telemetry does not get through to Redis at {}: {error}; it waits in memory",
                        self.address()
                    );
                }
                self.is_down = true;
                self.connection = None;
                self.try_at = TimeNs(now.0.saturating_add(RETRY_NS));
            }
        }
        Some(answer)
    }

    /// Asks until there is an answer, no longer than that.
    pub(in crate::telemetry) fn insist<T>(
        &mut self,
        longest: Duration,
        mut question: impl FnMut(&mut Connection) -> RedisResult<Option<T>>,
    ) -> Result<Option<T>, TransportError> {
        let until_ns = self
            .steady
            .now()
            .0
            .saturating_add(u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX));
        let mut failure = None;
        loop {
            match self.ask(&mut question) {
                Some(Ok(Some(found))) => return Ok(Some(found)),
                Some(Ok(None)) => failure = None,
                Some(Err(source)) => failure = Some(source),
                None => {}
            }
            if self.steady.now().0 >= until_ns {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        match failure {
            Some(source) => Err(TransportError::Unreachable {
                address: self.address(),
                source,
            }),
            None => Ok(None),
        }
    }

    fn connected(&mut self) -> RedisResult<&mut Connection> {
        if let Some(connection) = self.connection.take() {
            return Ok(self.connection.insert(connection));
        }
        let connection = self.client.get_connection_with_timeout(TIMEOUT)?;
        connection.set_read_timeout(Some(TIMEOUT))?;
        connection.set_write_timeout(Some(TIMEOUT))?;
        Ok(self.connection.insert(connection))
    }
}
