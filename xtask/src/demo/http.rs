//! One request to a server on this machine, without a library.
//!
//! Belongs here: the few lines of HTTP/1.1 that a demonstration needs. Does not belong here: what is asked.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How long the server may take for each read or write.
const PATIENCE: Duration = Duration::from_secs(10);

/// Posts `body` to `url` (`http://HOST:PORT/path`) as the bearer of `token`; returns the answer's body.
pub(crate) fn post(url: &str, token: &str, body: &Value) -> Result<Value> {
    let (host, path) = split(url)?;
    let body = body.to_string();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).with_context(|| format!("{host} does not answer"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream
        .write_all(request.as_bytes())
        .with_context(|| format!("{url} does not listen"))?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .with_context(|| format!("{url} does not answer"))?;
    read_answer(&String::from_utf8_lossy(&answer)).with_context(|| format!("POST {url}"))
}

fn split(url: &str) -> Result<(&str, &str)> {
    let rest = url
        .strip_prefix("http://")
        .with_context(|| format!("`{url}` is no http URL"))?;
    let at = rest
        .find('/')
        .with_context(|| format!("`{url}` has no path"))?;
    Ok(rest.split_at(at))
}

fn read_answer(answer: &str) -> Result<Value> {
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the answer has no end of headers")?;
    let status = head
        .split_whitespace()
        .nth(1)
        .context("the answer has no status")?;
    let is_chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if is_chunked {
        joined_chunks(body)
    } else {
        body.to_owned()
    };
    if !status.starts_with('2') {
        bail!("status {status}: {body}");
    }
    if body.trim().is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&body).context("the answer is not JSON")
}

/// Chunks without their sizes; sizes are hexadecimal lines before each chunk.
fn joined_chunks(body: &str) -> String {
    let mut joined = String::new();
    let mut rest = body;
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(chunk) = after.get(..size).filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        joined.push_str(chunk);
        rest = after
            .get(size..)
            .unwrap_or_default()
            .trim_start_matches("\r\n");
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_plain_and_in_chunks() {
        let plain = "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"a\": 1}";
        assert_eq!(read_answer(plain).unwrap()["a"], 1);
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"a\"\r\n4\r\n: 1}\r\n0\r\n\r\n";
        assert_eq!(read_answer(chunked).unwrap()["a"], 1);
    }

    #[test]
    fn a_refusal_is_an_error_with_its_status() {
        let error = read_answer("HTTP/1.1 401 Unauthorized\r\n\r\n{}").unwrap_err();
        assert!(error.to_string().contains("401"));
    }

    #[test]
    fn urls_are_split_into_host_and_path() {
        assert_eq!(
            split("http://127.0.0.1:8000/api/x").unwrap(),
            ("127.0.0.1:8000", "/api/x")
        );
        assert!(split("https://127.0.0.1/").is_err());
    }
}
