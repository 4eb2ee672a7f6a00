//! How events are packed for one client: by name or in batches, JSON or MessagePack, compressed or not.
//!
//! Belongs here: the options of the address and the bytes. Does not belong here: when they are sent.
//!
//! | in the address | what is sent |
//! |---|---|
//! | nothing | each event under its name, its data as JSON |
//! | `fmt=msgpack` | the same, its data one binary attachment: a MessagePack map |
//! | `batch=1` | `batch` events: a list of `{event, data}` |
//! | `fmt=msgpack&batch=1` | `batch` events, the list one binary attachment |
//! | `fmt=msgpack&zip=deflate` or `zstd` | the same, compressed (zlib's format, or Zstandard); always batches |

use crate::telemetry::live::LiveEvent;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use serde::{Serialize, Serializer};
use std::io::Write;

/// Zstandard's fastest level that still halves what plain JSON takes many times over.
const ZSTD_LEVEL: i32 = 1;

/// How one client wants its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One packet per event.
    Named(Format),
    /// One packet for many.
    Batch(Format),
    /// One compressed packet for many.
    Zipped(Zip),
}

/// How data are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    MessagePack,
}

/// How a batch is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zip {
    Deflate,
    Zstd,
}

/// An option that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadOption {
    #[error("fmt is json or msgpack")]
    Format,
    #[error("zip is deflate or zstd")]
    Zip,
    #[error("zip needs fmt=msgpack: compressed bytes are no JSON")]
    ZippedJson,
    #[error("batch is 0 or 1")]
    Batch,
}

/// Why an event could not be packed; a mistake of ours.
#[derive(Debug, thiserror::Error)]
#[error("an event cannot be packed: {0}")]
pub(super) struct PackError(String);

/// Bytes that go out as one binary attachment.
pub(super) struct Binary(pub(super) Vec<u8>);

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

/// An event in a batch.
#[derive(Serialize)]
pub(super) struct Item<'a, T> {
    pub(super) event: &'static str,
    pub(super) data: &'a T,
}

impl Form {
    /// Reads the options of the address the client connected to.
    pub(super) fn read(query: Option<&str>) -> Result<Self, BadOption> {
        let value = |key: &str| {
            let mut pairs = query.unwrap_or_default().split('&');
            pairs.find_map(|pair| pair.split_once('=').filter(|(name, _)| *name == key))
        };
        let text = |key: &str| value(key).map_or("", |(_, text)| text);
        let format = match text("fmt") {
            "" | "json" => Format::Json,
            "msgpack" => Format::MessagePack,
            _ => return Err(BadOption::Format),
        };
        let zip = match text("zip") {
            "" | "none" => None,
            "deflate" => Some(Zip::Deflate),
            "zstd" => Some(Zip::Zstd),
            _ => return Err(BadOption::Zip),
        };
        let is_batch = match text("batch") {
            "" | "0" => false,
            "1" => true,
            _ => return Err(BadOption::Batch),
        };
        match (zip, format) {
            (Some(zip), Format::MessagePack) => Ok(Self::Zipped(zip)),
            (Some(_), Format::Json) => Err(BadOption::ZippedJson),
            (None, format) if is_batch => Ok(Self::Batch(format)),
            (None, format) => Ok(Self::Named(format)),
        }
    }
}

/// One MessagePack value with its fields by name.
pub(super) fn packed(data: &impl Serialize) -> Result<Binary, PackError> {
    let bytes = rmp_serde::to_vec_named(data).map_err(|error| PackError(error.to_string()))?;
    Ok(Binary(bytes))
}

/// The same, compressed.
pub(super) fn zipped(data: &impl Serialize, zip: Zip) -> Result<Binary, PackError> {
    let Binary(plain) = packed(data)?;
    let failed = |error: std::io::Error| PackError(error.to_string());
    let bytes = match zip {
        Zip::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&plain).map_err(failed)?;
            encoder.finish().map_err(failed)?
        }
        Zip::Zstd => zstd::bulk::compress(&plain, ZSTD_LEVEL).map_err(failed)?,
    };
    Ok(Binary(bytes))
}

/// The events as a batch has them.
pub(super) fn items<'a>(events: &[&'a LiveEvent]) -> Vec<Item<'a, LiveEvent>> {
    let item = |event: &&'a LiveEvent| Item {
        event: event.payload.name().name(),
        data: *event,
    };
    events.iter().map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::live::event::{Id, Metadata, RequestProgress};
    use crate::telemetry::live::{Payload, StageStatus, SystemStage};
    use flowreel_engine::model::id::RequestId;
    use serde_json::{Value, json};
    use std::io::Read;

    fn progress(number: u64) -> LiveEvent {
        LiveEvent {
            seq: number,
            payload: Payload::RequestProgress(RequestProgress {
                request_id: Id(RequestId(1 + number / 30)),
                stage: SystemStage::ALL[usize::try_from(number % 20).unwrap()],
                component: "mail-worker",
                status: StageStatus::ALL[usize::try_from(number % 4).unwrap()],
                start_time: 1_790_000_000_000 + number * 7,
                end_time: number
                    .is_multiple_of(3)
                    .then_some(1_790_000_000_000 + number * 11),
                duration: number.is_multiple_of(3).then_some(0.25),
                attempt: 1,
                metadata: Metadata(vec![("peer", "mail".to_owned())]),
                event: "service-ended",
                part: 1,
            }),
        }
    }

    #[test]
    fn options_are_read_from_the_address() {
        for (query, form) in [
            ("EIO=4&transport=websocket", Form::Named(Format::Json)),
            ("fmt=json", Form::Named(Format::Json)),
            ("EIO=4&fmt=msgpack", Form::Named(Format::MessagePack)),
            ("batch=1", Form::Batch(Format::Json)),
            ("fmt=msgpack&batch=1", Form::Batch(Format::MessagePack)),
            ("fmt=msgpack&zip=deflate", Form::Zipped(Zip::Deflate)),
            ("zip=zstd&fmt=msgpack&batch=0", Form::Zipped(Zip::Zstd)),
        ] {
            assert_eq!(Form::read(Some(query)), Ok(form), "{query}");
        }
        assert_eq!(Form::read(None), Ok(Form::Named(Format::Json)));
        for (query, fault) in [
            ("fmt=xml", BadOption::Format),
            ("fmt=msgpack&zip=rar", BadOption::Zip),
            ("zip=zstd", BadOption::ZippedJson),
            ("batch=yes", BadOption::Batch),
        ] {
            assert_eq!(Form::read(Some(query)), Err(fault), "{query}");
        }
    }

    #[test]
    fn messagepack_holds_what_json_holds() {
        let event = progress(3);
        let Binary(bytes) = packed(&event).unwrap();
        let read: Value = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(read, serde_json::to_value(&event).unwrap());
        assert_eq!(read["requestId"], json!("1"));
        assert_eq!(read["seq"], json!(3));
    }

    #[test]
    fn compressed_batches_take_less_than_half_of_plain_json() {
        let events: Vec<LiveEvent> = (0..1000).map(progress).collect();
        let all: Vec<&LiveEvent> = events.iter().collect();
        let plain: usize = events
            .iter()
            .map(|event| serde_json::to_vec(event).unwrap().len())
            .sum();
        let items = items(&all);
        for zip in [Zip::Deflate, Zip::Zstd] {
            let Binary(bytes) = zipped(&items, zip).unwrap();
            assert!(
                bytes.len() * 2 < plain,
                "{zip:?}: {} of {plain}",
                bytes.len()
            );
            let unpacked = match zip {
                Zip::Deflate => {
                    let mut out = Vec::new();
                    let mut decoder = flate2::read::ZlibDecoder::new(bytes.as_slice());
                    decoder.read_to_end(&mut out).unwrap();
                    out
                }
                Zip::Zstd => zstd::bulk::decompress(&bytes, 10 << 20).unwrap(),
            };
            let read: Vec<Value> = rmp_serde::from_slice(&unpacked).unwrap();
            assert_eq!(read.len(), 1000);
            assert_eq!(read[999]["event"], json!("request:progress"));
            assert_eq!(read[999]["data"]["seq"], json!(999));
        }
    }
}
