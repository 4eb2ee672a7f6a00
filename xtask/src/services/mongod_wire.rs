//! Two commands of MongoDB's wire protocol, so that starting a mongod needs no driver.
//!
//! Belongs here: `hello` and `replSetInitiate` as OP_MSG. Does not belong here: anything else.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

const OP_MSG: u32 = 2013;
/// An answer to these two is a few hundred bytes.
const ANSWER_BYTES_MAX: u32 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// What a command is made of.
enum Value<'a> {
    Number(i32),
    Text(&'a str),
    Document(&'a [(&'a str, Value<'a>)]),
    List(&'a [(&'a str, Value<'a>)]),
}

/// Whether it takes writes.
pub(super) fn is_primary(port: u16) -> Result<bool> {
    let answer = call(port, &[("hello", Value::Number(1))])?;
    let yes = b"\x08isWritablePrimary\0\x01";
    Ok(answer.windows(yes.len()).any(|part| part == yes))
}

/// Makes it the only member of the replica set `rs0`.
pub(super) fn make_primary(port: u16) -> Result<()> {
    let host = format!("127.0.0.1:{port}");
    let member = [("_id", Value::Number(0)), ("host", Value::Text(&host))];
    let members = [("0", Value::Document(&member))];
    let set = [
        ("_id", Value::Text("rs0")),
        ("members", Value::List(&members)),
    ];
    call(port, &[("replSetInitiate", Value::Document(&set))]).map(drop)
}

fn call(port: u16, command: &[(&str, Value<'_>)]) -> Result<Vec<u8>> {
    let message = message(command)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&message)?;
    let mut size = [0; 4];
    stream.read_exact(&mut size)?;
    let size = u32::from_le_bytes(size);
    ensure!(size <= ANSWER_BYTES_MAX, "an answer of {size} bytes");
    let rest = size.checked_sub(4).context("an answer without a length")?;
    let mut answer = vec![0; usize::try_from(rest)?];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn message(command: &[(&str, Value<'_>)]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for (name, value) in command {
        element(&mut body, name, value)?;
    }
    element(&mut body, "$db", &Value::Text("admin"))?;
    let document = closed(body)?;
    let mut message = Vec::new();
    // Header: length, request, in answer to, kind. Then flags and one section of kind 0.
    message.extend(u32::try_from(document.len() + 21)?.to_le_bytes());
    message.extend([1, 0].map(u32::to_le_bytes).concat());
    message.extend(OP_MSG.to_le_bytes());
    message.extend([0; 5]);
    message.extend(document);
    Ok(message)
}

fn element(out: &mut Vec<u8>, name: &str, value: &Value<'_>) -> Result<()> {
    let (kind, content) = match value {
        Value::Number(number) => (0x10, number.to_le_bytes().to_vec()),
        Value::Text(text) => {
            let mut content = u32::try_from(text.len() + 1)?.to_le_bytes().to_vec();
            content.extend(text.as_bytes());
            content.push(0);
            (0x02, content)
        }
        Value::Document(fields) => (0x03, document(fields)?),
        Value::List(fields) => (0x04, document(fields)?),
    };
    out.push(kind);
    out.extend(name.as_bytes());
    out.push(0);
    out.extend(content);
    Ok(())
}

fn document(fields: &[(&str, Value<'_>)]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    for (name, value) in fields {
        element(&mut body, name, value)?;
    }
    closed(body)
}

fn closed(body: Vec<u8>) -> Result<Vec<u8>> {
    let mut document = u32::try_from(body.len() + 5)?.to_le_bytes().to_vec();
    document.extend(body);
    document.push(0);
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_the_bytes_of_the_specification() {
        let message = message(&[("hello", Value::Number(1))]).unwrap();
        let mut expected = vec![52, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xdd, 7, 0, 0];
        expected.extend([0, 0, 0, 0, 0, 31, 0, 0, 0, 0x10]);
        expected.extend(b"hello\0\x01\0\0\0\x02$db\0\x06\0\0\0admin\0\0");
        assert_eq!(message, expected);
    }
}
