//! A client of Redis, over TLS with one's own certificates where they are given.
//!
//! Belongs here: making one, alike for everybody who speaks to Redis. Does not belong here: connections.

use redis::{Client, IntoConnectionInfo, RedisResult, TlsCertificates};

/// `ca` is trusted in place of the public certificates (PEM).
pub(crate) fn redis_client(
    info: impl IntoConnectionInfo,
    ca: Option<&[u8]>,
) -> RedisResult<Client> {
    match ca {
        None => Client::open(info),
        Some(ca) => {
            let certificates = TlsCertificates {
                client_tls: None,
                root_cert: Some(ca.to_vec()),
            };
            Client::build_with_tls(info, certificates)
        }
    }
}
